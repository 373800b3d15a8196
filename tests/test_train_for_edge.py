"""`--for-edge` through the command line: changes made, measured, kept, and rebuilt."""

import json
from contextlib import redirect_stderr
from pathlib import Path

import onnx
import pytest
import torch
import yaml

import tiny
from compress.artifacts import MANIFEST, read_json
from compress.cli import main
from compress.edge_effects import show_effects
from compress.models.checkpoint import load_checkpoint
from compress.progress import Progress
from compress.settings import Export, Network, Run
from compress.show_edge import sentences, table
from compress.stage import RESOLVED
from compress.training.trainee import build_network
from compress_export.untrained import export_untrained

NET = '''
import torch
from torch import nn


class Edged(nn.Module):
    """One of each that is changed: an activation, a gate, and a width that is no multiple of 16."""

    def __init__(self, num_classes):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24))
        self.act = nn.SiLU()
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 16, 1), nn.ReLU())
        self.expand, self.gate = nn.Conv2d(16, 24, 1), nn.Sigmoid()
        self.after = nn.Conv2d(24, 32, 3, 2, 1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, num_classes))

    def forward(self, x):
        x = self.act(self.conv(x))
        x = x * self.gate(self.expand(self.squeeze(x)))
        return self.head(self.after(x))


def edged(num_classes):
    return Edged(num_classes)
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("edge")
    tiny.write_npz(folder / "tiny.npz")
    (folder / "net.py").write_text(NET)
    train = {"model": f"{folder}/net.py:edged", "epochs": 1, "for_edge": True}
    recipe = {"run": {"data": str(folder / "tiny.npz"), "threads": 1}, "train": train}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


@pytest.fixture(scope="module")
def trained(place) -> Path:
    """A run of one stage: the recipe's key switches the changes on."""
    command = ["train", "--recipe", str(place / "recipe.yaml"), "-o", str(place / "out")]
    with (place / "said.txt").open("w") as said, redirect_stderr(said):
        assert main(command) == 0
    return place / "out"


def test_every_change_is_measured_against_the_one_before(trained):
    versions = read_json(trained / "edge.json", kind="edge")["edge"]
    assert [v["change"] for v in versions] == ["", "activations", "channels", "gates"]
    assert versions[0]["int8_ratio"] is None
    for version in versions[1:]:
        ratio = version["int8_ratio"]
        assert 0 < ratio["low"] <= ratio["value"] <= ratio["high"]
        assert version["verdict"] in ("faster", "slower", "no clear difference")
        assert version["notes"]


def test_the_parameters_of_each_version_are_those_of_its_widths(trained):
    plain = 24 * 9 + 48 + 16 * 25 + 24 * 17 + 32 * (24 * 9 + 1) + 3 * 33
    wide = 32 * 9 + 64 + 16 * 33 + 32 * 17 + 32 * (32 * 9 + 1) + 3 * 33
    versions = read_json(trained / "edge.json", kind="edge")["edge"]
    assert [v["parameters"] for v in versions] == [plain, plain, wide, wide]


def test_a_checkpoint_is_rebuilt_with_its_changes(trained):
    assert read_json(trained / MANIFEST, kind="checkpoint")["model"]["edge"] == [
        "activations",
        "channels",
        "gates",
    ]
    module = load_checkpoint(trained).module
    kinds = [type(module.get_submodule(name)).__name__ for name in ("act", "gate")]
    assert kinds == ["ReLU", "Hardsigmoid"]
    assert module.after.weight.shape == (32, 32, 3, 3)


def test_a_finished_training_says_its_effects_again_without_measuring(trained, place, capsys):
    written = (trained / "edge.json").read_bytes()
    command = ["train", "--recipe", str(place / "recipe.yaml"), "-o", str(trained), "--json"]
    assert main(command) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["edge"] == json.loads(written)["edge"]
    assert (trained / "edge.json").read_bytes() == written


def test_the_effects_are_said_before_the_training_begins(trained, place):
    said = (place / "said.txt").read_text()
    assert said.index("for edge") < said.index("1 gate with a hard sigmoid")


def test_where_nothing_is_to_be_changed_that_is_said_and_a_dry_run_writes_nothing(place, capsys):
    command = ["train", "--model", "resnet8", "--data", str(place / "tiny.npz"), "--for-edge"]
    assert main([*command, "--threads", "1", "--epochs", "1", "--dry-run"]) == 0
    assert "nothing in resnet8 is to be changed" in capsys.readouterr().err
    assert {path.name for path in place.glob("*.json")} == set()


def test_without_the_flag_nothing_is_changed_measured_or_recorded(place):
    out = place / "plain"
    command = ["train", "--model", "lenet5", "--data", str(place / "tiny.npz"), "-o", str(out)]
    assert main([*command, "--threads", "1", "--epochs", "1", "-q"]) == 0
    assert "edge" not in read_json(out / MANIFEST, kind="checkpoint")["model"]
    assert not (out / "edge.json").exists()
    assert load_checkpoint(out).module[0].out_channels == 6


@pytest.mark.parametrize("ours", [True, False])
def test_a_folder_that_is_finished_or_refused_is_not_measured_for(place, tmp_path, ours, capsys):
    if ours:  # finished, and nothing was to be changed
        (tmp_path / "recipe.yaml").write_text(RESOLVED)
    (tmp_path / MANIFEST).write_text("{}")
    run = Run(data=str(place / "tiny.npz"), threads=1, out=tmp_path)
    assert show_effects("lenet5", Network(for_edge=True), run, Progress()) == ()
    assert capsys.readouterr().err == ""


def test_changes_without_for_edge_are_a_usage_error(place, capsys):
    command = ["train", "--model", "lenet5", "--data", str(place / "tiny.npz"), "-o", "x"]
    assert main([*command, "--edge-changes", "gates"]) == 2
    assert "expected it with --for-edge" in " ".join(capsys.readouterr().err.split())


def test_a_checkpoint_and_an_onnx_file_are_not_changed_any_more(place, trained, capsys):
    (place / "net.onnx").write_bytes(b"")
    for subject in (str(trained), str(place / "net.onnx")):
        assert main(["export", subject, "--for-edge", "-o", str(place / "bundle")]) == 2
        assert "--for-edge: expected" in " ".join(capsys.readouterr().err.split())


def test_the_same_seed_makes_the_same_changed_network():
    dataset, run = tiny.dataset(), Run(threads=1)
    built = [
        build_network("lenet5", Network(for_edge=True), dataset, run, 5)[0].module for _ in range(2)
    ]
    for one, other in zip(*(module.parameters() for module in built), strict=True):
        assert torch.equal(one, other)


def test_changed_gates_leave_no_operator_of_their_own_in_the_int8_file(place):
    """The hard sigmoid goes into the convolution before it and the range of its output."""
    network, dataset = Network(for_edge=True, edge_changes="activations,gates"), tiny.dataset()
    built, _ = build_network(f"{place}/net.py:edged", network, dataset, Run(threads=1), 0)
    assert isinstance(built.module.gate, torch.nn.Hardsigmoid)
    files = export_untrained(
        built,
        tiny.CLASSES,
        place / "files",
        "changed",
        settings=Export(int8=True),
        dataset=dataset,
        threads=1,
    )
    operators = {node.op_type for node in onnx.load(files.int8).graph.node}
    assert not operators & {"Sigmoid", "HardSigmoid"}


EFFECTS = [
    {
        "change": "",
        "parameters": 1000,
        "int8_bytes": 2000,
        "int8_seconds": 0.002,
        "float32_seconds": 0.004,
        "int8_ratio": None,
        "verdict": "",
    },
    {
        "change": "activations",
        "parameters": 1000,
        "int8_bytes": 1900,
        "int8_seconds": 0.001,
        "float32_seconds": 0.004,
        "int8_ratio": {"value": 2.0, "low": 1.9, "high": 2.1},
        "verdict": "faster",
    },
    {
        "change": "channels",
        "parameters": 1600,
        "int8_bytes": 2600,
        "int8_seconds": 0.00125,
        "float32_seconds": 0.005,
        "int8_ratio": {"value": 0.8, "low": 0.79, "high": 0.81},
        "verdict": "slower",
    },
]


def test_a_change_that_costs_time_is_said_with_the_way_to_leave_it_out():
    assert list(sentences(EFFECTS)) == [
        "activations makes int8 faster here: 2.000 (1.900 to 2.100) times as fast",
        "channels makes int8 slower here (0.800 (0.790 to 0.810) times as fast): "
        "leave it out with --edge-changes activations",
    ]


def test_the_only_change_is_left_out_with_its_flag():
    (sentence,) = sentences([EFFECTS[0], EFFECTS[2]])
    assert sentence.endswith("drop --for-edge")


def test_the_table_has_a_line_for_each_version_in_columns():
    header, first, *_, last = table(EFFECTS)
    assert header.split()[:2] == ["for", "edge"]
    assert first.startswith("as it is")
    assert last.index("1,600") == header.index("parameters")
    assert last.split() == [
        *("channels", "1,600", "2.6", "kB", "1.25", "ms"),
        *("0.800", "(0.790", "to", "0.810)", "times", "5", "ms"),
    ]


def test_nothing_measured_is_no_table():
    assert list(table([])) == list(sentences([])) == []
