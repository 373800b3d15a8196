"""Whether the measured intervals keep the limits: pass, fail, or inconclusive and why.

The whole interval decides. Two things take a verdict back: a time cap that cut the measurement
short, and other work on the machine where a time is too long, for the model itself may be fast
enough. What heat or the supply did stays: it is how this board runs the model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from compress_bench import noise
from compress_bench.evidence import Evidence
from compress_bench.metrics import BOUNDS_IN_WORDS, Goal, GoalForm, load_metric
from compress_bench.quantities import show
from compress_bench.statistics import Estimate, missing
from compress_bench.verdict.deciding import what_decides
from compress_bench.verdict.limits import Status, within


@dataclass(frozen=True)
class Ruling:
    """A goal's status, and what beside the interval led to it; empty where nothing did."""

    status: Status
    reason: str = ""


def judge_goals(goals: Iterable[Goal], evidence: Evidence) -> dict[str, Any]:
    """The report's `verdict`: per goal and overall."""
    judged = [judge(goal, _estimate(goal, evidence), evidence) for goal in goals]
    return {"status": overall([entry["status"] for entry in judged]), "goals": judged}


def _estimate(goal: Goal, evidence: Evidence) -> Estimate:
    """What the limit is held against; nothing, of a file without answers to the images."""
    compared = [goal.vs or evidence.reference] if _compares(goal) else []
    for name in (goal.variant, *compared):
        if _form(goal).needs_images and not evidence.answered(name):
            why = "the test images were not answered"
            if evidence.untimed.startswith("emulated"):
                why = "too few images were answered, on an emulated core"
            none = "gives no classes for the test images"
            return missing(f"{name}: {why}" if evidence.untimed else f"{name} {none}")
    return load_metric(goal.metric).estimate(evidence, goal)


def overall(statuses: Sequence[str]) -> str:
    """Fail goes before inconclusive, that before pass; no_goals where there are none."""
    for status in ("fail", "inconclusive"):
        if status in statuses:
            return status
    return "pass" if statuses else "no_goals"


def judge(goal: Goal, found: Estimate, evidence: Evidence) -> dict[str, Any]:
    """One goal's verdict, as the report holds it."""
    ruling = rule(goal, found, evidence)
    vs = (goal.vs or evidence.reference) if _compares(goal) else None
    return entry(goal, found, ruling, vs=vs, remedy=_remedy(goal, found, evidence, ruling))


def entry(
    goal: Goal, found: Estimate, ruling: Ruling, *, vs: str | None, remedy: str | None
) -> dict[str, Any]:
    """A verdict as the report holds it, with its sentence."""
    return {
        "variant": goal.variant,
        "metric": goal.name,
        "bound": goal.bound,
        "limit": goal.limit,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "vs": vs,
        "status": ruling.status,
        "sentence": _sentence(goal, found, ruling),
        "remedy": remedy,
    }


def rule(goal: Goal, found: Estimate, evidence: Evidence) -> Ruling:
    """Pass if the whole interval keeps the limit, fail if none of it does; less what noise did."""
    status, measured = within(goal.bound, goal.limit, found), _form(goal).measured
    if not _form(goal).timed or found.value is None:
        return Ruling(status)  # what is missing has its own reason
    cut = noise.cut_short(evidence, measured, goal.variant)
    bounds = noise.upper_bounds(evidence)
    if cut:
        return Ruling("inconclusive", "" if cut in found.reason else cut)
    if status == "inconclusive":
        return Ruling(status, bounds)
    # A comparison is paired, and its bounds know what the machine cannot tell.
    if status == "pass" or _compares(goal):
        return Ruling(status)
    return Ruling("inconclusive", bounds) if bounds else Ruling("fail", noise.throttled(evidence))


def _remedy(goal: Goal, found: Estimate, evidence: Evidence, ruling: Ruling) -> str | None:
    if ruling.status == "pass":
        return None
    if ruling.status == "fail":
        return load_metric(goal.metric).remedy(goal, evidence)
    return what_decides(goal, found, evidence)


def _form(goal: Goal) -> GoalForm:
    form = load_metric(goal.metric).GOAL
    assert form is not None
    return form


def _compares(goal: Goal) -> bool:
    return goal.bound in _form(goal).compares


# ------------------------------------------------------------------------------------- sentence

_VERDICTS = {"pass": "met", "fail": "missed", "inconclusive": "cannot be decided"}


def _sentence(goal: Goal, found: Estimate, ruling: Ruling) -> str:
    compared = f" against {goal.vs}" if goal.vs else ""
    subject = f"{goal.variant} {goal.name}{' drop' if goal.bound == 'max_drop' else ''}{compared}"
    why = f" ({found.reason})" if found.reason else ""
    wanted = f"{BOUNDS_IN_WORDS[goal.bound]} {goal.written}"
    verdict = _VERDICTS[ruling.status] + (f": {ruling.reason}" if ruling.reason else "")
    return f"{subject}: {_measured(goal, found)}{why}, wanted {wanted}: {verdict}."


def _measured(goal: Goal, found: Estimate) -> str:
    quantity = _form(goal).bounds[goal.bound]
    if found.value is None:
        return "not measured"
    value = show(found.value, quantity)
    if found.low is None or found.high is None or found.low == found.high:
        return value
    low, high = show(found.low, quantity), show(found.high, quantity)
    between = f"{low} to {high}" if low != high else "in all digits shown,"
    return f"{value} ({between}{_kind(goal, found)})"


def _kind(goal: Goal, found: Estimate) -> str:
    # Some bounds are what was seen, not what is inferred.
    if found.confidence == 1.0:
        return f" over all {'windows' if goal.metric == 'sustained' else 'processes'}"
    return f" at {found.confidence * 100:g} %"
