"""The constants of a quantised graph: which of them learn, and how its nodes compute with them."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from compress_export.qat.fake_quantize import (
    FakeQuantizeBias,
    FakeQuantizeWeight,
    Fixed,
    Learnt,
    fake_quantize,
)
from compress_export.qat.integers import IntegerLayer
from compress_export.qat.operators import OPERATORS, Values
from compress_export.repair.case import Attempt

LAYERS = ("Conv", "Gemm", "MatMul")


class Constants:
    """The constants of a quantised graph, each as what it is to the layer that reads it.

    Attributes:
        modules: by the tensor that each gives in float.
    """

    def __init__(self, attempt: Attempt, graph: onnx.ModelProto) -> None:
        """Find them; layers of graph and core are known by their nodes' names."""
        self.stored = {tensor.name: tensor for tensor in graph.graph.initializer}
        for node in graph.graph.node:
            if node.op_type == "Constant":
                self.stored[node.output[0]] = _constant_tensor(node)
        self.makers = {name: node for node in graph.graph.node for name in node.output}
        self.readers = _readers(graph.graph)
        core_nodes = {node.name: node for node in attempt.core.graph.node if node.name}
        core_values = {tensor.name: tensor for tensor in attempt.core.graph.initializer}
        self.modules: dict[str, nn.Module] = {}
        for node in graph.graph.node:
            core = core_nodes.get(node.name)
            if node.op_type in LAYERS and core is not None and core.op_type == node.op_type:
                self._learn(attempt, core_values, core, node)
        for node in graph.graph.node:
            for name in _read(node):
                self._fix(name)

    def _learn(
        self,
        attempt: Attempt,
        core_values: dict[str, onnx.TensorProto],
        core: onnx.NodeProto,
        node: onnx.NodeProto,
    ) -> None:
        """The weight and the bias of a layer, where they are constants."""
        for place, name in enumerate(node.input[:3]):
            own = core.input[place]
            if place == 0 or own not in core_values or name in self.modules:
                continue
            values = numpy_helper.to_array(core_values[own])
            quantised = self._dequantised(name)
            if quantised is None and name in self.stored:
                self.modules[name] = Learnt(own, self.value(name))
            elif quantised is not None and place == 1 and own in attempt.weights:
                weight = attempt.weights[own].weight
                self.modules[name] = FakeQuantizeWeight(weight, quantised)
            elif quantised is not None and place == 2:
                self.modules[name] = FakeQuantizeBias(own, values, quantised)

    def _dequantised(self, name: str) -> NDArray[np.generic] | None:
        """The scales [O] with which a stored constant is dequantised; None where it is not one."""
        node = self.makers.get(name)
        if node is None or node.op_type != "DequantizeLinear" or node.input[0] not in self.stored:
            return None
        return self.value(node.input[1]).reshape(-1)

    def _fix(self, name: str) -> None:
        """A constant that does not learn."""
        if name in self.modules:
            return
        if name in self.stored:
            self.modules[name] = Fixed(self.value(name))
        elif self._dequantised(name) is not None:
            self.modules[name] = Fixed(self._dequantise(self.makers[name]))

    def _dequantise(self, node: onnx.NodeProto) -> NDArray[np.float32]:
        integers, scale = (self.value(name).astype(np.float32) for name in node.input[:2])
        has_zero = len(node.input) > 2 and node.input[2]
        zero = self.value(node.input[2]).astype(np.float32) if has_zero else np.zeros_like(scale)
        if scale.size > 1:  # one for each place along the axis
            axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
            shape = [1] * integers.ndim
            shape[axis] = -1
            scale, zero = scale.reshape(shape), zero.reshape(shape)
        return np.asarray((integers - zero) * scale, dtype=np.float32)

    def value(self, name: str) -> NDArray[Any]:
        """A stored constant."""
        return np.asarray(numpy_helper.to_array(self.stored[name]))

    def operator(self, node: onnx.NodeProto) -> Callable[..., Values]:
        """What a node computes from its inputs."""
        if node.op_type == "DequantizeLinear":
            return lambda values: values  # QuantizeLinear gives what it leaves of the values
        if node.op_type == "QuantizeLinear":
            scale = float(self.value(node.input[1]).reshape(-1)[0])
            zero_point = int(self.value(node.input[2]).reshape(-1)[0])
            return lambda values: fake_quantize(values, scale, zero_point)
        said = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        function = OPERATORS[node.op_type]
        weight = self.modules.get(node.input[1]) if node.op_type in LAYERS else None
        input_scale = self._scale_of(node.input[0])
        whole = said.get("alpha", 1.0) == said.get("beta", 1.0) == 1.0
        if isinstance(weight, FakeQuantizeWeight) and input_scale is not None and whole:
            return IntegerLayer(
                function=function,
                said=said,
                input_scale=input_scale,
                weight_scales=torch.from_numpy(weight.scales),
                weight_axis=weight.weight.axis,
                output_axis=1 if node.op_type == "Conv" else -1,
                output_scale=self._scale_read_with(node.output[0]),
            )
        return lambda *inputs: function(said, *inputs)

    def _scale_of(self, name: str) -> float | None:
        """The step of a tensor that comes from a quantiser; None for any other."""
        node = self.makers.get(name)
        if node is None or node.op_type != "DequantizeLinear" or node.input[0] in self.stored:
            return None
        return float(self.value(node.input[1]).reshape(-1)[0])

    def _scale_read_with(self, name: str) -> float | None:
        """The step of the one quantiser that reads a tensor; None where others read it too."""
        (only, *others) = self.readers.get(name, [None])
        if only is None or others or only.op_type != "QuantizeLinear":
            return None
        return float(self.value(only.input[1]).reshape(-1)[0])


def _readers(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that read each tensor."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def _read(node: onnx.NodeProto) -> tuple[str, ...]:
    """The inputs of a node that it computes with; a quantiser's parameters are known before."""
    return () if is_quantiser(node) else tuple(name for name in node.input if name)


def _constant_tensor(node: onnx.NodeProto) -> onnx.TensorProto:
    value = cast("Any", onnx.helper.get_attribute_value(node.attribute[0]))
    if isinstance(value, onnx.TensorProto):
        return value
    return numpy_helper.from_array(np.asarray(value))


def is_quantiser(node: onnx.NodeProto) -> bool:
    """Whether a node stands between floats and integers."""
    return node.op_type in ("QuantizeLinear", "DequantizeLinear")
