"""A torch network becomes one ONNX file: named dynamic batch, no external data, no local paths."""

import re
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from compress.artifacts import write_bytes
from compress.errors import ExportError, UsageError
from compress.models.checkpoint import LoadedModel
from compress.models.tracing import BATCH, silence, trace
from compress_bench.metadata import DataOrigin, model_metadata
from compress_export.rewrites import apply_rewrites

# IR 10 is the newest that onnxruntime 1.18 reads, and holds opsets up to 22. torch's exporter
# writes opset 18 when asked for an older one, without a word.
IR_VERSION = 10
OLDEST_OPSET, NEWEST_OPSET = 18, 22

LARGEST_BYTES = 2**31 - 1  # protobuf's limit for one file

# The exporter would bake a batch of 0 or 1 into the graph.
_EXAMPLE_BATCH = 2


def convert(
    model: LoadedModel, path: Path, opset: int, data: DataOrigin | None = None
) -> dict[str, int]:
    """Write a network as one ONNX file that holds its preprocessing and classes.

    Args:
        model: the network, on the CPU; it is put in eval mode.
        path: the file to write.
        opset: ONNX operator set, 18 to 22.
        data: the images that the file will be calibrated and measured with, for its metadata.

    Returns:
        Number of places that each graph rewrite changed.

    Raises:
        UsageError: an opset that cannot be written.
        ExportError: an operator or a construct that has no ONNX form, or a broken graph.
    """
    check_opset(opset)
    _check_size(model)
    graph = _trace(model, opset)
    _check_signature(model, graph)
    changes = apply_rewrites(graph)
    graph.ir_version = IR_VERSION
    write_metadata(graph, model, data)
    save_checked(graph, path, subject=model.name)
    return changes


def check_opset(opset: int) -> None:
    """Refuse an operator set that cannot be written.

    Raises:
        UsageError: names the flag, what it takes and what it was given.
    """
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise UsageError(
            f"--opset: expected {OLDEST_OPSET} to {NEWEST_OPSET}, which onnxruntime 1.18 and "
            f"torch's exporter share, found {opset}"
        )


def write_metadata(graph: onnx.ModelProto, model: LoadedModel, data: DataOrigin | None) -> None:
    """Make the file enough by itself: preprocessing, classes, parameters, network, version."""
    entries = model_metadata(
        preprocessing=model.preprocessing,
        classes=model.classes,
        parameters=count_parameters(model),
        network=model.name,
        data=data,
    )
    onnx.helper.set_model_props(graph, entries)


def count_parameters(model: LoadedModel) -> int:
    """Number of learned values."""
    return sum(parameter.numel() for parameter in model.module.parameters())


def save_checked(graph: onnx.ModelProto, path: Path, *, subject: str) -> None:
    """Run the ONNX checker and write the file whole or not at all.

    Raises:
        ExportError: the graph breaks ONNX's rules.
    """
    try:
        onnx.checker.check_model(graph, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(
            f"{subject}: the exported graph is not valid ONNX ({_first_line(error)}); "
            "try another --opset"
        ) from error
    write_bytes(path, graph.SerializeToString(deterministic=True))


def _check_size(model: LoadedModel) -> None:
    size = sum(p.numel() * p.element_size() for p in model.module.parameters())
    if size >= LARGEST_BYTES:
        raise ExportError(
            f"{model.name}: expected less than 2 GB of weights, which one ONNX file can hold, "
            f"found {size / 1e9:.1f} GB; choose a smaller network"
        )


def _trace(model: LoadedModel, opset: int) -> onnx.ModelProto:
    """Run torch's exporter, in silence, and translate what it refuses."""
    try:
        graph = trace(model.module, _example(model), opset)
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(_explain(model, error)) from error
    found = next((item.version for item in graph.opset_import if not item.domain), None)
    if found != opset:
        raise ExportError(
            f"{model.name}: expected opset {opset}, torch wrote {found}; give --opset {found}"
        )
    return graph


def _example(model: LoadedModel) -> torch.Tensor:
    spec = model.preprocessing
    return torch.zeros(_EXAMPLE_BATCH, spec.channels, *spec.size)


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


def _explain(model: LoadedModel, error: BaseException) -> str:
    """Name what the exporter refused, where it stands in the network, and what to do."""
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    operator = re.search(r"No ONNX function found for <OpOverload\(op='([\w.]+)'", str(root))
    if operator:
        where = _module_with(model.module, _example(model), operator[1])
        return (
            f"{model.name}: operator {operator[1]}{where} has no ONNX form; "
            "write that step with operators that ONNX has, or leave it out of forward"
        )
    return (
        f"{model.name}: torch.export cannot trace its forward ({_first_line(root)}); "
        "write forward without Python branches or loops that depend on tensor values"
    )


def _module_with(module: nn.Module, example: torch.Tensor, operator: str) -> str:
    """Where `operator` is first called, as words that follow its name; empty if not found."""
    name = operator.removeprefix("aten.").lstrip("_")
    try:
        with silence():
            program = torch.export.export(module, (example,))
    except Exception:  # it went otherwise than in the exporter: the operator's name must do
        return ""
    for node in program.graph.nodes:
        if name in str(node.target):
            stack = node.meta.get("nn_module_stack") or {}
            paths = [path for path, _ in stack.values() if path]
            return f" in module {paths[-1]}" if paths else " in its forward"
    return ""


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
