"""CPU time of one frame at a camera's pace: waiting threads that spin cost it too."""

from collections.abc import Sequence
from typing import Any

from compress_bench.evidence import Evidence, PacedProcess
from compress_bench.metrics import Goal, GoalForm
from compress_bench.metrics.frame_latency import bounded_by_plan, why_not_paced
from compress_bench.remedies.expectations import less_work
from compress_bench.statistics import Estimate, geometric, missing

GOAL = GoalForm(bounds={"max": "time"}, timed=True, measured="paced")


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """Nothing of its own: `paced` holds it, see deadline_misses."""
    return {}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Seconds of CPU time an answered frame."""
    return cpu_seconds(evidence, goal.variant)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Fewer threads that wait without spinning, or less work."""
    found = estimate(evidence, goal).value
    assert found is not None
    field = "cpu_seconds_per_frame"
    return less_work(goal, evidence, value=found, limit=goal.limit, sweep_field=field)


def cpu_seconds(evidence: Evidence, variant: str) -> Estimate:
    """CPU time of all threads by answered frames, from one mean a process."""
    processes = evidence.paced.get(variant, ())
    if not processes:
        return missing(why_not_paced(evidence, variant))
    return bounded_by_plan(evidence, variant, seconds_per_frame(processes))


def seconds_per_frame(processes: Sequence[PacedProcess]) -> Estimate:
    """Over those that were answered: a dropped frame costs nothing and is worth nothing."""
    if not all(len(process.seconds) for process in processes):
        return missing("a process answered no frame; give a lower --fps")
    return geometric([process.cpu_seconds / len(process.seconds) for process in processes])
