"""Small graphs with named modules, and their quantised forms, for the tests of the proof."""

import numpy as np
import onnx
from onnx import numpy_helper, parser

from compress_export.quantizers.static_qdq import activations, quantize

HEAD = '<ir_version: 10, opset_import: ["" : 18]> net '


def graph(text: str, names: tuple[str, ...] = (), **weights: np.ndarray) -> onnx.ModelProto:
    """A checked graph from onnx's own notation, its nodes named in turn."""
    model = parser.parse_model(HEAD + text)
    for node, name in zip(model.graph.node, names, strict=bool(names)):
        node.name = name
    arrays = {name: np.asarray(value) for name, value in weights.items()}
    model.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in arrays.items())
    onnx.checker.check_model(model, full_check=True)
    return model


def weight(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.2, shape).astype(np.float32)


def quantized(model: onnx.ModelProto, low: float = -1.0, high: float = 1.0) -> onnx.ModelProto:
    """Every activation with the same range."""
    return quantize(model, dict.fromkeys(activations(model), (low, high)))


def gated() -> onnx.ModelProto:
    """Two convolutions with an operator between that has no integer form."""
    return graph(
        """(float[n, 4, 8, 8] input) => (float[n, 4, 8, 8] logits) {
            a = Conv <pads = [1, 1, 1, 1]> (input, w1)
            b = HardSigmoid (a)
            logits = Conv <pads = [1, 1, 1, 1]> (b, w2)
        }""",
        ("features.0.0/Conv", "features.0.1/HardSigmoid", "features.1/Conv"),
        w1=weight(4, 4, 3, 3),
        w2=weight(4, 4, 3, 3, seed=1),
    )
