"""A network that is exported, whatever it comes from: torch, or an ONNX file made elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from compress.models.checkpoint import LoadedModel
from compress.preprocess import Preprocessing, preprocess
from compress_export.convert import convert, count_parameters

# uint8 images [N, H, W, C] of any size -> float32 [N, classes].
Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One network, and how it becomes a graph.

    Attributes:
        name: the reference that it was built from, or the file's name.
        preprocessing: what its images must go through.
        classes: in the order of its outputs; empty where nobody named them.
        sha256: of its weights file.
        parameters: learned values.
        history: of its training, an entry an epoch; empty where none is known.
        recipe: the settings that it was trained with, by name; empty where none are known.
        graph: its float32 graph at an operator set, and how often each rewrite changed it.
        answer: what the network itself says of images, before any of our work on it.
    """

    name: str
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    sha256: str
    parameters: int
    history: tuple[Mapping[str, Any], ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    graph: Callable[[int], tuple[onnx.ModelProto, dict[str, int]]]
    answer: Answer


def torch_source(model: LoadedModel) -> Source:
    """A torch network on the CPU; put in eval mode."""

    @torch.no_grad()
    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        inputs = torch.from_numpy(preprocess(images, model.preprocessing))
        return np.asarray(model.module.eval()(inputs).float().numpy())

    return Source(
        name=model.name,
        preprocessing=model.preprocessing,
        classes=model.classes,
        sha256=model.sha256,
        parameters=count_parameters(model),
        history=tuple(model.manifest.get("history") or ()),
        recipe=_training_recipe(model.manifest),
        graph=lambda opset: convert(model, opset),
        answer=answer,
    )


def _training_recipe(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section of a manifest's recipe that the network was trained by."""
    recipe = manifest.get("recipe") or {}
    return recipe.get("distill") or recipe.get("train") or {}
