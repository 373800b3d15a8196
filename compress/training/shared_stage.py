"""A stage's folder, opened by the first of several processes for all of them."""

from collections.abc import Mapping
from typing import Any

from compress.settings import Run
from compress.stage import Stage, open_stage
from compress.training.processes import Processes


def open_shared_stage(
    run: Run, command: str, settings: Mapping[str, Any], *, result: str, processes: Processes
) -> Stage:
    """`open_stage` for `run.out` by the first process; the others hear what it found."""
    out = run.require_out()
    return processes.outcome(
        lambda: open_stage(out, command, settings, result=result, force=run.force)
    )
