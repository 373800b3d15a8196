"""`compress logits` from images and a teacher to a folder that teaches without it."""

import os
import shutil
import subprocess
import sys
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
from compress.errors import ArtifactError, ModelError, UsageError
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


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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


def test_what_is_refused_late_leaves_what_force_would_replace(ask):
    before = _contents(ask())
    with pytest.raises(UsageError, match="--top-k 9: expected at most 3"):
        ask(run={"force": True}, keeping={"top_k": 9})
    mean = {"teacher_mean": (0.0,), "teacher_scale": (255.0,)}
    with pytest.raises(ModelError, match="% with"):
        ask(run={"force": True}, teachers=mean)
    assert _contents(ask.run.out) == before


def test_force_begins_anew_but_not_beside_other_parts(ask):
    ask()
    with pytest.raises(UsageError, match="--force with --part 1/2"):
        ask(run={"force": True}, part="1/2")
    folder = ask(run={"force": True}, augmenting={"augment": "none"})
    assert read_json(folder / "logits.json", kind="logits")["views"]["augment"] == "none"


def test_another_place_of_the_images_and_other_threads_make_the_same_logits(ask, tmp_path):
    before = _views(ask(part="2/2"))
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(tmp_path / "data.npz", tmp_path / "elsewhere/tiny.npz")
    folder = ask(part="1/2", run={"data": str(tmp_path / "elsewhere/tiny.npz"), "threads": 2})
    assert read_summary(folder)
    assert _views(folder).keys() == before.keys()


def test_logits_that_distill_kept_are_added_to(ask, tmp_path):
    whole = _views(ask(augmenting={"views": 3}))
    folder = ask(run={"out": tmp_path / "kept"})
    (folder / "recipe.yaml").unlink()  # distill's own folder has one, but not the logits in it
    with pytest.raises(ArtifactError, match=r"views\.augment: flip there, crop asked"):
        ask(augmenting={"augment": "crop", "views": 3}, run={"out": folder})
    assert not (folder / "recipe.yaml").exists()
    ask(augmenting={"views": 3}, run={"out": folder})
    assert _views(folder) == whole
    assert read_summary(folder)["views"] == 3
    assert _views(ask(run={"out": folder})) == whole


def test_so_many_views_as_are_named_are_kept_whatever_the_epochs(ask):
    assert read_summary(ask(augmenting={"views": 3}, epochs=2))["views"] == 3
    assert read_summary(ask(augmenting={"views": "exact"}, epochs=4))["views"] == 4


def test_a_teacher_is_not_converted_where_every_logit_is_there(ask, capsys):
    def said(**changes) -> str:
        capsys.readouterr()
        ask(teachers={"teacher_runtime": "onnxruntime"}, progress=Progress(), **changes)
        return capsys.readouterr().err

    assert "answers by onnxruntime" in said()
    assert "answers by onnxruntime" not in said()
    assert "answers by onnxruntime" in said(augmenting={"views": 3})


@pytest.mark.slow
def test_processes_that_torchrun_starts_share_the_work_and_force_once(ask, tmp_path):
    whole = _views(ask())
    plain = _views(ask(run={"out": tmp_path / "plain"}, augmenting={"augment": "none"}))
    counting = "        open(f'asked-{os.environ[\"RANK\"]}', 'a').write(f'{len(x)} ')\n"
    (tmp_path / "net.py").write_text(
        "import os\n" + NETWORK.replace("        pixels =", counting + "        pixels =")
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launch += [str(Path(__file__).with_name("logits_driver.py")), "both"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*launch, "flip"], cwd=tmp_path, env=environment, timeout=120, check=True)
    assert _views(tmp_path / "both") == whole
    assert read_summary(tmp_path / "both") == {
        **read_summary(tmp_path / "logits"),
        "teacher": "net.py:teacher",
    }
    # Of 300 images a view blocks of 256 and 44: each process made every other one.
    asked = [(tmp_path / f"asked-{rank}").read_text().split() for rank in (0, 1)]
    assert [[one.count(size) for size in ("256", "44")] for one in asked] == [[2, 0], [0, 2]]
    again = [*launch, "none", "force"]
    subprocess.run(again, cwd=tmp_path, env=environment, timeout=120, check=True)
    assert _views(tmp_path / "both") == plain


@pytest.mark.parametrize("part", ["0/2", "3/2", "2", "1/0", "a/b"])
def test_a_part_that_is_none_is_refused(ask, part):
    with pytest.raises(UsageError, match="--part: expected K/N"):
        ask(part=part)


def test_answers_that_are_kept_already_are_not_kept_again(ask, tmp_path):
    folder = ask()
    again = Teachers(teacher=(str(folder),))
    with pytest.raises(UsageError, match="expected a network"):
        ask(teachers=again, run={"out": tmp_path / "again"})
