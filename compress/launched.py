"""What `torchrun` tells a process about its place; read without torch."""

import os

from compress.errors import CompressError


class SaidElsewhereError(CompressError):
    """This process ends because of what another one of the command says; it adds nothing."""


def rank() -> int:
    """This process's number among all of the command, from 0."""
    return int(os.environ.get("RANK") or 0)


def process_count() -> int:
    """Processes of the command: 1 unless torchrun started it."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def processes_here() -> int:
    """Processes of the command on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE") or 1)


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return rank() == 0
