"""A quantity per epoch, one line a trained network, named at its end."""

from collections.abc import Mapping
from typing import Any

from compress_bench.report import facts
from compress_bench.report.canvas import FONT, WIDTH, axis_titles, new_axes, new_figure, paint
from compress_bench.report.facts import Report
from compress_bench.report.labels import spread
from compress_bench.report.series import by_role

Curve = tuple[list[float], list[float]]  # epochs, values

_HEIGHT = 260.0
_ORDER = ("teacher", "student", "baseline")


def curves_of(report: Report, key: str) -> dict[str, Curve]:
    """Epochs and values of `key` for every network whose history holds it."""
    histories = facts.dig(report, "history") or {}
    names = [name for name in _ORDER if name in histories]
    names += [name for name in histories if name not in _ORDER]
    found = {}
    for name in names:
        entries = [(facts.number(e, "epoch"), facts.number(e, key)) for e in histories[name] or ()]
        known = [(epoch, value) for epoch, value in entries if None not in (epoch, value)]
        if known:
            epochs, values = zip(*known, strict=True)
            found[str(name)] = (list(epochs), list(values))
    return found


def draw_curves(curves: Mapping[str, Curve], title: str, *, percent: bool) -> Any:
    """A figure of `curves`; `title` is that of the vertical axis."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = new_figure(_HEIGHT)
    axes = new_axes(figure, (42.0, 40.0, 62.0, 30.0))
    for name, (epochs, values) in curves.items():
        look = by_role(name)
        marker = look.marker if len(epochs) == 1 else None
        style = {"color": paint(look.paint), "linestyle": look.line, "linewidth": 1.8}
        axes.plot(epochs, values, marker=marker, **style)
    last = max(max(epochs) for epochs, _ in curves.values())
    axes.set_xlim(min(1.0, last - 1), last)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    if percent:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.4g} %"))
    else:
        axes.set_ylim(bottom=0)
    axes.margins(y=0.06)
    _name_ends(axes, curves)
    axis_titles(axes, "Epoch", title)
    return figure


def _name_ends(axes: Any, curves: Mapping[str, Curve]) -> None:
    """Each curve's name right of the axes at the height of its end, a dotted line leading there.

    The line is grey, and the curve's last epoch marked, so that no curve seems to go on.
    """
    to_units, back = axes.transData.transform, axes.transData.inverted().transform
    ends = [tuple(to_units((epochs[-1], values[-1]))) for epochs, values in curves.values()]
    edge = axes.get_window_extent().x1
    for name, end, y in zip(curves, ends, spread([y for _, y in ends], FONT + 3), strict=True):
        line = back([(end[0] + 1, end[1]), (edge + 6, y)])
        leader = {"color": paint("muted"), "linestyle": ":", "linewidth": 0.8}
        axes.plot(line[:, 0], line[:, 1], clip_on=False, **leader)
        last = curves[name][0][-1], curves[name][1][-1]
        axes.plot(*last, marker="o", markersize=4, color=paint(by_role(name).paint), clip_on=False)
        text = axes.text(*back((edge + 9, y)), name, va="center", color=paint("ink"))
        _shrink_to(text, WIDTH - edge - 10)


def _shrink_to(text: Any, width: float) -> None:
    """A smaller font where a name is longer than its room."""
    found = text.get_window_extent().width
    if found > width:
        text.set_fontsize(max(6.0, FONT * width / found))


def spoken(curves: Mapping[str, Curve], scale: float, unit: str) -> str:
    """The last values, for a screen reader."""
    parts = (
        f"{name} ends at {values[-1] * scale:.3g}{unit} after epoch {epochs[-1]:.0f}"
        for name, (epochs, values) in curves.items()
    )
    return "; ".join(parts)
