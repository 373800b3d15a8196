"""Stage 3, top to bottom: open, check the goals, measure, judge, report.

Nothing is written here: the command line writes report.json and its views.
"""

import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.artifacts import header
from compress.errors import UsageError
from compress.progress import SILENT, Progress
from compress.settings import Bench, Run
from compress_bench import bundle, measure, noise
from compress_bench.bare_files import images_from_data, open_files
from compress_bench.differences import compare_roles, disagreements
from compress_bench.evidence import COPY, Evidence
from compress_bench.goals import check_goals, judge_goals, parse_goals, read_goals
from compress_bench.machine import describe_machine, refuse_emulation
from compress_bench.metrics import Goal, load_metric, metric_names
from compress_bench.profiles import choose_profile
from compress_bench.report.files import check_report_folder
from compress_bench.targets import local


def bench(
    subjects: Sequence[Path],
    *,
    settings: Bench,
    run: Run,
    goals: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Measure ONNX files on this machine and judge them.

    Args:
        subjects: a bundle folder, or ONNX files.
        settings: what to measure; its goals file goes before `goals`.
        run: data (for files without a bundle), seed, and threads: one if not given.
        goals: a recipe's goals section.
        progress: where progress is shown.

    Returns:
        The content of report.json.

    Raises:
        UsageError: a flag or a goal that cannot be.
        ArtifactError: a bundle is damaged, or --out holds what is not a report.
        DataError: the images cannot be used.
        BenchError: a model cannot be measured; names it.
    """
    if run.out is not None:
        check_report_folder(run.out)
    limits = _read_goals(settings, goals)
    profile = choose_profile(settings)
    for flag, number in (("batch-size", settings.batch_size), ("threads", run.threads)):
        if number is not None and number < 1:
            raise UsageError(f"--{flag}: expected at least 1, found {number}")
    with tempfile.TemporaryDirectory(prefix="compress-bench-") as scratch:
        found, machine = _open(subjects, settings, run, Path(scratch), limits, progress)
        bed = measure.Bed(
            target=local.stream,
            threads=run.threads or 1,
            batch_size=settings.batch_size,
            seed=run.seed,
            profile=profile,
        )
        evidence, notes = _measure(bed, found, progress)
    room = noise.Room(bed.threads, machine["cores"])
    return header("report") | {
        "command": shlex.join(["compress", *sys.argv[1:]]),
        "verdict": judge_goals(limits, evidence),
        "machine": machine,
        "settings": _settings(settings, bed, found),
        "data": _data(found),
        "resolution": evidence.resolution.to_dict()
        | {"samples_seconds": evidence.raw_samples(COPY)},
        "flags": noise.flags(evidence.latency, room),
        "notes": [*found.notes, *notes, *noise.explain(evidence.latency, room)],
        "variants": {name: _report_variant(evidence, name) for name in evidence.variants},
        "history": dict(found.history),
        "disagreements": disagreements(evidence),
        "comparison": compare_roles(evidence, "student", "baseline"),
        "int8_comparison": compare_roles(evidence, "student", "student_int8"),
    }


def _read_goals(settings: Bench, goals: Mapping[str, Any] | None) -> tuple[Goal, ...]:
    if settings.goals is not None:
        return read_goals(settings.goals)
    return parse_goals(goals or {}, "goals")


def _open(
    subjects: Sequence[Path],
    settings: Bench,
    run: Run,
    scratch: Path,
    limits: Sequence[Goal],
    progress: Progress,
) -> tuple[bundle.Subjects, dict[str, Any]]:
    """Everything that can go wrong before the first measurement goes wrong here."""
    files = bundle.find_files(subjects)
    folder = subjects[0] if bundle.is_bundle(subjects) else None
    if folder is not None:
        bundle.verify_bundle(folder)
    raw, described = measure.inspect(local.stream, files)
    machine = describe_machine(raw)
    refuse_emulation(machine)
    if folder is not None:
        found = bundle.open_bundle(folder, described, settings.reference)
    else:
        found = open_files(files, described, settings.reference)
    has_images = found.images is not None or run.data is not None
    check_goals(limits, list(files), found.reference, has_images=has_images)
    if folder is None and run.data is not None:
        images, notes = images_from_data(run, found.variants, described, scratch, progress)
        for variant in found.variants:
            bundle.check_fit(variant, described[variant.name], images.classes, images.reference)
        found = replace(found, images=images, notes=(*found.notes, *notes))
    elif found.images is not None and run.data not in (None, found.images.reference):
        note = f"accuracy is of the bundle's own test images, not of --data {run.data}"
        found = replace(found, notes=(*found.notes, note))
    return found, machine


def _measure(
    bed: measure.Bed, found: bundle.Subjects, progress: Progress
) -> tuple[Evidence, tuple[str, ...]]:
    """Predictions first: a broken network is found before its time is taken."""
    answers, variants, profile = {}, found.variants, bed.profile
    if found.images is not None:
        total = len(variants) * len(found.images.labels)
        with progress.task("predicting test images", total=total) as advance:
            answers = measure.predict(bed, variants, found.images, advance)
    with progress.task("memory, cold start", total=len(variants) * profile.fresh) as advance:
        fresh = measure.measure_fresh(bed, variants, advance)
    with progress.task("latency", total=profile.processes * profile.rounds) as advance:
        latency, notes = measure.measure_latency(bed, variants, found.reference, advance)
    evidence = Evidence(
        reference=found.reference,
        variants={variant.name: variant for variant in variants},
        batch_size=bed.batch_size,
        latency=latency,
        fresh=fresh,
        images=found.images,
        answers=answers,
    )
    return evidence, notes


def _settings(settings: Bench, bed: measure.Bed, found: bundle.Subjects) -> dict[str, Any]:
    return {
        "threads": bed.threads,
        "batch_size": bed.batch_size,
        "profile": settings.profile,
        "processes": bed.profile.processes,
        "rounds": bed.profile.rounds,
        "reference": found.reference,
        "spinning": False,
        "seed": bed.seed,
    }


def _data(found: bundle.Subjects) -> dict[str, Any]:
    if found.images is None:
        return {"reference": None, "n": 0, "classes": []}
    images = found.images
    return {
        "reference": images.reference,
        "n": len(images.labels),
        "classes": list(images.classes),
    }


def _report_variant(evidence: Evidence, name: str) -> dict[str, Any]:
    variant = evidence.variants[name]
    fields: dict[str, Any] = {
        "role": variant.role,
        "file": variant.path.name,
        "network": variant.network,
        "precision": variant.precision,
        "output": variant.output,
        "sha256": variant.sha256,
        "session": dict(variant.session),
    }
    for metric in metric_names():
        fields |= load_metric(metric).measure(evidence, name)
    return fields
