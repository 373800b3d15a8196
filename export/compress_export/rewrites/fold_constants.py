"""What is computed from constants alone is computed now, by onnxscript's optimiser.

torch's exporter has done so already; files from elsewhere, and other rewrites, leave some.
"""

import onnx
from onnxscript import ir, optimizer

# Weights that are stored as integers stay so.
_KEPT = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")

# Values of one tensor: attention's position tables are folded, and no file swells.
_LARGEST = 2**22


def rewrite(model: onnx.ModelProto) -> int:
    """Fold constant nodes to initializers; returns the number of nodes that are gone."""
    if not _has_constants(model.graph):
        return 0
    before = len(model.graph.node)
    graph = ir.from_proto(model)
    optimizer.fold_constants(
        graph,
        onnx_shape_inference=False,
        input_size_limit=_LARGEST,
        output_size_limit=_LARGEST,
        should_fold=lambda node: False if node.op_type in _KEPT else None,
    )
    ir.passes.common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(graph)
    ir.passes.common.RemoveUnusedNodesPass()(graph)
    folded = ir.to_proto(graph)
    removed = before - len(folded.graph.node)
    if removed:
        model.CopyFrom(folded)
    return removed


def _has_constants(graph: onnx.GraphProto) -> bool:
    """Whether a node reads constants alone, or is one."""
    known = {tensor.name for tensor in graph.initializer} | {""}
    return any(
        node.op_type not in _KEPT and all(name in known for name in node.input)
        for node in graph.node
    )
