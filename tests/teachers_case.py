"""A teacher by hand, right on every image of tiny.py, and the files in which others bring it.

Also a factory file: tests refer to it as `teachers_case.py:edges`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import tiny
from compress.data.dataset import Dataset
from compress.distill.teachers.load import load_teacher
from compress.distill.teachers.protocol import Teacher
from compress.models.checkpoint import save_checkpoint
from compress.models.reference import source_sha256
from compress.preprocess import Preprocessing
from compress.progress import Progress
from compress.settings import Augmenting, Run, Teachers
from compress.training.views import ViewPlan, Views

DATA = tiny.dataset()
_RANKS = {"features": 4}  # of outputs that are no rows
SIZE = (16, 16)
RUN = Run(threads=1)
SOURCE = Path(__file__).resolve()
EDGES = f"{SOURCE}:edges"


class Edges(nn.Module):
    """Edges down the image are bars, edges across it columns, few of both blank.

    It wants (x - 128) / 64: an edge is then 2.3 high, noise 0.3.
    """

    def __init__(self, order: tuple[int, ...] = (0, 1, 2)) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, len(order))
        down, across = torch.zeros(3, 3), torch.zeros(3, 3)
        down[0, 1], down[2, 1], across[1, 0], across[1, 2] = 1, -1, 1, -1
        rows = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]])
        with torch.no_grad():
            self.conv.weight.copy_(torch.stack([down, -down, across, -across])[:, None])
            self.head.weight.copy_(20 * rows[list(order)])
            self.head.bias.copy_(20 * torch.tensor([-1.2, -1.2, 0.0])[list(order)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv(x)))
        return self.head(self.drop(x.mean((2, 3))))


def edges() -> nn.Module:
    """A factory with classes of its own."""
    return Edges()


def wide(num_classes: int) -> nn.Module:
    """A factory that is told how many classes there are."""
    return Edges(tuple(range(3)) + (2,) * (num_classes - 3))


def soft() -> nn.Module:
    """A factory whose network ends in a softmax."""
    return nn.Sequential(Edges(), nn.Softmax(1))


class Said(Progress):
    """Remembers what was said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.sentences: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def load(*references: str | Path, data: Dataset = DATA, said: Said | None = None, **settings):
    """A teacher as the flags name it."""
    teachers = Teachers(teacher=tuple(map(str, references)), **settings)
    teachers.check()
    return load_teacher(teachers, data, RUN, said or Said())


def weights(path: Path, module: nn.Module | None = None) -> Path:
    """A file of weights; those of `Edges` unless told otherwise."""
    torch.save((module or Edges()).state_dict(), path)
    return path


def checkpoint(folder: Path, data: Dataset = DATA, classes=tiny.CLASSES, **fields) -> Path:
    """A folder as compress train writes it."""
    order = tuple(tiny.CLASSES.index(name) if name in tiny.CLASSES else 2 for name in classes)
    manifest = {
        "model": {
            "reference": f"{SOURCE}:ordered",
            "args": {"order": list(order)},
            "num_classes": len(classes),
            "channels": 1,
            "input_size": list(SIZE),
            "source_sha256": source_sha256(f"{SOURCE}:ordered"),
        },
        "classes": list(classes),
        "preprocessing": Preprocessing(SIZE, 1).to_dict(),
        "data": {"reference": data.name, "fingerprint": data.fingerprint},
        **fields,
    }
    save_checkpoint(folder, Edges(order), manifest)
    return folder


def ordered(order: list[int]) -> nn.Module:
    """A factory whose classes may stand in another order."""
    return Edges(tuple(order))


def plan(data: Dataset = DATA, **how) -> ViewPlan:
    augmenting = Augmenting(**({"augment": "none"} | how))
    return ViewPlan(split=data.train, source="tiny", size=SIZE, augmenting=augmenting, seed=0)


