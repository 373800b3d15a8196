"""A regression gate: goals of a new report against an old one's, variant by variant.

Size is exact. Instructions may grow by as much as the user says. Accuracy is paired on the same
images. Time is called slower only beyond what both reports' controls resolve and at 99.9 %; where
the reference did not change it is the yardstick, for a machine's pace moves from day to day. What
the time cannot tell, the instructions may: they then decide alone. What nothing can tell stays
inconclusive: a gate that cannot judge must not let pass. Two reports of an emulated core are held
against each other by size and instructions: it has no times, and answers too few images.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compress.artifacts import REPORT
from compress.errors import ArtifactError, UsageError
from compress.suggest import did_you_mean
from compress_bench.regression.accuracy import judge_accuracy
from compress_bench.regression.counts import judge_instructions, judge_size
from compress_bench.regression.damage import damage
from compress_bench.regression.pair import Pair, Report
from compress_bench.regression.times import judge_latency
from compress_bench.report.files import load_report
from compress_bench.verdict.judging import overall


def read_baseline(path: Path) -> dict[str, Any]:
    """An old report, given its JSON file or its folder.

    Raises:
        UsageError: it is missing, damaged, not a report of compress bench, or of another schema.
    """
    try:
        found = load_report(path)
    except ArtifactError as error:
        raise UsageError(f"--baseline {error}") from error
    wrong = damage(found)
    if wrong:
        raise UsageError(f"--baseline {path}: {wrong}; measure the old files again")
    return found


def check_apart(path: Path, out: Path | None) -> None:
    """Whether the old report outlives the new one; called before anything is measured.

    Args:
        path: the old report or its folder.
        out: where the new report will be written; None: nowhere.

    Raises:
        UsageError: the new report would replace the old one.
    """
    file = path / REPORT if path.is_dir() else path
    if out is not None and file.resolve() == (out / REPORT).resolve():
        raise UsageError(
            f"--baseline {path}: expected another place than this bench's own report, found the "
            "same, so that the old report would be replaced; give another --out"
        )


def check_baseline(old: Report, path: Path, variants: Sequence[str]) -> None:
    """Whether anything can be compared at all; called before anything is measured.

    Raises:
        UsageError: no variant of the old report has the name of a new one, or it is one of an
            emulated core and has no instructions, which are all that there is to compare.
    """
    if old["machine"].get("emulates") and not any(
        fields.get("instructions") for fields in old["variants"].values()
    ):
        raise UsageError(
            f"--baseline {path}: expected instructions in a report of an emulated core, found "
            "none; make it again where the emulator can count them"
        )
    if not set(old["variants"]) & set(variants):
        hint = did_you_mean(variants[0], list(old["variants"]))
        raise UsageError(
            f"--baseline {path}: expected a variant of the same name, found {', '.join(variants)} "
            f"here and {', '.join(old['variants'])} there; {hint}"
        )


def gate(new: Report, old: Report, file: str, max_increase: float) -> dict[str, Any]:
    """The new report with the old report's goals in its verdict, and `baseline`.

    Args:
        new: report.json's content so far.
        old: from `read_baseline`.
        file: how the report names the old one.
        max_increase: percent that size and instructions may grow, points that accuracy may drop.
    """
    pair = Pair(old, new, max_increase)
    goals = [*new["verdict"]["goals"], *judge_baseline(pair)]
    deciding = [goal["status"] for goal in goals if goal.get("decides", True)]
    return {
        **new,
        "verdict": {"status": overall(deciding), "goals": goals},
        "baseline": {
            "file": file,
            "created_utc": old.get("created_utc"),
            "same_machine": not pair.machines,
            "reason": "; ".join([*pair.machines, *pair.notes()]) or None,
        },
    }


def judge_baseline(pair: Pair) -> list[dict[str, Any]]:
    """Verdicts on each variant's size, instructions, time and accuracy, as far as both have them.

    A verdict with `decides` false is told but left out of the overall one.
    """
    goals: list[dict[str, Any]] = []
    for name in pair.names:
        instructions, latency = judge_instructions(pair, name), judge_latency(pair, name)
        if latency and latency["status"] == "inconclusive" and _is_decided(instructions):
            latency |= {"decides": False, "remedy": "nothing: the instructions decide"}
        accuracy = None if pair.untimed else judge_accuracy(pair, name)
        found = [judge_size(pair, name), instructions, latency, accuracy]
        goals += [goal for goal in found if goal is not None]
    return goals


def _is_decided(judged: Mapping[str, Any] | None) -> bool:
    return judged is not None and judged["status"] != "inconclusive"
