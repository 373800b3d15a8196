"""What is watched while calibration images run, and its cache."""

import dataclasses
import functools

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from compress.errors import ExportError
from compress_export.calibration._kept import read_observed, write_observed
from compress_export.calibration._observe import observe

TENSORS = ("input", "stem", "clipped", "sum", "pooled", "logits")


@functools.cache
def network(batch="batch"):
    """Convolution, ReLU6, residual add, pooling, head: what fusion would swallow."""
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.normal(0, 0.6, (16, 3, 3, 3)),
        "b1": rng.normal(0, 1, 16),
        "w2": rng.normal(0, 0.3, (16, 16, 1, 1)),
        "six": np.array(6.0),
        "none": np.array(0.0),
        "head": rng.normal(0, 1, (16, 4)),
    }
    nodes = [
        helper.make_node("Conv", ["input", "w1", "b1"], ["stem"], pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["stem", "none", "six"], ["clipped"]),
        helper.make_node("Conv", ["clipped", "w2"], ["inner"]),
        helper.make_node("Add", ["inner", "clipped"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "watched",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, 12, 12])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 4])],
        [numpy_helper.from_array(v.astype(np.float32), name) for name, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def images(count, seed=1):
    return np.random.default_rng(seed).normal(0, 1, (count, 3, 12, 12)).astype(np.float32)


@functools.cache
def unoptimised(count):
    """Every watched tensor of each image, from the graph as it is written."""
    model = onnx.ModelProto()
    model.CopyFrom(network())
    for name in TENSORS[1:-1]:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options)
    names = [value.name for value in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"input": images(count)}), strict=True))
    return found | {"input": images(count)}


def _watch(batches, *, histograms=True, model=None):
    return observe(model or network(), TENSORS, batches, 1, histograms=histograms)


def _same(one, other):
    assert list(one) == list(other)
    for name in one:
        a, b = dataclasses.asdict(one[name]), dataclasses.asdict(other[name])
        ha, hb = a.pop("histogram"), b.pop("histogram")
        assert a == b
        assert (ha is None) == (hb is None)
        if ha:
            assert (ha["width"], ha["first"]) == (hb["width"], hb["first"])
            np.testing.assert_array_equal(ha["counts"], hb["counts"])


def test_optimised_sessions_show_the_values_of_the_graph_as_written():
    observed = _watch([images(24)])
    assert tuple(observed) == TENSORS
    for name, expected in unoptimised(24).items():
        found = observed[name]
        assert found.count == 24
        np.testing.assert_allclose(
            (found.low, found.high), (expected.min(), expected.max()), rtol=1e-5, atol=1e-6
        )
        centres = (np.arange(len(found.histogram.counts)) + 0.5 + found.histogram.first) * (
            found.histogram.width
        )
        assert found.histogram.counts.sum() == expected.size
        mean = (centres * found.histogram.counts).sum() / expected.size
        assert abs(mean - expected.mean()) <= found.histogram.width


def test_averages_are_those_of_a_loop_over_images():
    """The mean of the first hundred, and one percent of each image after them."""
    observed = _watch([images(140)], histograms=False)
    for name, values in unoptimised(140).items():
        low = high = 0.0
        for n, image in enumerate(values.astype(np.float64), start=1):
            weight = 1 / n if n <= 100 else 0.01
            low += weight * (image.min() - low)
            high += weight * (image.max() - high)
        found = observed[name]
        expected = pytest.approx((low, high), rel=1e-5, abs=1e-6)
        assert (found.average_low, found.average_high) == expected


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=4))
def test_batching_changes_no_bit(cuts):
    _same(_watch([images(9)]), _watch(np.split(images(9), sorted(cuts))))


def test_histograms_change_no_other_number_and_are_left_out_unless_asked_for():
    counted, bare = _watch([images(5)]), _watch([images(5)], histograms=False)
    for name, found in counted.items():
        assert bare[name] == dataclasses.replace(found, histogram=None)


