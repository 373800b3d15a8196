"""Threads, device and determinism of torch, set once at the head of a stage."""

from dataclasses import replace

import torch

from compress.errors import UsageError
from compress.settings import Run


def set_up_torch(run: Run) -> Run:
    """Make torch compute with the threads asked for, and the same way every time.

    Returns:
        `run` with its device named.

    Raises:
        UsageError: --device names one that is not here.
    """
    if run.threads:
        torch.set_num_threads(run.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Else torch fills each new buffer before it is written: measured, a tenth of a step's time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    has_cuda = torch.cuda.is_available()
    if run.device == "auto":
        return replace(run, device="cuda" if has_cuda else "cpu")
    if run.device.startswith("cuda") and not has_cuda:
        raise UsageError(f"--device {run.device}: no CUDA device found; use --device cpu")
    return run
