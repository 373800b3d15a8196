"""Several seeds of one command: where each lies, and what they say together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifacts import MANIFEST, read_json
from compress.intervals import paired_difference, t_interval
from compress.training.outcome import PREDICTIONS

BASELINE = "baseline"  # folder of the same student trained without a teacher


def run_folder(out: Path, number: int) -> Path:
    """The first seed's checkpoint is the stage's folder itself; the others lie inside it."""
    return out if number == 0 else out / f"seed-{number}"


def summarise_runs(out: Path, number: int, runs: int) -> dict[str, Any]:
    """The manifest's "runs" field, for the first seed, which is trained last.

    The first seed's own metrics stand beside it in the same manifest.
    """
    if number or runs == 1:
        return {}
    others = [read_json(run_folder(out, k) / MANIFEST, kind="checkpoint") for k in range(1, runs)]
    return {
        "runs": [
            {"seed": m["seed"], "folder": f"seed-{k}", "metrics": m["metrics"]}
            for k, m in enumerate(others, start=1)
        ]
    }


def compare_with_baseline(folders: Sequence[Path]) -> dict[str, Any]:
    """How much the teacher gave: distilled minus plain accuracy, paired by image and seed.

    Args:
        folders: the distilled checkpoints, each with its `baseline` inside.

    Returns:
        Per split: the difference with its interval, both means over the seeds, in fractions.
    """
    result: dict[str, Any] = {"seeds": len(folders)}
    for split in ("validation", "test"):
        distilled = np.stack([_right(folder, split) for folder in folders])
        plain = np.stack([_right(folder / BASELINE, split) for folder in folders])
        result[split] = {
            "difference": paired_difference(distilled, plain).to_dict(),
            "distilled": _mean_over_seeds(distilled),
            "baseline": _mean_over_seeds(plain),
            "images": distilled.shape[1],
        }
    return result


def _right(folder: Path, split: str) -> NDArray[np.float64]:
    """1 for each image that a checkpoint's network named right: [N]."""
    with np.load(folder / PREDICTIONS) as kept:
        right = kept[f"{split}_predictions"] == kept[f"{split}_labels"]
    return np.asarray(right, dtype=np.float64)


def _mean_over_seeds(right: NDArray[np.float64]) -> dict[str, Any]:
    """Mean accuracy, and its interval over seeds where there are two or more."""
    by_seed = right.mean(axis=1)
    interval = t_interval(by_seed).to_dict() if len(by_seed) > 1 else None
    return {"accuracy": float(by_seed.mean()), "by_seed": by_seed.tolist(), "interval": interval}


def verdict_sentence(comparison: dict[str, Any]) -> str:
    """Whether distillation helped, on test, in one sentence."""
    difference = comparison["test"]["difference"]
    points = {key: 100 * difference[key] for key in ("value", "low", "high")}
    seeds = comparison["seeds"]
    alone, taught = (100 * comparison["test"][k]["accuracy"] for k in ("baseline", "distilled"))
    of = f"{comparison['test']['images']} test images, {seeds} seed{'s' if seeds > 1 else ''}"
    span = (
        f"{points['value']:+.2f} points ({points['low']:+.2f} to {points['high']:+.2f}), "
        f"{alone:.2f} % alone and {taught:.2f} % taught; {of}"
    )
    if difference["low"] > 0:
        return f"distillation helped: {span}"
    if difference["high"] < 0:
        return f"distillation hurt: {span}"
    return f"distillation did not help beyond its interval: {span}"
