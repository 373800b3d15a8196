"""What a machine needs for a bench, and what disturbs one: a file a check, under `checks`.

A check has
- `NEEDS_HARDWARE`: whether it looks at the machine itself, which an emulated core has none of;
- `check(facts)`: a `Finding`, or None where it has nothing to say of this machine.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from compress_bench.doctor import checks

Status = Literal["fail", "warn", "unknown", "ok"]
WORST_FIRST: tuple[Status, ...] = ("fail", "warn", "unknown", "ok")

# What the examiner and the runner told, and `target`, `emulates`, `description` (a report's
# `machine`); see `examining`.
Facts = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check says.

    Attributes:
        status: fail: a bench is impossible; warn: its numbers suffer; unknown: the machine does
            not say.
        found: what is there.
        why: why that matters; empty where it does not.
        what_to_do: a command or a step; empty where there is none.
    """

    status: Status
    found: str
    why: str = ""
    what_to_do: str = ""


class Check(Protocol):
    """What a module in `checks` offers."""

    NEEDS_HARDWARE: bool

    def check(self, facts: Facts) -> Finding | None:
        """What there is to say; None: nothing, on this machine."""


def check_names() -> list[str]:
    """Every check, without importing any."""
    return sorted(module.name for module in pkgutil.iter_modules(checks.__path__))


def load_check(name: str) -> Check:
    """Import one check by its name."""
    return cast(Check, importlib.import_module(f"{checks.__name__}.{name}"))


def diagnose(facts: Facts) -> dict[str, Finding]:
    """Every check's finding, those first that are worst."""
    found: dict[str, Finding] = {}
    for name in check_names():
        one = load_check(name)
        if one.NEEDS_HARDWARE and facts["emulates"]:
            continue
        finding = one.check(facts)
        if finding is not None:
            found[name] = finding
    return dict(sorted(found.items(), key=lambda item: WORST_FIRST.index(item[1].status)))
