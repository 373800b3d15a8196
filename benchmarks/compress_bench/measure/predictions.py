"""What every variant says of every test image, on the target."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import compress.preprocess
from compress.errors import BenchError
from compress_bench.answers import Answers, join, read_rows
from compress_bench.evidence import TestImages, Variant
from compress_bench.jobs.listening import Event
from compress_bench.measure.bed import Advance, Bed, job, model, not_finite


def predict(
    bed: Bed, variants: Sequence[Variant], images: TestImages, advance: Advance
) -> dict[str, Answers]:
    """What every variant says of every test image, on the target.

    Raises:
        BenchError: the runner failed, the outputs are not finite or not one per class.
    """
    named = {variant.name: variant for variant in variants}
    parts: dict[str, list[Answers]] = {name: [] for name in named}
    for event in bed.listen(predict_job(bed, variants, images.path)):
        if event["event"] in ("logits", "labels"):
            found = read_answers(event, named[event["variant"]], images)
            parts[event["variant"]].append(found)
            advance(len(found.labels))
    return {name: join(blocks) for name, blocks in parts.items()}


def predict_job(bed: Bed, variants: Sequence[Variant], evaluation: Path) -> dict[str, Any]:
    """The job for it, on the images of an .npz."""
    return job("predict", bed, [model(variant) for variant in variants]) | {
        "evaluation": str(evaluation.resolve()),
        "preprocess": str(Path(compress.preprocess.__file__)),
    }


def read_answers(event: Event, variant: Variant, images: TestImages) -> Answers:
    """One event's answers: rows of logits or scores, or labels with their scores."""
    values = np.frombuffer(base64.b64decode(event["float32"]), dtype="<f4")
    if not np.isfinite(values).all():
        raise not_finite(variant, "the test images")
    classes = len(images.classes)
    if event["event"] == "logits":
        rows = values.reshape(event["shape"])
        if rows.shape[1] != classes:
            raise _other_classes(variant, f"{rows.shape[1]} outputs", images)
        return read_rows(rows, variant.output)
    labels = np.asarray(event["labels"], dtype=np.int64)
    if labels.min() < 0 or labels.max() >= classes:
        raise _other_classes(variant, f"labels from {labels.min()} to {labels.max()}", images)
    return Answers(labels, values.astype(np.float64))


def _other_classes(variant: Variant, found: str, images: TestImages) -> BenchError:
    return BenchError(
        f"{variant.name}: expected {len(images.classes)} classes as in {images.reference}, "
        f"found {found}; bench it with the data that it was trained on"
    )
