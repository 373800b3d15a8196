"""Training loss per epoch of teacher, student and baseline."""

from compress_bench.report.canvas import Drawing
from compress_bench.report.curves import curves_of, draw_curves, spoken
from compress_bench.report.facts import Report

POSITION = 40


def applies(report: Report) -> bool:
    """Whether any history holds losses."""
    return bool(curves_of(report, "loss"))


def draw(report: Report) -> Drawing:
    """One line a network."""
    curves = curves_of(report, "loss")
    taught = " A distilled student's loss has another formula: compare shapes, not heights."
    return Drawing(
        figure=draw_curves(curves, "Training loss", percent=False),
        title="Training: loss",
        caption="Mean over each epoch." + (taught if "student" in curves else ""),
        label=f"Training loss per epoch: {spoken(curves, 1, '')}.",
    )
