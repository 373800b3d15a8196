"""Energy of one inference, where the machine has a counter; nothing is guessed."""

from dataclasses import replace
from typing import Any

from compress_bench.evidence import Counted, Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.remedies.expectations import less_work
from compress_bench.statistics import Estimate, geometric, missing

GOAL = GoalForm(bounds={"max": "energy"}, measured="counts")


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`energy`: joules an inference of everything that the counter covers, or the reason."""
    counted = _counted(evidence, variant)
    if not counted.joules:
        return {"energy": None, "energy_reason": counted.energy_reason}
    found = _joules(evidence, variant, counted)
    return {
        "energy": {"joules_per_inference": found.to_dict(), "source": counted.energy_source},
    }


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Joules an inference, from one number a process."""
    counted = _counted(evidence, goal.variant)
    if not counted.joules:
        return missing(counted.energy_reason)
    return _joules(evidence, goal.variant, counted)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Less work."""
    found = estimate(evidence, goal).value
    assert found is not None
    return less_work(goal, evidence, value=found, limit=goal.limit)


def _joules(evidence: Evidence, variant: str, counted: Counted) -> Estimate:
    """With t over processes; without bounds where there are fewer than planned."""
    found, gap = geometric(counted.joules), evidence.gap("counts", variant)
    return found if gap is None else replace(found, low=None, high=None, reason=gap.reason)


def _counted(evidence: Evidence, variant: str) -> Counted:
    return evidence.counted.get(variant, Counted(reason="not counted", energy_reason="not counted"))
