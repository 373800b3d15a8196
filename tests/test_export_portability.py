"""The operator set and file format of a file, for the oldest onnxruntime that is to read it."""

import numpy as np
import onnx
import pytest
from onnx import parser

import exported
from compress.errors import ExportError, UsageError
from compress_export.portability import (
    TABLE,
    Portability,
    choose_portability,
    make_portable,
    opset_of,
)
from compress_export.session import AS_WRITTEN, open_session, run_logits, session_options


def _answers(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    options = session_options(1, AS_WRITTEN)
    return run_logits(open_session(model.SerializeToString(), options, subject="test"), images)


def test_by_default_a_file_is_read_by_onnxruntime_1_14():
    assert choose_portability(None, None) == Portability(18, 8, "1.14")


@pytest.mark.parametrize(
    ("runtime", "opset", "ir_version"),
    [
        ("1.31.1", 18, 8),  # newer runtimes read the default
        ("1.14", 18, 8),
        ("1.13.1", 17, 7),
        ("1.12", 17, 7),
        ("1.10.0", 15, 7),  # 15 came with 1.9, 16 with 1.11
        ("1.7", 13, 7),
    ],
)
def test_an_old_runtime_gets_the_newest_operator_set_that_it_reads(runtime, opset, ir_version):
    chosen = choose_portability(None, runtime)
    assert (chosen.opset, chosen.ir_version) == (opset, ir_version)


def test_an_asked_operator_set_says_which_runtime_it_needs():
    assert choose_portability(21, None) == Portability(21, 10, "1.18")
    assert choose_portability(16, "1.18") == Portability(16, 7, "1.11")


def test_an_operator_set_that_the_asked_runtime_cannot_read_is_refused_naming_both():
    with pytest.raises(UsageError) as caught:
        choose_portability(20, "1.16")
    said = str(caught.value)
    assert said.startswith("--opset 20 with --min-runtime 1.16: expected 19 or less")
    assert said.endswith("20 needs onnxruntime 1.17")


def test_a_runtime_too_old_for_int8_weights_is_refused():
    with pytest.raises(UsageError, match=r"--min-runtime: expected 1.7 or newer, .* found 1.6"):
        choose_portability(None, "1.6")


@pytest.mark.parametrize("opset", [12, 23])
def test_an_operator_set_that_cannot_be_written_is_refused(opset):
    with pytest.raises(UsageError, match=rf"--opset: expected 13 to 22, found {opset}"):
        choose_portability(opset, None)


def test_the_file_format_is_no_newer_than_onnx_had_with_the_operator_set():
    released = {}
    for _, ir_version, opset, *_ in onnx.helper.VERSION_TABLE:
        released.setdefault(opset, ir_version)
    for row in TABLE:
        assert row.ir_version <= released[row.opset]


@pytest.mark.parametrize("opset", [row.opset for row in TABLE if row.opset <= 18])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_an_older_operator_set_gives_the_same_answers(opset, precision):
    graph = exported.float_graph() if precision == "float32" else exported.int8_graph()
    row = choose_portability(opset, None)
    portable = make_portable(graph, row)
    onnx.checker.check_model(portable, full_check=True)
    assert (opset_of(portable), portable.ir_version) == (opset, row.ir_version)
    assert opset_of(graph) == 18  # the original is left alone
    images = exported.inputs(5)
    np.testing.assert_array_equal(_answers(portable, images), _answers(graph, images))


def test_names_and_metadata_survive():
    graph, portable = exported.float_graph(), make_portable(exported.float_graph(), TABLE[0])
    assert [n.name for n in portable.graph.node] == [n.name for n in graph.graph.node]
    assert portable.metadata_props == graph.metadata_props


# What moved between operator sets 13 and 18, and an operator that 13 does not have.
MOVED = """
<ir_version: 8, opset_import: ["" : 18]>
main (float[batch, 4, 6, 6] input) => (float[batch, 2] logits)
<int64[1] width = {3}, int64[2] rows = {0, 72}>
{
    left, right = Split <axis: int = 1, num_outputs: int = 2> (input)
    swish = HardSwish (left)
    narrow = ReduceMax <keepdims: int = 1, noop_with_empty_axes: int = 0> (right, width)
    sum = Add (swish, narrow)
    flat = Reshape (sum, rows)
    logits = MatMul (flat, weight)
}
"""


def _moved() -> onnx.ModelProto:
    model = parser.parse_model(MOVED)
    weight = np.random.default_rng(0).normal(size=(72, 2)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "weight"))
    return model


def test_arguments_go_back_to_where_the_older_operator_set_has_them():
    model = _moved()
    portable = make_portable(model, choose_portability(13, None))
    split, *_ = portable.graph.node
    maximum = next(node for node in portable.graph.node if node.op_type == "ReduceMax")
    assert [item.name for item in split.attribute] == ["axis"]
    assert list(maximum.input) == ["right"]
    assert "HardSwish" not in {node.op_type for node in portable.graph.node}
    images = np.random.default_rng(1).normal(size=(3, 4, 6, 6)).astype(np.float32)
    np.testing.assert_allclose(_answers(portable, images), _answers(model, images), atol=1e-5)


NORMED = """
<ir_version: 8, opset_import: ["" : 18]>
main (float[batch, 4] input) => (float[batch, 4] logits) <float[4] scale = {1.0, 2.0, 1.0, 1.0}>
{
    logits = LayerNormalization (input, scale)
}
"""


def test_what_the_older_operator_set_lacks_is_named_with_its_module():
    model = parser.parse_model(NORMED)
    model.graph.node[0].name = "norm/LayerNormalization"
    with pytest.raises(ExportError, match=r"norm/LayerNormalization: .* operator set 15, found"):
        make_portable(model, choose_portability(15, None))


def test_an_older_graph_is_not_raised():
    old = make_portable(exported.float_graph(), choose_portability(15, None))
    assert opset_of(make_portable(old, choose_portability(18, None))) == 15
