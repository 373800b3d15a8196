"""What a bundle says of its int8 file, from made-up measurements."""

import pytest

import exported
from compress_export.advice import advise_int8, advise_size, recommend
from compress_export.bundle import Variant
from compress_export.sources import torch_source

CENSUS = {"convolutions": 4, "integer_convolutions": 4, "products": 1, "integer_products": 1}


def variants(before, after):
    """Both files, measured on 200 validation images."""
    source = torch_source(exported.loaded(exported.branched(3)))
    return [
        Variant(
            role=role,
            file=file,
            precision=precision,
            source=source,
            validation={"accuracy": accuracy, "n": 200},
        )
        for role, file, precision, accuracy in (
            ("student", "student.onnx", "float32", before),
            ("student_int8", "student.int8.onnx", "int8", after),
        )
    ]


def advice(before=0.9, after=0.9, max_drop=1.0, agreement=0.99, **checks):
    found = {**CENSUS, "agreement": agreement, **checks}
    return advise_int8(*variants(before, after), found, max_drop)


def timed(verdict, value, low, high):
    """float32 takes 3 ms."""
    return {
        "verdict": verdict,
        "ratio": {"value": value, "low": low, "high": high, "confidence": 0.95},
        "float32_seconds": 3e-3,
        "int8_seconds": 3e-3 / value,
        "threads": 1,
    }


SLOWER = timed("slower", 0.75, 0.7, 0.8)
UNCLEAR = timed("no clear difference", 1.0, 0.96, 1.04)
FASTER = timed("faster", 2.5, 2.4, 2.6)


def island(module, share, operator="HardSigmoid"):
    return {
        "module": module,
        "operator": operator,
        "reason": f"onnxruntime has no integer {operator}",
        "seconds": share * 2e-3,
        "share": share,
    }


def test_nothing_is_said_where_all_is_well():
    assert advice() == []
    assert advise_size(60, 60) == []


def test_a_large_drop_is_advised_against_with_its_numbers():
    (sentence,) = advice(before=0.905, after=0.88, max_drop=2.0)
    assert sentence == (
        "int8 loses 2.50 points of validation accuracy (90.50 % float32, 88.00 % int8, "
        "200 images; --max-drop 2): deploy student.onnx (float32)"
    )


def test_a_drop_within_what_is_allowed_is_not_mentioned():
    assert advice(before=0.905, after=0.89, max_drop=2.0) == []


def test_low_agreement_is_said_even_where_accuracy_is_kept():
    (sentence,) = advice(agreement=0.945)
    assert sentence.startswith("int8 agrees with float32 on only 94.5 % of 200 validation images")
    assert "--calibration-images" in sentence
    assert advice(agreement=0.95) == []


def test_layers_that_stay_float_are_counted_by_kind():
    (sentence,) = advice(integer_convolutions=2, integer_products=0)
    assert sentence.startswith(
        "2 of 4 convolutions and 1 of 1 matrix products (Gemm, MatMul) stay float in "
        "student.int8.onnx: "
    )


def test_products_alone_that_stay_float_are_enough_for_the_advice():
    (sentence,) = advice(integer_products=0)
    assert sentence.startswith("0 of 4 convolutions and 1 of 1 matrix products")


def test_a_network_without_convolutions_is_told_of_its_products_only():
    (sentence,) = advice(convolutions=0, integer_convolutions=0, products=3)
    assert sentence.startswith("2 of 3 matrix products (Gemm, MatMul) stay float")


def test_a_cut_of_the_test_images_is_said():
    assert advise_size(325, 4000) == [
        "measured on 325 of 4000 test images, class-balanced, to keep evaluation.npz under 64 MB"
    ]


# ------------------------------------------------------------------------------------- the drop


def drop(low, high):
    return {"drop": {"value": (low + high) / 2, "low": low, "high": high, "confidence": 0.95}}


def test_a_drop_whose_interval_holds_the_budget_is_called_undecided():
    (sentence,) = advice(quality=drop(-0.005, 0.015))
    assert sentence == (
        "200 validation images do not decide whether int8 keeps --max-drop 1: its drop is "
        "between -0.50 and 1.50 points; give more validation images to know"
    )


@pytest.mark.parametrize("bounds", [(-0.005, 0.0099), (0.0101, 0.03)])
def test_a_drop_whose_interval_is_on_one_side_is_decided(bounds):
    assert not any("do not decide" in sentence for sentence in advice(quality=drop(*bounds)))


# ------------------------------------------------------------------------------------- the speed


def test_a_slower_int8_is_advised_against_with_its_numbers():
    (sentence,) = advice(latency=SLOWER)
    assert sentence == (
        "int8 is slower than float32 on this machine (3.00 ms float32, 4.00 ms int8, "
        "0.75\N{MULTIPLICATION SIGN} (0.70\N{EN DASH}0.80) as fast, 1 thread): its smaller size "
        "is its only gain here; deploy student.onnx (float32), or measure on the board with "
        "compress bench"
    )


def test_no_clear_difference_is_said_as_such():
    (sentence,) = advice(latency=UNCLEAR)
    assert sentence.startswith("int8 is not clearly faster than float32 on this machine")
    assert "its only gain" in sentence


def test_a_faster_int8_needs_no_words():
    assert advice(latency=FASTER) == []
    assert advice(latency=None) == []


# ------------------------------------------------------------------------------------ the islands


def test_the_costliest_islands_are_named_with_module_cost_and_reason():
    islands = [island(f"features.{i}.act", 0.2 - i / 50) for i in range(5)]
    (sentence,) = advice(islands=islands)
    assert sentence.startswith("5 float islands take 80 % of int8's time: ")
    assert (
        "HardSigmoid in features.0.act (400 \N{GREEK SMALL LETTER MU}s, 20 %), "
        "for onnxruntime has no integer HardSigmoid; " in sentence
    )
    assert sentence.endswith("; and 2 more")
    assert "features.3.act" not in sentence


def test_islands_that_cost_nothing_or_were_not_timed_are_not_mentioned():
    assert advice(islands=[island("act", 0.005)]) == []
    assert advice(islands=[island("act", 0.5) | {"share": None, "seconds": None}]) == []


def test_a_file_whose_sums_overflow_is_told_of():
    (sentence,) = advice(saturating_pairs=7, saturating_layers={"fc": 3, "stem": 4})
    assert sentence.startswith("7 pairs of weights in 2 layers of student.int8.onnx can overflow")


# -------------------------------------------------------------------------------- recommendation


@pytest.mark.parametrize(
    ("after", "latency", "chosen", "reason"),
    [
        (0.9, FASTER, "student_int8", "int8 is faster on this machine (3.00 ms float32, 1.20 ms"),
        (0.85, FASTER, "student", "int8 loses 5.00 points of validation accuracy, --max-drop is 1"),
        (0.9, SLOWER, "student", "int8 is not faster on this machine (3.00 ms float32, 4.00 ms"),
        (0.9, UNCLEAR, "student", "int8 is not faster on this machine"),
        (0.9, None, "student_int8", "int8 loses no accuracy on 200 validation images; its speed"),
    ],
)
def test_what_to_deploy_follows_from_drop_and_speed(after, latency, chosen, reason):
    checks = CENSUS | {"agreement": 1.0, "latency": latency}
    found, why = recommend(*variants(0.9, after), checks, 1.0)
    assert found == chosen
    assert why.startswith(reason)
