import base64
import json
import re
from html.parser import HTMLParser

import pytest

from compress_bench.report import render_html
from compress_bench.report.page import _drop_tile
from report_sample import bare_report, build_report, changed, full_report

VOID = {"meta", "img", "br", "hr", "input", "link", "wbr"}
EVIL = '<script>alert("1")</script><img src=x onerror=alert(1)>"\'&</style>'


class Outline(HTMLParser):
    """Every tag with its attributes; the tags that were not closed in order; the text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.wrong, self.texts = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def page():
    return render_html(build_report())


@pytest.fixture(scope="module")
def full_page():
    return render_html(full_report())


@pytest.fixture(scope="module")
def outline(page):
    return Outline(page)


def poisoned():
    """The sample with markup wherever a user's own words can be."""
    report = full_report()
    report["data"].update(classes=[f"{EVIL}{i}" for i in range(10)], reference=EVIL)
    report["flags"] = [EVIL]
    report["baseline"].update(file=EVIL, reason=EVIL)
    report["sweep"]["recommended"]["teacher"]["reason"] = EVIL
    for row in report["variants"]["teacher"]["layers"]["rows"]:
        row.update(module=EVIL, operators=[EVIL])
    report["variants"]["student"].update(energy=None, energy_reason=EVIL, runtime=EVIL)
    report["notes"] = [EVIL]
    report["command"] = EVIL
    report["created_utc"] = EVIL
    report["machine"]["cpu"] = EVIL
    report["verdict"]["goals"][0].update(status="fail", sentence=EVIL, remedy=EVIL, metric=EVIL)
    for fields in report["variants"].values():
        fields.update(network=EVIL, file=EVIL)
    report["variants"][EVIL] = report["variants"].pop("student_int8")
    report["history"][EVIL] = report["history"].pop("student")
    for card in report["disagreements"]:
        card["predictions"][EVIL] = 3
    report["disagreements"][0]["png"] = '"><script>alert(2)</script>'
    return report


def test_every_tag_is_closed_in_order(outline):
    assert outline.wrong == []
    assert outline.open == []


def test_nothing_is_loaded_from_anywhere(page, outline):
    assert "http:" not in page
    assert "https:" not in page
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in outline.tags}
    assert "@import" not in page
    assert all(re.match(r"#[\w-]+$", found) for found in re.findall(r"url\(([^)]*)\)", page))
    for tag, attrs in outline.tags:
        for key in ("src", "href"):
            if key in attrs:
                assert attrs[key].startswith(("data:", "#")), (tag, attrs[key][:40])


def test_a_policy_forbids_scripts_and_loading(outline):
    policies = [a["content"] for a in outline.all("meta") if "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_ids_are_unique_and_labels_point_to_them(outline):
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    named = {attrs["aria-labelledby"] for _, attrs in outline.tags if "aria-labelledby" in attrs}
    assert named <= set(ids)


def test_pictures_have_words_for_those_who_cannot_see_them(outline):
    drawings = [attrs for attrs in outline.all("div") if attrs.get("class") == "drawing"]
    assert len(drawings) == 6
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawings)
    assert all(attrs["alt"] for attrs in outline.all("img"))
    assert len(outline.all("img")) == 24


def test_every_measure_has_its_section_in_reading_order(full_page):
    outline = Outline(full_page)
    assert outline.wrong == outline.open == []
    ids = [attrs["id"] for attrs in outline.all("h2") + outline.all("h3") if "id" in attrs]
    assert len(ids) == len(set(ids))
    sections = [attrs["id"] for attrs in outline.all("h2")]
    assert sections == [
        "results",
        "says",
        "goals",
        "earlier",
        "figures",
        "details",
        "modules",
        "sweep",
        "gallery",
        "measured",
        "raw",
    ]


def test_what_happened_meanwhile_stands_beside_the_settings():
    page = render_html(full_report())
    assert "2.2 to 2.4 GHz" in page
    assert "50 to 59 °C" in page


def test_a_goal_against_a_variant_called_baseline_is_not_against_an_earlier_report():
    report = full_report()
    report["verdict"]["goals"][2].update(vs="baseline", sentence="accuracy against baseline: met.")
    page = render_html(report)
    section = page[page.index('id="earlier"') : page.index('id="figures"')]
    assert "accuracy against baseline" not in section


def test_a_goal_against_an_earlier_report_stands_in_its_section(full_page):
    section = full_page[full_page.index('id="earlier"') : full_page.index('id="figures"')]
    assert "old.json of 2026-02-01, the same machine." in section
    assert "0.5 % more than the old report" in section


def test_the_embedded_json_is_the_report(outline):
    links = [attrs for attrs in outline.all("a") if attrs.get("download") == "report.json"]
    encoded = links[0]["href"].removeprefix("data:application/json;base64,")
    assert json.loads(base64.b64decode(encoded)) == build_report()


def test_the_same_report_gives_the_same_page(page):
    assert render_html(build_report()) == page


def test_words_of_a_report_never_become_markup():
    page = render_html(poisoned())
    outline = Outline(page)
    assert outline.wrong == []
    assert outline.open == []
    assert "script" not in {tag for tag, _ in outline.tags}
    assert "<script" not in page
    assert not [attrs for _, attrs in outline.tags if any(key.startswith("on") for key in attrs)]
    assert {attrs["src"][:22] for attrs in outline.all("img")} == {"data:image/png;base64,"}
    assert page.count("</style>") == 1
    assert any(EVIL in text for text in outline.texts)


def test_an_image_that_is_no_png_is_left_out():
    assert len(Outline(render_html(poisoned())).all("img")) == 23


def test_verdict_comes_before_table_and_table_before_figures(page):
    places = [page.index(part) for part in ('class="verdict pass"', "<table>", "<figure>")]
    assert places == sorted(places)


def test_a_missed_goal_and_its_remedy_stand_in_the_banner():
    report = changed(build_report(), "fail", "verdict", "status")
    report["verdict"]["goals"][0].update(status="fail", remedy="take a smaller student")
    page = render_html(report)
    banner = page[page.index('class="verdict fail"') : page.index("<table>")]
    assert "Take a smaller student." in banner


def test_negative_numbers_have_a_true_minus():
    report = changed(build_report(), -0.02, "comparison", "high")
    report["comparison"].update(value=-0.03, low=-0.04)
    assert "\N{MINUS SIGN}3.0 points (\N{MINUS SIGN}4.0 to \N{MINUS SIGN}2.0)" in render_html(
        report
    )


@pytest.mark.parametrize("kind", ["bare", "empty", "one", "emulated", "unmeasured"])
def test_reports_with_gaps_render(kind):
    report = full_report()
    nulls = {name: dict.fromkeys(fields) for name, fields in report["variants"].items()}
    gaps = {
        "bare": bare_report(),
        "empty": {**dict.fromkeys(report), "variants": {}},
        "one": {**report, "variants": {"student": report["variants"]["student"]}},
        "emulated": changed(report, True, "machine", "emulated"),
        "unmeasured": {**report, "variants": nulls},
    }
    outline = Outline(render_html(gaps[kind]))
    assert outline.wrong == []
    assert not any("None" in text for text in outline.texts)


def test_a_gain_is_shown_with_the_bounds_of_a_gain() -> None:
    found = {"int8": {"accuracy_drop": {"value": -0.003, "low": -0.015, "high": 0.009}}}
    tile = _drop_tile(found, "int8", "teacher")
    assert tile is not None
    assert tile.number.startswith("0.3")
    assert tile.what == "of accuracy gained against teacher"
    low, high = tile.detail.strip("()").split(" to ")
    assert (low, high) == ("-0.9", "1.5")
