"""`compress logits` from images and a teacher to a folder that teaches without it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from compress.artifacts import read_json
from compress.data.open import open_dataset
from compress.distill.kept.folder import read_summary
from compress.distill.kept.teacher import open_kept_teacher
from compress.distill.logits import keep, summary_sentence
from compress.errors import ArtifactError, UsageError
from compress.progress import SILENT, Progress
from compress.settings import Augmenting, Keeping, Run, Teachers
from compress.training.trainee import plan_views
from compress.training.views import read_views

# Right on every image of tiny.py where it is shown as it is.
NETWORK = """
import torch
from torch import nn

class Stripes(nn.Module):
    def __init__(self):
        super().__init__()
        self.threshold = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        pixels = 64 * x[:, 0] + 128
        along, across = pixels.mean(2).std(1), pixels.mean(1).std(1)
        flat = self.threshold * torch.ones_like(along)
        return torch.stack([along - flat, across - flat, 0 * along], 1)

def teacher():
    return Stripes()
"""


@pytest.fixture(autouse=True)
def _threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def ask(tmp_path):
    """`compress logits` on 300 tiny images: two blocks a view."""
    data = tiny.write_npz(tmp_path / "data.npz", train=300)
    network, weights = tmp_path / "net.py", tmp_path / "weights.pt"
    network.write_text(NETWORK)
    torch.save({"threshold": torch.tensor([40.0])}, weights)
    settings = {
        "teachers": Teachers(teacher=(f"{network}:teacher",), teacher_weights=weights),
        "augmenting": Augmenting(augment="flip", views=2),
        "keeping": Keeping(),
        "run": Run(out=tmp_path / "logits", data=str(data), threads=1),
        "epochs": 6,
        "part": "1/1",
        "transfer": None,
        "progress": SILENT,
    }

    def call(**changes) -> Path:
        asked = settings | {k: v for k, v in changes.items() if not isinstance(v, dict)}
        for name, fields in changes.items():
            if isinstance(fields, dict):
                asked[name] = replace(asked[name], **fields)
        given = [asked.pop(name) for name in ("teachers", "augmenting", "keeping", "run")]
        return keep(*given, **asked)

    call.run = settings["run"]
    return call


def _views(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("view-*")}


def test_the_folder_answers_the_views_of_a_training_without_the_teacher(ask):
    folder = ask()
    run = ask.run
    dataset = open_dataset(run.data_reference(), **run.splitting())
    source = f"{dataset.fingerprint}:train"
    plan = plan_views(dataset.train, source, (16, 16), Augmenting(augment="flip", views=2), run)
    answers = open_kept_teacher(folder, dataset).bind(plan, 4.0, (0, 1))
    for number in (0, 1):
        views = read_views(plan, number, np.arange(300))
        pixels = views.pixels[..., 0].astype(np.float64)
        expected = pixels.mean(2).std(1, ddof=1) - 40  # of stripes along, worked out from pixels
        np.testing.assert_allclose(answers.logits(views)[:, 0], expected, atol=0.05)


def test_the_summary_says_what_was_kept_and_how_good_the_teacher_is(ask, capsys):
    folder = ask(progress=Progress())
    summary = read_summary(folder)
    assert (summary["views"], summary["images"], summary["classes"]) == (2, 300, 3)
    assert summary["size_bytes"] == 2 * 300 * (4 + 3 * 2)
    assert summary["validation_accuracy"] == 1.0
    assert 0 <= summary["mean_entropy_nats"] <= np.log(3)
    said = capsys.readouterr().err
    assert "pays in the 1st trial: 2 instead of 6 passes" in said
    sentence = summary_sentence(folder, summary)
    assert "2 views of 300 images, 6 kB; 100.0 % right on validation, mean entropy" in sentence


def test_the_same_command_again_changes_nothing(ask):
    before = _views(ask())
    assert _views(ask()) == before


def test_views_are_added_by_the_same_command_with_more_of_them(ask):
    before = _views(ask())
    folder = ask(augmenting={"views": 3})
    assert read_summary(folder)["views"] == 3
    assert before.items() <= _views(folder).items()
    ask(augmenting={"views": 1})
    assert read_summary(folder)["views"] == 3


def test_parts_together_make_what_one_process_makes(ask, tmp_path):
    whole = _views(ask())
    shared = replace(ask.run, out=tmp_path / "shared")
    for part in ("2/2", "1/2"):
        assert not read_summary(tmp_path / "shared")
        ask(run=shared, part=part)
    assert _views(tmp_path / "shared") == whole
    assert read_summary(tmp_path / "shared") == read_summary(tmp_path / "logits")


def test_other_settings_are_refused_with_the_difference(ask):
    ask()
    with pytest.raises(ArtifactError, match="augment: flip there, none asked"):
        ask(augmenting={"augment": "none"})


def test_force_begins_anew_but_not_beside_other_parts(ask):
    ask()
    with pytest.raises(UsageError, match="--force with --part 1/2"):
        ask(run={"force": True}, part="1/2")
    folder = ask(run={"force": True}, augmenting={"augment": "none"})
    assert read_json(folder / "logits.json", kind="logits")["views"]["augment"] == "none"


@pytest.mark.parametrize("part", ["0/2", "3/2", "2", "1/0", "a/b"])
def test_a_part_that_is_none_is_refused(ask, part):
    with pytest.raises(UsageError, match="--part: expected K/N"):
        ask(part=part)


def test_answers_that_are_kept_already_are_not_kept_again(ask, tmp_path):
    folder = ask()
    again = Teachers(teacher=(str(folder),))
    with pytest.raises(UsageError, match="expected a network"):
        ask(teachers=again, run={"out": tmp_path / "again"})
