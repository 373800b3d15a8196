"""Graph rewrites: the same answers, a better graph, and nothing left to do the second time."""

import numpy as np
import onnx
import pytest
from onnx import parser

import exported
from compress_export.rewrites import (
    ALWAYS,
    BEFORE_INT8,
    FOLDERS,
    apply_rewrites,
    list_rewrites,
    load_rewrite,
)
from compress_export.session import AS_WRITTEN, open_session, run_logits, session_options

# What exporters write for pooling, squeeze-and-excitation and activations, with near misses.
POOLED = """
    pooled = ReduceMean <keepdims: int = 1> (input, axes)
    small = Conv (pooled, squeeze)
    active = Relu (small)
    gate = Conv (active, excite)
    scaled = Mul (input, gate)
    narrow = ReduceMean <keepdims: int = 1> (scaled, width)
    widened = Add (scaled, narrow)
    flat = ReduceMean <keepdims: int = 0> (widened, same_axes)
    logits = Reshape (flat, rows)
"""
GATED = """
    pooled = GlobalAveragePool (input)
    excited = Conv (pooled, mix, bias)
    gate = HardSigmoid <alpha: float = 0.16666667, beta: float = 0.5> (excited)
    scaled = Mul (input, gate)
    shared = Conv (scaled, mix)
    near = HardSigmoid (shared)
    both = Add (near, shared)
    bare = HardSigmoid <alpha: float = 0.3> (both)
    average = GlobalAveragePool (bare)
    flat = Flatten (average)
    dense = Gemm <transB: int = 1> (flat, square)
    logits = HardSigmoid (dense)
"""
SWISHED = """
    stem = Conv (input, mix, bias)
    one = HardSwish (stem)
    shared = Conv (one, mix)
    two = HardSwish (shared)
    added = Add (two, shared)
    last = HardSwish (added)
    pooled = GlobalAveragePool (last)
    flat = Flatten (pooled)
    dense = Gemm <transB: int = 1> (flat, square, bias)
    logits = HardSwish (dense)
"""
CLIPPED = """
    a = Relu (input)
    b = Relu (a)
    c = Clip (b, minus, six)
    d = MaxPool <kernel_shape: ints = [2, 2]> (c)
    e = Clip (d, zero, six)
    f = Conv (e, mix)
    g = Clip (f, minus, six)
    h = Clip (g, zero, )
    i = Relu (f)
    j = Add (h, i)
    k = Relu (j)
    l = Clip (k, zero, six)
    kl = Add (k, l)
    m = GlobalAveragePool (kl)
    n = Flatten (m)
    logits = Clip (n, zero, ninety)
"""
NORMED = """
    stem = Conv (input, mix)
    joined = Add (stem, input)
    normed = BatchNormalization <epsilon: float = 0.01> (joined, weight, bias, mean, variance)
    active = Relu (normed)
    pooled = GlobalAveragePool (active)
    flat = Flatten (pooled)
    logits = BatchNormalization (flat, weight, bias, mean, variance)
"""
COUNTED = """
    ratio = Div (six, ninety)
    shape = Constant <value_ints: ints = [0, -1]> ()
    moved = Sub (input, six)
    shrunk = Div (moved, ninety)
    turned = Div (ninety, shrunk)
    grown = Mul (turned, ratio)
    ident = Identity (grown)
    kept, mask = Dropout (ident)
    pooled = GlobalAveragePool (kept)
    flat = Reshape (pooled, shape)
    logits = Identity (flat)
"""
BY_HAND = """
    stem = Conv (input, mix, bias)
    m1 = Add (stem, three)
    g1 = Clip (m1, zero, six)
    p1 = Mul (stem, g1)
    one = Div (p1, six)
    m2 = Add (three, one)
    g2 = Clip (m2, zero, six)
    s2 = Mul (g2, sixth)
    two = Mul (s2, one)
    m3 = Add (two, three)
    g3 = Clip (m3, zero, six)
    gate = Div (g3, six)
    other = Mul (gate, input)
    m4 = Add (other, six)
    g4 = Clip (m4, zero, six)
    near = Div (g4, six)
    pooled = GlobalAveragePool (near)
    logits = Flatten (pooled)
"""
SHARED = """
    stem = Conv (input, mix, bias)
    moved = Conv (stem, mix)
    pooled = GlobalAveragePool (moved)
    flat = Flatten (pooled)
    dense = Gemm <transB = 1> (flat, square, bias)
    turned = MatMul (dense, square)
    again = Gemm <transB = 1> (turned, square)
    raised = Add (again, bias)
    logits = Clip (raised, minus, six)
"""
FACTORED = """
    pooled = GlobalAveragePool (input)
    flat = Flatten (pooled)
    plain = Gemm (flat, square, bias)
    scaled = Gemm <alpha = 0.5, beta = 2.0, transB = 1> (flat, square, bias)
    bare = Gemm <alpha = 3.0> (flat, square)
    number = Gemm <beta = 0.5> (flat, square, six)
    lined = Gemm (flat, square, line)
    computed = Gemm <alpha = 0.5> (flat, square, plain)
    logits = Sum (plain, scaled, bare, number, lined, computed)
"""
GRAPHS = {
    "by hand": BY_HAND,
    "pooled": POOLED,
    "gated": GATED,
    "swished": SWISHED,
    "clipped": CLIPPED,
    "normed": NORMED,
    "counted": COUNTED,
    "shared": SHARED,
    "factored": FACTORED,
}
_CHANNELS = 8
_SHAPES = {
    "squeeze": (4, _CHANNELS, 1, 1),
    "excite": (_CHANNELS, 4, 1, 1),
    "mix": (_CHANNELS, _CHANNELS, 1, 1),
    "square": (_CHANNELS, _CHANNELS),
    "bias": (_CHANNELS,),
    "line": (1, _CHANNELS),
    "weight": (_CHANNELS,),
    "mean": (_CHANNELS,),
    "variance": (_CHANNELS,),
}


