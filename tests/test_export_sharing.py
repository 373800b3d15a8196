"""Tensors that take another one's range need not be watched."""

import onnx
import pytest
from onnx import parser

import exported
from compress_export.quantizers.sharing import range_owners, spread_ranges
from compress_export.quantizers.static_qdq import activations

NETWORK = """
<ir_version: 8, opset_import: ["" : 18]>
main (float[batch, 4, 8, 8] input) => (float[batch, 4, 4, 4] logits)
<float[4, 4, 1, 1] w, int64[1] shape> {
    a = Conv (input, w)
    b = Relu (a)
    c = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b)
    d = Conv (c, w)
    e = Relu (d)
    f = Add (d, e)
    logits = Transpose <perm = [0, 1, 3, 2]> (f)
}
"""


def _owners(text: str = NETWORK) -> dict[str, str]:
    return range_owners(parser.parse_model(text).graph)


def test_a_convolution_takes_the_range_of_its_relu():
    assert _owners()["a"] == "b"


def test_what_moves_values_takes_the_range_of_its_input():
    assert _owners()["c"] == "b"
    assert _owners()["logits"] == "f"


def test_a_convolution_whose_value_is_read_beside_its_relu_keeps_its_own():
    assert "d" not in _owners()


def test_an_owner_has_a_range_of_its_own():
    owners = _owners()
    assert not set(owners.values()) & set(owners)


def test_the_input_and_a_relu_on_it_keep_theirs():
    text = NETWORK.replace("a = Conv (input, w)", "i = Relu (input)\n a = Conv (i, w)")
    assert "input" not in _owners(text)


def test_ranges_spread_to_all_that_share_them():
    graph = parser.parse_model(NETWORK).graph
    ranges = {name: (0.0, float(index)) for index, name in enumerate(["input", "b", "d", "e", "f"])}
    spread = spread_ranges(graph, ranges)
    assert spread["a"] == spread["c"] == ranges["b"]
    assert spread["logits"] == ranges["f"]
    assert set(spread) == {"input", "a", "b", "c", "d", "e", "f", "logits"}


def test_only_owners_are_watched_and_every_quantised_tensor_has_one():
    model = exported.float_graph()
    watched = set(activations(model))
    owners = range_owners(model.graph)
    assert not watched & set(owners)
    convolutions = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    assert all(owners.get(name, name) in watched for name in convolutions)


@pytest.mark.parametrize("node", ["Relu", "Clip"])
def test_a_bound_between_two_moves_ends(node):
    text = f"""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[2, 4, 4, 4] input) => (float[2, 64] logits) {{
        a = MaxPool <kernel_shape = [1, 1]> (input)
        b = {node} (a)
        logits = Flatten (b)
    }}
    """
    owners = range_owners(onnx.parser.parse_model(text).graph)
    assert set(owners) == {"a", "logits"}


@pytest.mark.parametrize("clip", ["Clip (a, half)", "Clip (a, , minus)", "Clip (a, computed)"])
def test_a_convolution_before_bounds_that_do_not_hold_zero_keeps_its_own(clip):
    """Such a Clip stays, and is given all that the convolution makes."""
    text = NETWORK.replace("Relu (a)", clip).replace(
        "float[4, 4, 1, 1] w", "float half = {0.5}, float minus = {-0.5}, float[4, 4, 1, 1] w"
    )
    text = text.replace("a = Conv", "computed = ReduceMin <keepdims = 0> (input)\n    a = Conv")
    owners = _owners(text)
    assert "a" not in owners
    assert owners["c"] == "b"


@pytest.mark.parametrize("read", ["a", "b"])
def test_a_convolution_whose_relu_matters_within_a_body_keeps_its_own(read):
    text = """
    <ir_version: 10, opset_import: ["" : 18]>
    main (float[1, 4, 4, 4] input, bool[1] known) => (float[1, 4, 4, 4] logits)
    <float[4, 4, 1, 1] w> {
        a = Conv (input, w)
        b = Relu (a)
        c = If (known) <
            then_branch = yes () => (float[1, 4, 4, 4] x) { x = Identity (READ) },
            else_branch = no () => (float[1, 4, 4, 4] y) { y = Abs (READ) }
        >
        logits = Add (b, c)
    }
    """
    assert _owners(text.replace("READ", read)) == {}
