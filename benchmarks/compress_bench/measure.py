"""Jobs for the runner, and its events turned into evidence."""

import base64
import random
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import compress.preprocess
from compress.errors import BenchError
from compress_bench.answers import Answers, join, read_rows
from compress_bench.bundle import input_shape
from compress_bench.evidence import COPY, FreshProcess, LatencyProcess, TestImages, Variant
from compress_bench.profiles import Profile

Event = dict[str, Any]
# A job in, its events out. Whoever listens closes it, so that Ctrl-C ends the runner at once.
Target = Callable[[Mapping[str, Any]], Generator[Event, None, None]]
Advance = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Bed:
    """Where and how everything of one bench is measured.

    Attributes:
        target: starts the runner.
        threads: CPU threads of one inference.
        batch_size: images an inference.
        seed: of inputs and of the order within rounds.
        profile: how much is measured.
    """

    target: Target
    threads: int
    batch_size: int
    seed: int
    profile: Profile


def inspect(target: Target, files: Mapping[str, Path]) -> tuple[Event, dict[str, Event]]:
    """The machine's raw facts, and each file's inputs, outputs and metadata, by variant.

    Raises:
        BenchError: onnxruntime cannot open a file.
    """
    models = [{"variant": name, "path": str(path.resolve())} for name, path in files.items()]
    job = {"kind": "inspect", "threads": 1, "models": models}
    machine: Event = {}
    described = {}
    with closing(target(job)) as events:
        for event in events:
            if event["event"] in ("hello", "machine"):
                machine |= event
            elif event["event"] == "model":
                described[event["variant"]] = event
    return machine, described


