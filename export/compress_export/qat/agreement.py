"""Whether the integer file answers as the network did that was trained in its place."""

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from compress.errors import TrainingError
from compress_export.qat.network import QuantizedNetwork
from compress_export.quantizers.kept_float import final_softmax

IMAGES = 500
LEAST = 0.99  # share of the logits; kernels break ties in their own ways
_ROUNDING = 1e-3  # of a step, in float32
_LEVELS = 255


def agreement(
    integer: NDArray[np.float32], trained: NDArray[np.float32], graph: onnx.ModelProto
) -> float:
    """Share of the logits that differ by one step of the output or less.

    Args:
        integer: answers of the integer file, [N, classes].
        trained: answers of the network, [N, classes].
        graph: the quantised graph; where no quantiser makes its logits, since the last layer is
            left in float, a step is a 255th of their range.
    """
    step = output_step(graph) or float(np.ptp(integer)) / _LEVELS
    return float((np.abs(integer - trained) <= step * (1 + _ROUNDING)).mean())


def require_agreement(share: float) -> None:
    """Let no file pass for what was trained that is not.

    Args:
        share: of `agreement`.

    Raises:
        TrainingError: it is below `LEAST`.
    """
    if share < LEAST:
        raise TrainingError(
            f"quantisation-aware training: expected {100 * LEAST:.0f} % of the integer file's "
            "logits within one output step of the trained network's, found "
            f"{100 * share:.1f} %; leave the step out (--repair quick), or report it with the "
            "network"
        )


def output_step(graph: onnx.ModelProto) -> float | None:
    """The scale of the quantiser that the logits come from; None where there is none."""
    makers = {name: node for node in graph.graph.node for name in node.output}
    softmax = final_softmax(graph.graph)
    name = softmax[-1].input[0] if softmax else graph.graph.output[0].name
    node = makers.get(name)
    if node is None or node.op_type != "DequantizeLinear":
        return None
    stored = {tensor.name: tensor for tensor in graph.graph.initializer}
    scale = stored.get(node.input[1])
    return None if scale is None else float(numpy_helper.to_array(scale).reshape(-1)[0])


@torch.no_grad()
def answers(network: QuantizedNetwork, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits [N, classes] of preprocessed images, float32 [N, C, H, W]."""
    return np.asarray(network.eval()(torch.from_numpy(inputs)).numpy(), dtype=np.float32)
