"""Known faults of exporters and runtimes that conversion must not fall into, an issue each."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v3_small

import exported
from compress.errors import UsageError
from compress.models.checkpoint import LoadedModel
from compress.preprocess import Preprocessing
from compress_export.calibration import Ranges
from compress_export.convert import convert
from compress_export.portability import choose_portability, make_portable
from compress_export.quantizers.static_qdq import quantize
from compress_export.rewrites import BEFORE_INT8, apply_rewrites
from compress_export.session import AS_WRITTEN, open_session, run_logits, session_options


def _answers(model: onnx.ModelProto, images: np.ndarray, level=AS_WRITTEN) -> np.ndarray:
    options = session_options(1, level)
    return run_logits(open_session(model.SerializeToString(), options, subject="test"), images)


class _Parted(nn.Module):
    """Two convolutions with one input, a BatchNorm before a convolution, and a linear layer's."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(1, 4, 3, bias=False)
        self.left_norm = nn.BatchNorm2d(4)
        self.right = nn.Conv2d(1, 4, 3, bias=False)
        self.right_norm = nn.BatchNorm2d(4)
        self.both_norm = nn.BatchNorm2d(8)
        self.last = nn.Conv2d(8, 8, 1)
        self.fc = nn.Linear(8, 6)
        self.fc_norm = nn.BatchNorm1d(6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [self.left_norm(self.left(x)), self.right_norm(self.right(x))]
        x = self.last(torch.relu(self.both_norm(torch.cat(parts, 1))))
        return self.head(torch.relu(self.fc_norm(self.fc(x.mean((2, 3))))))


def _parted() -> nn.Module:
    torch.manual_seed(0)
    module = _Parted()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            for values in (part.weight, part.bias, part.running_mean):
                nn.init.normal_(values)
            nn.init.uniform_(part.running_var, 0.2, 3)
    return module.eval()


@pytest.fixture(scope="module")
def parted() -> tuple[nn.Module, onnx.ModelProto]:
    module = _parted()
    return module, convert(exported.loaded(module), 18)[0]


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batch_norm_is_folded_into_the_right_one_of_two_convolutions(parted, batch):
    """pytorch/pytorch 169178, 166797, 168224, 174042: two convolutions got one bias."""
    module, graph = parted
    images = torch.randn(batch, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = module(images).numpy()
    np.testing.assert_allclose(_answers(graph, images.numpy()), expected, atol=2e-5)
    prepared = onnx.ModelProto()
    prepared.CopyFrom(graph)
    apply_rewrites(prepared, BEFORE_INT8)
    np.testing.assert_allclose(_answers(prepared, images.numpy()), expected, atol=2e-5)


def test_a_folded_batch_norm_leaves_the_convolutions_name(parted):
    """The exporter says that such a convolution came from the BatchNorm."""
    _, graph = parted
    names = [node.name for node in graph.graph.node if node.op_type == "Conv"]
    assert names == ["left/Conv", "right/Conv", "last/Conv"]


def test_no_mean_is_left_that_has_no_integer_kernel(parted):
    """torch writes ReduceMean for mean((2, 3)) and AdaptiveAvgPool2d(1); no issue upstream."""
    _, graph = parted
    assert "ReduceMean" not in {node.op_type for node in graph.graph.node}


def test_the_batch_axis_is_dynamic_and_named_batch(parted):
    """pytorch/pytorch 157621, 133653, 170264: a batch of one baked in, or an axis named s77."""
    _, graph = parted
    shape = graph.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in shape] == ["batch", 1, 16, 16]
    named = {
        dim.dim_param
        for value in (*graph.graph.input, *graph.graph.output)
        for dim in value.type.tensor_type.shape.dim
        if dim.dim_param
    }
    assert named == {"batch"}


def test_weights_are_inside_the_file(parted):
    """export(path) writes m.onnx and m.onnx.data, and users copy one."""
    _, graph = parted
    stored = [t for t in graph.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    assert stored == []


def test_an_operator_set_too_old_for_scales_per_channel_is_refused():
    """onnxruntime: quantising at opset 12 succeeds, and loading the file fails."""
    with pytest.raises(UsageError, match="expected 13 to 22, found 12"):
        choose_portability(12, None)


def test_an_asked_operator_set_is_what_is_written():
    """torch writes 18 when 13 or 17 is asked for, without a word."""
    graph = make_portable(exported.float_graph(), choose_portability(17, None))
    assert [(o.domain, o.version) for o in graph.opset_import] == [("", 17)]


def test_no_operator_set_is_declared_twice(parted):
    """microsoft/onnxruntime 15563: pre-processing left ai.onnx declared twice."""
    _, graph = parted
    quantized = exported.int8_graph()
    for model in (graph, quantized):
        domains = [item.domain or "ai.onnx" for item in model.opset_import]
        assert len(domains) == len(set(domains))


def test_shapes_are_known_without_pre_processing(parted):
    """microsoft/onnxruntime 20239, 19997, 23600: its symbolic shape inference fails on some."""
    _, graph = parted
    inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True, data_prop=True)
    known = {value.name for value in (*inferred.graph.value_info, *inferred.graph.output)}
    assert {name for node in graph.graph.node for name in node.output} <= known


def _tiny(scale: float) -> tuple[onnx.ModelProto, Ranges]:
    """A convolution and a ReLU6 whose activations are of the order of `scale`."""
    model = onnx.parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 18]>
    main (float[batch, 16, 4, 4] input) => (float[batch, 16] logits)
    <float low = {0.0}, float high = {6.0}> {
        made = Conv (input, weight)
        kept = Clip (made, low, high)
        pooled = GlobalAveragePool (kept)
        logits = Flatten (pooled)
    }
    """)
    weight = np.random.default_rng(0).normal(0, scale, (16, 16, 1, 1)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "weight"))
    top = min(6.0, 45 * scale)
    ranges = {"input": (-4.0, 4.0), "made": (0.0, top), "kept": (0.0, top)}
    return model, ranges | {"pooled": (0.0, top), "logits": (0.0, top)}


@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_tiny_activations_keep_their_clip(scale):
    """onnxruntime drops a Clip by an absolute 1.2e-7; ranges that start at zero still clip."""
    model, ranges = _tiny(scale)
    images = np.random.default_rng(1).uniform(-4, 4, (4, 16, 4, 4)).astype(np.float32)
    expected = _answers(model, images)
    found = _answers(quantize(model, ranges), images, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    step = ranges["kept"][1] / 255
    assert expected.mean() > 10 * step
    assert np.abs(found - expected).max() < 3 * step  # without the Clip, means are about zero


def test_no_path_of_this_machine_is_in_the_bytes(parted):
    """torch writes pkg.torch.onnx.stack_trace, with the user's home folder, into each node."""
    _, graph = parted
    for model in (graph, exported.float_graph(), exported.int8_graph()):
        content = model.SerializeToString()
        secrets = (Path.home(), Path.cwd(), Path(__file__).parent, Path(torch.__file__).parents[2])
        for secret in secrets:
            assert str(secret).encode() not in content
        for note in (b"/home", b"stack_trace", b"pkg.torch", b"site-packages", b".py"):
            assert note not in content.replace(b"net.py:branched", b"")


