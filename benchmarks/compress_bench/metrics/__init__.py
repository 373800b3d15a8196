"""What is reported and what goals can ask for: one file a metric, its name the metric's.

A metric module has
- `GOAL`: a `GoalForm`, or None where no goal can be set;
- `measure(evidence, variant)`: its fields in a variant's part of report.json;
- with a GoalForm, `estimate(evidence, goal)`: what the goal is held against, and
  `remedy(goal, evidence)`: what to do when it is missed, with the expected effect in numbers.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from compress_bench.evidence import Evidence
from compress_bench.quantities import Quantity
from compress_bench.statistics import Estimate

Bound = Literal["min", "max", "max_drop"]
BOUNDS_IN_WORDS: Mapping[str, str] = {
    "min": "at least",
    "max": "at most",
    "max_drop": "a drop of at most",
}


def goal_words(variant: str, metric: str, bound: str, limit: str, vs: str) -> str:
    """A goal as people say it: student_int8 size at most 50 kB."""
    against = f" against {vs}" if vs else ""
    return f"{variant} {metric} {BOUNDS_IN_WORDS.get(bound, bound)} {limit}{against}"


@dataclass(frozen=True, kw_only=True)
class GoalForm:
    """How goals for a metric are written.

    Attributes:
        bounds: kind of number per bound that makes sense.
        details: what follows the dot ("p50"); empty where there is no dot.
        compares: bounds that compare with another variant and take `vs`.
        needs_images: whether it can only be measured with images.
        timed: whether it is sampled time, which other work lengthens and a time cap cuts short.
        measured: by which measurement: latency, or the kind of a gap in the evidence.
    """

    bounds: Mapping[Bound, Quantity]
    details: tuple[str, ...] = ()
    compares: tuple[Bound, ...] = ()
    needs_images: bool = False
    timed: bool = False
    measured: str = "latency"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One limit.

    Attributes:
        variant: whose.
        metric: file name in this folder.
        detail: "p50" of "latency.p50", or empty.
        bound: which side the limit is on.
        limit: seconds, bytes, a fraction, a ratio or a count.
        written: the limit as the user wrote it.
        vs: the variant to compare with; empty: the reference, or no comparison.
    """

    variant: str
    metric: str
    detail: str
    bound: Bound
    limit: float
    written: str
    vs: str = ""

    @property
    def name(self) -> str:
        """As goals write it: latency.p50."""
        return f"{self.metric}.{self.detail}" if self.detail else self.metric


class Metric(Protocol):
    """What a module in this folder offers."""

    GOAL: GoalForm | None

    def measure(self, evidence: Evidence, variant: str) -> dict[str, Any]:
        """Fields of report.json; None as a value where something could not be measured."""

    def estimate(self, evidence: Evidence, goal: Goal) -> Estimate:
        """What the goal's limit is held against."""

    def remedy(self, goal: Goal, evidence: Evidence) -> str:
        """What to do when the goal is missed, in one sentence."""


def unmeasured(evidence: Evidence, *fields: str) -> dict[str, Any]:
    """Fields of what was not measured: each null, with the reason beside it."""
    nulls: dict[str, Any] = dict.fromkeys(fields)
    return nulls | {f"{field}_reason": evidence.untimed for field in fields}


def metric_names() -> list[str]:
    """Every metric, without importing any."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load_metric(name: str) -> Metric:
    """Import one metric by its name."""
    return cast(Metric, importlib.import_module(f"{__name__}.{name}"))
