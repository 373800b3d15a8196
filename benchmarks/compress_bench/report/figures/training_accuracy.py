"""Validation accuracy per epoch of teacher, student and baseline."""

from compress_bench.report.canvas import Drawing
from compress_bench.report.curves import curves_of, draw_curves, spoken
from compress_bench.report.facts import Report

POSITION = 30


def applies(report: Report) -> bool:
    """Whether any history holds validation accuracies."""
    return bool(curves_of(report, "validation_accuracy"))


def draw(report: Report) -> Drawing:
    """One line a network."""
    curves = curves_of(report, "validation_accuracy")
    return Drawing(
        figure=draw_curves(curves, "Validation accuracy", percent=True),
        title="Training: validation accuracy",
        caption="Validation chooses the settings; the table's accuracies are of test images.",
        label=f"Validation accuracy per epoch: {spoken(curves, 100, ' %')}.",
    )
