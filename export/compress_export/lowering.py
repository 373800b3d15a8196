"""An older operator set for runtimes that have not been updated for years.

Between operator sets 13 and 22 most operators only took on more types. onnx's own converter stops
at many of those (Relu, Add, Split); here each node is held against the older definition, the few
that moved an argument are moved back, and what the older set lacks is named.
"""

import onnx
from onnx import defs, helper

from compress.errors import ExportError
from compress_export.rewrites import BEFORE_INT8, _graph, load_rewrite

_HARD_SWISH_OPSET = 14


def lower(graph: onnx.ModelProto, opset: int) -> None:
    """Rewrite a graph, in place, for an older operator set.

    Args:
        graph: of a newer set; node names and metadata stay.
        opset: ONNX operator set, 13 or more.

    Raises:
        ExportError: an operator that the older set lacks, with its name and its module.
    """
    if opset < _HARD_SWISH_OPSET:
        load_rewrite("hard_swish", BEFORE_INT8)(graph)
    own = next(item for item in graph.opset_import if item.domain in ("", "ai.onnx"))
    for node in graph.graph.node:
        if node.domain in ("", "ai.onnx"):
            _lower_node(graph.graph, node, own.version, opset)
    _graph.drop_unread(graph.graph)
    own.version = opset
    try:
        onnx.checker.check_model(graph, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(
            f"operator set {opset}: expected a graph that its rules allow, found otherwise "
            f"({' '.join(str(error).split())[:200]}); give a newer --min-runtime"
        ) from error


def _lower_node(graph: onnx.GraphProto, node: onnx.NodeProto, newer: int, opset: int) -> None:
    """Move arguments back to where the older definition has them."""
    new = defs.get_schema(node.op_type, newer)
    try:
        old = defs.get_schema(node.op_type, opset)
    except defs.SchemaError as error:
        raise _lacking(node, opset) from error
    if old.since_version == new.since_version:
        return
    if "axes" in old.attributes and len(node.input) > len(old.inputs):
        _axes_to_attribute(graph, node, opset)
    for item in list(node.attribute):
        if item.name not in old.attributes:
            if not _says_nothing(graph, node, item, new):
                raise _lacking(node, opset)
            node.attribute.remove(item)
    if len(node.input) > len(old.inputs) and not _is_variadic(old):
        raise _lacking(node, opset)


def _axes_to_attribute(graph: onnx.GraphProto, node: onnx.NodeProto, opset: int) -> None:
    axes = _graph.constant(graph, node.input[1]) if node.input[1] else None
    if node.input[1] and (axes is None or not axes.size):
        raise _lacking(node, opset)
    del node.input[1:]
    if axes is not None:
        node.attribute.append(helper.make_attribute("axes", [int(a) for a in axes.ravel()]))


def _says_nothing(
    graph: onnx.GraphProto, node: onnx.NodeProto, item: onnx.AttributeProto, new: defs.OpSchema
) -> bool:
    """Whether an attribute has its default, or is what the older definition takes for granted."""
    if item.name == "num_outputs":  # a Split into equal parts
        return bool(item.i == len(node.output))
    if item.name == "allowzero":  # what a zero means in the shape that Reshape is given
        shape = _graph.constant(graph, node.input[1])
        return shape is not None and bool(shape.all())
    known = new.attributes[item.name].default_value
    return known.name == item.name and helper.get_attribute_value(
        known
    ) == helper.get_attribute_value(item)


def _is_variadic(schema: defs.OpSchema) -> bool:
    return any(i.option == defs.OpSchema.FormalParameterOption.Variadic for i in schema.inputs)


def _lacking(node: onnx.NodeProto, opset: int) -> ExportError:
    return ExportError(
        f"{node.name or node.op_type}: expected an operator of operator set {opset}, found "
        f"{node.op_type} in a form that it does not have; give a newer --opset or --min-runtime"
    )
