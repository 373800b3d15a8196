"""Time per module, as the report's profile has it."""

from dataclasses import dataclass

from compress_bench.report import facts
from compress_bench.report.facts import Report, dig
from compress_bench.report.format import Estimate

COMPUTES = ("integer", "float", "")
KINDS = {
    "integer": "integer",
    "float": "float",
    "boundary": "to or from integer",
    "move": "moves data",
}


@dataclass(frozen=True)
class Layer:
    """A module's work of one kind.

    Attributes:
        module: its name in torch.
        operators: of the graph that runs.
        time: seconds per inference, with bounds where they are known.
        share: of all operators' time, a fraction; or None.
        kind: integer, float, boundary or move, as the report calls it.
        macs: multiply-accumulates, or None.
        island: part of a float island within an int8 file.
    """

    module: str
    operators: tuple[str, ...]
    time: Estimate
    share: float | None
    kind: str
    macs: float | None
    island: bool

    @property
    def name(self) -> str:
        """The module, with what is done there unless it computes."""
        return self.module if self.kind in COMPUTES else f"{self.module} ({KINDS[self.kind]})"


def layers_of(report: Report) -> dict[str, tuple[Layer, ...]]:
    """Modules by variant, slowest first; only variants that were profiled."""
    if facts.emulated(report):
        return {}
    found = {}
    for name, fields in facts.variants(report).items():
        islands = {dig(row, "module") for row in facts.listed(fields, "layers", "islands")}
        rows = [_layer(row, islands) for row in facts.listed(fields, "layers", "rows")]
        known = [row for row in rows if row is not None]
        if known:
            found[name] = tuple(sorted(known, key=lambda row: -row.time.value))
    return found


def _layer(row: object, islands: set[object]) -> Layer | None:
    seconds = facts.number(row, "seconds")
    if seconds is None:
        return None
    module, kind = dig(row, "module"), str(dig(row, "kind") or "")
    return Layer(
        module=str(module or "(no module)"),
        operators=tuple(str(operator) for operator in facts.listed(row, "operators")),
        time=Estimate(seconds, facts.number(row, "low"), facts.number(row, "high")),
        share=facts.number(row, "share"),
        kind=kind if kind in KINDS else "",
        macs=facts.number(row, "macs"),
        island=module in islands and kind in ("float", "boundary"),
    )


def shown_variants(report: Report) -> tuple[str, ...]:
    """Reference, student and the variant for the board, where they were profiled."""
    found = layers_of(report)
    wanted = (
        facts.with_role(report, "teacher") or facts.reference(report),
        facts.with_role(report, "student"),
        facts.deployed(report),
    )
    names = tuple(dict.fromkeys(name for name in wanted if name in found and name is not None))
    return names or tuple(found)[:3]


def reasons(report: Report) -> dict[str, str]:
    """Why a variant was not profiled, by variant."""
    said = {
        name: str(dig(fields, "layers_reason") or "")
        for name, fields in facts.variants(report).items()
        if dig(fields, "layers") is None
    }
    return {name: reason for name, reason in said.items() if reason}
