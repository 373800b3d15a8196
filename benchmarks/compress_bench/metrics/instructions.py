"""Instructions of one inference: what changes in the code or the file show, whatever the clock."""

from dataclasses import replace
from typing import Any

from compress_bench.evidence import Counted, Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.remedies.expectations import less_work
from compress_bench.statistics import Estimate, geometric, missing

GOAL = GoalForm(bounds={"max": "count"}, measured="counts")


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`instructions` with their source, or None with the reason."""
    counted = _counted(evidence, variant)
    if not counted.instructions:
        return {"instructions": None, "instructions_reason": counted.reason}
    found = _of_processes(evidence, variant, counted)
    return {"instructions": found.to_dict(), "instructions_source": counted.source}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Instructions an inference, from one number a process."""
    counted = _counted(evidence, goal.variant)
    if not counted.instructions:
        return missing(counted.reason)
    return _of_processes(evidence, goal.variant, counted)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Less work."""
    found = estimate(evidence, goal).value
    assert found is not None
    return less_work(goal, evidence, value=found, limit=goal.limit)


def _of_processes(evidence: Evidence, variant: str, counted: Counted) -> Estimate:
    """With t over processes; an emulated processor's few counts, which repeat, as they are."""
    found, gap = counted.instructions, evidence.gap("counts", variant)
    if gap is not None:
        return replace(geometric(found), low=None, high=None, reason=gap.reason)
    if counted.repeats:
        return Estimate(sum(found) / len(found), min(found), max(found), 1.0)
    return geometric(found)


def _counted(evidence: Evidence, variant: str) -> Counted:
    return evidence.counted.get(variant, Counted(reason="not counted", energy_reason="not counted"))
