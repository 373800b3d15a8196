"""The steps of a repair in a picture: what each one costs, against the budget."""

from compress_bench.report.canvas import Drawing
from compress_bench.report.format import Estimate
from compress_bench.report.legend import Entry
from compress_bench.report.panels import Layout, Limit, Line, Mark, Panel, draw_panels
from compress_bench.report.repair import Ladder, Step, fine_points

_LEGEND = {
    "kept": Entry("kept, and gone on from", "o", "series-3"),
    "dropped": Entry("dropped", "o", "muted", filled=False),
}


def draw_ladder(found: Ladder) -> dict[str, Drawing]:
    """A row a step that was tried, by name; inside `drawing_style`."""
    tried = [step for step in found.steps if step.drop is not None]
    if not tried:
        return {}
    limit = None
    if found.budget is not None:
        limit = Limit(100 * found.budget, "--max-drop")
    legend = [Entry("delivered", "*", "series-4")]
    left = {step.status for step in tried if not step.is_delivered}
    legend += [_LEGEND[status] for status in _LEGEND if status in left]
    legend += [] if limit is None else [Entry(f"--max-drop {limit.value:.4g}", "|", "fail")]
    layout = Layout(
        axis="Points of validation accuracy lost to float32",
        tick=lambda value: f"{value:.3g}",
        scale="near",
        legend=tuple(legend),
        limit=limit,
    )
    lines = tuple(map(_line, tried))
    spoken = (f"{step.title} {fine_points(step.drop).full}" for step in tried if step.drop)
    drawing = Drawing(
        figure=draw_panels([Panel("", lines)], layout),
        title="What each step costs",
        caption="Left of the dashed line the budget is kept. Lines are 95 % intervals, paired on "
        "the validation images.",
        label=f"Drop of validation accuracy by step: {'; '.join(spoken)}.",
    )
    return {"repair-ladder": drawing}


def _line(step: Step) -> Line:
    if step.is_delivered:
        return Line(step.title, (Mark(_in_points(step), "series-4", "*"),))
    is_kept = step.status == "kept"
    paint = "series-3" if is_kept else "muted"
    return Line(step.title, (Mark(_in_points(step), paint, "o", filled=is_kept),))


def _in_points(step: Step) -> Estimate:
    """The drop in points of accuracy."""
    drop = step.drop or Estimate(0.0)
    low, high = (None if bound is None else 100 * bound for bound in (drop.low, drop.high))
    return Estimate(100 * drop.value, low, high)
