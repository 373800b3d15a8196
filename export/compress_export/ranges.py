"""The range of each activation: what training images show, read by the method that serves best."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from compress.preprocess import Preprocessing
from compress_bench.subjects.evaluation_set import balanced_indices
from compress_export.bundle import STUDENT_INT8
from compress_export.calibration import Observed, Range, Ranges, needs_histogram
from compress_export.calibration._kept import read_observed, write_observed
from compress_export.calibration._observe import observe
from compress_export.choose import IMAGES, Tried, choose_ranges, methods_for
from compress_export.evaluation import View
from compress_export.quantizers.pair_projection import SafeWeight
from compress_export.quantizers.static_qdq import activations, quantize
from compress_export.session import feed
from compress_export.sources import Source
from compress_export.work import Result, Work

KEPT = "calibration.npz"


@dataclass(frozen=True, kw_only=True)
class Found:
    """The ranges of a network's activations.

    Attributes:
        ranges: lowest and highest value of each tensor that is quantised.
        method: that read them.
        tried: the methods compared on validation, the best first; empty if one was asked for.
        images: number of calibration images.
    """

    ranges: Ranges
    method: str
    tried: tuple[Tried, ...]
    images: int


def find_network_ranges(
    work: Work,
    source: Source,
    core: onnx.ModelProto,
    float32: Result,
    weights: Mapping[str, SafeWeight],
    method: str | None = None,
) -> Found:
    """Watch the activations on training images, and choose how ranges are read from them.

    Args:
        work: what is asked for.
        source: the network.
        core: its graph, ready to be quantised.
        float32: its float32 form, which the int8 one is to resemble.
        weights: of `safe_weights(core)`; the same for all methods.
        method: that reads them; those that were asked for, if None.
    """
    chosen = balanced_indices(
        work.dataset.train.labels, work.settings.calibration_images, work.seed
    )
    methods = methods_for(method or work.settings.calibration)
    histograms = any(map(needs_histogram, methods))
    observed = _observe(work, source, core, chosen, histograms=histograms, first=method is None)
    fixed = input_range(core, source.preprocessing)
    view = work.view(work.dataset.validation, source.preprocessing)
    some = balanced_indices(view.split.labels, IMAGES, work.seed)

    def trial(ranges: Ranges) -> NDArray[np.float32]:
        quantized = quantize(core, {**ranges, **fixed}, weights)
        return work.logits(STUDENT_INT8, quantized, view, "int8: comparing ranges", some)

    ranges, tried = choose_ranges(observed, methods, float32.logits[some], trial)
    return Found(
        ranges={**ranges, **fixed},
        method=tried[0].method if tried else methods[0],
        tried=tried,
        images=len(chosen),
    )


def _observe(
    work: Work,
    source: Source,
    core: onnx.ModelProto,
    chosen: NDArray[np.int64],
    *,
    histograms: bool,
    first: bool,
) -> dict[str, Observed]:
    """What the activations did on the calibration images; kept, and found again, in the bundle.

    A graph that a repair has changed is not kept: the next export begins with the plain one again.
    """
    key = _key(work, source, core, chosen)
    path = work.out / KEPT
    kept = read_observed(path, key)
    complete = kept is not None and tuple(kept) == activations(core)
    if kept is not None and complete and not (histograms and _lacks_histograms(kept)):
        work.progress.detail(f"int8: ranges as kept in {path}")
        return kept
    view = work.view(work.dataset.train, source.preprocessing)
    inputs = calibration_inputs(work, view, core, chosen)
    observed = observe(core, activations(core), inputs, work.threads, histograms=histograms)
    if first or kept is not None:
        write_observed(path, key, observed)
    return observed


def _lacks_histograms(observed: Mapping[str, Observed]) -> bool:
    return any(found.histogram is None for found in observed.values())


def _key(work: Work, source: Source, core: onnx.ModelProto, chosen: NDArray[np.int64]) -> str:
    """All that the observation depends on, as a digest."""
    said = {
        "graph": hashlib.sha256(core.SerializeToString(deterministic=True)).hexdigest(),
        "images": work.dataset.fingerprint,
        "chosen": hashlib.sha256(chosen.tobytes()).hexdigest(),
        "size": list(work.size),
        "preprocessing": source.preprocessing.to_dict(),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def calibration_inputs(
    work: Work,
    view: View,
    core: onnx.ModelProto,
    chosen: NDArray[np.int64],
    title: str = "int8: calibrating",
) -> Iterator[NDArray[Any]]:
    """Training images as the graph takes them, batch by batch; whole ones of a fixed batch."""
    session = work.core_session("student", core)
    fixed = session.get_inputs()[0].shape[0]
    with work.progress.task(title, total=len(chosen)) as advance:
        for indices in view.batches(chosen):
            missing = -len(indices) % fixed if isinstance(fixed, int) else 0
            filled = np.concatenate([indices, np.resize(indices, missing)])
            yield feed(session, view.pixels(filled), view.preprocessing)
            advance(len(indices))


def input_range(core: onnx.ModelProto, spec: Preprocessing) -> dict[str, Range]:
    """What black and white become: no image can leave it, and (x - 128) / 64 quantises exactly."""
    only = core.graph.input[0]
    if only.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        return {}
    ends = (np.array([[0.0], [255.0]]) - np.array(spec.mean)) / np.array(spec.scale)  # [2, C]
    return {only.name: (float(ends.min()), float(ends.max()))}
