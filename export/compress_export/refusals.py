"""What torch's exporter refused, in one sentence: the operator, its module, and what to do."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import torch
from torch import nn

from compress.models.tracing import silence

_NO_FUNCTION = re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'")
_NO_TRACE = re.compile(r"^([a-z]\w*\.\w+)")  # aten._to_sparse.default

_DATA_DEPENDENT = ("GuardOnDataDependentSymNode", "DataDependentOutputException")


def explain(module: nn.Module, example: torch.Tensor, error: BaseException) -> str:
    """The sentence, without the network's name.

    Args:
        module: the network that was traced.
        example: the input that it was traced with.
        error: torch's.
    """
    root = _root(error)
    kind = type(root).__name__
    missing = _NO_FUNCTION.search(str(root))
    if missing:
        operator = missing[1]
        return (
            f"operator {operator}{_module_with(module, example, operator)} has no ONNX form; "
            "write that step with operators that ONNX has, or leave it out of forward"
        )
    where = _where(module, root)
    unknown = _NO_TRACE.match(str(root))
    if kind == "UnsupportedOperatorException" and unknown:
        return (
            f"operator {unknown[1]}{where or ' in its forward'} cannot be traced; "
            "write that step with dense tensors and operators that ONNX has"
        )
    if kind in _DATA_DEPENDENT:
        return (
            f"torch.export cannot trace its forward ({_first_line(root)}){where}; "
            "write it without Python branches or loops that depend on tensor values: "
            "torch.where chooses within the graph"
        )
    if "inferred a static shape" in str(root) or "ConstraintViolation" in kind:
        return (
            "expected a forward for any number of images, found one that fixes it at "
            f"{len(example)}; take the batch from x.shape[0], and write no Python loop over images"
        )
    return (
        f"torch.export cannot trace its forward ({_first_line(root)}){where}; "
        "look whether that step works for this input size, and write it with torch operators"
    )


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _module_with(module: nn.Module, example: torch.Tensor, operator: str) -> str:
    """Where `operator` is first called, as words that follow its name; empty if not found."""
    name = re.sub(r"^\w+\.", "", operator).lstrip("_")
    try:
        with silence():
            program = torch.export.export(module, (example,))
    except Exception:  # it went otherwise than in the exporter: the operator's name must do
        return ""
    nodes = list(program.graph.nodes)
    # A decomposition may have renamed it: special.i0 becomes prims.bessel_i0.
    for wanted in (name, name.rpartition("_")[2]):
        for node in nodes:
            if node.op == "call_function" and wanted in str(node.target):
                stack = node.meta.get("nn_module_stack") or {}
                paths = [path for path, _ in stack.values() if path]
                return f" in module {paths[-1]}" if paths else " in its forward"
    return ""


def _where(module: nn.Module, error: BaseException) -> str:
    """The innermost module at work when the trace failed, with its file and line."""
    paths = {id(part): name for name, part in module.named_modules()}
    place = ""
    for frame, line in _frames(error):
        owner = frame.f_locals.get("self")
        if id(owner) in paths and frame.f_code.co_name not in ("_call_impl", "_wrapped_call_impl"):
            path = paths[id(owner)]
            within = f"in module {path}" if path else "in its forward"
            place = f" {within} ({Path(frame.f_code.co_filename).name}, line {line})"
    return place


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """From the outermost call to the one that failed."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
