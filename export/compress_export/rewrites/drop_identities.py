"""Identity and Dropout, which do nothing at inference, go."""

import onnx

from compress_export.rewrites import _graph


def rewrite(model: onnx.ModelProto) -> int:
    """Take them out, but where the graph's input would become its output. Returns their number."""
    graph = model.graph
    idle = [node for node in graph.node if _is_idle(graph, node)]
    changed = sum(_graph.bypass(graph, node) for node in idle)
    if changed:
        _graph.drop_unread(graph)
    return changed


def _is_idle(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    if node.op_type == "Identity":
        return True
    if node.op_type != "Dropout" or (
        len(node.output) > 1 and _graph.count_readers(graph)[node.output[1]]
    ):
        return False
    if len(node.input) < 3 or not node.input[2]:
        return True
    training = _graph.constant(graph, node.input[2])
    return training is not None and not training.any()
