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
# The page sits in a frame of each wanted width; the script runs in the page around them, since the
# page itself allows none.
FRAME = '<iframe style="width:{width}px;height:800px;border:0" srcdoc="{page}"></iframe>'
AROUND = """<!doctype html><body>{frames}<script>onload = () => {{
  const measure = page => {{
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
    return {{
      width: page.documentElement.scrollWidth,
      moved: cell.getBoundingClientRect().left - left,
      scrolled: table.scrollLeft,
      outside,
      covered,
      marked: marked(page.querySelector("pre.recipe")),
    }};
  }};
  const marked = recipe => {{
    if (!recipe) return null;
    const view = recipe.ownerDocument.defaultView;
    view.getSelection().selectAllChildren(recipe);
    return [view.getComputedStyle(recipe).userSelect, view.getSelection().toString()];
  }};
  const found = [...document.querySelectorAll("iframe")].map(
    frame => measure(frame.contentDocument));
  document.body.dataset.found = JSON.stringify(found);
}};</script></body>"""

pytestmark = needs(BROWSER, "Chromium", package="chromium")


def measured(page, folder, *widths):
    """What the browser says of the page at each width in pixels."""
    path = folder / "frames.html"
    escaped = html.escape(page, quote=True)
    frames = "".join(FRAME.format(page=escaped, width=width) for width in widths)
    path.write_text(AROUND.format(frames=frames))
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
    (found,) = measured(render_html(build_report()), tmp_path, 375)
    assert found["width"] <= 375
    assert found["outside"] == []
    assert found["scrolled"] == 100
    assert found["moved"] == 0  # the first column stays


def test_every_measure_fits_a_phone_and_a_desktop(tmp_path):
    phone, desktop = measured(render_html(full_report()), tmp_path, 375, 1280)
    assert phone["width"] <= 375
    assert desktop["width"] <= 1280
    assert phone["outside"] == desktop["outside"] == []
    assert desktop["scrolled"] == 0  # it shows the whole table


def test_long_names_do_not_widen_the_page(tmp_path):
    (found,) = measured(render_html(long_names()), tmp_path, 375)
    assert found["width"] <= 375
    assert found["outside"] == []


def test_a_desktop_needs_no_scrolling_at_all(tmp_path):
    (found,) = measured(render_html(build_report()), tmp_path, 1280)
    assert found["width"] <= 1280
    assert found["scrolled"] == 0
    assert found["outside"] == []


def test_a_search_of_forty_and_a_repair_fit_a_phone_and_a_desktop(tmp_path):
    report = {**build_report(), "search": search(), "repair": repair()}
    for fields in report["variants"].values():
        fields["confusion"] = None  # its slanted names overlap by their boxes, not by their letters
    phone, desktop = measured(render_html(report), tmp_path, 375, 1280)
    assert phone["width"] <= 375
    assert desktop["width"] <= 1280
    assert phone["outside"] == desktop["outside"] == []
    assert phone["covered"] == desktop["covered"] == []


def test_a_page_of_a_search_alone_fits_a_phone_and_its_recipe_is_marked_to_the_letter(tmp_path):
    content = search(40, 0)
    recipe = "search:\n  # x\n  widths: [0.5, 1]\n" + "long: " + "x" * 200 + "\n"
    for candidate in content["candidates"]:
        candidate["recipe"] = recipe
    (found,) = measured(render_search_html(content), tmp_path, 375)
    assert found["width"] <= 375
    assert found["outside"] == []
    assert found["covered"] == []
    assert found["marked"] == ["all", recipe.rstrip("\n")]


def test_machines_side_by_side_fit_a_phone(tmp_path):
    (found,) = measured(render_comparison_html([build_report()] * 3), tmp_path, 375)
    assert found["width"] <= 375
