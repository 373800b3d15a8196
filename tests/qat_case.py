"""A small student about to be repaired, and graphs whose quantised form learns."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import exported
import tiny
from compress.models.checkpoint import LoadedModel
from compress.preprocess import Preprocessing, preprocess
from compress.progress import SILENT
from compress.settings import Export
from compress_export.convert import convert
from compress_export.portability import choose_portability
from compress_export.quantizers.pair_projection import safe_weights
from compress_export.ranges import Found
from compress_export.repair.case import Attempt, Case
from compress_export.rewrites import BEFORE_INT8, apply_rewrites
from compress_export.sources import Source, torch_source
from compress_export.work import Result, Work

RECIPE = {"batch_size": 32, "lr": 0.1, "augment": "none"}


def make_case(folder: Path, *, teacher: Source | None = None, **settings: object) -> Case:
    """The trained small network on tiny images; `settings` are those of an export."""
    model = replace(exported.loaded(exported.trained()), manifest={"recipe": {"train": RECIPE}})
    source = torch_source(model)
    work = Work(
        out=folder,
        dataset=tiny.dataset(),
        size=(16, 16),
        settings=Export(int8=True, latency=False, **settings),  # type: ignore[arg-type]
        portability=choose_portability(None, None),
        seed=0,
        threads=1,
        progress=SILENT,
    )
    core = exported.float_graph()
    logits = work.logits("student", core, work.view(work.dataset.validation, exported.SPEC), "")
    float32 = Result(variant=None, core=core, logits=logits, checks={})  # type: ignore[arg-type]
    return Case(work=work, source=source, teacher=teacher, float32=float32)


def plain(core: onnx.ModelProto, batch: np.ndarray, narrow: float = 1.0) -> Attempt:
    """Plain int8 of a float graph, ranges from one batch; `narrow` below 1 cuts activations off."""
    prepared = copy.deepcopy(core)
    apply_rewrites(prepared, BEFORE_INT8)
    ranges = {
        name: (narrow * low, narrow * high)
        for name, (low, high) in exported.ranges(prepared, [batch]).items()
    }
    found = Found(ranges=ranges, method="minmax", tried=(), images=len(batch))
    return Attempt(core=prepared, weights=safe_weights(prepared), found=found)


def first_attempt(narrow: float = 1.0) -> Attempt:
    """Plain int8 of the small network of `make_case`."""
    return plain(exported.float_graph(), preprocess(tiny.images(96, 1)[0], exported.SPEC), narrow)


def attempt_of(module: nn.Module, batch: np.ndarray) -> Attempt:
    """Plain int8 of any network, on preprocessed images float32 [N, C, H, W]."""
    spec = Preprocessing(batch.shape[2:], batch.shape[1])
    model = LoadedModel(module.eval(), spec, tuple("0123456789"), "net", "", {})
    with torch.no_grad():
        graph, _ = convert(model, 18)
    return plain(graph, batch)


def foreign_graph(operator: str = "Relu", *, softmax: bool = False) -> onnx.ModelProto:
    """A file from elsewhere: a convolution, an operator, and a MatMul with its bias apart."""
    rng = np.random.default_rng(0)
    shapes = {"w": (4, 1, 3, 3), "b": (4,), "head": (4 * 16 * 16, 3), "shift": (3,)}
    stored = [
        numpy_helper.from_array(rng.normal(0, 0.1, shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["c"], name="conv", pads=[1] * 4),
        helper.make_node(operator, ["c"], ["r"], name="bound"),
        helper.make_node("Flatten", ["r"], ["f"], name="flat"),
        helper.make_node("MatMul", ["f", "head"], ["m"], name="product"),
        helper.make_node("Add", ["m", "shift"], ["sum" if softmax else "logits"], name="add"),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["sum"], ["logits"], name="shares", axis=1))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 16, 16])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph(nodes, "foreign", [image], [logits], stored)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return onnx.shape_inference.infer_shapes(made)
