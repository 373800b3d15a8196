"""The network that a quantised graph is: its numbers, its gradients, and the way back."""

import numpy as np
import torch
from onnx import numpy_helper

import exported
import families
import proof_case
import qat_case
from compress.preprocess import Preprocessing, preprocess
from compress_export.qat.agreement import agreement, output_step
from compress_export.qat.fake_quantize import FakeQuantizeBias, FakeQuantizeWeight, fake_quantize
from compress_export.qat.network import QuantizedNetwork, missing_operators
from compress_export.qat.operators import OPERATORS
from compress_export.qat.write_back import write_back
from compress_export.quantizers.pair_safe import Weight
from compress_export.repair.case import Attempt
from compress_export.session import AS_WRITTEN, OPTIMISED, open_session, run_logits, session_options
from suite.untrained import structured_images, waken

# ---------------------------------------------------------------------------- numbers by hand


def test_activations_are_rounded_to_steps_and_cut_off_at_both_ends():
    # steps of 0.5, zero point 2: from -2 steps to 253 steps
    values = torch.tensor([-9.0, -1.0, -0.3, 0.0, 0.25, 0.75, 0.9, 126.5, 127.0])
    found = fake_quantize(values, 0.5, 2)
    # halves go to the even step: 0.25 is half a step, 0.75 is one and a half
    assert found.tolist() == [-1.0, -1.0, -0.5, 0.0, 0.0, 1.0, 1.0, 126.5, 126.5]


