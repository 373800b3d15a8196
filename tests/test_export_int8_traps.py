"""Graphs that onnxruntime's writer of integers would get wrong: same answers, exact everywhere."""

import re

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper, parser

import exported
from compress_export.proof.bias import audit_bias
from compress_export.quantizers.kept_float import kept_float
from compress_export.quantizers.pair_safe import count_saturating_pairs
from compress_export.quantizers.static_qdq import quantize
from compress_export.rewrites import BEFORE_INT8, apply_rewrites
from compress_export.session import open_session, run_logits, session_options

STEM = """
    [conv] a = Conv <pads = [1, 1, 1, 1]> (image, thin)
    [bound] b = Relu (a)
    [pool] c = GlobalAveragePool (b)
    [flat] d = Flatten (c)
"""
HEAD = "[head] answer = Gemm <transB = 1> (d, head)"
DEEP = f"""
    [wide] wide = Concat <axis = 1> ({", ".join(["image"] * 16)})
    [deep] deep = Conv <group = 16, pads = [1, 1, 1, 1]> (wide, thin)
"""
BRANCH = """
    total = ReduceSum <keepdims = 0> (image)
    many = Greater (total, zero)
    [if] e = If (many) <
        then_branch = yes () => (float[] x) { size = Abs (READ) x = Mul (size, two) },
        else_branch = no () => (float[] y) { y = Abs (READ) }
    >
    [join] f = Add (b, e)
    [twice] g = Mul (f, two)
    [pool] c = GlobalAveragePool (g)
"""


def _bounded(bound: str) -> str:
    return STEM.replace("Relu (a)", bound) + HEAD


def _branched(read: str) -> str:
    return STEM.replace("[pool] c = GlobalAveragePool (b)", BRANCH.replace("READ", read)) + HEAD


def _last(gemm: str) -> str:
    return STEM + f"[head] answer = Gemm {gemm}"


# Each with the decibels that it must reach; at least three more were measured.
NETWORKS = {
    "a weight read by rows and by columns": (
        STEM
        + """
        [rows] e = Gemm <transB = 1> (d, square)
        [between] f = Relu (e)
        [columns] h = MatMul (f, square)
        [head] answer = Gemm <transB = 1> (h, head)
        """,
        30,
    ),
    "a weight that is added too": (
        STEM.replace("(b)", "(bb)").replace("[pool]", "[add] bb = Add (b, square)\n[pool]")
        + """
        [rows] e = Gemm <transB = 1> (d, square)
        [head] answer = Gemm <transB = 1> (e, head)
        """,
        29,
    ),
    "a bias that is added too": (
        STEM.replace("thin)", "thin, shift)")
        + "[add] e = Add (d, shift) [head] answer = Gemm <transB = 1> (e, head)",
        19,
    ),
    "a weight read by all and by depth": (
        STEM.replace("Relu (a)", "Add (a, deep)").replace("[bound]", f"{DEEP}\n[bound]") + HEAD,
        29,
    ),
    "a weight that two convolutions share": (
        STEM.replace("(b)", "(bb)").replace(
            "[pool]", "[one] b1 = Conv (b, point)\n[two] bb = Conv (b1, point)\n[pool]"
        )
        + HEAD,
        28,
    ),
    "bounds above zero": (_bounded("Clip (a, half, two)"), 25),
    "bounds below zero": (_bounded("Clip (a, minus_two, minus_half)"), 27),
    "a lower bound alone": (_bounded("Clip (a, half)"), 23),
    "computed bounds": (
        "top = ReduceMax <keepdims = 0> (image)\n low = Mul (top, tenth)\n"
        + _bounded("Clip (a, low)"),
        28,
    ),
    "a Relu that a body reads": (_branched("b"), 30),
    "a Relu whose input a body reads": (_branched("a"), 28),
    "a factor of the weight": (_last("<transB = 1, alpha = 0.5> (d, head)"), 30),
    "factors of weight and bias": (
        _last("<transB = 1, alpha = 0.5, beta = 0.25> (d, head, ends)"),
        22,
    ),
    "a bias of one row": (_last("<transB = 1> (d, head, row)"), 18),
    "a bias of one number": (_last("<transB = 1> (d, head, half)"), 30),
    "a bias of one number in a list": (_last("<transB = 1> (d, head, single)"), 23),
}


