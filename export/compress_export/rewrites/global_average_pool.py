"""ReduceMean over height and width becomes GlobalAveragePool.

torch's exporter writes ReduceMean for every AdaptiveAvgPool2d(1) and mean((2, 3));
onnxruntime has an integer kernel for GlobalAveragePool only.
"""

import onnx
from onnx import helper

from compress_export.rewrites import _graph


def rewrite(model: onnx.ModelProto) -> int:
    """Replace each such mean; without keepdims a Flatten follows. Returns their number."""
    graph = _with_shapes(model)

    def replace(node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        return _pool(model.graph, node) if _averages_image(graph, node) else None

    return _graph.replace_nodes(model.graph, replace)


def _with_shapes(model: onnx.ModelProto) -> onnx.GraphProto:
    """The graph, with the ranks that files from elsewhere often leave out."""
    means = [node for node in model.graph.node if node.op_type == "ReduceMean"]
    if all(_graph.rank(model.graph, node.input[0]) is not None for node in means):
        return model.graph
    inferred: onnx.ModelProto = onnx.shape_inference.infer_shapes(model)
    return inferred.graph


def _averages_image(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    """Whether a node is a mean over exactly the last two axes of [N, C, H, W]."""
    if node.op_type != "ReduceMean" or _graph.rank(graph, node.input[0]) != 4:
        return False
    # Opset 18 moved the axes from an attribute to an input.
    axes = [value for item in node.attribute if item.name == "axes" for value in item.ints]
    if len(node.input) > 1 and node.input[1]:
        found = _graph.constant(graph, node.input[1])
        if found is None:
            return False
        axes = found.ravel().tolist()
    return sorted(int(axis) % 4 for axis in axes) == [2, 3]


def _pool(graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    source, result = node.input[0], node.output[0]
    name = _graph.part_name(node, "GlobalAveragePool")
    if _graph.attribute(node, "keepdims", 1):
        return [helper.make_node("GlobalAveragePool", [source], [result], name)]
    pooled = _graph.free_name(graph, f"{result}_pooled")  # [N, C, 1, 1]
    flatten = _graph.part_name(node, "Flatten")
    return [
        helper.make_node("GlobalAveragePool", [source], [pooled], name),
        helper.make_node("Flatten", [pooled], [result], flatten, axis=1),
    ]