def test_a_fixed_batch_runs_whole_and_counts_as_one():
    fixed = _watch([images(3), images(3, 2), images(2, 3)], model=network(batch=4))
    assert {found.count for found in fixed.values()} == {2}
    both = np.concatenate([images(3), images(3, 2), images(2, 3)])
    assert (fixed["input"].low, fixed["input"].high) == (both.min(), both.max())


def test_batches_are_read_only_as_they_are_needed():
    """The third batch is broken: it stops the pass before a fourth is asked for."""
    asked = []

    def read():
        for seed in range(4):
            asked.append(seed)
            yield images(2, seed) * np.float32(np.nan if seed == 2 else 1)

    with pytest.raises(ExportError, match="found NaN or infinity in input"):
        _watch(read())
    assert asked == [0, 1, 2]


def test_the_network_is_not_changed():
    before = network().SerializeToString(deterministic=True)
    _watch([images(1)])
    assert network().SerializeToString(deterministic=True) == before


def test_no_images_are_refused():
    with pytest.raises(ExportError, match="at least one training image, found none"):
        _watch([])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("histograms", [True, False])
def test_a_single_value_that_is_not_finite_is_refused_with_its_tensor(bad, histograms):
    """One of 1728, not the first: ReduceMax in onnxruntime 1.31 would miss a NaN there."""
    model = onnx.ModelProto()
    model.CopyFrom(network())
    weight = next(t for t in model.graph.initializer if t.name == "b1")
    values = numpy_helper.to_array(weight).copy()
    values[7] = bad
    weight.CopyFrom(numpy_helper.from_array(values, "b1"))
    with pytest.raises(ExportError, match="found NaN or infinity in stem"):
        _watch([images(2)], histograms=histograms, model=model)


# -------------------------------------------------------------------------------------- kept


@pytest.mark.parametrize("histograms", [True, False])
def test_kept_statistics_come_back_bit_by_bit(tmp_path, histograms):
    observed = _watch([images(3)], histograms=histograms)
    write_observed(tmp_path / "new" / "kept.npz", "key", observed)
    _same(read_observed(tmp_path / "new" / "kept.npz", "key"), observed)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["kept.npz"]


def test_another_key_is_another_observation(tmp_path):
    write_observed(tmp_path / "kept.npz", "key", _watch([images(1)]))
    assert read_observed(tmp_path / "kept.npz", "other") is None


def test_a_missing_file_and_a_folder_are_no_statistics(tmp_path):
    assert read_observed(tmp_path / "kept.npz", "key") is None
    assert read_observed(tmp_path, "key") is None


def test_a_file_cut_off_anywhere_is_no_statistics(tmp_path):
    path = tmp_path / "kept.npz"
    write_observed(path, "key", _watch([images(1)]))
    content = path.read_bytes()
    for length in (0, 1, 4, 100, len(content) // 2, len(content) - 30, len(content) - 1):
        path.write_bytes(content[:length])
        assert read_observed(path, "key") is None


def test_a_damaged_byte_is_never_read_as_statistics(tmp_path):
    path = tmp_path / "kept.npz"
    observed = _watch([images(1)])
    write_observed(path, "key", observed)
    content = path.read_bytes()
    refused = 0
    for at in range(0, len(content), max(len(content) // 60, 1)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
        found = read_observed(path, "key")
        if found is None:
            refused += 1
        else:  # a byte that means nothing, such as a time in a directory of the zip
            _same(found, observed)
    assert refused > 40


@pytest.mark.parametrize(
    "content",
    [b"PK\x05\x06" + bytes(18), b"\x93NUMPY\x01\x00", b"{}", b"\x80\x04K\x01.", bytes(4096)],
)
def test_foreign_files_are_no_statistics(tmp_path, content):
    (tmp_path / "kept.npz").write_bytes(content)
    assert read_observed(tmp_path / "kept.npz", "key") is None


def test_foreign_arrays_are_no_statistics(tmp_path):
    path = tmp_path / "kept.npz"
    np.savez(path, key=np.zeros(2))
    assert read_observed(path, "key") is None
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    assert read_observed(path, "key") is None
    np.savez(path, key=np.array([object()], dtype=object))
    assert read_observed(path, "key") is None
