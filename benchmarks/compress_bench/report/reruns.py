"""Two reports of one machine: only their numbers are set against each other.

And only with bounds as wide as both runs' intervals allow. Whether a change is one, a new bench
with --baseline decides.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from compress_bench.regression.pair import Pair
from compress_bench.report import facts
from compress_bench.report.facts import Fields, Report, dig
from compress_bench.report.format import Estimate, points, ratio, seconds
from compress_bench.report.layers import layers_of
from compress_bench.report.machines import machine_names
from compress_bench.report.right_answers import on_same_images
from compress_bench.report.table import Cell, Row, Table, cell, without_empty
from compress_bench.statistics import matched_difference

_MODULES = 8
_HOW = (
    "Second over first, with bounds as wide as both runs' 95 % intervals allow: they hold at 90 % "
    "or more. What the machine itself does from one day to another is in neither interval; "
    "compress bench --baseline decides whether a change is one."
)


@dataclass(frozen=True)
class Rerun:
    """Two reports of one machine.

    Attributes:
        title: which ones.
        tables: their differences by variant, then modules side by side, each with its heading.
        reasons: why variants are not compared.
    """

    title: str
    tables: tuple[tuple[str, Table], ...]
    reasons: tuple[str, ...]


def reruns(reports: Sequence[Report]) -> tuple[Rerun, ...]:
    """The first report of each machine against every later one of the same."""
    return tuple(_reruns(reports))


def _reruns(reports: Sequence[Report]) -> Iterator[Rerun]:
    names = machine_names(reports)
    for later, report in enumerate(reports):
        firsts = (i for i in range(later) if is_same_machine(reports[i], report))
        first = next(firsts, None)
        if first is None:
            continue
        title = f"{names[later]} against {names[first]}, the same machine"
        reasons = _reasons(reports[first], report)
        shown = [name for name in facts.variants(report) if not reasons.get(name, "not there")]
        tables = tuple(_tables(reports[first], report, shown))
        said = _grouped(reasons)
        if tables or said:
            yield Rerun(title, tables, said)


def is_same_machine(one: Report, other: Report) -> bool:
    """Whether two reports name the same processor, instruction sets, cores and memory.

    The kernel may be another one; what is unknown is no sign of sameness.
    """
    if not dig(one, "machine", "cpu") or not dig(other, "machine", "cpu"):
        return False
    return not Pair(one, other, 0).machines


def _reasons(one: Report, other: Report) -> dict[str, str]:
    """Why each variant of both is not compared; "" where nothing forbids it."""
    if facts.emulated(one):
        return dict.fromkeys(Pair(one, other, 0).names, "the processor was emulated")
    return {name: Pair(one, other, 0).not_comparable(name) for name in Pair(one, other, 0).names}


def _grouped(reasons: dict[str, str]) -> tuple[str, ...]:
    """A sentence a reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        if reason:
            by_reason.setdefault(reason, []).append(name)
    return tuple(
        f"no difference is given for {', '.join(names)}: {reason}"
        for reason, names in by_reason.items()
    )


def _tables(one: Report, other: Report, names: Sequence[str]) -> Iterator[tuple[str, Table]]:
    found = _differences(one, other, names)
    if found.columns:
        yield "Differences", found
    before, after = layers_of(one), layers_of(other)
    for name in names:
        if name in before and name in after:
            yield f"Modules of {name}", _modules(one, other, name)


def _differences(one: Report, other: Report, names: Sequence[str]) -> Table:
    columns: dict[str, Callable[[Fields, Fields], Cell]] = {
        "p50 latency": lambda a, b: _time(a, b, _margin(one, other)),
        "CPU time": lambda a, b: _factor(a, b, "cpu", "seconds_per_inference"),
        "Instructions": _instructions,
        "Test accuracy": _change,
    }
    before, after = facts.variants(one), facts.variants(other)
    rows = tuple(
        Row(name, "", tuple(build(before[name], after[name]) for build in columns.values()))
        for name in names
    )
    return without_empty(Table(tuple(columns), rows, (_HOW,)))


def _margin(one: Report, other: Report) -> float | None:
    """The larger of what the two runs' A/A controls could not tell; None without a control."""
    found = [facts.number(r, "resolution", "smallest_difference") for r in (one, other)]
    known = [value for value in found if value is not None]
    return max(known) if len(known) == 2 else None


def _time(one: Fields, other: Fields, margin: float | None) -> Cell:
    """The factor of p50, and whether both runs could have told it from none."""
    found = _over(facts.estimate(other, "latency", "p50"), facts.estimate(one, "latency", "p50"))
    if found is None or found.low is None or found.high is None:
        return Cell()
    if margin is None:
        return cell(ratio(found), "no A/A control")
    beyond = found.low > 1 + margin or found.high < 1 / (1 + margin)
    return cell(ratio(found), "" if beyond else "no difference can be told")


def _factor(one: Fields, other: Fields, *path: str) -> Cell:
    found = _over(facts.estimate(other, *path), facts.estimate(one, *path))
    return cell(ratio(found) if found else None)


def _instructions(one: Fields, other: Fields) -> Cell:
    """Counts of one source only."""
    if dig(one, "instructions_source") != dig(other, "instructions_source"):
        return Cell()
    return _factor(one, other, "instructions")


def _over(later: Estimate | None, first: Estimate | None) -> Estimate | None:
    """The ratio with the widest bounds that both intervals allow; None without both intervals."""
    if later is None or first is None or first.value <= 0:
        return None
    if later.low is None or later.high is None or not first.low or not first.high:
        return None
    return Estimate(later.value / first.value, later.low / first.high, later.high / first.low)


def _change(one: Fields, other: Fields) -> Cell:
    """Points of accuracy gained, paired on the very same images; else none are given."""
    pair = on_same_images(one, other)
    if pair is None:
        return Cell()
    first, later = pair
    if (first.bits == later.bits).all():
        return Cell("0.0 points", note="right on the same images")
    found = matched_difference(later.bits, first.bits)
    assert found.value is not None
    return cell(points(Estimate(found.value, found.low, found.high), signed=True))


def _modules(one: Report, other: Report, name: str) -> Table:
    """Times of the slowest modules of both runs; whether the profiles' intervals are apart."""
    before = {row.name: row.time for row in layers_of(one)[name]}
    after = {row.name: row.time for row in layers_of(other)[name]}
    slowest = sorted(
        {**before, **after},
        key=lambda module: -max(t[module].value for t in (before, after) if module in t),
    )
    rows = (
        Row(module, "", _side_by_side(before.get(module), after.get(module)))
        for module in slowest[:_MODULES]
    )
    said = "Of one profiled process each: what else the machine did is in neither interval."
    return Table(("First", "Second"), tuple(rows), (said,), head="Module")


def _side_by_side(first: Estimate | None, later: Estimate | None) -> tuple[Cell, Cell]:
    note = ""
    if first is not None and later is not None:
        above = None not in (later.low, first.high) and (later.low or 0) > (first.high or 0)
        below = None not in (later.high, first.low) and (later.high or 0) < (first.low or 0)
        note = "longer" if above else "shorter" if below else ""
    return cell(seconds(first) if first else None), cell(seconds(later) if later else None, note)
