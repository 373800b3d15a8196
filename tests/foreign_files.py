"""ONNX files as others make them: several inputs, open axes, integers, sequences of maps."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

F, I64 = TensorProto.FLOAT, TensorProto.INT64


def save(path, nodes, inputs, outputs, *, weights=None, opset=17, ir=8, domains=()):
    """A graph of these nodes; inputs and outputs are name: (type, shape), or a ValueInfo."""
    graph = helper.make_graph(
        [helper.make_node(operator, ins, outs, **more) for operator, ins, outs, more in nodes],
        "foreign",
        [helper.make_tensor_value_info(name, *value) for name, value in inputs.items()],
        [
            helper.make_tensor_value_info(name, *value) if isinstance(value, tuple) else value
            for name, value in outputs.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = ir
    onnx.save(model, path)
    return path


def relu(path, element=F, shape=("batch", 4), **changes):
    """One input of this type and shape, cast, through a Relu."""
    nodes = [("Cast", ["x"], ["number"], {"to": F}), ("Relu", ["number"], ["y"], {})]
    return save(path, nodes, {"x": (element, shape)}, {"y": (F, shape)}, **changes)


def tokens(path, vocabulary=2):
    """Ids into a table of `vocabulary` rows, a mask that scales them, and a factor: [b, length]."""
    table = np.arange(vocabulary * 4, dtype=np.float32).reshape(vocabulary, 4) + 1
    nodes = [
        ("Gather", ["table", "ids"], ["rows"], {}),
        ("Cast", ["mask"], ["weight"], {"to": F}),
        ("Unsqueeze", ["weight", "last"], ["column"], {}),
        ("Mul", ["rows", "column"], ["seen"], {}),
        ("Mul", ["seen", "factor"], ["scaled"], {}),
        ("ReduceMean", ["scaled"], ["mean"], {"axes": [1], "keepdims": 0}),
        ("Identity", ["scaled"], ["hidden"], {}),
    ]
    inputs = {
        "ids": (I64, ("batch", "length")),
        "mask": (TensorProto.BOOL, ("batch", "length")),
        "factor": (F, ()),
    }
    outputs = {"mean": (F, ("batch", 4)), "hidden": (F, ("batch", "length", 4))}
    weights = {"table": table, "last": np.array([-1])}
    return save(path, nodes, inputs, outputs, weights=weights)


def image_net(path, shape=("n", 3, "height", "width"), element=F, ends=("logits",)):
    """A global mean over the pixels and a product: three classes of any image."""
    weights = {"w": np.eye(3, dtype=np.float32)}
    nodes = [
        ("Cast", ["image"], ["pixels"], {"to": F}),
        ("ReduceMean", ["pixels"], ["mean"], {"axes": [2, 3], "keepdims": 0}),
        ("MatMul", ["mean", "w"], ["logits"], {}),
        ("Identity", ["pixels"], ["mask"], {}),
    ]
    every = {"logits": (F, ("n", 3)), "mask": (F, ("n", 3, "height", "width"))}
    return save(
        path, nodes, {"image": (element, shape)}, {e: every[e] for e in ends}, weights=weights
    )


def zip_map(path):
    """What skl2onnx writes of a classifier: a label, and a sequence of maps of its scores."""
    key_value = helper.make_map_type_proto(I64, helper.make_tensor_type_proto(F, []))
    kind = helper.make_sequence_type_proto(key_value)
    nodes = [
        ("ArgMax", ["x"], ["label"], {"axis": 1, "keepdims": 0}),
        ("Softmax", ["x"], ["scores"], {"axis": 1}),
        (
            "ZipMap",
            ["scores"],
            ["maps"],
            {"classlabels_int64s": [0, 1, 2, 3], "domain": "ai.onnx.ml"},
        ),
    ]
    outputs = {"label": (I64, ("n",)), "maps": helper.make_value_info("maps", kind)}
    return save(path, nodes, {"x": (F, ("n", 4))}, outputs, domains=("ai.onnx.ml",))
