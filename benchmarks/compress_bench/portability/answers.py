"""What a device answers to the questions, kept as it comes, up to the death of its process."""

import base64
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.errors import BenchError
from compress_bench.graph.layers import read_layers
from compress_bench.graph.profiled import ProfiledNode
from compress_bench.jobs.listening import Event, first_sentence
from compress_bench.machine import describe_machine
from compress_bench.portability.questions import Questions, job
from compress_bench.targets import Stream

Rows = NDArray[np.float32]


@dataclass(kw_only=True)
class FileAnswers:
    """What one device said of one file.

    Attributes:
        rows: logits or scores [B, classes], or scores of labels [B], of images in order.
        labels: int [B] each, where the file gives labels.
        outputs: by name, of each seeded feed.
        nodes: operators of the graph that ran; None where it was not profiled.
        counted: the event of its instructions; None where they were not asked for.
        failed: why a question has no answer, by kind of job.
        died: the sentence about its process's end; empty where it lived.
    """

    rows: list[Rows] = field(default_factory=list)
    labels: list[NDArray[np.int64]] = field(default_factory=list)
    outputs: dict[str, list[Rows]] = field(default_factory=dict)
    nodes: tuple[ProfiledNode, ...] | None = None
    counted: Event | None = None
    failed: dict[str, str] = field(default_factory=dict)
    died: str = ""

    def take(self, event: Event) -> None:
        """Keep one event of the runner's."""
        kind = event["event"]
        if kind in ("logits", "labels"):
            values = _decode(event["float32"])
            self.rows.append(values.reshape(event["shape"]) if kind == "logits" else values)
        if kind == "labels":
            self.labels.append(np.asarray(event["labels"], dtype=np.int64))
        elif kind == "outputs":
            for value in event["outputs"]:
                found = _decode(value["float32"]).reshape(value["shape"])
                self.outputs.setdefault(value["name"], []).append(found)
        elif kind == "layers":
            self.nodes = read_layers(event).nodes
        elif kind == "counts":
            self.counted = event


@dataclass(kw_only=True)
class DeviceAnswers:
    """What one device said of everything.

    Attributes:
        machine: the runner's hello and machine events; empty where it never spoke.
        files: by variant; those alone that were begun.
        died: why nothing at all could be asked; empty where something was.
    """

    machine: dict[str, Any] = field(default_factory=dict)
    files: dict[str, FileAnswers] = field(default_factory=dict)
    died: str = ""

    @property
    def described(self) -> dict[str, Any] | None:
        """The machine as reports hold it; None where it was not told."""
        return describe_machine(self.machine) if "cpuinfo" in self.machine else None


def hear(
    stream: Stream,
    questions: Questions,
    *,
    hurry: bool,
    exact: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> DeviceAnswers:
    """Ask a device everything; a file that kills the process costs its own answers alone.

    Args:
        stream: puts jobs to the runner there.
        questions: what is asked.
        hurry: whether the device is emulated.
        exact: whether sums of int8 must not overflow there, whatever it is.
        stopped: asked after every event; True ends it.
    """
    answers = DeviceAnswers()
    left = list(questions.variants)
    while left and not stopped():
        asking = job(questions, left, hurry=hurry, exact=exact)
        busy = ""
        try:
            with closing(stream(asking)) as events:
                for event in events:
                    busy = _part(asking, event) or busy
                    _take(answers, asking, event)
                    if stopped():
                        return answers
            return answers
        except BenchError as error:
            if not busy:  # not even its machine could be looked at
                answers.died = str(error)
                return answers
            answers.files.setdefault(busy, FileAnswers()).died = str(error)
            names = [variant.name for variant in left]
            left = left[names.index(busy) + 1 :]
    return answers


def _part(asking: dict[str, Any], event: Event) -> str:
    """The file that a part which begins is about; empty for another event."""
    if event["event"] != "part":
        return ""
    models = asking["jobs"][event["part"]]["models"]
    return str(models[0]["variant"]) if models else ""


def _take(answers: DeviceAnswers, asking: dict[str, Any], event: Event) -> None:
    if event["event"] in ("hello", "machine"):
        answers.machine |= event
    elif event["event"] == "failed":
        part = asking["jobs"][event["part"]]
        for model in part["models"]:
            found = answers.files.setdefault(model["variant"], FileAnswers())
            found.failed[part["kind"]] = first_sentence(event)
    elif "variant" in event:
        answers.files.setdefault(event["variant"], FileAnswers()).take(event)


def _decode(text: str) -> Rows:
    return np.frombuffer(base64.b64decode(text), dtype="<f4")
