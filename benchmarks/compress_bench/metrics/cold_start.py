"""From an empty process to the first answer, phase by phase."""

from typing import Any

import numpy as np

from compress_bench.evidence import Evidence, FreshProcess
from compress_bench.metrics import Goal, GoalForm, unmeasured
from compress_bench.metrics.memory import of_fresh_processes
from compress_bench.quantities import show
from compress_bench.remedies.expectations import another_variant, sentences
from compress_bench.statistics import Estimate, missing

GOAL = GoalForm(bounds={"max": "time"}, timed=True, measured="fresh")

PHASES = (
    "python_seconds",
    "import_numpy_seconds",
    "import_runtime_seconds",
    "session_seconds",
    "first_seconds",
)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`cold_start`: medians over fresh processes of each phase and of all, in seconds."""
    if not evidence.fresh.get(variant):
        return unmeasured(evidence, "cold_start")
    processes = evidence.fresh[variant]
    names = (*PHASES, "import_seconds", "second_seconds")
    fields: dict[str, Any] = {name: _median(processes, name) for name in names}
    return {
        "cold_start": fields
        | {
            "total_seconds": _total(evidence, variant).to_dict(),
            "samples_seconds": [_phases(process) for process in processes],
            "processes": len(processes),
        }
    }


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """From the process's start to the first answer."""
    return _total(evidence, goal.variant)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """Keeping a process alive, or less in the phase that takes longest."""
    processes = evidence.fresh[goal.variant]
    medians = {name: _median(processes, name) or 0.0 for name in PHASES}
    before_model = sum(medians[name] for name in PHASES[:3])
    second = _median(processes, "second_seconds")
    assert second is not None
    alive = f"keep one process running: its next inference took {show(second, 'time')}"
    if before_model >= goal.limit:
        return (
            f"{show(before_model, 'time')} pass before the model is opened (Python and imports), "
            f"so that no model meets it from Python; {alive}, or start from C++"
        )
    longest = max(PHASES[3:], key=lambda name: medians[name])
    what = {"session_seconds": "opening the model", "first_seconds": "the first inference"}
    left = goal.limit - before_model
    return another_variant(goal, evidence) or sentences(
        alive,
        f"of what the model adds, {what[longest]} takes most, {show(medians[longest], 'time')}: "
        f"with opening and first inference in {show(left, 'time')} the goal is met",
    )


def _total(evidence: Evidence, variant: str) -> Estimate:
    """Geometric mean of the processes, with t on their logs."""
    if not evidence.fresh.get(variant):
        return missing(evidence.untimed)
    totals = [process.total_seconds for process in evidence.fresh[variant]]
    return of_fresh_processes(evidence, variant, totals)


def _median(processes: tuple[FreshProcess, ...], name: str) -> float | None:
    known = [value for process in processes if (value := getattr(process, name)) is not None]
    return float(np.median(known)) if known else None


def _phases(process: FreshProcess) -> dict[str, float | None]:
    return {name: getattr(process, name) for name in PHASES}
