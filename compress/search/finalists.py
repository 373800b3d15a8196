"""Candidates that were trained to the end: their files, and the verdict of bench on validation."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from compress.distill.recipe import distill
from compress.distill.wish import Wish
from compress.progress import SILENT, Progress
from compress.recipes import Recipe, section_of, settings_from
from compress.search.deployed import precision_of
from compress.search.families import TEACHER
from compress.search.folder import digests
from compress.search.goals import INT8, STUDENT, form_of, of_candidate, role, variant_of
from compress.search.record import Record
from compress.settings import Bench, Export, Network, Run
from compress.stage import plain
from compress_bench.metrics import Goal
from compress_bench.recipe import bench
from compress_bench.verdict.goals import write_goals
from compress_bench.verdict.judging import overall
from compress_export.recipe import export

_OF_DATA = ("data", "split_seed", "val_fraction", "test_fraction", "max_bad", "resize")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What happens to a candidate that is trained to the end.

    Attributes:
        recipe: the user's, whose sections export and bench say how.
        source: its name, for errors.
        goals: of the student's files.
        record: where everything lies.
        progress: says what is done.
    """

    recipe: Recipe
    source: str
    goals: Sequence[Goal]
    record: Record
    progress: Progress

    def settings(self, command: str, kind: type[Any]) -> Any:
        """A command's settings."""
        return settings_from(section_of(self.recipe, command), kind, self.source)

    def finish(self, name: str, wish: Wish) -> None:
        """The checkpoint and the bundle of a candidate; what is there is not made again."""
        self.progress.say(f"search: checkpoint and files of {name}")
        distill(wish, SILENT)  # its epochs are done, and what it would say was said of the teacher
        run: Run = self.settings("export", Run)
        export(
            str(self.record.student(name)),
            settings=self.settings("export", Export),
            network=self.settings("export", Network),
            run=replace(run, out=self.record.bundle(name), force=False),
            progress=self.progress,
        )

    def judge(self, names: Sequence[str]) -> Mapping[str, Any]:
        """Every finalist's file against the goals, side by side on the validation images.

        Verdicts that are there of the same files, measured alike, are taken again: measured anew,
        times differ, and a search that goes on after a kill would end otherwise.

        Returns:
            By finalist: `deployed`, `goals` and `met`, as a search's JSON has them; and under
            `teacher` what was measured of it.
        """
        key = self.key(names)
        found = self.record.verdicts(key)
        if found is None:
            found = self._judged(names)
            if time_alone_is_open(found, self.goals):
                self.progress.say("search: times were not decided; they are measured once more")
                found = self._judged(names)
            self.record.judge(key, found)
        return found

    def _judged(self, names: Sequence[str]) -> dict[str, Any]:
        asked: Run = self.settings("bench", Run)
        run = replace(asked, out=None, **self._images())
        limits = [of_candidate(goal, name) for name in names for goal in self.goals]
        with tempfile.TemporaryDirectory(prefix="compress-search-") as scratch:
            report = bench(
                self._files(names, Path(scratch)),
                settings=self._measuring(),
                run=run,
                goals=write_goals(limits),
                split="validation",
                progress=self.progress,
            )
        found = {name: verdict_of(report, self.goals, name) for name in names}
        return found | {TEACHER: _measured(report["variants"].get(TEACHER))}

    def key(self, names: Sequence[str]) -> dict[str, Any]:
        """What verdicts depend on: the goals, the files, how is measured, and the images."""
        run: Run = self.settings("bench", Run)
        return {
            "goals": write_goals(self.goals),
            "files": {name: digests(self.record.bundle(name)) for name in names},
            "bench": plain(asdict(self._measuring())),
            "threads": run.threads,
            "images": plain(self._images()),
        }

    def _images(self) -> dict[str, Any]:
        """Which images there are and how they are split: as distill says it."""
        images: Run = self.settings("distill", Run)
        return {key: getattr(images, key) for key in _OF_DATA}

    def _measuring(self) -> Bench:
        """The recipe's way to measure, without what choosing does not need."""
        asked: Bench = self.settings("bench", Bench)
        return replace(asked, goals=None, reference=None, baseline=None, sweep=False, layers=False)

    def _files(self, names: Sequence[str], folder: Path) -> list[Path]:
        """The teacher's file, the reference, and each finalist's that goals are about.

        Copies, whose names say whose they are.
        """
        wanted = concerned(self.goals)
        teacher = self.record.bundle(names[0]) / "teacher.onnx"
        files = [shutil.copyfile(teacher, folder / teacher.name)] if teacher.is_file() else []
        for name in names:
            for kind, ending in ((STUDENT, ".onnx"), (INT8, ".int8.onnx")):
                if kind in wanted:
                    original = self.record.bundle(name) / f"student{ending}"
                    files.append(shutil.copyfile(original, folder / f"{name}{ending}"))
        return files


def time_alone_is_open(found: Mapping[str, Any], goals: Sequence[Goal]) -> bool:
    """Whether a finalist meets all goals but for times that the machine did not tell apart.

    More training would not help it, and a quieter minute may.
    """
    timed = {goal.name for goal in goals if form_of(goal).timed}
    finalists = [verdict for name, verdict in found.items() if name != TEACHER]
    if any(verdict["met"] == "pass" for verdict in finalists):
        return False
    return any(
        verdict["met"] == "inconclusive"
        and {e["metric"] for e in verdict["goals"] if e["status"] != "pass"} <= timed
        for verdict in finalists
    )


def of_students(goals: Sequence[Goal]) -> list[Goal]:
    """The goals that a candidate can meet or miss, each with what it is compared with."""
    said = [
        replace(goal, vs=goal.vs or TEACHER) if goal.bound in form_of(goal).compares else goal
        for goal in goals
    ]
    return [goal for goal in said if role(goal.variant) in (STUDENT, INT8)]


def concerned(goals: Sequence[Goal]) -> set[str]:
    """Which of a candidate's files the goals are about."""
    return {role(name) for goal in goals for name in (goal.variant, goal.vs)} & {STUDENT, INT8}


def verdict_of(report: Mapping[str, Any], goals: Sequence[Goal], name: str) -> dict[str, Any]:
    """A finalist's part of the verdict, with its files called as the user's goals call them."""
    own = {of_candidate(goal, name): goal for goal in goals}
    named = {(g.variant, g.name, g.bound, g.limit, g.vs): goal for g, goal in own.items()}
    judged = [
        {**entry, "variant": found.variant, "vs": found.vs or None}
        for entry in report["verdict"]["goals"]
        if (found := named.get(_key(entry))) is not None
    ]
    return {
        "deployed": _measured(report["variants"][variant_of(name, precision_of(goals))]),
        "goals": judged,
        "met": overall([entry["status"] for entry in judged]) if judged else "pass",
    }


def _key(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    fields = ("variant", "metric", "bound", "limit")
    return (*(entry[field] for field in fields), entry["vs"] or "")


def _measured(variant: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if variant is None:
        return None
    latency = variant["latency"]["p50"] if variant["latency"] else None
    return {
        "accuracy": _bounds(variant["accuracy"], "n"),
        "latency": _bounds(latency),
        "size_bytes": variant["size_bytes"],
    }


def _bounds(found: Mapping[str, Any] | None, *more: str) -> dict[str, Any] | None:
    return {key: found[key] for key in ("value", "low", "high", *more)} if found else None