def _tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    numbers = {"half": 0.5, "two": 2, "minus_two": -2, "minus_half": -0.5, "zero": 0, "tenth": 0.1}
    rows = np.linspace(0.1, 3, 16)[:, None]
    shapes = {"thin": (16, 1, 3, 3), "head": (5, 16), "point": (16, 16, 1, 1)}
    found = {name: rng.normal(size=shape) / shape[-1] for name, shape in shapes.items()}
    found["square"] = np.abs(rng.normal(size=(16, 16))) * rows / 4
    found |= {"shift": rng.normal(size=16), "ends": np.arange(-2.0, 3), "single": np.array([2.0])}
    found |= {"row": np.arange(-2.0, 3)[None], **{n: np.array(v) for n, v in numbers.items()}}
    return {name: values.astype(np.float32) for name, values in found.items()}


def _network(body: str) -> onnx.ModelProto:
    """A network [N, 1, 16, 16] -> [N, classes] of these steps."""
    model = parser.parse_model(f"""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[batch, 1, 16, 16] image) => (float[batch, classes] answer) {{ {body} }}
    """)
    for name, values in _tensors().items():
        if re.search(rf"\b{name}\b", body):
            model.graph.initializer.append(numpy_helper.from_array(values, name))
    for position, node in enumerate(model.graph.node):
        node.name = node.name or f"part{position}"
    return model


def _images(count: int = 32) -> np.ndarray:
    """Noise, from faint to strong: float32 [count, 1, 16, 16]."""
    noise = np.random.default_rng(1).normal(size=(count, 1, 16, 16))
    return (noise * np.linspace(0.2, 2, count)[:, None, None, None]).astype(np.float32)


def _in_integers(model: onnx.ModelProto, *, rewritten: bool = True) -> onnx.ModelProto:
    """Prepared and quantised as export does, with the ranges that the images show."""
    prepared = onnx.ModelProto()
    prepared.CopyFrom(model)
    if rewritten:
        apply_rewrites(prepared, BEFORE_INT8)
    quantized = quantize(prepared, exported.ranges(prepared, [_images()]))
    audit = audit_bias(quantized, prepared)
    assert audit.total("unlike_scales") == audit.total("overflowing_sums") == 0
    return quantized


def _answers(model: onnx.ModelProto) -> np.ndarray:
    """One image at a time, for a body is chosen for all of a batch."""
    session = open_session(model.SerializeToString(), session_options(1), subject="trap")
    return np.concatenate([run_logits(session, image[None]) for image in _images()])


def _decibels(exact: np.ndarray, found: np.ndarray) -> float:
    """What images differ by, over the error."""
    signal = exact - exact.mean(axis=0)
    return float(10 * np.log10((signal**2).sum() / ((exact - found) ** 2).sum()))


def _fused(model: onnx.ModelProto, path) -> onnx.GraphProto:
    options = session_options(1, ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED)
    options.optimized_model_filepath = str(path)
    open_session(model.SerializeToString(), options, subject="trap")
    return onnx.load(path).graph


def _overflowing(graph: onnx.GraphProto) -> tuple[int, int]:
    """Layers with constant int8 weights in a fused graph, and pairs of theirs that can overflow.

    Worked out without our own helpers: 255 * (w1 + w2) must be within int16.
    """
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    layers = pairs = 0
    for node in graph.node:
        weight = tensors.get(node.input[3]) if len(node.input) > 3 else None
        if not re.fullmatch("QLinearConv|QGemm|QLinearMatMul", node.op_type) or weight is None:
            continue
        said = {item.name: item.i for item in node.attribute}
        layers += 1
        if node.op_type == "QLinearConv":
            if said.get("group", 1) == len(weight) > 1 and weight.shape[1] == 1:
                continue
            rows = np.moveaxis(weight, 1, -1).reshape(len(weight), -1)
        else:
            rows = weight if said.get("transB") else weight.T
        left, right = rows[:, :-1].astype(int) * 255, rows[:, 1:].astype(int) * 255
        pairs += int(((np.sign(left) == np.sign(right)) & (np.abs(left + right) > 32767)).sum())
    return layers, pairs


@pytest.mark.parametrize("name", NETWORKS)
def test_the_integers_answer_as_float32_does(name):
    body, least = NETWORKS[name]
    model = _network(body)
    exact = _answers(model)
    assert _decibels(exact, _answers(_in_integers(model))) > least


