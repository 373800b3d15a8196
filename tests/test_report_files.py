import json
import sys

import pytest

from compress.errors import ArtifactError, MissingExtraError
from compress.progress import Progress
from compress_bench.report import load_report, render_html, write_report
from compress_bench.report.files import check_report_folder
from report_sample import build_report, changed


class Listener(Progress):
    """Keeps what is said."""

    def __init__(self):
        super().__init__(quiet=True)
        self.said = []

    def say(self, sentence):
        self.said.append(sentence)


def test_four_files_are_written_and_the_json_reads_back(tmp_path):
    report = build_report()
    paths = write_report(report, tmp_path / "out")
    assert [path.name for path in paths] == [
        "report.json",
        "report.md",
        "report.csv",
        "report.html",
    ]
    assert load_report(tmp_path / "out") == report
    assert load_report(tmp_path / "out" / "report.json") == report
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in paths
    )


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_without_the_extra_json_and_markdown_are_written_and_the_way_is_said(
    tmp_path, monkeypatch, package
):
    monkeypatch.setitem(sys.modules, package, None)
    listener = Listener()
    paths = write_report(build_report(), tmp_path, listener)
    assert [path.name for path in paths] == ["report.json", "report.md", "report.csv"]
    assert listener.said == [
        f"report.html is not written: {package} is not installed; "
        "install it with: pip install 'edge-compress[report]'"
    ]


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_the_page_names_the_missing_package(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=package):
        render_html(build_report())


def test_another_json_is_refused(tmp_path):
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps({"schema": 1, "kind": "bundle"}))
    with pytest.raises(ArtifactError, match="expected a report, found bundle"):
        load_report(path)


@pytest.mark.parametrize(
    ("value", "path", "said"),
    [
        (None, ["settings"], "settings: expected fields, found nothing"),
        ([], ["variants"], "variants: expected fields, found a list"),
        ("x", ["variants", "teacher"], "variants.teacher: expected fields, found text"),
        (
            "8 GB",
            ["machine", "memory_bytes"],
            "machine.memory_bytes: expected a number, found text",
        ),
    ],
)
def test_a_damaged_report_is_refused_by_the_field(tmp_path, value, path, said):
    (tmp_path / "report.json").write_text(json.dumps(changed(build_report(), value, *path)))
    with pytest.raises(ArtifactError, match=f"report.json: {said}; measure again"):
        load_report(tmp_path)


def test_a_folder_where_nothing_can_be_written_is_found_before_and_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ArtifactError, match=r"out: cannot be written .* choose another place"):
        check_report_folder(tmp_path / "file" / "out")


def test_looking_at_a_folder_leaves_nothing_behind(tmp_path):
    check_report_folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_report_replaces_an_earlier_one(tmp_path):
    write_report({**build_report(), "schema": 0}, tmp_path)
    write_report(build_report(), tmp_path)
    assert load_report(tmp_path)["schema"] == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("report.json", '{"kind": "bundle"}'),
        ("report.json", "[1, 2]"),
        ("report.json", "not JSON"),
        ("report.md", "# Of last quarter"),
        ("report.csv", "quarter,sum"),
        ("report.html", "<p>Of last quarter</p>"),
    ],
)
def test_a_file_that_is_not_a_report_is_left_as_it_is(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(ArtifactError, match=f"{name}: expected .* choose another --out"):
        write_report(build_report(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == content


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ArtifactError, match="expected a folder for the report, found a file"):
        write_report(build_report(), tmp_path / "out")


def test_importing_the_views_imports_neither_matplotlib_nor_jinja2():
    import subprocess

    code = (
        "import sys, compress_bench.report;"
        "print({'matplotlib', 'jinja2', 'torch', 'onnx', 'onnxruntime'} & set(sys.modules))"
    )
    env = {"PYTHONPATH": "benchmarks:."}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True
    )
    assert result.stdout.strip() == "set()"