def graph(body: str) -> onnx.ModelProto:
    """A network [N, 8, 6, 5] -> [N, 8] of these steps, with random weights."""
    model = parser.parse_model(f"""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[batch, {_CHANNELS}, 6, 5] input) => (float[batch, {_CHANNELS}] logits)
    <int64[2] axes = {{-1, -2}}, int64[2] same_axes = {{2, 3}}, int64[1] width = {{3}},
     int64[2] rows = {{0, -1}}, float zero = {{0.0}}, float minus = {{-1.0}}, float three = {{3.0}},
     float six = {{6.0}}, float ninety = {{90.0}}, float sixth = {{0.16666667}}>
    {{ {body} }}
    """)
    rng = np.random.default_rng(0)
    for name, shape in _SHAPES.items():
        values = rng.normal(size=shape).astype(np.float32)
        tensor = np.abs(values) + 0.5 if name == "variance" else values
        model.graph.initializer.append(onnx.numpy_helper.from_array(tensor, name))
    for position, node in enumerate(model.graph.node):
        node.name = f"part{position}/{node.op_type}"
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def answers(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    options = session_options(1, AS_WRITTEN)
    return run_logits(open_session(model.SerializeToString(), options, subject="test"), images)


def types(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def _values(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}


def _network(name: str) -> tuple[onnx.ModelProto, np.ndarray]:
    if name == "trained":
        copied = onnx.ModelProto()
        copied.CopyFrom(exported.float_graph())
        return copied, exported.inputs(3)
    images = np.random.default_rng(1).normal(0, 3, size=(3, _CHANNELS, 6, 5))
    return graph(GRAPHS[name]), images.astype(np.float32)


REWRITES = [(folder, name) for folder in FOLDERS for name in list_rewrites(folder)]
NETWORKS = ("trained", *GRAPHS)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("folder", "name"), REWRITES)
def test_a_rewrite_leaves_the_answers_as_they_were_and_finds_nothing_more(folder, name, network):
    model, images = _network(network)
    before = answers(model, images)
    load_rewrite(name, folder)(model)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(answers(model, images), before, rtol=1e-4, atol=2e-5)
    once = model.SerializeToString(deterministic=True)
    assert load_rewrite(name, folder)(model) == 0
    assert model.SerializeToString(deterministic=True) == once


@pytest.mark.parametrize("network", NETWORKS)
def test_all_rewrites_together_leave_the_answers_and_say_what_they_did(network):
    model, images = _network(network)
    before = answers(model, images)
    for folder in FOLDERS:
        changes = apply_rewrites(model, folder)
        assert tuple(changes) == list_rewrites(folder)
        assert not any(apply_rewrites(model, folder).values())
    np.testing.assert_allclose(answers(model, images), before, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("folder", "name"), REWRITES)
def test_each_rewrite_has_a_graph_here_on_which_it_works(folder, name):
    models = [graph(body) for body in GRAPHS.values()]
    models[0].graph.node[0].doc_string = "a note"
    assert any(load_rewrite(name, folder)(model) for model in models)


def test_a_new_node_bears_the_name_of_the_one_that_it_replaces():
    model = graph(POOLED)
    load_rewrite("global_average_pool")(model)
    names = [node.name for node in model.graph.node]
    assert names[0] == "part0/ReduceMean.GlobalAveragePool"
    assert names[-3:-1] == ["part7/ReduceMean.GlobalAveragePool", "part7/ReduceMean.Flatten"]


def test_means_over_height_and_width_become_global_pooling():
    model = graph(POOLED)
    assert load_rewrite("global_average_pool")(model) == 2
    assert types(model).count("GlobalAveragePool") == 2
    assert types(model).count("ReduceMean") == 1  # over the width alone: left as it was
    assert types(model).count("Flatten") == 1  # where the mean dropped its axes
    assert "axes" not in {tensor.name for tensor in model.graph.initializer}


_MEANS = {
    "axes as an attribute, from the end": (13, "<axes: ints = [-2, -1]>(input)", True),
    "axes in the other order": (13, "<axes: ints = [3, 2]>(input)", True),
    "height and width of NHWC": (13, "<axes: ints = [1, 2]>(input)", False),
    "channels too": (13, "<axes: ints = [1, 2, 3]>(input)", False),
    "all axes": (18, "(input)", False),
    "no axes": (18, "<noop_with_empty_axes: int = 1>(input)", False),
    "axes that are computed": (18, "(input, computed)", False),
}


@pytest.mark.parametrize("case", _MEANS)
def test_only_a_mean_over_exactly_height_and_width_is_pooled(case):
    opset, mean, pooled = _MEANS[case]
    # No shapes within: files from elsewhere leave them out.
    model = parser.parse_model(f"""
    <ir_version: 8, opset_import: ["" : {opset}]>
    main (float[batch, 4, 6, 5] first) => (float logits) <int64[2] ends = {{2, 3}}> {{
        input = Relu (first)
        computed = Abs (ends)
        logits = ReduceMean {mean}
    }}
    """)
    assert load_rewrite("global_average_pool")(model) == int(pooled)


def test_a_gate_after_a_layer_is_folded_into_its_weights():
    model = graph(GATED)
    before = _values(model)
    assert load_rewrite("hard_sigmoid", BEFORE_INT8)(model) == 4
    assert types(model)[:3] == ["GlobalAveragePool", "Conv", "Clip"]
    assert types(model)[-2:] == ["Gemm", "Clip"]
    _, weight, bias = (_values(model).get(name) for name in model.graph.node[1].input)
    np.testing.assert_allclose(weight, before["mix"] / 6, rtol=1e-6)
    np.testing.assert_allclose(bias, before["bias"] / 6 + 0.5, rtol=1e-5)


def test_a_gate_whose_layer_is_read_elsewhere_too_is_written_out():
    model = graph(GATED)
    load_rewrite("hard_sigmoid", BEFORE_INT8)(model)
    shared = next(node for node in model.graph.node if node.output[0] == "shared")
    assert list(shared.input) == ["scaled", "mix"]  # its other reader wants it as it was
    assert types(model).count("Add") == 1 + 2


def test_a_layer_that_is_an_output_keeps_its_weights():
    model = graph(GATED)
    model.graph.output.append(onnx.helper.make_tensor_value_info("excited", 1, None))
    load_rewrite("hard_sigmoid", BEFORE_INT8)(model)
    assert list(model.graph.node[1].input) == ["pooled", "mix", "bias"]


def test_a_hard_swish_after_a_layer_costs_two_operators_and_elsewhere_three():
    model = graph(SWISHED)
    assert load_rewrite("hard_swish", BEFORE_INT8)(model) == 4
    assert types(model)[:5] == ["Conv", "Add", "Clip", "Mul", "Conv"]
    assert types(model)[5:9] == ["Mul", "Add", "Clip", "Mul"]  # its layer has a second reader
    assert types(model)[-4:] == ["Gemm", "Add", "Clip", "Mul"]


def test_activations_written_by_hand_are_known_again():
    model = graph(BY_HAND)
    assert load_rewrite("activations", BEFORE_INT8)(model) == 4  # a sigmoid within a swish
    assert types(model) == [
        "Conv",
        "HardSwish",
        "HardSwish",
        "HardSigmoid",
        "Mul",
        "Add",  # six, not three: something else
        "Clip",
        "Div",
        "GlobalAveragePool",
        "Flatten",
    ]


def test_hard_swish_is_what_its_definition_says():
    model = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[5] input) => (float[5] logits) { logits = HardSwish (input) }
    """)
    load_rewrite("hard_swish", BEFORE_INT8)(model)
    points = np.array([-4, -3, -1.5, 1, 5], np.float32)
    # -1.5 (-1.5 + 3) / 6 and 1 (1 + 3) / 6
    np.testing.assert_allclose(answers(model, points), [0, 0, -0.375, 2 / 3, 5], atol=1e-6)


def test_repeated_activations_become_one():
    model = graph(CLIPPED)
    load_rewrite("drop_redundant_clips")(model)
    assert types(model) == [
        "Clip",  # a, b and c
        "MaxPool",  # e limited what lay within
        "Conv",
        "Clip",  # g and h
        "Relu",
        "Add",  # k: both its terms are positive
        "Clip",
        "Add",
        "GlobalAveragePool",
        "Flatten",
        "Clip",  # the sum has no upper end that is known
    ]
    values = _values(model)
    assert [values[name] for name in model.graph.node[0].input[1:]] == [0, 6]
    assert [values[name] for name in model.graph.node[3].input[1:]] == [0, 6]


def test_bounds_that_are_computed_and_activations_read_twice_stay():
    model = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[batch, 4] input, float low) => (float[batch, 4] logits) <float six = {6.0}> {
        a = Relu (input)
        b = Clip (a, low, six)
        c = Clip (input, low, six)
        d = Relu (c)
        e = Add (a, b)
        logits = Add (d, e)
    }
    """)
    assert load_rewrite("drop_redundant_clips")(model) == 0


