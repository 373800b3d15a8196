"""float32 against int8: the verdict from given blocks, and a short race of real files."""

import gc
import json

import numpy as np
import onnx
import pytest

import proof_case
from compress_export.proof.latency import judge, median_interval, plan_blocks, race


def blocks(*medians):
    """Blocks of three inferences around each median."""
    return [np.array([median * 0.99, median, median * 1.5]) for median in medians]


def test_the_median_is_held_between_two_of_the_values():
    """Of nine, the second and the eighth: 1 - 2 * (1 + 9) / 512 = 96.1 %."""
    interval = median_interval(np.array([9.0, 2, 4, 7, 1, 8, 3, 6, 5]))
    assert (interval.low, interval.value, interval.high) == (2, 5, 8)


@pytest.mark.parametrize(("count", "ranks"), [(6, (1, 6)), (31, (10, 22))])
def test_the_ranks_are_those_of_the_sign_test(count, ranks):
    """1 - 2/64 = 96.9 % for 6; for 31, P(B <= 9) = 0.0147 and P(B <= 10) = 0.0354."""
    interval = median_interval(np.arange(1.0, count + 1))
    assert (interval.low, interval.high) == ranks


def test_five_pairs_do_not_bound_a_median():
    interval = median_interval(np.arange(5.0))
    assert interval.to_dict()["low"] is None


def test_a_ratio_above_one_throughout_is_faster():
    found = judge(blocks(*[3.0] * 9), blocks(*[1.0] * 9), 1)
    assert found.verdict == "faster"
    assert found.ratio.value == pytest.approx(3)
    assert (found.float32_seconds, found.int8_seconds) == (3.0, 1.0)
    assert (found.pairs, found.inferences) == (9, (27, 27))


def test_a_ratio_below_one_throughout_is_slower():
    assert judge(blocks(*[1.0] * 9), blocks(*[1.2] * 9), 1).verdict == "slower"


def test_a_difference_that_the_blocks_do_not_agree_on_is_not_clear():
    float32 = blocks(1.1, 0.9, 1.1, 0.9, 1.1, 0.9, 1.1, 0.9, 1.1)
    assert judge(float32, blocks(*[1.0] * 9), 1).verdict == "no clear difference"


def test_a_difference_of_one_percent_is_not_worth_the_word():
    assert judge(blocks(*[1.01] * 9), blocks(*[1.0] * 9), 1).verdict == "no clear difference"
    assert judge(blocks(*[1.0] * 9), blocks(*[1.01] * 9), 1).verdict == "no clear difference"


def test_pairs_are_compared_with_each_other_not_all_with_all():
    """The machine becomes ten times slower in the middle; int8 is half as long in every pair."""
    load = [1.0] * 5 + [10.0] * 4
    found = judge(blocks(*load), blocks(*(value / 2 for value in load)), 1)
    assert (found.ratio.low, found.ratio.high) == (2, 2)


def test_small_networks_share_the_time_evenly():
    """31 pairs in 2 s: 32 ms a block, of which one inference is not counted; 200 at most."""
    pairs, sizes = plan_blocks([1e-3, 1e-5], 2.0)
    assert (pairs, sizes) == (31, [31, 200])


def test_large_networks_get_nine_pairs_of_single_inferences():
    assert plan_blocks([0.2, 0.1], 2.0) == (9, [1, 1])


def test_huge_networks_get_the_six_pairs_that_an_interval_needs():
    assert plan_blocks([5.0, 3.0], 2.0) == (6, [1, 1])


def test_a_race_of_two_files_tells_what_it_did(tmp_path):
    for name, model in (
        ("float32.onnx", proof_case.gated()),
        ("int8.onnx", proof_case.quantized(proof_case.gated())),
    ):
        onnx.save(model, tmp_path / name)
    picture = {"input": np.zeros((1, 4, 8, 8), np.float32)}
    found = race(tmp_path / "float32.onnx", tmp_path / "int8.onnx", picture, 1, seconds=0.05)
    assert gc.isenabled()
    assert found.pairs >= 6
    assert all(count >= found.pairs for count in found.inferences)
    assert found.ratio.low <= found.ratio.value <= found.ratio.high
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["threads"] == 1
    assert content["ratio"]["confidence"] == 0.95