def views(count: int = 8, data: Dataset = DATA) -> Views:
    """The first training images as they are."""
    indices = np.arange(count)
    return Views(pixels=data.train.images.batch(indices, SIZE), number=0, indices=indices)


def reference_logits(count: int = 8, module: nn.Module | None = None) -> torch.Tensor:
    """What `Edges` itself says to the first training images."""
    pixels = torch.from_numpy(views(count).pixels).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        return (module or Edges()).eval()((pixels - 128) / 64)


def renamed(classes: tuple[str, ...]) -> Dataset:
    """The same images with other class names."""
    return replace(DATA, classes=classes)


def right(teacher: Teacher, count: int = 96) -> float:
    """Share of right answers on training images."""
    found = teacher.logits(views(count)).argmax(1).numpy()
    return float((found == DATA.train.labels[:count]).mean())


@dataclass(frozen=True, kw_only=True)
class File:
    """How an ONNX file of `Edges` differs from the plainest.

    Attributes:
        nhwc: whether its input is [N, H, W, C].
        softmax: whether it ends in one.
        batch: images a run, or a name for any number.
        side: height and width, or None where they are left open.
        kind: of the input.
        fixed: a number of images that is inside the graph although the input says any.
        outputs: further outputs by name: "features" is 4-D, "pooled" is [N, 4], "again" [N, 3].
        metadata: entries of metadata_props.
        module: the network.
    """

    nhwc: bool = False
    softmax: bool = False
    batch: int | str = "batch"
    side: int | None = 16
    kind: int = TensorProto.FLOAT
    fixed: int | None = None
    outputs: tuple[str, ...] = ()
    metadata: Mapping[str, str] | None = None
    module: nn.Module | None = None

    def write(self, path: Path) -> Path:
        """Write it node by node."""
        module = self.module or Edges()
        sides = (self.side or "height", self.side or "width")
        shape = (self.batch, *sides, 1) if self.nhwc else (self.batch, 1, *sides)
        tensors = {
            "kernel": module.conv.weight.detach().numpy()
            / np.float32(np.sqrt(1 + module.norm.eps)),
            "weight": module.head.weight.detach().numpy(),
            "bias": module.head.bias.detach().numpy(),
            "flat": np.array([self.fixed or 0, 4], np.int64),
            "middle": np.float32(128),
            "unit": np.float32(64),
        }
        graph = helper.make_graph(
            list(self._nodes()),
            "edges",
            [helper.make_tensor_value_info("image", self.kind, shape)],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * _RANKS.get(name, 2))
                for name in (*self.outputs, "answer")
            ],
            [numpy_helper.from_array(np.asarray(v), name) for name, v in tensors.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        helper.set_model_props(model, dict(self.metadata or {}))
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString())
        return path

    def _nodes(self):
        x = "image"
        if self.nhwc:
            yield helper.make_node("Transpose", [x], ["nchw"], perm=[0, 3, 1, 2])
            x = "nchw"
        if self.kind != TensorProto.FLOAT:
            yield helper.make_node("Cast", [x], ["float"], to=TensorProto.FLOAT)
            x = "float"
        if self.kind == TensorProto.UINT8:
            yield helper.make_node("Sub", [x, "middle"], ["centred"])
            yield helper.make_node("Div", ["centred", "unit"], ["normal"])
            x = "normal"
        yield helper.make_node("Conv", [x, "kernel"], ["edges"])
        yield helper.make_node("Relu", ["edges"], ["features"])
        yield helper.make_node("GlobalAveragePool", ["features"], ["mean"])
        yield helper.make_node("Reshape", ["mean", "flat"], ["pooled"])
        last = "logits" if self.softmax else "answer"
        yield helper.make_node("Gemm", ["pooled", "weight", "bias"], [last], transB=1)
        if self.softmax:
            yield helper.make_node("Softmax", ["logits"], ["answer"], axis=1)
        if "again" in self.outputs:
            yield helper.make_node("Neg", ["answer"], ["again"])
