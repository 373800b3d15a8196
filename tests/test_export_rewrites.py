"""Graph rewrites: the same answers, a better graph, and nothing left to do the second time."""

import numpy as np
import onnx
import pytest
from onnx import parser

import exported
from compress_export.rewrites import apply_rewrites, list_rewrites, load_rewrite
from compress_export.session import AS_WRITTEN, open_session, run_logits, session_options

# What an exporter writes for pooling, squeeze-and-excitation, and mean((2, 3)), with its notes.
POOLED = """
<ir_version: 10, opset_import: ["" : 18]>
main (float[batch, 8, 6, 5] input) => (float[batch, 8] logits)
<int64[2] axes = {-1, -2}, int64[2] same_axes = {2, 3}, int64[1] width = {3},
 int64[2] rows = {0, -1}>
{
    pooled = ReduceMean <keepdims: int = 1> (input, axes)
    small = Conv (pooled, squeeze)
    active = Relu (small)
    gate = Conv (active, excite)
    scaled = Mul (input, gate)
    narrow = ReduceMean <keepdims: int = 1> (scaled, width)
    widened = Add (scaled, narrow)
    flat = ReduceMean <keepdims: int = 0> (widened, same_axes)
    logits = Reshape (flat, rows)
}
"""


def _pooled() -> onnx.ModelProto:
    model = parser.parse_model(POOLED)
    rng = np.random.default_rng(0)
    for name, shape in (("squeeze", (4, 8, 1, 1)), ("excite", (8, 4, 1, 1))):
        values = rng.normal(size=shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    return onnx.shape_inference.infer_shapes(model)


def _answers(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    options = session_options(1, AS_WRITTEN)
    return run_logits(open_session(model.SerializeToString(), options, subject="test"), images)


def _networks() -> list[tuple[onnx.ModelProto, tuple[int, ...]]]:
    return [(_pooled(), (8, 6, 5)), (_copy(exported.float_graph()), (1, 16, 16))]


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


@pytest.mark.parametrize("name", list_rewrites())
def test_a_rewrite_leaves_the_answers_as_they_were(name):
    for model, shape in _networks():
        images = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
        before = _answers(model, images)
        load_rewrite(name)(model)
        onnx.checker.check_model(model, full_check=True)
        np.testing.assert_allclose(_answers(model, images), before, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", list_rewrites())
def test_a_rewrite_finds_nothing_the_second_time(name):
    for model, _ in _networks():
        load_rewrite(name)(model)
        once = model.SerializeToString(deterministic=True)
        assert load_rewrite(name)(model) == 0
        assert model.SerializeToString(deterministic=True) == once


def test_means_over_height_and_width_become_global_pooling():
    model = _pooled()
    assert load_rewrite("global_average_pool")(model) == 2
    types = [node.op_type for node in model.graph.node]
    assert types.count("GlobalAveragePool") == 2
    assert types.count("ReduceMean") == 1  # over the width alone: left as it was
    assert types.count("Flatten") == 1  # where the mean dropped its axes
    assert "axes" not in {tensor.name for tensor in model.graph.initializer}


def test_the_exporters_mean_is_gone_from_a_converted_network():
    types = [node.op_type for node in exported.float_graph().graph.node]
    assert "GlobalAveragePool" in types
    assert "ReduceMean" not in types


def test_only_our_own_notes_stay():
    model = _pooled()
    onnx.helper.set_model_props(model, {"compress.classes": "[]", "other": "x"})
    model.graph.node[0].doc_string = "File /somewhere/net.py, line 7"
    note = model.graph.node[1].metadata_props.add()
    note.key, note.value = "pkg.torch.onnx.stack_trace", "File /somewhere/net.py, line 8"
    assert load_rewrite("strip_metadata")(model) == 3
    assert {p.key for p in model.metadata_props} == {"compress.classes"}
    assert b"somewhere" not in model.SerializeToString()


def test_notes_inside_the_branches_of_an_if_go_too():
    model = parser.parse_model("""
    <ir_version: 10, opset_import: ["" : 18]>
    main (bool[1] input) => (float[1] logits) {
        logits = If (input) <
            then_branch = yes () => (float[1] a) { a = Constant <value_floats = [1.0]> () },
            else_branch = no () => (float[1] b) { b = Constant <value_floats = [2.0]> () }
        >
    }
    """)
    inner = model.graph.node[0].attribute[0].g.node[0]
    inner.doc_string = "File /somewhere/net.py"
    assert load_rewrite("strip_metadata")(model) == 1
    assert b"somewhere" not in model.SerializeToString()


def test_all_rewrites_together_report_what_they_changed():
    changes = apply_rewrites(_pooled())
    assert tuple(changes) == list_rewrites()
    assert changes["global_average_pool"] == 2
