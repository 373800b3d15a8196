"""Stage 3, top to bottom: open, check the goals, measure, judge, report.

Nothing is written here but the sweep's findings into the bundle: the command line writes
report.json and its views.
"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.errors import ArtifactError
from compress.progress import SILENT, Progress
from compress.settings import Bench, Run
from compress_bench.content import recipe_content, report_content
from compress_bench.emulation.described import played
from compress_bench.evidence import Evidence, SplitName
from compress_bench.measure import valgrind
from compress_bench.measure.bed import Bed, Clock
from compress_bench.measure.emulated import measure_emulated
from compress_bench.measure.everything import measure_everything
from compress_bench.measure.neighbours import hold_machine
from compress_bench.measure.sweep import (
    measure_sweep,
    processes_each,
    seconds_needed,
    settings_to_try,
)
from compress_bench.metrics import Goal
from compress_bench.profiles import choose_profile
from compress_bench.regression.gate import check_apart, check_baseline, gate, read_baseline
from compress_bench.report.files import check_report_folder
from compress_bench.runtimes import runtime_files
from compress_bench.subjects.bundle import is_bundle
from compress_bench.subjects.opening import open_subjects
from compress_bench.sweep import conclude, keep_settings, sweep_dict
from compress_bench.targets import open_place
from compress_bench.verdict.goals import parse_goals, read_goals
from compress_bench.verdict.judging import judge_goals


def bench(
    subjects: Sequence[Path],
    *,
    settings: Bench,
    run: Run,
    goals: Mapping[str, Any] | None = None,
    split: SplitName = "test",
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Measure ONNX files, here or on a board, and judge them.

    Args:
        subjects: a bundle folder, or ONNX files.
        settings: what to measure; its goals file goes before `goals`.
        run: data (for files without a bundle), seed, and threads: one if not given.
        goals: a recipe's goals section.
        split: which images of `run.data` files without a bundle answer; a search chooses by
            validation.
        progress: where progress is shown.

    Returns:
        The content of report.json.

    Raises:
        UsageError: a flag or a goal that cannot be.
        ArtifactError: a bundle is damaged, or --out holds what is not a report.
        DataError: the images cannot be used.
        BenchError: a model cannot be measured; names it.
    """
    _check(settings, run)
    limits = _read_goals(settings, goals)
    old = None if settings.baseline is None else read_baseline(settings.baseline)
    profile = choose_profile(settings)
    with (
        open_place(settings.target, progress) as place,
        hold_machine(settings.target) as neighbours,
        tempfile.TemporaryDirectory(prefix="compress-bench-") as scratch,
    ):
        found, machine = open_subjects(
            subjects,
            place=place,
            settings=settings,
            run=run,
            limits=limits,
            scratch=Path(scratch),
            split=split,
            progress=progress,
        )
        if old is not None and settings.baseline is not None:
            check_baseline(old, settings.baseline, [v.name for v in found.variants])
        bed = Bed(
            target=place.stream,
            threads=run.threads or 1,
            batch_size=settings.batch_size,
            seed=run.seed,
            profile=profile,
            clock=Clock(profile.time_cap_seconds),
            runtimes=runtime_files(settings.runtime),
        )
        checks: list[dict[str, Any]] = []
        if place.emulates is not None:
            machine = played(machine, place.emulates)
            evidence, notes, checks = measure_emulated(bed, place, found, settings, progress)
        else:
            evidence, notes = measure_everything(bed, found, machine["cores"], settings, progress)
        bundle = subjects[0] if is_bundle(subjects) else None
        sweep, more = _sweep(bed, evidence, machine, settings, bundle, progress)
    evidence = replace(evidence, sweep=sweep or {})  # a remedy may be in it
    verdict = judge_goals(limits, evidence)
    report = report_content(
        settings=settings,
        bed=bed,
        found=replace(found, notes=(*found.notes, *neighbours, *notes, *more)),
        machine=machine,
        evidence=evidence,
        verdict=verdict,
    )
    report |= {"sweep": sweep, "baseline": None, "portability": checks}
    report |= {"recipe": recipe_content(settings, run, bed, limits)}
    if old is None:
        return report
    return gate(report, old, str(settings.baseline), settings.max_increase)


def _check(settings: Bench, run: Run) -> None:
    """Refuse what cannot be, before any device is touched."""
    if settings.baseline is not None:
        check_apart(settings.baseline, run.out)
    if run.out is not None:
        check_report_folder(run.out)
    run.check()
    if settings.instructions == "valgrind":
        valgrind.check_local(settings.target)
        valgrind.check_installed()


def _read_goals(settings: Bench, goals: Mapping[str, Any] | None) -> tuple[Goal, ...]:
    if settings.goals is not None:
        return read_goals(settings.goals)
    return parse_goals(goals or {}, "goals")


def _sweep(
    bed: Bed,
    evidence: Evidence,
    machine: Mapping[str, Any],
    settings: Bench,
    bundle: Path | None,
    progress: Progress,
) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """The report's `sweep` and notes; what it recommends goes into the bundle."""
    if not settings.sweep:
        return None, ()
    spent, cores, variants = bed.clock.spent(), machine["cores"], list(evidence.variants.values())
    tried = sum(len(settings_to_try(variant, cores)) for variant in variants)
    with progress.task("threads and spinning", total=tried * processes_each(bed)) as advance:
        measured, cut, deaths = measure_sweep(bed, variants, cores, settings.fps, advance)
    rows, choices = conclude(measured, cut=cut)
    if cut:
        needed = seconds_needed(bed, evidence, settings.fps, spent)
        note = (
            "the time cap cut the sweep short, so that it recommends nothing; "
            f"give --time-cap {math.ceil(needed / 10) * 10}"
        )
        return sweep_dict(rows, choices), (*deaths, note)
    if bundle is None:
        return sweep_dict(rows, choices), deaths
    try:
        keep_settings(bundle, machine, rows, choices)
    except ArtifactError as error:  # the measurement is worth more than the place to keep it
        return sweep_dict(rows, choices), (*deaths, f"recommended settings were not kept: {error}")
    return sweep_dict(rows, choices), deaths
