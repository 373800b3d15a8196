"""An old report beside a new one, and whether their times can be compared at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compress_bench.metrics import Bound, Goal
from compress_bench.quantities import show
from compress_bench.statistics import Estimate
from compress_bench.subjects.sessions import SPINNING, THREADS, spins
from compress_bench.verdict.judging import Ruling, entry

Report = Mapping[str, Any]
_REAL = ("machine", "cpu", "isa", "cores", "emulated")
_PLAYED = ("emulates", "emulator", "onnxruntime", "python")  # its own instructions are counted too
BASELINE = "--baseline"  # a variant may be called baseline
NEW_BASELINE = "if that is meant, make this report the new baseline"


@dataclass(frozen=True)
class Pair:
    """An old report and a new one.

    Attributes:
        old: the old report.
        new: what is held against it.
        max_increase: percent.
    """

    old: Report
    new: Report
    max_increase: float

    @property
    def names(self) -> list[str]:
        """Variants in both, in the new one's order."""
        return [name for name in self.new["variants"] if name in self.old["variants"]]

    @property
    def machines(self) -> list[str]:
        """How the machines differ; empty if they do not."""
        return machine_differences(self.old["machine"], self.new["machine"])

    @property
    def untimed(self) -> bool:
        """Whether neither report has times."""
        every = [v for report in (self.old, self.new) for v in report["variants"].values()]
        return not any(fields.get("samples_seconds") for fields in every)

    def notes(self) -> list[str]:
        """What the reader must know of the comparison beside the machines."""
        runtimes = [report["machine"].get("onnxruntime") for report in (self.old, self.new)]
        gone = [name for name in self.old["variants"] if name not in self.new["variants"]]
        notes = []
        if self.untimed:
            notes.append("accuracy is not compared: an emulated core answers too few images")
        if runtimes[0] != runtimes[1]:
            notes.append(f"onnxruntime {runtimes[1]}, baseline {runtimes[0]}")
        if gone:
            notes.append(f"not measured now: {', '.join(gone)}")
        return notes

    def fields(self, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """A variant's part of the old report and of the new one."""
        return self.old["variants"][name], self.new["variants"][name]

    def not_comparable(self, name: str) -> str:
        """Why times and instructions are not compared, or empty."""
        if self.machines:
            cores = {report["machine"].get("emulates") for report in (self.old, self.new)}
            how = "emulated otherwise" if len(cores) == 1 and cores != {None} else "another machine"
            return f"{how}: {'; '.join(self.machines)}"
        return self.measured_otherwise(name)

    def measured_otherwise(self, name: str) -> str:
        """How the conditions of a variant's measurement differ, or empty."""
        then, now = (_conditions(report, name) for report in (self.old, self.new))
        other = [
            f"{key} {now.get(key, 'not set')}, baseline {then.get(key, 'not set')}"
            for key in dict.fromkeys([*now, *then])
            if now.get(key) != then.get(key)
        ]
        shapes = [_shapes(report, name) for report in (self.old, self.new)]
        if all(shapes) and shapes[0] != shapes[1]:  # older reports do not tell them
            other.append(f"inputs {shapes[1]}, baseline {shapes[0]}")
        return f"measured otherwise: {'; '.join(other)}" if other else ""


def machine_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What tells two machines apart, as words; memory may differ by what a kernel keeps, 2 %.

    An emulated core is its type, the emulator, onnxruntime and Python; whose host it is does not
    matter.
    """
    played = old.get("emulates") and new.get("emulates")
    found = [
        f"{key} {_words(new.get(key))}, baseline {_words(old.get(key))}"
        for key in (_PLAYED if played else _REAL)
        if _told(new, key) != _told(old, key)
    ]
    if played:
        return found
    then, now = old.get("memory_bytes"), new.get("memory_bytes")
    if (then is None) != (now is None) or (then and now and abs(now / then - 1) > 0.02):
        sizes = ["unknown" if size is None else show(size, "size") for size in (now, then)]
        found.append(f"memory {sizes[0]}, baseline {sizes[1]}")
    return found


def _told(machine: Mapping[str, Any], key: str) -> Any:
    """What a machine says of itself; of Python's version what changes how it works."""
    value = machine.get(key)
    return str(value).rpartition(".")[0] if key == "python" else value


def _words(value: Any) -> str:
    return " ".join(value) or "none" if isinstance(value, list) else str(value)


def _conditions(report: Report, name: str) -> dict[str, str]:
    """What the time of an inference depends on, beside the file and the machine, in words.

    A session's setting that says what holds anyway is as if it were not there.
    """
    fields, settings = report["variants"][name], report["settings"]
    session = fields.get("session") or {}
    threads = fields.get("threads", settings.get("threads")) or session.get(THREADS)
    return {
        "threads": str(threads),
        "batch size": str(settings.get("batch_size")),
        "runtime": str(fields.get("runtime", "onnxruntime")),
        "spinning": "on" if spins(session) else "off",
    } | {key: str(value) for key, value in session.items() if key not in (THREADS, SPINNING)}


def _shapes(report: Report, name: str) -> str:
    """Of the inputs of one inference; empty where the report does not tell them."""
    shapes = report["variants"][name].get("input_shapes") or {}
    return " and ".join(f"{key} {'x'.join(map(str, shape))}" for key, shape in shapes.items())


# ---------------------------------------------------------------------------- goals in common


def make_goal(name: str, metric: str, bound: Bound, limit: float, written: str) -> Goal:
    """A goal against the old report."""
    metric, _, detail = metric.partition(".")
    vs = "the old report" if bound == "max_drop" else ""
    return Goal(
        variant=name,
        metric=metric,
        detail=detail,
        bound=bound,
        limit=limit,
        written=written,
        vs=vs,
    )


def more_than(percent: float, old: str) -> str:
    """A limit in words."""
    number = f"{percent:.3g}" if percent < 100 else f"{percent:,.0f}"
    return f"{number} % more than the old report's {old}"


def grown(ratio: float) -> str:
    """What became of a count, in words: by so many per cent, or to so many times."""
    if ratio < 2:
        return f"by {100 * (ratio - 1):.2f} %"
    return f"to {ratio:.3g} times" if ratio < 100 else "to more than 100 times"


def decided(goal: Goal, found: Estimate, ruling: Ruling, remedy: str) -> dict[str, Any]:
    """A pass, or a failure with its remedy."""
    advice = remedy if ruling.status == "fail" else None
    return entry(goal, found, ruling, vs=BASELINE, remedy=advice)


def undecided(goal: Goal, found: Estimate, remedy: str, reason: str = "") -> dict[str, Any]:
    """What cannot be told, and what would tell it."""
    return entry(goal, found, Ruling("inconclusive", reason), vs=BASELINE, remedy=remedy)
