"""From an empty process to the first answer."""

from typing import Any

import numpy as np

from compress_bench.evidence import Evidence

GOAL = None


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`cold_start`: medians over fresh processes of each of its phases, in seconds."""
    processes = evidence.fresh[variant]
    phases = ("import_seconds", "session_seconds", "first_seconds", "second_seconds")
    medians = {
        phase: float(np.median([getattr(process, phase) for process in processes]))
        for phase in phases
    }
    return {"cold_start": medians | {"processes": len(processes)}}
