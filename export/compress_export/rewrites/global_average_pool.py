"""ReduceMean over height and width becomes GlobalAveragePool.

torch's exporter writes ReduceMean for every AdaptiveAvgPool2d(1) and mean((2, 3));
onnxruntime has an integer kernel for GlobalAveragePool only.
"""

import onnx
from onnx import helper

from compress_export.rewrites import _graph


def rewrite(model: onnx.ModelProto) -> int:
    """Replace each such mean; without keepdims a Flatten follows. Returns their number."""
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    changed = 0
    for node in graph.node:
        if _averages_image(graph, node):
            nodes += _pool(node)
            changed += 1
        else:
            nodes.append(node)
    if changed:
        del graph.node[:]
        graph.node.extend(nodes)
        _graph.drop_unread_constants(graph)
    return changed


def _averages_image(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    """Whether a node is a mean over exactly the last two axes of [N, C, H, W]."""
    if node.op_type != "ReduceMean" or _graph.rank(graph, node.input[0]) != 4:
        return False
    # Opset 18 moved the axes from an attribute to an input.
    axes = [value for item in node.attribute if item.name == "axes" for value in item.ints]
    if len(node.input) > 1:
        found = _graph.constant(graph, node.input[1])
        if found is None:
            return False
        axes = found.ravel().tolist()
    return sorted(int(axis) % 4 for axis in axes) == [2, 3]


def _pool(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    source, result = node.input[0], node.output[0]
    if _graph.attribute(node, "keepdims", 1):
        return [helper.make_node("GlobalAveragePool", [source], [result], node.name)]
    pooled = f"{result}_pooled"  # [N, C, 1, 1]
    return [
        helper.make_node("GlobalAveragePool", [source], [pooled], node.name),
        helper.make_node("Flatten", [pooled], [result], f"{node.name}_flatten", axis=1),
    ]
