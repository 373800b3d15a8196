"""Remedies as they hold for a board that has no bench."""

import re
from typing import Any

_PACK_FLAGS = {"--profile", "--fps", "--threads", "--time-cap"}
_BENCH_FLAGS = {"--processes", "--rounds", "--batch-size", "--sustained", "--sweep"}


def say_whose_flags(verdict: dict[str, Any]) -> dict[str, Any]:
    """Remedies that name bench's flags say how a board comes to them."""
    for goal in verdict["goals"]:
        flags = set(re.findall(r"--[a-z-]+", goal["remedy"] or ""))
        unknown = sorted(flags & _BENCH_FLAGS)
        if unknown:
            goal["remedy"] += (
                f" ({', '.join(unknown)} of compress bench, which measures this board "
                "with --target ssh://user@host)"
            )
        elif flags & _PACK_FLAGS:
            goal["remedy"] += " (of compress pack: pack again, and run that on the board)"
    return verdict
