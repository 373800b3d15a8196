"""Several seeds: the gain that the teacher brought, by hand-made predictions."""

import numpy as np
import pytest

from compress.training.outcome import PREDICTIONS
from compress.training.runs import compare_with_baseline, run_folder, verdict_sentence


def _write(folder, right: list[int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.zeros(len(right), np.int64)
    predictions = np.where(np.array(right) == 1, 0, 1)
    arrays = {}
    for split in ("validation", "test"):
        arrays |= {f"{split}_predictions": predictions, f"{split}_labels": labels}
    np.savez(folder / PREDICTIONS, **arrays)


def _runs(tmp_path, distilled, plain):
    folders = []
    for number, (ours, theirs) in enumerate(zip(distilled, plain, strict=True)):
        folder = run_folder(tmp_path / "out", number)
        _write(folder, ours)
        _write(folder / "baseline", theirs)
        folders.append(folder)
    return compare_with_baseline(folders)


def test_the_difference_is_the_mean_over_seeds_and_images(tmp_path):
    found = _runs(tmp_path, [[1, 1, 1, 0], [1, 1, 1, 1]], [[1, 0, 1, 0], [1, 1, 0, 0]])
    assert found["seeds"] == 2
    assert found["test"]["difference"]["value"] == pytest.approx(3 / 8)
    assert found["test"]["distilled"]["by_seed"] == [0.75, 1.0]
    assert found["test"]["baseline"]["accuracy"] == pytest.approx(0.5)


def test_a_gain_that_its_interval_clears_is_said_to_help(tmp_path):
    rng = np.random.default_rng(0)
    plain = [(rng.random(400) < 0.5).astype(int) for _ in range(5)]
    better = [np.where(rng.random(400) < 0.4, 1, p) for p in plain]
    assert verdict_sentence(_runs(tmp_path, better, plain)).startswith("distillation helped: +")


def test_a_loss_that_its_interval_clears_is_said_to_hurt(tmp_path):
    rng = np.random.default_rng(0)
    plain = [(rng.random(400) < 0.5).astype(int) for _ in range(5)]
    better = [np.where(rng.random(400) < 0.4, 1, p) for p in plain]
    assert verdict_sentence(_runs(tmp_path, plain, better)).startswith("distillation hurt: -")


def test_a_difference_inside_its_interval_is_not_called_a_gain(tmp_path):
    rng = np.random.default_rng(1)
    runs = [(rng.random(100) < 0.8).astype(int) for _ in range(4)]
    found = _runs(tmp_path, runs[:2], runs[2:])
    assert "did not help beyond its interval" in verdict_sentence(found)


def test_a_single_test_image_decides_nothing(tmp_path):
    assert "did not help beyond" in verdict_sentence(_runs(tmp_path, [[1]], [[0]]))
