"""The confusion matrix of the variant that goes to the board."""

from typing import Any

from compress_bench.report.canvas import FONT, WIDTH, Drawing, new_figure, paint, shortened
from compress_bench.report.confusions import Confusion, confusion_of, worst_pairs
from compress_bench.report.facts import Report
from compress_bench.report.format import Estimate, percent

POSITION = 50

_DARK = 0.63  # share from which the paler of the two inks reads better on the cell


def applies(report: Report) -> bool:
    """Whether any variant has a confusion matrix."""
    return confusion_of(report) is not None


def draw(report: Report) -> Drawing:
    """Shares of the true class as shades, with numbers where they fit."""
    confusion = confusion_of(report)
    if confusion is None:
        raise ValueError("confusion: no variant has one; ask applies() first")
    shown = len(confusion.classes)
    cut = f" Shown are the {shown} of {confusion.total} classes that err most."
    pairs = (
        f"{percent(Estimate(share)).text} of {true} taken for {answer}"
        for true, answer, share in worst_pairs(confusion, 3)
    )
    return Drawing(
        figure=_matrix(confusion),
        title=f"Confusion of {confusion.variant}",
        caption="Percent of each true class (row) that was given each answer (column)."
        + (cut if shown < confusion.total else ""),
        label=f"Confusion matrix of {confusion.variant}. Most frequent errors: "
        f"{'; '.join(pairs) or 'none'}.",
    )


def _matrix(confusion: Confusion) -> Any:
    """Square cells; column names stand slanted above, so that long ones fit."""
    number = len(confusion.classes)
    names = [shortened(name, 16) for name in confusion.classes]
    font = min(FONT, 150 / number)
    longest = max(len(name) for name in names)
    left = 14 + 0.56 * font * longest
    top = 16 + 0.42 * font * longest
    right = 10 + 0.42 * font * len(names[-1])
    cell = min((WIDTH - left - right) / number, 48.0)
    figure = new_figure(top + cell * number + 8)
    height = figure.get_figheight() * 72
    shares = (left / WIDTH, 8 / height, cell * number / WIDTH, cell * number / height)
    axes = figure.add_axes(shares, facecolor="none")
    axes.set(xlim=(0, number), ylim=(number, 0))
    axes.spines[:].set_visible(False)
    _ground(axes, number)
    for row, cells in enumerate(confusion.shares):
        for column, share in enumerate(cells):
            if share > 0:
                _cell(axes, (column, row), share, cell)
    _names(axes, names, font)
    return figure


def _ground(axes: Any, number: int) -> None:
    """What keeps empty cells visible: a faint ground, cut into cells by lines above the shades."""
    from matplotlib.patches import Rectangle

    ground = Rectangle((0, 0), number, number, facecolor=paint("line"), alpha=0.35, linewidth=0)
    axes.add_patch(ground)
    style: dict[str, Any] = {"colors": paint("surface"), "linewidth": 1.5, "zorder": 2}
    axes.vlines(range(1, number), 0, number, **style)
    axes.hlines(range(1, number), 0, number, **style)


def _cell(axes: Any, corner: tuple[int, int], share: float, width: float) -> None:
    from matplotlib.patches import Rectangle

    column, row = corner
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=paint("heat"), alpha=share, linewidth=0))
    if width >= 16 and share >= 0.005:
        color = paint("on-heat") if share >= _DARK else paint("ink")
        place = {"ha": "center", "va": "center_baseline", "fontsize": min(10.5, width * 0.38)}
        axes.text(column + 0.5, row + 0.5, f"{share * 100:.0f}", color=color, **place)


def _names(axes: Any, names: list[str], font: float) -> None:
    style: dict[str, Any] = {"fontsize": font, "color": paint("ink")}
    for i, name in enumerate(names):
        axes.text(-0.15, i + 0.5, name, ha="right", va="center_baseline", **style)
        slanted = {"rotation": 40, "rotation_mode": "anchor"}
        axes.text(i + 0.4, -0.2, name, ha="left", va="bottom", **slanted, **style)
    axes.set(xticks=[], yticks=[])
