"""torch's ONNX exporter, run in silence: for export, and for a teacher that answers by onnxruntime.

Needs the packages onnx and onnxscript.
"""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    import onnx

INPUT = "input"  # float32 [batch, channels, height, width], normalised
OUTPUT = "logits"  # float32 [batch, classes]
BATCH = "batch"


def trace(module: nn.Module, example: torch.Tensor, opset: int) -> "onnx.ModelProto":
    """A network in eval mode as an ONNX graph with a named dynamic batch.

    Args:
        module: on the CPU; it is put in eval mode.
        example: an input, float32 [N, C, H, W] with N above 1, which would be baked in.
        opset: ONNX operator set.

    Raises:
        OnnxExporterError: torch's, for what has no ONNX form.
    """
    module.eval()
    with silence():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=opset,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: BATCH},),
            external_data=False,
        )
    assert program is not None  # only dynamo=False returns nothing
    return program.model_proto


@contextmanager
def silence() -> Iterator[None]:
    """No output of the exporter: it prints graphs when it fails, and logs advice when it works."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
