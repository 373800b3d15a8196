"""Searches small enough for a test: numbers by hand, and one that trains for real in seconds."""

from pathlib import Path
from typing import Any

import yaml

import tiny
from compress.errors import TrainingError
from compress.progress import Progress
from compress.search.race import Field
from compress.search.record import Record, Standing
from compress_bench.metrics import Goal

EPOCHS = 6
RECIPE: dict[str, Any] = {
    "run": {"seed": 3, "threads": 1},
    "train": {"model": "resnet8", "model_args": {"width": 0.25}, "epochs": 3, "batch_size": 16},
    "distill": {"student": "lenet5", "epochs": 3, "batch_size": 16, "with_baseline": True},
    "export": {"int8": True, "calibration_images": 24, "latency": False, "repair": "none"},
    "bench": {"profile": "quick", "processes": 1, "instructions": "off", "layers": False},
    "search": {"students": ["ds_cnn"], "widths": [0.25, 0.5]},
    "goals": {"student_int8": {"size": {"max": "200 kB"}, "accuracy": {"min": "1 %"}}},
}


def write_recipe(folder: Path, **sections: object) -> Path:
    """A recipe on tiny images; sections take the place of the usual ones."""
    npz = tiny.write_npz(folder / "tiny.npz", train=48)
    content = {**RECIPE, **sections}
    content["run"] = {**RECIPE["run"], "data": str(npz)}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


class StopAt(Progress):
    """Ends the command, as Ctrl-C does, once it says a certain thing."""

    def __init__(self, words: str) -> None:
        super().__init__(quiet=True)
        self.words = words

    def say(self, sentence: str) -> None:
        if self.words in sentence:
            raise KeyboardInterrupt


def candidate(name: str, size: float, *, student: str = "", latency: float | None = None) -> dict:
    """A candidate as screening leaves it."""
    interval = None if latency is None else {"value": latency, "low": latency, "high": latency}
    return {
        "name": name,
        "student": student or name,
        "model_args": {},
        "for_edge": False,
        "parameters": int(size),
        "screening": {"int8": {"size_bytes": size, "latency": interval}},
        "screened": "pass",
        "state": "not trained",
        "reason": "",
        "goals": [],
        "met": None,
        "deployed": None,
        "recipe": "",
    }


def accuracy_goal(limit: float) -> Goal:
    return Goal(
        variant="student_int8",
        metric="accuracy",
        detail="",
        bound="min",
        limit=limit,
        written=f"{100 * limit:g} %",
    )


def make_field(folder: Path, candidates, *, goals=(), steps=(1, 2, EPOCHS), images=1000) -> Field:
    """A race of all candidates."""
    record = Record(folder=folder)
    record.met_teacher({"value": 0.9, "low": 0.88, "high": 0.92, "n": images})
    return Field(
        candidates={one["name"]: one for one in candidates},
        names=tuple(one["name"] for one in candidates),
        steps=steps,
        goals=goals,
        record=record,
    )


def runner(race: Field, ends: dict[str, float], *, diverging=(), trained=None):
    """Trains by a known curve: accuracy at the end, less 0.1 for each epoch that is missing."""

    def train(name: str, until: int) -> None:
        standing = race.record.of(name)
        if standing.failure:
            return
        for epoch in range(len(standing.accuracies) + 1, until + 1):
            if name in diverging and epoch > 1:
                reason = str(TrainingError("expected finite weights, found NaN"))
                race.record.put(name, Standing(accuracies=standing.accuracies, failure=reason))
                return
            found = round(ends[name] - 0.1 * (race.steps[-1] - epoch), 3)
            standing = Standing(accuracies=(*standing.accuracies, found))
            race.record.put(name, standing)
            if trained is not None:
                trained.append((name, epoch))

    return train
