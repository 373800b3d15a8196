"""SIGKILL at random moments, the same command again: the result of a run that nobody killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tiny

# Twenty were run when this was written; a few stand guard.
TRIALS = int(os.environ.get("KILL_TRIALS", "3"))


@pytest.mark.slow
def test_runs_that_are_killed_end_like_one_that_is_not(tmp_path):
    tiny.write_npz(tmp_path / "tiny.npz")
    base = ["--data", "tiny.npz", "--threads", "1", "--batch-size", "16", "-q"]
    train = ["train", "--model", "lenet5", "--epochs", "3", *base, "-o", "teacher"]
    distill = ["distill", "--teacher", "teacher", "--student", "resnet8", "--epochs", "8", *base]
    distill += ["--views", "3", "--cutmix", "1", "--ema", "0.9", "--checkpoint-every", "4"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "compress", *train], cwd=tmp_path, env=environment, check=True
    )
    driver = Path(__file__).with_name("kill_driver.py")
    done = subprocess.run(
        [sys.executable, str(driver), str(TRIALS), "runs", *distill],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    whole, *killed = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(killed) == TRIALS
    assert all(trial["kills"] >= 1 for trial in killed)
    for trial in killed:
        assert (trial["weights"], trial["history"]) == (whole["weights"], whole["history"])
