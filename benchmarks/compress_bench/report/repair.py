"""How export repaired int8: the steps that it tried, what each gave, and which one is delivered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compress.data.wording import duration_text
from compress_bench.report import facts
from compress_bench.report.facts import Report, dig
from compress_bench.report.format import TO, Estimate, count, size
from compress_bench.report.table import Cell, Row, Table, without_empty

_COLUMNS = ("Status", "Drop on validation", "KL from float32", "Size of the graph", "Time")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the ladder.

    Attributes:
        name: `plain`, or the rung's name as --repair takes it.
        title: what people read.
        status: kept, dropped, skipped or failed.
        said: what was done, or why it was not.
        drop: of validation accuracy against float32, a fraction; None where it was not tried.
        kl: of int8 from float32, nats.
        size_bytes: of the int8 graph.
        seconds: that it took.
        is_delivered: whether its file is the bundle's; a dropped step may be, by its smaller drop.
    """

    name: str
    title: str
    status: str
    said: str
    drop: Estimate | None
    kl: float | None
    size_bytes: float | None
    seconds: float | None
    is_delivered: bool


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """A whole repair.

    Attributes:
        budget: what int8 may cost, a fraction; None where it is not known.
        images: of the validation split.
        met: whether the delivered file keeps the budget there.
        asked: --repair.
        steps: in the order in which they were tried; the first one is plain int8.
    """

    budget: float | None
    images: float | None
    met: bool
    asked: str
    steps: tuple[Step, ...]

    @property
    def delivered(self) -> Step | None:
        """The step whose file it is; None where the report does not say."""
        return next((step for step in self.steps if step.is_delivered), None)


def ladder(report: Report) -> Ladder | None:
    """The repair in a report; None where there is none, as of bare files."""
    found = dig(report, "repair")
    steps = tuple(
        _step(entry) for entry in facts.listed(found, "steps") if isinstance(entry, Mapping)
    )
    if not steps:
        return None
    return Ladder(
        budget=facts.number(found, "max_drop"),
        images=facts.number(found, "images"),
        met=dig(found, "met") is True,
        asked=str(dig(found, "asked") or ""),
        steps=steps,
    )


def _step(fields: Mapping[str, Any]) -> Step:
    return Step(
        name=str(dig(fields, "name") or ""),
        title=str(dig(fields, "title") or dig(fields, "name") or ""),
        status=str(dig(fields, "status") or ""),
        said=str(dig(fields, "said") or ""),
        drop=facts.estimate(fields, "drop"),
        kl=facts.number(fields, "kl"),
        size_bytes=facts.number(fields, "size_bytes"),
        seconds=facts.number(fields, "seconds"),
        is_delivered=dig(fields, "delivered") is True,
    )


def climbed(report: Report) -> Ladder | None:
    """The ladder where more than the plain step was reached."""
    found = ladder(report)
    return found if found is not None and len(found.steps) > 1 else None


# ----------------------------------------------------------------------------------------- words


def repair_sentence(report: Report) -> str:
    """Whether int8 keeps its budget on validation and by which step; "" without a ladder."""
    found = ladder(report)
    if found is None:
        return ""
    step, budget = found.delivered, _budget(found)
    if step is None:
        return ""
    lost = _lost(step)
    if len(found.steps) == 1:
        if found.met:
            return f"int8 repair: none was needed, plain int8 has a drop of {lost}, {budget}."
        asked = " and --repair none asked for none" if found.asked == "none" else ""
        return f"int8 repair: plain int8 has a drop of {lost}, {budget}{asked}."
    first = found.steps[0]
    before = "" if first is step else f" in place of {_lost(first)} of plain int8"
    reached = "the budget is met by" if found.met else "the budget is not met; the best is"
    return (
        f"int8 repair: {reached} {step.title}, with a drop of {lost}{before}, {budget}; "
        f"chosen on {_images(found)}{_took(found)}."
    )


def _budget(found: Ladder) -> str:
    if found.budget is None:
        return "of an unknown budget"
    return f"{'within' if found.met else 'above'} --max-drop {100 * found.budget:.4g}"


def _lost(step: Step) -> str:
    if step.drop is None:
        return "an unknown share"
    return fine_points(step.drop).full.replace(TO, " to ")


def fine_points(drop: Estimate) -> Cell:
    """A drop with two decimals: budgets are of tenths of a point."""
    shown = f"{round(100 * drop.value, 2) + 0.0:.2f} points"
    if drop.low is None or drop.high is None:
        return Cell(shown)
    low, high = (round(100 * bound, 2) + 0.0 for bound in (drop.low, drop.high))
    return Cell(shown, f"{low:.2f} to {high:.2f}" if low < 0 else f"{low:.2f}{TO}{high:.2f}")


def _images(found: Ladder) -> str:
    return "validation" if found.images is None else f"{count(found.images)} validation images"


def _took(found: Ladder) -> str:
    spent = [step.seconds for step in found.steps if step.seconds is not None]
    return f", in {duration_text(sum(spent))}" if spent else ""


# ----------------------------------------------------------------------------------------- table


def repair_table(found: Ladder) -> Table:
    """A row a step; what was done stands below the step's name."""
    rows = tuple(
        Row(step.title, step.said, _cells(step), is_chosen=step.is_delivered)
        for step in found.steps
    )
    caption = (
        "A drop is float32's accuracy less int8's on the same validation images, with its 95 % "
        "interval. Each step goes on from the best one before it; the validation images chose, so "
        "that what int8 costs in the end is said by the test images above.",
    )
    return without_empty(Table(_COLUMNS, rows, caption, head="Step"))


def _cells(step: Step) -> tuple[Cell, ...]:
    return (
        Cell("delivered" if step.is_delivered else step.status),
        Cell() if step.drop is None else fine_points(step.drop),
        Cell() if step.kl is None else Cell(f"{step.kl:.3g} nats"),
        Cell() if step.size_bytes is None else Cell(size(step.size_bytes)),
        Cell() if not step.seconds else Cell(duration_text(step.seconds)),
    )