def test_the_gradient_passes_activations_within_reach_and_no_others():
    values = torch.tensor([-9.0, -1.2, -1.3, 0.3, 126.7, 126.8], requires_grad=True)
    fake_quantize(values, 0.5, 2).backward(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    # -1.25 and 126.75 are half a step beyond the ends
    assert values.grad.tolist() == [0.0, 2.0, 0.0, 4.0, 5.0, 0.0]


def test_torch_rounds_activations_alike():
    values = torch.linspace(-3, 9, 1001, requires_grad=True)
    theirs = torch.fake_quantize_per_tensor_affine(values, 0.03125, 31, 0, 255)
    assert torch.equal(fake_quantize(values, 0.03125, 31), theirs)


def weight(rows: list[list[float]], *, exempt: bool = False) -> FakeQuantizeWeight:
    values = np.array(rows, dtype=np.float32)
    return FakeQuantizeWeight(Weight("w", 0, values, exempt), np.full(len(rows), 0.1, np.float32))


def test_a_weight_is_rounded_channel_by_channel_and_its_pairs_are_made_safe():
    found = weight([[0.16, -0.14, 20.0], [12.0, 12.6, -12.6]])
    steps = found().detach().numpy() / np.float32(0.1)
    # 120 and 126 make 246, 118 too many: each gives up 59; unlike signs stay
    np.testing.assert_allclose(steps, [[2, -1, 127], [61, 67, -126]], rtol=1e-6)


def test_a_depthwise_weight_keeps_its_pairs():
    steps = weight([[12.0, 12.6, -13.0]], exempt=True)().detach().numpy() / np.float32(0.1)
    np.testing.assert_allclose(steps, [[120, 126, -127]], rtol=1e-6)


def test_the_gradient_reaches_every_weight_so_that_one_at_its_bound_can_come_back():
    found = weight([[0.16, -0.14, 20.0]])
    found().backward(torch.tensor([[1.0, -2.0, 3.0]]))
    assert found.latent.grad.tolist() == [[1.0, -2.0, 3.0]]


def test_a_bias_is_rounded_to_its_own_steps():
    found = FakeQuantizeBias("b", np.array([0.26, -3.0]), np.array([0.1, 2.0], np.float32))
    np.testing.assert_allclose(found().tolist(), [0.3, -4.0], rtol=1e-6)  # -1.5 steps: to -2
    found().backward(torch.tensor([1.0, 2.0]))
    assert found.latent.grad.tolist() == [1.0, 2.0]


def test_a_logit_agrees_within_one_step_of_the_output():
    attempt = qat_case.first_attempt()
    graph = attempt.graph()
    step = output_step(graph)
    stored = {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer}
    assert step == float(stored["logits_scale"])
    integer = np.zeros((1, 4), np.float32)
    trained = step * np.array([[0.0, 1.0, -1.0, 1.5]], np.float32)
    assert agreement(integer, trained, graph) == 0.75


# ------------------------------------------------------------------ the graph and the network


def check_alike(attempt: Attempt, batch: np.ndarray) -> None:
    """The network computes what onnxruntime does, fused to integers and as written."""
    graph = attempt.graph()
    assert not missing_operators(graph)
    network = QuantizedNetwork(attempt, graph)
    inputs = torch.from_numpy(batch)
    with torch.no_grad():
        exact = network(inputs).numpy()  # sums in whole numbers
    trained = network(inputs).detach().numpy()  # in floats, as in training
    for level in (OPTIMISED, AS_WRITTEN):
        session = open_session(graph, session_options(1, level), subject="graph")
        expected = run_logits(session, batch)
        # what lies on the half between two steps falls to either side
        assert agreement(expected, exact, graph) > 0.98
        assert agreement(expected, trained, graph) > 0.95
        assert np.abs(expected - exact).mean() < 0.4 * output_step(graph)
    assert len(np.unique(expected)) > 10


def awake(module: torch.nn.Module, side: int, channels: int) -> tuple[torch.nn.Module, np.ndarray]:
    """The network with statistics that mean something, and images that it is calibrated on."""
    images = structured_images(16, side, seed=3)[..., :channels]
    spec = Preprocessing((side, side), channels)
    return waken(module, images, spec), preprocess(images, spec)


def test_the_network_of_a_familys_graph_answers_as_onnxruntime():
    torch.manual_seed(0)
    module, batch = awake(families.mobilenet_v3_small(10), 32, 3)
    check_alike(qat_case.attempt_of(module, batch), batch)


def test_channels_that_are_parted_shuffled_and_joined_answer_as_onnxruntime():
    batch = exported.inputs()
    model = proof_case.graph(
        """(float[n, 1, 16, 16] input) => (float[n, 3] logits) {
            a = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (input, w1)
            b = Clip (a, zero, six)
            left, right = Split <axis = 1, num_outputs = 2> (b)
            c = Conv <pads = [1, 1, 1, 1], group = 4> (right, w2)
            d = LeakyRelu <alpha = 0.1> (c)
            e = Concat <axis = 1> (left, d)
            f = Reshape (e, paired)
            g = Transpose <perm = [0, 2, 1, 3, 4]> (f)
            h = Reshape (g, flat)
            i = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (h)
            j = Conv (i, w3)
            k = Add (i, j)
            l = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (k)
            m = Flatten (l)
            logits = Gemm <transB = 1> (m, w4, b4)
        }""",
        w1=proof_case.weight(8, 1, 3, 3),
        zero=np.float32(0),
        six=np.float32(6),
        w2=proof_case.weight(4, 1, 3, 3, seed=1),
        paired=np.array([0, 2, 4, 8, 8]),
        flat=np.array([0, 8, 8, 8]),
        w3=proof_case.weight(8, 8, 1, 1, seed=2),
        w4=proof_case.weight(3, 32, seed=3),
        b4=proof_case.weight(3, seed=4),
    )
    for index, node in enumerate(model.graph.node):
        node.name = f"{index}/{node.op_type}"
    check_alike(qat_case.plain(model, batch), batch)


def test_a_small_trained_network_answers_as_onnxruntime():
    check_alike(qat_case.first_attempt(), exported.inputs())


def test_without_a_gradient_the_network_gives_exactly_the_integer_files_logits():
    attempt = qat_case.first_attempt()
    graph, batch = attempt.graph(), exported.inputs()
    session = open_session(graph, session_options(1), subject="graph")
    with torch.no_grad():
        found = QuantizedNetwork(attempt, graph)(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(found, run_logits(session, batch), rtol=1e-6)


def test_a_file_from_elsewhere_answers_as_onnxruntime():
    batch = exported.inputs()
    check_alike(qat_case.plain(qat_case.foreign_graph(), batch), batch)


def test_shares_at_the_end_become_their_logarithm():
    batch = exported.inputs()
    attempt = qat_case.plain(qat_case.foreign_graph(softmax=True), batch)
    graph = attempt.graph()
    session = open_session(graph, session_options(1), subject="graph")
    with torch.no_grad():
        found = QuantizedNetwork(attempt, graph)(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(found, np.log(run_logits(session, batch)), atol=1e-5)
    assert agreement(found, found, graph) == 1.0
    assert output_step(graph) is not None


def test_layers_left_in_float_learn_as_they_are():
    attempt = qat_case.first_attempt()
    node = next(n for n in attempt.core.graph.node if n.op_type == "Gemm")
    left = Attempt(**{**vars(attempt), "floats": (node.name,)})
    graph = left.graph()
    network = QuantizedNetwork(left, graph)
    kinds = {learnt.name: type(learnt).__name__ for learnt in network.learnt()}
    assert [kinds[name] for name in node.input[1:]] == ["Learnt", "Learnt"]
    assert output_step(graph) is None
    session = open_session(graph, session_options(1, AS_WRITTEN), subject="graph")
    batch = exported.inputs()
    with torch.no_grad():
        found = network(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(found, run_logits(session, batch), atol=1e-3)


def test_all_constants_of_layers_learn():
    attempt = qat_case.first_attempt()
    network = QuantizedNetwork(attempt, attempt.graph())
    network(torch.from_numpy(exported.inputs())).square().sum().backward()
    learnt = {one.name: one for one in network.learnt()}
    layers = [n for n in attempt.core.graph.node if n.op_type in ("Conv", "Gemm")]
    assert set(learnt) == {name for node in layers for name in node.input[1:]}
    assert all(one.latent.grad.abs().sum() > 0 for one in learnt.values())


def test_an_operator_that_is_not_known_is_named():
    graph = qat_case.foreign_graph("Sin")
    assert missing_operators(qat_case.plain(graph, exported.inputs()).graph()) == ("Sin",)


# --------------------------------------------------------------------------- single operators


def test_padding_that_keeps_the_size_is_larger_at_the_end():
    said = {"auto_pad": b"SAME_UPPER", "strides": [2, 2]}
    x, kernel = torch.arange(16.0).reshape(1, 1, 4, 4), torch.ones(1, 1, 3, 3)
    found = OPERATORS["Conv"](said, x, kernel)
    # windows of 3 begin at 0 and 2; the one row and column beyond the end are zeros
    assert found.flatten().tolist() == [45.0, 39.0, 66.0, 50.0]


def test_no_padding_is_none_along_one_axis_too():
    found = OPERATORS["Conv"]({"auto_pad": b"VALID"}, torch.ones(1, 1, 4), torch.ones(1, 1, 3))
    assert found.flatten().tolist() == [3.0, 3.0]


def test_pads_that_differ_from_side_to_side_never_win_in_a_maximum():
    said = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 1, 1]}
    found = OPERATORS["MaxPool"](said, torch.full((1, 1, 3, 3), -5.0))
    assert found.flatten().tolist() == [-5.0] * 4


def test_a_split_into_uneven_parts_leaves_the_smaller_one_last():
    parts = OPERATORS["Split"]({"axis": 1, "num_outputs": 2}, torch.zeros(1, 5))
    assert [part.shape[1] for part in parts] == [3, 2]


# ------------------------------------------------------------------------------- the way back


def test_a_network_that_learnt_nothing_is_written_as_the_same_file():
    attempt = qat_case.first_attempt()
    graph = attempt.graph()
    back = write_back(QuantizedNetwork(attempt, graph), attempt)
    assert back.graph().SerializeToString(deterministic=True) == graph.SerializeToString(
        deterministic=True
    )


def test_what_was_learnt_is_written_with_exactly_the_trained_integers():
    attempt = qat_case.first_attempt()
    network = QuantizedNetwork(attempt, attempt.graph())
    torch.manual_seed(0)
    with torch.no_grad():
        for one in network.learnt():
            one.latent.mul_(1 + 0.2 * torch.randn_like(one.latent))
    back = write_back(network, attempt)
    graph = back.graph()
    again = QuantizedNetwork(back, graph)
    for one, other in zip(network.learnt(), again.learnt(), strict=True):
        np.testing.assert_array_equal(one().detach(), other().detach(), err_msg=one.name)
    session = open_session(graph, session_options(1), subject="graph")
    batch = exported.inputs()
    with torch.no_grad():
        trained = network(torch.from_numpy(batch)).numpy()
    assert agreement(run_logits(session, batch), trained, graph) >= 0.99
    assert back.reference is attempt.core
    assert attempt.graph().SerializeToString() != graph.SerializeToString()