def _job(kind: str, bed: Bed, models: Iterable[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "threads": bed.threads,
        "batch_size": bed.batch_size,
        "seed": seed,
        "rounds": bed.profile.rounds,
        "block_seconds": bed.profile.block_seconds,
        "block_inferences": bed.profile.block_inferences,
        "warm_up_seconds": bed.profile.warm_up_seconds,
        "models": list(models),
    }


def _model(variant: Variant, name: str | None = None) -> dict[str, Any]:
    spec = variant.preprocessing
    return {
        "variant": name or variant.name,
        "path": str(variant.path.resolve()),
        "session": dict(variant.session),
        "shape": None if spec is None else input_shape(spec, last=variant.channels_last),
        "preprocessing": None if spec is None else spec.to_dict(),
    }


# ------------------------------------------------------------------------------------- latency


def measure_latency(
    bed: Bed, variants: Sequence[Variant], reference: str, advance: Advance
) -> tuple[tuple[LatencyProcess, ...], tuple[str, ...]]:
    """All variants and a copy of the reference, interleaved in fresh processes.

    Returns:
        One entry per process, and notes on session settings that were skipped.

    Raises:
        BenchError: the runner failed; names the variant.
    """
    models = [_model(variant) for variant in variants]
    models += [_model(variant, COPY) for variant in variants if variant.name == reference]
    processes: list[LatencyProcess] = []
    notes: dict[str, None] = {}
    for index in range(bed.profile.processes):
        heard = []
        with closing(bed.target(_job("latency", bed, models, bed.seed + index))) as events:
            for event in events:
                heard.append(event)
                if event["event"] == "round":
                    advance(1)
        processes.append(_latency_process(heard))
        notes |= dict.fromkeys(_skipped(heard))
    return tuple(processes), tuple(notes)


def _skipped(events: Iterable[Event]) -> list[str]:
    return [
        f"{event['variant']}: this onnxruntime does not know the session setting {key}; skipped"
        for event in events
        if event["event"] == "session"
        for key in event["skipped"]
    ]


def _latency_process(events: Sequence[Event]) -> LatencyProcess:
    blocks = [block for event in events if event["event"] == "round" for block in event["blocks"]]
    wall = sum(block["wall_ns"] for block in blocks)
    cpu = sum(block["cpu_ns"] for block in blocks)
    (system,) = (event for event in events if event["event"] == "system")
    before, after = system["before"], system["after"]
    return LatencyProcess(
        rounds=tuple(_round(event) for event in events if event["event"] == "round"),
        wall_over_cpu=wall / max(cpu, 1),
        switches_per_second=sum(block["switches"] for block in blocks) / (wall * 1e-9),
        others=_rate(before, after, "busy_cpu_seconds") - _rate(before, after, "own_cpu_seconds"),
        stolen=_rate(before, after, "stolen_cpu_seconds"),
        load=after["load"],
        throttled=after["throttle_count"] > before["throttle_count"]
        or bool(before["firmware_throttled"] or after["firmware_throttled"]),
        unsteady=tuple(e["variant"] for e in events if e["event"] == "warm_up" and not e["steady"]),
    )


def _round(event: Event) -> dict[str, NDArray[np.float64]]:
    return {
        block["variant"]: np.asarray(block["samples_ns"], dtype=np.float64) * 1e-9
        for block in event["blocks"]
    }


def _rate(before: Event, after: Event, counter: str) -> float:
    """How fast a counter grew, per second; 0 where the system has none."""
    if before[counter] is None:
        return 0.0
    elapsed = after["seconds"] - before["seconds"]
    return float((after[counter] - before[counter]) / elapsed)


# -------------------------------------------------------------------------- memory, cold start


def measure_fresh(
    bed: Bed, variants: Sequence[Variant], advance: Advance
) -> dict[str, tuple[FreshProcess, ...]]:
    """Each variant alone in fresh processes, in an order shuffled anew each time.

    Raises:
        BenchError: the runner failed, or a variant's output is not finite.
    """
    order = random.Random(bed.seed)  # noqa: S311
    found: dict[str, list[FreshProcess]] = {variant.name: [] for variant in variants}
    for _ in range(bed.profile.fresh):
        for variant in order.sample(list(variants), len(variants)):
            job = _job("memory", bed, [_model(variant)], bed.seed)
            with closing(bed.target(job)) as events:
                heard = {event["event"]: event for event in events}
            found[variant.name].append(_fresh_process(variant, heard))
            advance(1)
    return {name: tuple(processes) for name, processes in found.items()}


def _fresh_process(variant: Variant, events: Mapping[str, Event]) -> FreshProcess:
    hello, memory = events["hello"], events["memory"]
    if not memory["finite"]:
        raise _not_finite(variant, "random pixels")
    return FreshProcess(
        baseline_bytes=memory["baseline_bytes"],
        peak_bytes=memory["peak_bytes"],
        model_bytes=memory["model_bytes"],
        import_seconds=hello["import_numpy_seconds"] + hello["import_onnxruntime_seconds"],
        session_seconds=events["session"]["seconds"],
        first_seconds=memory["first_seconds"],
        second_seconds=memory["second_seconds"],
    )


def _not_finite(variant: Variant, given: str) -> BenchError:
    return BenchError(
        f"{variant.name}: expected finite outputs, found NaN or infinity for {given}; "
        f"{variant.path.name} is broken, export it again"
    )


# --------------------------------------------------------------------------------- predictions


def predict(
    bed: Bed, variants: Sequence[Variant], images: TestImages, advance: Advance
) -> dict[str, Answers]:
    """What every variant says of every test image, on the target.

    Raises:
        BenchError: the runner failed, the outputs are not finite or not one per class.
    """
    job = _job("predict", bed, [_model(variant) for variant in variants], bed.seed) | {
        "evaluation": str(images.path.resolve()),
        "preprocess": str(Path(compress.preprocess.__file__)),
    }
    named = {variant.name: variant for variant in variants}
    parts: dict[str, list[Answers]] = {name: [] for name in named}
    with closing(bed.target(job)) as events:
        for event in events:
            if event["event"] in ("logits", "labels"):
                found = _read_answers(event, named[event["variant"]], images)
                parts[event["variant"]].append(found)
                advance(len(found.labels))
    return {name: join(blocks) for name, blocks in parts.items()}


def _read_answers(event: Event, variant: Variant, images: TestImages) -> Answers:
    """One event's answers: rows of logits or scores, or labels with their scores."""
    values = np.frombuffer(base64.b64decode(event["float32"]), dtype="<f4")
    if not np.isfinite(values).all():
        raise _not_finite(variant, "the test images")
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
