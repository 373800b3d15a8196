"""The page in a real browser, where one is installed."""

import html
import json
import re
import shutil
import subprocess

from compress_bench.report import render_comparison_html, render_html
from compress_bench.report.search_page import render_search_html
from needs import needs
from report_sample import build_report, changed, full_report
from search_sample import repair, search

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
)
# The page sits in a frame of the wanted width; the script runs in the frame around it, since the
# page itself allows none.
FRAME = """<!doctype html><body><iframe id="frame" style="width:{width}px;height:800px;border:0"
srcdoc="{page}"></iframe><script>onload = () => {{
  const page = document.getElementById("frame").contentDocument;
  const table = page.querySelector(".scroll");
  const cell = page.querySelector("tbody th");
  const left = cell.getBoundingClientRect().left;
  table.scrollLeft = 100;
  const outside = [...page.querySelectorAll("svg text")].filter(text => {{
    const word = text.getBoundingClientRect();
    const room = text.closest("figure").getBoundingClientRect();
    return word.left < room.left - 0.5 || word.right > room.right + 0.5;
  }}).map(text => text.textContent);
  const covered = [...page.querySelectorAll("svg")].flatMap(svg => {{
    const words = [...svg.querySelectorAll("text")].map(
      text => [text, text.getBoundingClientRect()]);
    return words.flatMap(([a, one], i) => words.slice(i + 1).filter(([b, other]) =>
      Math.min(one.right, other.right) - Math.max(one.left, other.left) > 2 &&
      Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 5
    ).map(([b]) => `${{a.textContent}} on ${{b.textContent}}`));
  }});
  document.body.dataset.found = JSON.stringify({{
    width: page.documentElement.scrollWidth,
    moved: cell.getBoundingClientRect().left - left,
    scrolled: table.scrollLeft,
    outside,
    covered,
  }});
}};</script></body>"""

pytestmark = needs(BROWSER, "Chromium", package="chromium")


def measured(page, width, folder):
    """What the browser says of the page at `width` pixels."""
    path = folder / "frame.html"
    path.write_text(FRAME.format(page=html.escape(page, quote=True), width=width))
    command = [BROWSER, *FLAGS.split(), f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    result = subprocess.run(
        [*command, path.as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    found = re.search(r'data-found="([^"]*)"', result.stdout)
    return json.loads(html.unescape(found[1]))


def long_names():
    report = full_report()
    for row in report["variants"]["teacher"]["layers"]["rows"]:
        row["module"] = f"stage{'.block' * 12}.{row['module']}"
    report["sweep"]["rows"][0]["variant"] = "v" * 70
    names = [f"a_very_long_class_name_{'x' * 40}_{i}" for i in range(10)]
    report = changed(report, names, "data", "classes")
    report["machine"]["cpu"] = "Processor" * 12
    report["variants"][f"mobilenet_{'w' * 60}"] = report["variants"].pop("student_int8")
    return report


def test_a_phone_scrolls_the_table_and_never_the_page(tmp_path):
    found = measured(render_html(build_report()), 375, tmp_path)
    assert found["width"] <= 375
    assert found["outside"] == []
    assert found["scrolled"] == 100
    assert found["moved"] == 0  # the first column stays


def test_every_measure_fits_a_phone_and_a_desktop(tmp_path):
    page = render_html(full_report())
    for width in (375, 1280):
        found = measured(page, width, tmp_path)
        assert found["width"] <= width
        assert found["outside"] == []
    assert found["scrolled"] == 0  # the desktop shows the whole table


def test_long_names_do_not_widen_the_page(tmp_path):
    found = measured(render_html(long_names()), 375, tmp_path)
    assert found["width"] <= 375
    assert found["outside"] == []


def test_a_desktop_needs_no_scrolling_at_all(tmp_path):
    found = measured(render_html(build_report()), 1280, tmp_path)
    assert found["width"] <= 1280
    assert found["scrolled"] == 0
    assert found["outside"] == []


def test_a_search_of_forty_and_a_repair_fit_a_phone_and_a_desktop(tmp_path):
    report = {**build_report(), "search": search(), "repair": repair()}
    for fields in report["variants"].values():
        fields["confusion"] = None  # its slanted names overlap by their boxes, not by their letters
    page = render_html(report)
    for width in (375, 1280):
        found = measured(page, width, tmp_path)
        assert found["width"] <= width
        assert found["outside"] == []
        assert found["covered"] == []


def test_a_page_of_a_search_alone_fits_a_phone(tmp_path):
    found = measured(render_search_html(search(40, 0)), 375, tmp_path)
    assert found["width"] <= 375
    assert found["outside"] == []
    assert found["covered"] == []


def test_machines_side_by_side_fit_a_phone(tmp_path):
    found = measured(render_comparison_html([build_report()] * 3), 375, tmp_path)
    assert found["width"] <= 375
