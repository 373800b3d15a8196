"""A small trained network with every construct that export must get right, and its files.

Also a factory file: tests refer to it as `exported.py:branched`.
"""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

import tiny
from compress.models.checkpoint import LoadedModel
from compress.preprocess import Preprocessing, preprocess
from compress_bench.metadata import model_metadata
from compress_export.calibration import Ranges, find_ranges
from compress_export.calibration._observe import observe
from compress_export.convert import convert, count_parameters
from compress_export.quantizers.static_qdq import activations, quantize

SPEC = Preprocessing((16, 16), 1)
SOURCE = Path(__file__).resolve()


class Branched(nn.Module):
    """Residual add, depthwise convolution, ReLU6, global pooling: what int8 likes to break."""

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.stem = _block(1, width, 3, stride=2)
        self.residual = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )
        self.depthwise = _block(width, width, 3, groups=width)
        self.pointwise = _block(width, 2 * width, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(2 * width, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = torch.relu(self.residual(x) + x)
        x = self.pointwise(self.depthwise(x))
        return self.head(self.pool(x).flatten(1))


def _block(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    convolution = nn.Conv2d(
        inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6())


def branched(num_classes: int, width: int = 16) -> nn.Module:
    """The factory."""
    return Branched(num_classes, width)


@functools.cache
@torch.enable_grad()
def trained(width: int = 16, seed: int = 0) -> nn.Module:
    """Trained for a moment, so that BatchNorm's statistics and the logits mean something."""
    torch.manual_seed(seed)
    module = branched(len(tiny.CLASSES), width)
    pixels, labels = tiny.images(96, 1)
    inputs, targets = torch.from_numpy(preprocess(pixels, SPEC)), torch.from_numpy(labels)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    for step in range(24):
        batch = slice(step % 3 * 32, step % 3 * 32 + 32)
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs[batch]), targets[batch]).backward()
        optimizer.step()
    return module.eval()


def loaded(module: nn.Module, classes: tuple[str, ...] = tiny.CLASSES) -> LoadedModel:
    return LoadedModel(module, SPEC, classes, "net.py:branched", "", {})


@functools.cache
def folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="test-export-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@functools.cache
def float_file() -> Path:
    """student.onnx alone in its folder."""
    path = folder() / "alone" / "student.onnx"
    path.parent.mkdir()
    model = loaded(trained())
    graph, _ = convert(model, opset=18)
    said = model_metadata(
        preprocessing=SPEC,
        classes=model.classes,
        parameters=count_parameters(model),
        network=model.name,
        data=None,
    )
    onnx.helper.set_model_props(graph, said)
    onnx.save(graph, path)
    return path


@functools.cache
def float_graph() -> onnx.ModelProto:
    return onnx.load(float_file())


def inputs(count: int = 48, seed: int = 2) -> np.ndarray:
    """Preprocessed images that the network was not trained on: float32 [count, 1, 16, 16]."""
    return preprocess(tiny.images(count, seed)[0], SPEC)


def ranges(graph: onnx.ModelProto, batches: list[np.ndarray], method: str = "minmax") -> Ranges:
    """Of the activations of a graph, on ready inputs."""
    histograms = method != "minmax"
    found = observe(graph, activations(graph), batches, threads=1, histograms=histograms)
    return find_ranges(found, method)


@functools.cache
def int8_graph() -> onnx.ModelProto:
    graph = float_graph()
    batches = np.split(preprocess(tiny.images(96, 1)[0], SPEC), 4)
    return quantize(graph, ranges(graph, batches))


@functools.cache
def int8_file() -> Path:
    path = folder() / "student.int8.onnx"
    onnx.save(int8_graph(), path)
    return path
