"""Names for the nodes of an exported graph: `<torch module path>/<operator>`.

onnxruntime keeps the name of a node when it fuses it to an integer operator, and its profile shows
it, so whoever reads a float island or a slow layer learns which module it came from.
"""

import ast
from collections import Counter
from collections.abc import Collection

import onnx
from torch import nn

ROOT = "(root)"  # stands for the network itself, where a step is written in its own forward

# The exporter's note of the modules around a node: "['', 'features', 'features.0', 'conv2d']".
_SCOPES = "pkg.torch.onnx.name_scopes"

# BatchNorm is folded into these, and the note then speaks of the BatchNorm.
_WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm")


def name_nodes(graph: onnx.GraphProto, module: nn.Module) -> None:
    """Name each node, in place, before the exporter's notes are removed.

    Args:
        graph: in topological order, with the exporter's notes.
        module: the network that it was made from.
    """
    modules = {name for name, _ in module.named_modules()}
    parameters = {tensor.name for tensor in graph.initializer}
    places: dict[str, str] = {}  # tensor -> module that made it
    taken: Counter[str] = Counter()
    for node in graph.node:
        place = _owner_of_weight(node, modules, parameters) or _scope(node, modules)
        if place is None:  # the exporter's own step: it belongs to what it works on
            place = next((places[name] for name in node.input if name in places), "")
        places.update(dict.fromkeys(node.output, place))
        name = f"{place or ROOT}/{node.op_type}"
        taken[name] += 1
        node.name = name if taken[name] == 1 else f"{name}:{taken[name]}"


def module_of(node_name: str) -> str:
    """The torch module path within a node's name; empty for a name of another form."""
    return node_name.rpartition("/")[0]


def _owner_of_weight(
    node: onnx.NodeProto, modules: Collection[str], parameters: Collection[str]
) -> str | None:
    """The module whose `weight` a convolution or linear layer multiplies with."""
    if node.op_type not in _WITH_WEIGHTS or node.input[1] not in parameters:
        return None
    owner, _, parameter = node.input[1].rpartition(".")
    return owner if parameter == "weight" and owner in modules else None


def _scope(node: onnx.NodeProto, modules: Collection[str]) -> str | None:
    """The innermost module whose forward called the operator; None where there is no note."""
    note = next((item.value for item in node.metadata_props if item.key == _SCOPES), "[]")
    try:
        scopes = ast.literal_eval(note)
    except (SyntaxError, ValueError):
        return None
    # The last is the step itself.
    return next((scope for scope in reversed(scopes[:-1]) if scope in modules), None)
