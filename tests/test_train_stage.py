"""`compress train` as a stage: what may change between two calls, and what may not."""

import shutil

import pytest
import torch

import tiny
from compress.artifacts import MANIFEST, read_json
from compress.cli import main
from compress.progress import SILENT
from compress.training.loop import fit
from training_jobs import make_job, weights


@pytest.fixture
def train(tmp_path, capsys):
    """Run the command on the tiny images; returns its exit code and what it said."""
    data = tiny.write_npz(tmp_path / "tiny.npz")
    base = ["train", "--model", "lenet5", "--data", str(data), "-o", str(tmp_path / "out")]

    def run(*flags: str) -> tuple[int, str]:
        code = main([*base, "--epochs", "2", *flags])
        return code, " ".join(capsys.readouterr().err.split())

    return run


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--threads", "2"), "threads: 1 there, 2 asked"),
        (("--threads", "1", "--precision", "bfloat16"), "precision: float32 there, bfloat16 asked"),
        (("--threads", "1", "--no-channels-last"), "channels_last: True there, False asked"),
        (("--threads", "1", "--ema", "0.9"), "ema: 0.0 there, 0.9 asked"),
    ],
)
def test_other_threads_layout_or_precision_do_not_go_on_with_a_run(train, flags, named):
    assert train("--threads", "1")[0] == 0
    code, said = train(*flags)
    assert code == 1
    assert named in said


def test_who_reads_and_how_often_is_saved_may_change(train):
    assert train("--threads", "1")[0] == 0
    code, said = train("--threads", "1", "--workers", "2", "--checkpoint-every", "1")
    assert code == 0
    assert "finished already" in said


def test_a_dry_run_writes_nothing(train, tmp_path, capsys):
    code = train("--threads", "1", "--dry-run")[0]
    assert code == 0
    assert not (tmp_path / "out").exists()


def test_curves_lie_beside_the_checkpoint(train, tmp_path):
    assert train("--threads", "1")[0] == 0
    history = read_json(tmp_path / "out" / MANIFEST, kind="checkpoint")["history"]
    lines = (tmp_path / "out" / "history.csv").read_text().splitlines()
    assert len(lines) == 1 + len(history) == 3
    assert any((tmp_path / "out" / "tensorboard").iterdir())


def test_a_step_with_fewer_images_than_parts_is_refused(train):
    code, said = train("--threads", "1", "--batch-size", "4", "--accumulate", "8")
    assert code == 2
    assert "--batch-size 4: expected 8 images or more in each step" in said


def test_a_refusal_leaves_the_result_that_force_would_replace(train, tmp_path):
    assert train("--threads", "1")[0] == 0
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    code, _ = train("--threads", "1", "--batch-size", "4", "--accumulate", "8", "--force")
    assert code == 2
    assert {path: path.read_bytes() for path in files} == before
    assert train("--threads", "1", "--batch-size", "16", "--force")[0] == 0
    assert (tmp_path / "out" / MANIFEST).read_bytes() != before[tmp_path / "out" / MANIFEST]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++ on the CPU")
@pytest.mark.filterwarnings("ignore")  # of torch's compiler, which imports half of torch
def test_a_compiled_network_learns_the_same(tmp_path):
    eager, compiled = make_job(tmp_path / "a"), make_job(tmp_path / "b", compile=True)
    fit(eager, SILENT)
    fit(compiled, SILENT)
    assert torch.allclose(weights(eager), weights(compiled), atol=1e-3)