@pytest.fixture(scope="module")
def mobilenet() -> tuple[nn.Module, onnx.ModelProto]:
    """MobileNetV3-small at 64 px with statistics of its own, and its graph."""
    torch.manual_seed(0)
    module = mobilenet_v3_small(num_classes=10, dropout=0.0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # a plain mean over what follows
            part.reset_running_stats()
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, 0, 0.1)
    with torch.no_grad():
        module.train()(torch.randn(32, 3, 64, 64))
    model = LoadedModel(module.eval(), Preprocessing((64, 64), 3), (), "net.py:small", "", {})
    return module, convert(model, 18)[0]


@pytest.mark.slow
def test_mobilenet_v3_small_is_integer_from_its_input_to_its_output(mobilenet, tmp_path):
    """HardSigmoid, HardSwish and ReduceMean have no integer kernels: 29 pairs of Q and DQ."""
    module, graph = mobilenet
    prepared = onnx.ModelProto()
    prepared.CopyFrom(graph)
    changes = apply_rewrites(prepared, BEFORE_INT8)
    assert (changes["hard_sigmoid"], changes["hard_swish"]) == (9, 19)

    images = torch.randn(16, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = module(images).numpy()
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(_answers(prepared, images.numpy()), expected, atol=1e-3)

    quantized = quantize(prepared, exported.ranges(prepared, [images.numpy()]))
    options = session_options(1, ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED)
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    open_session(quantized.SerializeToString(), options, subject="test")
    counts = Counter(node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node)
    assert counts == {
        "QuantizeLinear": 1,
        "QLinearConv": 52,
        "QLinearAdd": 6 + 19,  # residuals, and one a hard-swish
        "QLinearMul": 9 + 19,  # gates, and one a hard-swish
        "QLinearGlobalAveragePool": 10,
        "Reshape": 1,
        "QGemm": 2,
        "DequantizeLinear": 1,
    }


@pytest.mark.slow
@pytest.mark.parametrize("opset", [13, 15, 17])
def test_mobilenet_v3_small_answers_alike_for_older_runtimes(mobilenet, opset):
    """HardSwish came with operator set 14; onnx's own converter stops at it."""
    module, graph = mobilenet
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = module(images).numpy()
    portable = make_portable(graph, choose_portability(opset, None))
    np.testing.assert_allclose(_answers(portable, images.numpy()), expected, atol=1e-3)