def test_an_activation_that_is_an_output_keeps_its_name_and_value():
    model = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[batch, 4] input) => (float[batch, 4] logits, float[batch, 4] again) {
        logits = Relu (input)
        again = Relu (logits)
    }
    """)
    assert load_rewrite("drop_redundant_clips")(model) == 0


def test_an_identity_between_input_and_output_stays():
    model = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[batch, 4] input) => (float[batch, 4] logits) { logits = Identity (input) }
    """)
    assert load_rewrite("drop_identities")(model) == 0


def test_a_dropout_that_trains_or_whose_mask_is_read_stays():
    model = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[batch, 4] input) => (float[batch, 4] logits, bool[batch, 4] mask)
    <float half = {0.5}, bool yes = {1}> {
        one = Dropout (input, half, yes)
        logits, mask = Dropout (one)
    }
    """)
    assert load_rewrite("drop_identities")(model) == 0


def test_constants_are_computed_once_but_integer_weights_stay_integers():
    model = graph(COUNTED)
    assert load_rewrite("fold_constants")(model) >= 2
    assert types(model)[:3] == ["Sub", "Div", "Div"]
    ratio = next(name for node in model.graph.node for name in node.input if name == "ratio")
    np.testing.assert_allclose(_values(model)[ratio], 6 / 90, rtol=1e-6)
    quantised = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[batch, 2] input) => (float[batch, 2] logits)
    <int8[2, 2] stored = {1, 2, 3, 4}, float scale = {0.5}, int8 zero = {0}> {
        weight = DequantizeLinear (stored, scale, zero)
        logits = MatMul (input, weight)
    }
    """)
    assert load_rewrite("fold_constants")(quantised) == 0


