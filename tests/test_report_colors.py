"""Contrast of the page's colours, by the formula of WCAG 2.2 (relative luminance)."""

import re
from importlib import resources

import pytest

CSS = (resources.files("compress_bench.report") / "templates" / "style.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in CSS.split("@media")[:2]
)
MODES = pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])


def channels(color):
    return [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def luminance(rgb):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_both_modes_define_the_same_colours():
    assert LIGHT.keys() == DARK.keys()


@MODES
def test_text_can_be_read_on_its_ground(colors):
    pairs = [(text, ground) for text in ("ink", "muted", "link") for ground in ("page", "surface")]
    for status in ("pass", "fail", "unsure", "none"):
        pairs += [(status, f"{status}-soft"), ("ink", f"{status}-soft"), ("surface", status)]
        pairs += [(status, "surface"), (status, "page")]
    low = {p: contrast(*(channels(colors[name]) for name in p)) for p in pairs}
    assert {pair: value for pair, value in low.items() if value < 4.5} == {}


@MODES
def test_lines_and_points_can_be_seen(colors):
    grounds = [channels(colors[name]) for name in ("page", "surface")]
    for i in range(1, 7):
        series = channels(colors[f"series-{i}"])
        assert min(contrast(series, ground) for ground in grounds) >= 3


@MODES
def test_a_number_can_be_read_on_every_shade_of_the_confusion_matrix(colors):
    from compress_bench.report.figures.confusion import _DARK

    ground, heat = channels(colors["surface"]), channels(colors["heat"])
    for percent in range(101):
        share = percent / 100
        shade = [g + (h - g) * share for g, h in zip(ground, heat, strict=True)]
        ink = channels(colors["on-heat" if share >= _DARK else "ink"])
        assert contrast(ink, shade) >= 3.8, share
