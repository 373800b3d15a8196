"""What every type of core is asked about the same files, so that the answers can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import compress.preprocess
from compress.artifacts import write_with
from compress_bench.evidence import TestImages, Variant
from compress_bench.measure.bed import model
from compress_bench.portability.workload import MOST_IMAGES, images_for
from compress_bench.subjects.evaluation_set import balanced_indices

_ROWS = 2  # images between two looks at the clock: an emulated one can take a minute
BUDGET_SECONDS = 20.0  # of one kind of question about one file
_SEEDS = (0, 1, 2, 3)  # of what is fed to files that take no images

ONNXRUNTIME = "onnxruntime"
# onnxruntime then adds int8 in 32 bits on x86 without VNNI too, and elsewhere it changes nothing.
# Source: onnxruntime_session_options_config_keys.h, kOrtSessionOptionsAvx2PrecisionMode.
EXACT = "session.x64quantprecision"


@dataclass(frozen=True, kw_only=True)
class Questions:
    """The same of every core.

    Attributes:
        variants: the files, those alone that onnxruntime runs.
        evaluation: .npz with the images that they answer; None without images.
        seed: of what is fed where images are not.
        budget_seconds: of one kind of question about one file, on an emulated core.
    """

    variants: tuple[Variant, ...]
    evaluation: Path | None
    seed: int = 0
    budget_seconds: float = BUDGET_SECONDS

    def takes_images(self, variant: Variant) -> bool:
        """Whether a file is asked about images, and not about seeded values."""
        return self.evaluation is not None and not variant.no_answers


def prepare(
    variants: Sequence[Variant], images: TestImages | None, folder: Path, seed: int = 0
) -> Questions:
    """Choose the images, as many of each class.

    Args:
        variants: files, of counted work (`count_work`); one thread and no settings but their own
            shapes are used.
        images: to choose from; None: none are there.
        folder: where the chosen ones are written.
        seed: of the choice.
    """
    asked = tuple(
        replace(variant, threads=1, session={})
        for variant in variants
        if variant.runtime == ONNXRUNTIME
    )
    if images is None:
        return Questions(variants=asked, evaluation=None, seed=seed)
    chosen = balanced_indices(images.labels, MOST_IMAGES, seed)
    pixels, labels = images.images[chosen], images.labels[chosen]
    path = folder / "portability.npz"
    write_with(path, lambda temporary: np.savez(temporary, images=pixels, labels=labels))
    return Questions(variants=asked, evaluation=path, seed=seed)


def job(
    questions: Questions, variants: Sequence[Variant], *, hurry: bool, exact: bool = False
) -> dict[str, Any]:
    """One job of the runner that asks everything about these files.

    Args:
        questions: what is asked.
        variants: those that are still to be asked about.
        hurry: whether the device is emulated: no question takes long, and work is counted.
        exact: whether sums of int8 must not overflow, wherever it runs.
    """
    parts: list[dict[str, Any]] = [{"kind": "inspect", "models": []}]
    for variant in variants:
        parts += _parts(questions, variant, hurry=hurry)
    return {
        "kind": "several",
        "threads": 1,
        "batch_size": 1,
        "seed": questions.seed,
        "runtimes": {},
        "session": {EXACT: "1"} if exact else {},
        "models": [model(variant) for variant in variants],
        "jobs": parts,
    }


def _parts(questions: Questions, variant: Variant, *, hurry: bool) -> list[dict[str, Any]]:
    """What is asked about one file; each part names it alone."""
    asked: dict[str, Any] = {"models": [model(variant)]}
    limit: Mapping[str, Any] = {"budget_seconds": questions.budget_seconds} if hurry else {}
    if questions.takes_images(variant):
        answers = {
            "kind": "predict",
            "evaluation": str(questions.evaluation),
            "preprocess": str(Path(compress.preprocess.__file__)),
            "rows": _ROWS,
            "images": images_for(variant),
        }
    else:
        answers = {"kind": "outputs", "seeds": list(_SEEDS)}
    layers = {"kind": "layers", "runs": 1, "warm_up_runs": 0, "optimization": "all"}
    parts = [{**asked, **answers, **limit}]
    parts += [{**asked, **layers, "budget_seconds": questions.budget_seconds}]
    if hurry:
        parts += [{**asked, "kind": "counts", "instructions": "emulator", **limit}]
    return parts
