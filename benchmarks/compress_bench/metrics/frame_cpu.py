"""CPU time of one frame at a camera's pace: waiting threads that spin cost it too."""

from typing import Any

from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.remedies.expectations import less_work
from compress_bench.statistics import Estimate, geometric, missing

GOAL = GoalForm(bounds={"max": "time"}, timed=True)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """Nothing of its own: `paced` holds it, see deadline_misses."""
    return {}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Seconds of CPU time a frame."""
    return cpu_seconds(evidence, goal.variant)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Fewer threads that wait without spinning, or less work."""
    found = estimate(evidence, goal).value
    assert found is not None
    field = "cpu_seconds_per_frame"
    return less_work(goal, evidence, value=found, limit=goal.limit, sweep_field=field)


def cpu_seconds(evidence: Evidence, variant: str) -> Estimate:
    """CPU time of all threads over all frames, dropped ones too, from one mean a process."""
    processes = evidence.paced.get(variant, ())
    if not processes:
        return missing("frames were not paced; give --fps")
    return geometric([process.cpu_seconds / len(process.missed) for process in processes])
