"""The graph of an ONNX file that came from elsewhere: read whole, and made fit to be quantised."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime as ort
from onnx import version_converter
from onnxscript import ir

from compress.errors import ExportError
from compress_export.convert import LARGEST_BYTES
from compress_export.lowering import lower
from compress_export.portability import OLDEST_OPSET, opset_of


def load_float32(path: Path) -> onnx.ModelProto:
    """The file with all its weights, refused where it cannot be quantised.

    Raises:
        ExportError: it is quantised already, or computes in half or double precision.
    """
    graph = onnx.load(path)
    _drop_constant_inputs(graph)
    size = sum(len(tensor.raw_data) for tensor in graph.graph.initializer)
    if size >= LARGEST_BYTES:
        raise ExportError(
            f"{path}: expected less than 2 GB of weights, which one ONNX file can hold, found "
            f"{size / 1e9:.1f} GB; choose a smaller network"
        )
    learning = [node.name or node.output[0] for node in graph.graph.node if _is_learning(node)]
    if learning:
        raise ExportError(
            f"{path}: expected a network in eval mode, found {learning[0]} in training mode, whose "
            "answers depend on the other images; export it again after model.eval()"
        )
    types = {node.op_type for node in graph.graph.node}
    quantised = sorted(t for t in types if t.startswith("QLinear") or "quantize" in t.lower())
    if quantised:
        raise ExportError(
            f"{path}: expected a float32 network, found {', '.join(quantised)}: it is quantised "
            "already; give the file that it was made from"
        )
    wide = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE)
    others = [t.name for t in graph.graph.initializer if t.data_type in wide and len(t.dims) > 1]
    if others:
        raise ExportError(
            f"{path}: expected float32 weights, found another precision in {others[0]} "
            f"({len(others)} tensors); export it again in float32"
        )
    return graph


def _drop_constant_inputs(graph: onnx.ModelProto) -> None:
    """Older files list their weights among the inputs; what is fed is the image alone."""
    constants = {tensor.name for tensor in graph.graph.initializer}
    kept = [value for value in graph.graph.input if value.name not in constants]
    del graph.graph.input[:]
    graph.graph.input.extend(kept)
    graph.ir_version = max(graph.ir_version, 4)  # before, all weights had to be listed


def _is_learning(node: onnx.NodeProto) -> bool:
    return node.op_type == "BatchNormalization" and any(
        item.name == "training_mode" and item.i for item in node.attribute
    )


def tidy(path: Path, graph: onnx.ModelProto, output: str, opset: int) -> onnx.ModelProto:
    """The graph at an operator set that int8 needs, folded by onnxruntime, with one output."""
    tidied = _convert_opset(path, graph, opset)
    kept = [value for value in tidied.graph.output if value.name == output]
    del tidied.graph.output[:]
    tidied.graph.output.extend(kept)
    unused = ir.from_proto(tidied)  # with the outputs goes what led to them alone
    ir.passes.common.RemoveUnusedNodesPass()(unused)
    tidied = _fold(path, ir.to_proto(unused))
    tidied = onnx.shape_inference.infer_shapes(tidied)
    _name_nodes(tidied.graph)
    del tidied.metadata_props[:]
    return tidied


def _name_nodes(graph: onnx.GraphProto) -> None:
    """A name for each node that has none: what is left in float is known by it."""
    taken = {node.name for node in graph.node}
    for index, node in enumerate(graph.node):
        if not node.name:
            name = f"{node.op_type}_{index}"
            node.name = name if name not in taken else f"{name}_{node.output[0]}"


def _convert_opset(path: Path, graph: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A copy at its own operator set, lowered to `opset` or raised to it where int8 needs that."""
    own = opset_of(graph)
    if own >= OLDEST_OPSET:
        copied = onnx.ModelProto()
        copied.CopyFrom(graph)
        if own > opset:
            lower(copied, opset)
        return copied
    try:
        converted: onnx.ModelProto = version_converter.convert_version(graph, opset)
    except Exception as error:  # the converter's errors share no base class
        raise ExportError(
            f"{path}: its operator set {own} cannot be made {opset} "
            f"({' '.join(str(error).split())[:200]}); export it again with opset {opset}"
        ) from error
    return converted


def _fold(path: Path, graph: onnx.ModelProto) -> onnx.ModelProto:
    """Fold BatchNormalization into convolutions, and constants, as onnxruntime does at load."""
    with TemporaryDirectory(prefix="compress-fold-") as folder:
        folded = Path(folder) / "folded.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
        options.log_severity_level = 3
        try:
            ort.InferenceSession(
                graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions share no base class but Exception
            raise ExportError(
                f"{path}: onnxruntime {ort.__version__} cannot load it at operator set "
                f"{opset_of(graph)} ({' '.join(str(error).split())[:200]}); try another --opset"
            ) from error
        result = onnx.load(folded)
    used = {node.domain for node in result.graph.node} | {""}
    domains = [item for item in result.opset_import if item.domain in used]
    del result.opset_import[:]
    result.opset_import.extend(domains)
    return result


def count_weights(graph: onnx.ModelProto) -> int:
    """Values of all float constants: what a file without a word of its own says of its size."""
    return sum(
        int(np.prod(tensor.dims, dtype=np.int64))
        for tensor in graph.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.dims
    )
