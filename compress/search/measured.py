"""The files of all candidates in one bench, and what it said."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from compress.artifacts import installed_versions
from compress.errors import CompressError
from compress.progress import Progress
from compress.search.families import TEACHER, Member, Place, layout
from compress.search.goals import form_of, key_of, of_candidate, variant_of
from compress.search.reference import TeacherFile
from compress.settings import Bench, Export, Run
from compress_bench.metrics import Goal
from compress_bench.profiles import is_played
from compress_bench.recipe import bench
from compress_bench.targets import open_place
from compress_bench.verdict.goals import write_goals
from compress_export.untrained import export_untrained

_FRESH = ("fresh", "counts")  # of these quick takes too few processes for an interval
_TAIL = ("p95", "p99")  # and too few inferences for these
# quick takes about half a second a file of a few ms, standard two and a half.
_CAP_SECONDS, _CAP_A_FILE = 60.0, 15.0
_BOUNDS = ("value", "low", "high")

Key = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured.

    Attributes:
        place: the images.
        teacher: the file that all are compared with.
        members: the candidates.
        goals: that need no training.
        precisions: of each candidate: int8, float32, or both.
        settings: of export.
        bench: of bench.
        threads: of one inference.
    """

    place: Place
    teacher: TeacherFile
    members: Sequence[Member]
    goals: Sequence[Goal]
    precisions: Sequence[str]
    settings: Export
    bench: Bench
    threads: int | None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one bench said of files with random weights.

    Attributes:
        teacher: latency and size of its file; empty without one.
        files: by candidate and precision: latency, size, memory, speed-up.
        verdicts: by candidate and `key_of` a goal.
        failed: candidates that have no file, and why.
        asked: what `key_of` says of the goals that were judged.
        smallest_difference: between two files that the machine can tell, a fraction.
        notes: of the bench.
    """

    teacher: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    verdicts: Mapping[str, Mapping[Key, Mapping[str, Any]]]
    failed: Mapping[str, str] = field(default_factory=dict)
    asked: frozenset[Key]
    smallest_difference: float | None
    notes: tuple[str, ...]


# What of export's settings changes a file.
_OF_FILES = ("int8", "input", "output", "min_runtime", "opset", "batch_size")
# What of bench's settings does not change how a file is measured here.
_NOT_MEASURED = ("goals", "reference", "baseline", "max_increase", "sweep", "layers")


def digest(plan: Plan) -> str:
    """All that the measurements depend on, but for the goals."""
    bench_settings, export = asdict(plan.bench), asdict(plan.settings)
    said = {
        "data": plan.place.dataset.fingerprint,
        "run": [plan.place.run.seed, plan.place.run.resize, plan.threads],
        "candidates": {
            m.candidate.name: [m.candidate.flags(), layout(m.built)] for m in plan.members
        },
        "teacher": [plan.teacher.reference, dict(plan.teacher.model_args), plan.teacher.digest],
        "precisions": list(plan.precisions),
        "export": {name: export[name] for name in _OF_FILES},
        "bench": {k: v for k, v in bench_settings.items() if k not in _NOT_MEASURED},
        "versions": installed_versions(),
    }
    text = json.dumps(said, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def measure(plan: Plan, folder: Path, progress: Progress) -> Measured:
    """Export every candidate into `folder` and bench them all, the teacher first.

    Raises:
        CompressError: the teacher cannot be exported, or bench fails.
    """
    with open_place(plan.bench.target, progress):
        pass  # a board that does not answer is told before the files are made
    files, failed = _export(plan, folder, progress)
    known = plan.teacher.has_file
    teacher = [plan.teacher.write(plan.place, folder, plan.settings)] if known else []
    names = list(files)
    goals = [of_candidate(goal, name) for name in names for goal in plan.goals]
    paths = [files[name][precision] for name in names for precision in plan.precisions]
    report = bench(
        [*teacher, *paths],
        settings=_settings(plan, len(paths) + 1),
        run=Run(threads=plan.threads, seed=plan.place.run.seed),
        goals=write_goals(goals),
        progress=progress,
    )
    judged: dict[Key, Any] = {
        (v["variant"], v["metric"], v["bound"]): v for v in report["verdict"]["goals"]
    }
    verdicts: dict[str, dict[Key, Any]] = {
        name: {key_of(goal): judged[_place(of_candidate(goal, name))] for goal in plan.goals}
        for name in names
    }
    return Measured(
        teacher=_file(report["variants"][TEACHER]) if known else {},
        files={name: _both(name, files[name], report, known) for name in names},
        verdicts=verdicts,
        failed=failed,
        asked=frozenset(map(key_of, plan.goals)),
        smallest_difference=report["resolution"]["smallest_difference"],
        notes=tuple(report["notes"]),
    )


def _place(goal: Goal) -> Key:
    return goal.variant, goal.name, goal.bound


def _export(
    plan: Plan, folder: Path, progress: Progress
) -> tuple[dict[str, dict[str, Path]], dict[str, str]]:
    """The files of each candidate; those of a run that was killed are taken as they are."""
    files: dict[str, dict[str, Path]] = {}
    failed: dict[str, str] = {}
    with progress.task("exporting the candidates", total=len(plan.members)) as advance:
        for member in plan.members:
            name = member.candidate.name
            try:
                files[name] = _export_one(plan, member, folder)
            except CompressError as error:
                failed[name] = str(error)
            advance(1)
    if not files:
        raise CompressError(f"search: no candidate can be exported: {next(iter(failed.values()))}")
    return files, failed


def _export_one(plan: Plan, member: Member, folder: Path) -> dict[str, Path]:
    name = member.candidate.name
    paths = {"float32": folder / f"{name}.onnx"}
    if plan.settings.int8:
        paths["int8"] = folder / f"{name}.int8.onnx"
    if not all(path.is_file() for path in paths.values()):
        export_untrained(
            member.built,
            plan.place.dataset.classes,
            folder,
            name,
            settings=plan.settings,
            dataset=plan.place.dataset,
            threads=plan.place.run.threads,
        )
    return paths


def _settings(plan: Plan, files: int) -> Bench:
    """The shortest profile that takes enough samples: quick gives intervals of a few percent."""
    kinds = {form_of(goal).measured for goal in plan.goals}
    slow = bool(kinds & set(_FRESH)) or any(goal.detail in _TAIL for goal in plan.goals)
    asked = plan.bench
    played = is_played(asked)
    counts = asked.instructions if "counts" in kinds or played else "off"
    return replace(
        asked,
        reference=None,
        goals=None,
        baseline=None,
        profile="standard" if slow or played else "quick",
        fps=None,
        sustained=None,
        sweep=False,
        layers=any(goal.metric == "macs" for goal in plan.goals),
        instructions=counts,
        time_cap=asked.time_cap or _CAP_SECONDS + _CAP_A_FILE * files,
    )


def _both(
    name: str, files: Mapping[str, Path], report: Mapping[str, Any], has_teacher: bool
) -> dict[str, Any]:
    """A candidate's files; of one that was not measured the size alone."""
    found: dict[str, Any] = {}
    for precision, path in files.items():
        variant = report["variants"].get(variant_of(name, precision))
        if variant is None:
            size = path.stat().st_size
            found[precision] = {"latency": None, "size_bytes": size, "memory_bytes": None}
            continue
        speedup = _interval(variant.get("speedup")) if has_teacher else None
        found[precision] = _file(variant) | {"speedup": speedup}
    return found


def _file(variant: Mapping[str, Any]) -> dict[str, Any]:
    """Median latency in seconds, size in bytes, memory in bytes, as far as they were measured."""
    latency, memory = variant.get("latency") or {}, variant.get("memory") or {}
    peak = memory.get("model_bytes")
    return {
        "latency": _interval(latency.get("p50")),
        "size_bytes": variant["size_bytes"],
        "memory_bytes": None if peak is None else {"value": peak, "low": None, "high": None},
    }


def _interval(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if not found else {name: found.get(name) for name in _BOUNDS}
