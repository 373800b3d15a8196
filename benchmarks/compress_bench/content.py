"""The content of report.json, from the evidence and the verdict."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from compress.artifacts import header
from compress.settings import Bench, Run
from compress_bench import noise
from compress_bench.differences import compare_roles, disagreements
from compress_bench.evidence import COPY, Evidence, TestImages
from compress_bench.measure.bed import Bed
from compress_bench.metrics import Goal, load_metric, metric_names
from compress_bench.profiles import is_played
from compress_bench.subjects.bundle import Subjects
from compress_bench.subjects.sessions import spins
from compress_bench.verdict.goals import write_goals


def report_content(
    *,
    settings: Bench,
    bed: Bed,
    found: Subjects,
    machine: Mapping[str, Any],
    evidence: Evidence,
    verdict: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything that the views show, as JSON holds it: seconds, bytes, fractions.

    Args:
        settings: what was asked for.
        bed: how it was measured.
        found: what was measured, with the notes so far.
        machine: from `describe_machine`.
        evidence: the measurements.
        verdict: from `judge_goals`.
    """
    return header("report") | {
        "command": shlex.join(["compress", *sys.argv[1:]]),
        "verdict": dict(verdict),
        "machine": dict(machine),
        "settings": _settings(settings, bed, found, evidence),
        "data": _data(evidence.images),
        "resolution": evidence.resolution.to_dict()
        | {"samples_seconds": evidence.raw_samples(COPY)},
        "flags": noise.flags(evidence),
        "environment": _environment(evidence),
        "notes": [*found.notes, *noise.explain(evidence, machine["governor"])],
        "variants": {name: _variant(evidence, name) for name in evidence.variants},
        "history": dict(found.history),
        "repair": None if found.repair is None else dict(found.repair),
        "disagreements": disagreements(evidence),
        "comparison": compare_roles(evidence, "student", "baseline"),
        "int8_comparison": compare_roles(evidence, "student", "student_int8"),
    }


def recipe_content(settings: Bench, run: Run, bed: Bed, goals: Sequence[Goal]) -> dict[str, Any]:
    """Every setting with the value that it had: `recipe`, from which a bench can be repeated.

    Args:
        settings: bench's own flags.
        run: flags that all stages share.
        bed: has what the profile decides where a flag was not given.
        goals: from a file or a recipe.
    """
    own = asdict(settings)
    if not is_played(settings):
        own |= {
            "processes": bed.profile.processes,
            "sustained": bed.profile.sustained_seconds,
            "time_cap": bed.profile.time_cap_seconds,
        }
    run_section = asdict(run) | {"threads": bed.threads}
    sections = {"bench": own, "run": run_section, "goals": write_goals(goals)}
    return dict(json.loads(json.dumps(sections, default=str)))  # paths and tuples as JSON has them


def _settings(settings: Bench, bed: Bed, found: Subjects, evidence: Evidence) -> dict[str, Any]:
    return {
        "mode": _mode(evidence),
        "threads": _common([variant.threads for variant in evidence.variants.values()]),
        "batch_size": bed.batch_size,
        "profile": None if is_played(settings) else settings.profile,
        "processes": None if evidence.untimed else bed.profile.processes,
        "rounds": None if evidence.untimed else bed.profile.rounds,
        "reference": found.reference,
        "spinning": _common([spins(variant.session) for variant in evidence.variants.values()]),
        "runtimes": list(settings.runtime),
        "fps": settings.fps,
        "sustained_seconds": None if evidence.untimed else bed.profile.sustained_seconds,
        "time_cap_seconds": settings.time_cap
        if is_played(settings)
        else bed.profile.time_cap_seconds,
        "seed": bed.seed,
    }


def _mode(evidence: Evidence) -> str:
    if evidence.untimed:
        return "not timed"
    return "back-to-back and paced" if any(evidence.paced.values()) else "back-to-back"


def _common(values: Sequence[int]) -> int | None:
    """What all files have; None where a sweep found unlike settings best for them."""
    return values[0] if len(set(values)) == 1 else None


def _data(images: TestImages | None) -> dict[str, Any]:
    if images is None:
        return {"reference": None, "n": 0, "classes": []}
    found = {
        "reference": images.reference,
        "n": len(images.labels),
        "classes": list(images.classes),
    }
    return found if images.split == "test" else found | {"split": images.split}


def _environment(evidence: Evidence) -> list[dict[str, Any]]:
    """The machine after each round of each process."""
    return [
        {"process": index, "round": number} | dict(state)
        for index, process in enumerate(evidence.latency)
        for number, state in enumerate(process.states)
    ]


def _variant(evidence: Evidence, name: str) -> dict[str, Any]:
    variant = evidence.variants[name]
    fields: dict[str, Any] = {
        "role": variant.role,
        "file": variant.path.name,
        "network": variant.network,
        "precision": variant.precision,
        "output": variant.output,
        "sha256": variant.sha256,
        "runtime": variant.runtime,
        "threads": variant.threads,
        "spinning": spins(variant.session),
        "session": dict(variant.session),
        "input_shapes": {key: list(shape) for key, shape in variant.input_shapes.items()},
    }
    for metric in metric_names():
        fields |= load_metric(metric).measure(evidence, name)
    return fields
