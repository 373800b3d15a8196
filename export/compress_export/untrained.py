"""A network that has learned nothing yet, as the files it would be deployed as.

Time, size and memory of a file do not depend on its weights, so that they are known before any
training: the same conversion, rewrites, quantisation and ends as `compress export` gives a trained
network, without the proofs and without the search for ranges, which cost time and change no
operator.
"""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from compress.data.dataset import Dataset
from compress.models.build import BuiltModel
from compress.models.checkpoint import LoadedModel
from compress.preprocess import Preprocessing, preprocess
from compress.settings import Export
from compress_bench.metadata import PRECISION, DataOrigin, model_metadata
from compress_bench.subjects.evaluation_set import balanced_indices, reading_size
from compress_export.calibration import find_ranges
from compress_export.calibration._observe import observe
from compress_export.convert import convert, count_parameters
from compress_export.deliver import finish, save_checked
from compress_export.ends import ends_in_softmax
from compress_export.portability import choose_portability
from compress_export.quantizers.pair_projection import safe_weights
from compress_export.quantizers.static_qdq import activations, quantize
from compress_export.ranges import input_range
from compress_export.rewrites import BEFORE_INT8, apply_rewrites

IMAGES = 32  # that settle BatchNorm and set the ranges; neither changes an operator
_METHOD = "minmax"
_SEED = 0
_SPREAD = 0.1  # of biases and scales: small beside activations of the order of one
_NO_WEIGHTS = "0" * 64  # as long as a digest, so that a trained file is as large


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """The files of a network with random weights.

    Attributes:
        float32: NAME.onnx.
        int8: NAME.int8.onnx; None where `settings.int8` is off.
        parameters: learned values of the network.
        notes: what was assumed when it was built, in sentences.
    """

    float32: Path
    int8: Path | None
    parameters: int
    notes: tuple[str, ...]


def export_untrained(  # noqa: PLR0913 - a network, where it goes, and how
    built: BuiltModel,
    classes: tuple[str, ...],
    folder: Path,
    name: str,
    *,
    settings: Export,
    dataset: Dataset,
    threads: int | None,
) -> Untrained:
    """Write the files that a network would be deployed as once it were trained.

    Args:
        built: the network, with whatever weights; it stays as it is.
        classes: names of its outputs.
        folder: of the files; made if it is not there.
        name: of the files: NAME.onnx and NAME.int8.onnx.
        settings: its ends, batch, operator set, and whether there is an int8 file.
        dataset: training images that settle BatchNorm's statistics and the ranges.
        threads: onnxruntime's; all cores if None.

    Raises:
        ExportError: it has no ONNX form.
        UsageError: an operator set that cannot be.
    """
    spec = built.preprocessing
    inputs = _inputs(dataset, spec)
    module = _settle(copy.deepcopy(built.module), inputs)
    model = LoadedModel(module, spec, classes, name, "", {})
    portability = choose_portability(settings.opset, settings.min_runtime)
    core, _ = convert(model, portability.opset)
    parameters = count_parameters(model)
    folder.mkdir(parents=True, exist_ok=True)

    def write(graph: onnx.ModelProto, precision: str) -> Path:
        finished = finish(graph, spec, settings, portability)
        given = "scores" if ends_in_softmax(graph) else "logits"
        said = model_metadata(
            preprocessing=spec,
            classes=classes,
            parameters=parameters,
            network=name,
            data=DataOrigin(dataset.name, dataset.fingerprint),
            input=settings.input,
            output=given if settings.output == "logits" else settings.output,
            weights_sha256=_NO_WEIGHTS,
            min_runtime=portability.runtime,
        )
        onnx.helper.set_model_props(finished, said | {PRECISION: precision})
        path = folder / f"{name}{'.int8' if precision == 'int8' else ''}.onnx"
        save_checked(finished, path, subject=path.name)
        return path

    return Untrained(
        float32=write(core, "float32"),
        int8=write(_quantized(core, spec, inputs, threads), "int8") if settings.int8 else None,
        parameters=parameters,
        notes=built.notes,
    )


def _inputs(dataset: Dataset, spec: Preprocessing) -> NDArray[np.float32]:
    """A few training images as the network gets them, float32 [N, C, H, W]."""
    split, size = dataset.train, reading_size(dataset, [spec])
    chosen = balanced_indices(split.labels, IMAGES, _SEED)
    return preprocess(np.asarray(split.images.batch(chosen, size), dtype=np.uint8), spec)


def _settle(module: nn.Module, inputs: NDArray[np.float32]) -> nn.Module:
    """What is constant drawn, and BatchNorm's statistics taken from images; in eval mode.

    Fresh statistics are those of no image: activations would shrink from layer to layer until the
    float32 file computes with denormal numbers, which take a CPU many times as long.
    """
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    module.eval()
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.numel() and bool((parameter == parameter.flatten()[0]).all()):
                _stir(parameter, generator)
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain average
            norm.train()  # alone: dropout and stochastic depth stay out
        if norms:
            module(torch.from_numpy(inputs))
    return module.eval()


def _stir(parameter: torch.Tensor, generator: torch.Generator) -> None:
    """Make values of a constant parameter differ, as training does.

    Biases of zero are dropped when a graph is written and equal ones become one, so that the file
    would be smaller than a trained network's; heads of zero give nothing to quantise.
    """
    spread = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else _SPREAD
    parameter += spread * torch.randn(parameter.shape, generator=generator)


def _quantized(
    core: onnx.ModelProto,
    spec: Preprocessing,
    inputs: NDArray[np.float32],
    threads: int | None,
) -> onnx.ModelProto:
    """The graph as `compress export --int8` writes it; `core` is not changed."""
    prepared = copy.deepcopy(core)
    apply_rewrites(prepared, BEFORE_INT8)
    watched = activations(prepared)
    found = observe(prepared, watched, [inputs], threads, histograms=False)
    ranges = {**find_ranges(found, _METHOD), **input_range(prepared, spec)}
    return quantize(prepared, ranges, safe_weights(prepared))
