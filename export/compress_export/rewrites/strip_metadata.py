"""Notes of the exporter go: stack traces with local paths, torch node dumps, doc strings."""

from collections.abc import Iterator
from typing import Any

import onnx

from compress_export.rewrites import _graph

_OURS = "compress."


def rewrite(model: onnx.ModelProto) -> int:
    """Clear every note but our own `compress.*`; returns the number of notes removed."""
    removed = _clear(model)
    for graph in _graph.with_bodies(model.graph):
        removed += sum(_clear(holder) for holder in _holders(graph))
    for function in model.functions:
        removed += sum(_clear(holder) for holder in (function, *function.node))
    return removed


def _holders(graph: onnx.GraphProto) -> Iterator[Any]:
    """Every message of a graph that can carry notes."""
    yield graph
    yield from graph.node
    yield from graph.initializer
    yield from (*graph.input, *graph.output, *graph.value_info)


def _clear(holder: Any) -> int:
    """Remove the doc string and the foreign metadata of one message."""
    removed = 0
    if holder.doc_string:
        holder.ClearField("doc_string")
        removed += 1
    for i in reversed(range(len(holder.metadata_props))):
        if not holder.metadata_props[i].key.startswith(_OURS):
            del holder.metadata_props[i]
            removed += 1
    return removed