def test_division_and_subtraction_by_constants_become_integer_operators():
    model = graph(COUNTED)
    assert load_rewrite("constant_arithmetic", BEFORE_INT8)(model) == 3
    assert types(model).count("Div") == 1  # of a constant by a tensor


def test_division_by_zero_stays_what_it_is():
    model = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[batch, 2] input) => (float[batch, 2] logits) <float[2] by = {0.0, 2.0}> {
        logits = Div (input, by)
    }
    """)
    assert load_rewrite("constant_arithmetic", BEFORE_INT8)(model) == 0


def test_a_free_batch_norm_over_images_becomes_a_depthwise_convolution():
    model = graph(NORMED)
    assert load_rewrite("batch_norm", BEFORE_INT8)(model) == 1
    made = model.graph.node[2]
    assert made.op_type == "Conv"
    values = _values(model)
    factor = values["weight"] / np.sqrt(values["variance"] + 0.01)
    np.testing.assert_allclose(values[made.input[1]].ravel(), factor, rtol=1e-6)
    np.testing.assert_allclose(
        values[made.input[2]], values["bias"] - values["mean"] * factor, rtol=1e-5
    )
    assert types(model)[-1] == "BatchNormalization"  # over [N, C]: no image


def test_a_constant_has_one_copy_for_each_way_in_which_it_is_read():
    model = graph(SHARED)
    assert load_rewrite("own_constants", BEFORE_INT8)(model) == 2
    read = {node.output[0]: list(node.input) for node in model.graph.node}
    assert read["moved"][1] == read["stem"][1] == "mix"  # alike: they share
    assert read["dense"][1] == read["again"][1] == "square"
    assert read["stem"][2] == read["dense"][2] == "bias"
    values = _values(model)
    for copied, original in ((read["turned"][1], "square"), (read["raised"][1], "bias")):
        assert copied != original
        np.testing.assert_array_equal(values[copied], values[original])


def test_one_weight_of_a_depthwise_and_a_dense_convolution_is_copied():
    """Pairs of the first are exempt, those of the second are not."""
    model = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[1, 2, 4, 4] input, float[1, 1, 4, 4] other) => (float[1, 2, 4, 4] logits)
    <float[2, 1, 1, 1] w = {1.0, 2.0}> {
        deep = Conv <group = 2> (input, w)
        dense = Conv (other, w)
        logits = Add (deep, dense)
    }
    """)
    assert load_rewrite("own_constants", BEFORE_INT8)(model) == 1
    assert model.graph.node[0].input[1] != model.graph.node[1].input[1]