@pytest.mark.parametrize("name", NETWORKS)
def test_no_weight_that_a_kernel_reads_can_overflow(name, tmp_path):
    model = _in_integers(_network(NETWORKS[name][0]))
    layers, pairs = _overflowing(_fused(model, tmp_path / "fused.onnx"))
    assert layers >= 1
    assert pairs == 0
    assert count_saturating_pairs(model) == 0


def test_a_weight_read_in_two_ways_is_seen_by_both_audits(tmp_path):
    """As it was before constants were copied: scales by rows keep no column safe."""
    model = _network(NETWORKS["a weight read by rows and by columns"][0])
    quantized = _in_integers(model, rewritten=False)
    _, pairs = _overflowing(_fused(quantized, tmp_path / "fused.onnx"))
    assert pairs > 0
    assert count_saturating_pairs(quantized) == pairs


@pytest.mark.parametrize("name", [name for name in NETWORKS if re.search("bias|factor", name)])
def test_every_form_of_gemm_becomes_one_integer_operator(name, tmp_path):
    graph = _fused(_in_integers(_network(NETWORKS[name][0])), tmp_path / "fused.onnx")
    types = [node.op_type for node in graph.node]
    assert (types.count("QGemm"), types.count("Gemm")) == (1, 0)
    assert types.count("DequantizeLinear") == 1  # at the end


def test_a_weight_that_is_added_too_is_added_in_integers(tmp_path):
    """Scales along an axis, which only a product can take, would leave the sum in float."""
    model = _in_integers(_network(NETWORKS["a weight that is added too"][0]))
    graph = _fused(model, tmp_path / "fused.onnx")
    assert [node.op_type for node in graph.node].count("QLinearAdd") == 1


SCORES = (
    STEM
    + """
    [head] z = Gemm <transB = 1, alpha = 24.0> (d, head)
    [soft] s = Softmax <axis = 1> (z)
    [same] answer = Identity (s)
"""
)


def test_scores_at_the_end_are_neither_zero_nor_tied():
    model = _network(SCORES)
    exact, found = _answers(model), _answers(_in_integers(model))
    assert exact.min() < 1 / 512  # in steps of 1/256: nothing
    assert np.abs(np.log(found) - np.log(exact)).max() < 0.3


def test_only_the_softmax_at_the_end_stays_float():
    """One within the network, as attention's, has an integer kernel."""
    model = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[batch, 4] image) => (float[batch, 4] answer) {
        [inner] a = Softmax <axis = 1> (image)
        [plain] b = Relu (a)
        [outer] c = Softmax <axis = 1> (b)
        [after] answer = Flatten (c)
    }
    """)
    assert set(kept_float(model)) == {"outer", "after"}


@pytest.mark.parametrize(
    ("bound", "kept"),
    [
        ("Relu (a)", False),
        ("Clip (a)", False),
        ("Clip (a, zero, two)", False),
        ("Clip (a, minus_half, two)", False),
        ("Clip (a, minus_half)", False),
        ("Clip (a, , two)", False),
        ("Clip (a, , zero)", False),
        ("Clip (a, half, two)", True),
        ("Clip (a, half)", True),
        ("Clip (a, , minus_half)", True),
        ("Clip (a, minus_two, minus_half)", True),
    ],
)
def test_only_bounds_that_a_range_cannot_stand_for_stay_float(bound, kept):
    assert kept_float(_network(_bounded(bound))) == (("bound",) if kept else ())


def test_bounds_given_by_a_constant_node_are_known():
    made = "low = Constant <value = float {0.0}> ()\n" + _bounded("Clip (a, low, two)")
    assert kept_float(_network(made)) == ()


def test_a_bias_that_differs_from_row_to_row_stays_float():
    text = """
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[2, 16] image) => (float[2, 5] answer) <float[2, 5] rows = {1,2,3,4,5,6,7,8,9,0}> {
        [odd] answer = Gemm <transB = 1> (image, head, rows)
    }
    """
    model = parser.parse_model(text)
    model.graph.initializer.append(numpy_helper.from_array(_tensors()["head"], "head"))
    apply_rewrites(model, BEFORE_INT8)
    assert kept_float(model) == ("odd",)
    ranges = {"image": (-3.0, 3.0), "answer": (-9.0, 9.0)}
    images = np.random.default_rng(1).normal(size=(2, 16)).astype(np.float32)
    exact, found = (
        run_logits(open_session(m.SerializeToString(), session_options(1), subject="odd"), images)
        for m in (model, quantize(model, ranges))
    )
    np.testing.assert_allclose(found, exact, atol=0.2)
