"""Training with the roundings of the quantised graph, while the teacher says what is right.

The last rung: it takes minutes, and mends what no choice of ranges can. The network that learns is
read from the quantised graph, and what it has learnt goes back into the float core, of which the
same writer makes the file.
"""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx

from compress.errors import TrainingError
from compress.preprocess import preprocess
from compress.training.loop import fit
from compress_bench.subjects.evaluation_set import balanced_indices
from compress_export.qat.agreement import IMAGES, agreement, answers, require_agreement
from compress_export.qat.lessons import make_job, teacher_of, training_settings
from compress_export.qat.network import QuantizedNetwork, missing_operators
from compress_export.qat.write_back import write_back
from compress_export.repair.case import Attempt, Case, Looked

TITLE = "quantisation-aware training with distillation"
BY_ACCURACY = True

FOLDER = "qat"
_TRIED = 8  # images on which the network is held against the graph before it is trained
_ALIKE = 0.9  # share of logits within a step; another meaning of one operator leaves far less


def why_not(case: Case, found: Looked) -> str:
    """An operator that cannot be trained through, or a graph that is read wrongly."""
    missing = missing_operators(found.graph)
    if missing:
        return (
            f"the network computes {', '.join(missing)}, which this tool cannot train through; "
            "without them it could"
        )
    network = QuantizedNetwork(found.attempt, found.graph)
    if next(network.learnt(), None) is None:
        return "no layer has a constant weight that could learn"
    try:
        share = _agreement(case, found, network, _TRIED)
    except (RuntimeError, IndexError, TypeError) as error:  # torch's, of shapes it cannot take
        fault = " ".join(str(error).split())[:200]
        return f"its graph cannot be trained with several images at once ({fault})"
    if share < _ALIKE:
        return (
            f"read from its graph it answers otherwise than onnxruntime ({100 * share:.0f} % of "
            "the logits within one step), so that it would learn the wrong thing"
        )
    return ""


def repair(case: Case, found: Looked) -> tuple[Attempt, str]:
    """Train the weights, write them back, and prove that the file answers as what was trained.

    Raises:
        TrainingError: it diverges, or the integer file answers otherwise than what was trained.
    """
    folder = _state_folder(case, found.graph)
    try:
        attempt, said = _train(case, found, folder)
    except TrainingError as error:
        shutil.rmtree(folder.parent, ignore_errors=True)
        raise TrainingError(str(error).replace(" --lr ", " --qat-lr ")) from error
    shutil.rmtree(folder.parent, ignore_errors=True)
    return attempt, said


def _train(case: Case, found: Looked, folder: Path) -> tuple[Attempt, str]:
    """Train, write back, and hold the file against what was trained."""
    network = QuantizedNetwork(found.attempt, found.graph)
    history = fit(make_job(case, network, folder), case.work.progress)
    attempt = write_back(network, found.attempt)
    share = _agreement(case, case.look(attempt), network, IMAGES)
    require_agreement(share)
    return attempt, _said(case, len(history), share)


def _agreement(case: Case, found: Looked, network: QuantizedNetwork, count: int) -> float:
    """Share of logits on validation images that are within one step of the integer file's."""
    chosen = balanced_indices(case.work.dataset.validation.labels, count, case.work.seed)
    view = case.view()
    parts = [
        answers(network, preprocess(view.pixels(part), case.source.preprocessing))
        for part in view.batches(chosen)
    ]
    return agreement(found.logits[chosen], np.concatenate(parts), found.graph)


def _state_folder(case: Case, graph: onnx.ModelProto) -> Path:
    """Where a killed training is gone on with: only by the same training of the same graph."""
    how = {
        "training": asdict(training_settings(case)),
        "kd_weight": case.work.settings.qat_kd_weight,
        "teacher": teacher_of(case).sha256,
    }
    begun = graph.SerializeToString(deterministic=True) + json.dumps(how).encode()
    name = hashlib.sha256(begun).hexdigest()[:12]
    parent = case.work.out / FOLDER
    for other in parent.glob("*"):
        if other.name != name:
            shutil.rmtree(other, ignore_errors=True)
    return parent / name


def _said(case: Case, epochs: int, share: float) -> str:
    settings, weight = training_settings(case), case.work.settings.qat_kd_weight
    who = "the float32 student itself" if case.teacher is None else case.teacher.name
    taught = f"{100 * weight:.0f} % by {who}" if weight else "by labels alone"
    return (
        f"{epochs} epoch{'s' if epochs > 1 else ''} from learning rate {settings.lr:g}, "
        f"taught {taught}; the integer file is within one step of what was trained "
        f"for {100 * share:.2f} % of logits"
    )