def test_what_a_body_reads_keeps_its_name_whoever_reads_it_first():
    model = parser.parse_model("""
    <ir_version: 10, opset_import: ["" : 18]>
    main (float[2] input, bool[1] known) => (float[2] logits) <float[2] w = {1.0, 2.0}> {
        moved = Add (input, w)
        chosen = If (known) <
            then_branch = yes () => (float[2] a) { a = Identity (w) },
            else_branch = no () => (float[2] b) { b = Neg (w) }
        >
        logits = Mul (moved, chosen)
    }
    """)
    assert load_rewrite("own_constants", BEFORE_INT8)(model) == 1
    assert model.graph.node[0].input[1] == "w_copy"
    assert set(_values(model)) == {"w", "w_copy"}
    assert load_rewrite("own_constants", BEFORE_INT8)(model) == 0


def test_the_factors_of_a_gemm_go_into_its_weight_and_bias():
    model = graph(FACTORED)
    before = _values(model)
    assert load_rewrite("plain_gemm", BEFORE_INT8)(model) == 4
    values = _values(model)
    gemms = {node.output[0]: node for node in model.graph.node if node.op_type == "Gemm"}
    found = {
        name: [values.get(part) for part in node.input[1:]]
        for name, node in gemms.items()
        if name != "computed"
    }
    square, bias = before["square"], before["bias"]
    wanted = {
        "plain": [square, bias],
        "scaled": [square / 2, bias * 2],
        "bare": [square * 3],
        "number": [square, np.full(_CHANNELS, 3.0)],
        "lined": [square, before["line"][0]],
    }
    assert set(found) == set(wanted)
    for name, parts in wanted.items():
        for one, other in zip(found[name], parts, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
    assert [item.name for item in gemms["scaled"].attribute] == ["transB"]
    assert [item.name for item in gemms["computed"].attribute] == ["alpha"]


def test_the_exporters_mean_is_gone_from_a_converted_network():
    assert "GlobalAveragePool" in types(exported.float_graph())
    assert "ReduceMean" not in types(exported.float_graph())


def test_only_our_own_notes_stay():
    model = graph(POOLED)
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


def test_only_the_copy_that_is_quantised_is_written_out():
    assert set(list_rewrites(ALWAYS)).isdisjoint(list_rewrites(BEFORE_INT8))
    model = graph(SWISHED)
    apply_rewrites(model)
    assert types(model).count("HardSwish") == 4
