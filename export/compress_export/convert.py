"""A torch network becomes one ONNX graph: named dynamic batch, nodes named by module, no paths."""

from typing import Any

import onnx
import torch

from compress.errors import ExportError
from compress.models.checkpoint import LoadedModel
from compress.models.tracing import BATCH, trace
from compress_export.naming import name_nodes
from compress_export.refusals import explain
from compress_export.rewrites import apply_rewrites

# torch's exporter writes this one when asked for an older, without a word.
OLDEST_TRACED_OPSET = 18

LARGEST_BYTES = 2**31 - 1  # protobuf's limit for one file

# The exporter would bake a batch of 0 or 1 into the graph.
_EXAMPLE_BATCH = 2


def convert(model: LoadedModel, opset: int) -> tuple[onnx.ModelProto, dict[str, int]]:
    """The graph of a network, tidied, without metadata.

    Args:
        model: the network, on the CPU; it is put in eval mode.
        opset: ONNX operator set; one below 18 is made of 18 when the file is written.

    Returns:
        A graph float32 [batch, C, H, W] `input` -> [batch, classes] `logits`, and the number of
        places that each rewrite changed.

    Raises:
        ExportError: an operator or a construct that has no ONNX form, or another signature.
    """
    _check_size(model)
    graph = _trace(model, max(opset, OLDEST_TRACED_OPSET))
    _check_signature(model, graph)
    name_nodes(graph.graph, model.module)
    return graph, apply_rewrites(graph)


def count_parameters(model: LoadedModel) -> int:
    """Number of learned values."""
    return sum(parameter.numel() for parameter in model.module.parameters())


def _check_size(model: LoadedModel) -> None:
    size = sum(p.numel() * p.element_size() for p in model.module.parameters())
    if size >= LARGEST_BYTES:
        raise ExportError(
            f"{model.name}: expected less than 2 GB of weights, which one ONNX file can hold, "
            f"found {size / 1e9:.1f} GB; choose a smaller network"
        )


def _trace(model: LoadedModel, opset: int) -> onnx.ModelProto:
    """Run torch's exporter, in silence, and translate what it refuses."""
    spec = model.preprocessing
    example = torch.zeros(_EXAMPLE_BATCH, spec.channels, *spec.size)
    try:
        graph = trace(model.module, example, opset)
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(f"{model.name}: {explain(model.module, example, error)}") from error
    found = next((item.version for item in graph.opset_import if not item.domain), None)
    if found != opset:
        raise ExportError(
            f"{model.name}: expected opset {opset}, torch wrote {found}; give --opset {found}"
        )
    return graph


def _check_signature(model: LoadedModel, graph: onnx.ModelProto) -> None:
    """Expect one output [batch, classes]."""
    outputs = [[dim.dim_param or dim.dim_value for dim in _dims(o)] for o in graph.graph.output]
    classes = len(model.classes)
    expected = [[BATCH, classes]] if classes else None
    if outputs != expected and (expected or [len(shape) for shape in outputs] != [2]):
        raise ExportError(
            f"{model.name}: expected one output of shape [{BATCH}, {classes or 'classes'}], found "
            f"{', '.join(map(str, outputs))}; let forward return the logits alone, "
            "for any number of images"
        )


def _dims(value: onnx.ValueInfoProto) -> list[Any]:
    return list(value.type.tensor_type.shape.dim)
