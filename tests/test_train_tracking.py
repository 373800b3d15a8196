"""The curves of a training, read back as TensorBoard and a spreadsheet read them."""

import csv
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from compress.errors import ArtifactError
from compress.progress import Progress
from compress.training.tracking import EVENTS, EVERY, HISTORY, Tracker, history_csv


def row(epoch: int, **more: float) -> dict[str, float]:
    figures = {"epoch": epoch, "lr": 0.05, "loss": 3 / epoch, "kd": 2 / epoch, "ce": 1 / epoch}
    accuracies = {"train_accuracy": 0.25, "validation_accuracy": 0.5}
    return figures | accuracies | {"seconds": 1.5} | more


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder / EVENTS), size_guidance={"scalars": 0}).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def tags(folder: Path) -> set[str]:
    return set(EventAccumulator(str(folder / EVENTS)).Reload().Tags()["scalars"])


def test_history_csv_holds_the_numbers_of_the_history_in_full(tmp_path):
    history = [row(1), row(3)]
    with Tracker(tmp_path) as tracker:
        tracker.epoch(history[:1])
        tracker.epoch(history)
    with (tmp_path / HISTORY).open() as file:
        found = [
            {name: float(cell) for name, cell in line.items()} for line in csv.DictReader(file)
        ]
    assert found == history


def test_columns_keep_their_order_where_the_terms_of_rows_differ():
    first, second = row(1), row(2, hint=0.125)
    del first["ce"], second["train_accuracy"]
    lines = history_csv([first, second]).splitlines()
    columns = "epoch,lr,loss,kd,ce,hint,train_accuracy,validation_accuracy,seconds"
    assert lines == [columns, "1,0.05,3,2,,,0.25,0.5,1.5", "2,0.05,1.5,1,0.5,0.125,,0.5,1.5"]


def test_a_point_of_a_step_curve_is_the_mean_over_its_steps(tmp_path):
    with Tracker(tmp_path) as tracker:
        for step in range(1, EVERY + 3):
            tracker.step(step, {"loss": 2.0 * step, "kd": step})
    mean = (1 + EVERY) / 2
    assert curve(tmp_path, "loss/kd") == [(EVERY, mean), (EVERY + 2, EVERY + 1.5)]
    assert curve(tmp_path, "loss/total") == [(EVERY, 2 * mean), (EVERY + 2, 2 * EVERY + 3)]


def test_every_column_of_the_history_is_a_curve_over_steps(tmp_path):
    with Tracker(tmp_path) as tracker:
        for step in range(1, 11):
            tracker.step(step, {"loss": 3.0, "kd": 2.0, "ce": 1.0})
            if step % 5 == 0:
                tracker.epoch([row(epoch) for epoch in range(1, step // 5 + 1)])
    assert curve(tmp_path, "accuracy/validation") == [(5, 0.5), (10, 0.5)]
    assert curve(tmp_path, "epoch_loss/kd") == [(5, 2.0), (10, 1.0)]
    assert curve(tmp_path, "epoch") == [(5, 1.0), (10, 2.0)]
    whole_epoch = {"epoch_loss/total", "epoch_loss/kd", "epoch_loss/ce", "lr", "seconds", "epoch"}
    by_step = {"loss/total", "loss/kd", "loss/ce"}
    assert tags(tmp_path) == whole_epoch | by_step | {"accuracy/train", "accuracy/validation"}


def test_a_resumed_run_goes_on_without_doubles_and_loses_nothing_before_its_state(tmp_path):
    killed = Tracker(tmp_path)
    for step in range(1, 31):
        killed.step(step, {"loss": 1.0})
        if step == 10:
            killed.epoch([row(1)])
        if step == 25:
            killed.flush()  # a state was saved here
    killed.epoch([row(1), row(2)])  # and what comes after it was killed
    with Tracker(tmp_path, 25) as resumed:
        for step in range(26, 41):
            resumed.step(step, {"loss": 2.0})
            if step % 10 == 0:
                resumed.epoch([row(epoch) for epoch in range(1, step // 15 + 2)])
    assert curve(tmp_path, "loss/total") == [(10, 1), (25, 1), (30, 2), (40, 2)]
    assert [step for step, _ in curve(tmp_path, "accuracy/validation")] == [10, 30, 40]
    killed.close()


def test_a_file_that_was_cut_short_by_a_kill_hides_nothing_of_the_next(tmp_path):
    with Tracker(tmp_path) as first:
        first.step(1, {"loss": 1.0})
    (path,) = (tmp_path / EVENTS).iterdir()
    path.write_bytes(path.read_bytes() + b"half a record")
    with Tracker(tmp_path, 1) as second:
        second.step(2, {"loss": 2.0})
    assert curve(tmp_path, "loss/total") == [(1, 1), (2, 2)]


def test_steps_alone_write_nothing_to_the_disk(tmp_path):
    with Tracker(tmp_path) as tracker:
        (path,) = (tmp_path / EVENTS).iterdir()
        before = path.stat().st_size
        for step in range(1, EVERY + 1):
            tracker.step(step, {"loss": 1.0})
        assert path.stat().st_size == before


def test_a_process_that_does_not_write_leaves_no_file(tmp_path):
    with Tracker(tmp_path, active=False) as tracker:
        tracker.step(1, {"loss": 1.0})
        tracker.epoch([row(1)])
        tracker.flush()
    assert list(tmp_path.iterdir()) == []


def test_without_tensorboard_the_table_is_written_and_one_sentence_says_so(
    tmp_path, monkeypatch, capsys
):
    for name in [name for name in sys.modules if name.startswith("tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with Tracker(tmp_path, progress=Progress()) as tracker:
        for step in range(1, EVERY + 1):
            tracker.step(step, {"loss": 1.0})
        tracker.epoch([row(1)])
    assert [path.name for path in tmp_path.iterdir()] == [HISTORY]
    said = capsys.readouterr().err
    assert said.count("not installed") == 1
    assert "pip install 'edge-compress[train]'" in said


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / EVENTS).write_text("a file in the way")
    with pytest.raises(ArtifactError, match=r"tensorboard.*cannot be written"):
        Tracker(tmp_path)


@contextmanager
def full_disk():
    """A limit on the size of files stands for the full disk; within the test's own body only.

    Beyond it pytest writes its report, which may well go to a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_named(tmp_path):
    tracker = Tracker(tmp_path)
    with full_disk():
        with pytest.raises(ArtifactError, match=r"tensorboard.*cannot be written.*free some space"):
            tracker.flush()
        with pytest.raises(ArtifactError, match="cannot be written"):
            tracker.close()


def test_a_full_disk_does_not_hide_why_a_training_ended(tmp_path):
    with full_disk(), pytest.raises(KeyboardInterrupt), Tracker(tmp_path) as tracker:
        tracker.step(1, {"loss": 1.0})
        raise KeyboardInterrupt


def test_writing_events_loads_no_tensorflow(tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow/__init__.py").write_text("raise RuntimeError('tensorflow was loaded')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from pathlib import Path\n"
        "from compress.training.tracking import Tracker\n"
        f"with Tracker(Path({str(tmp_path / 'run')!r})) as tracker:\n"
        "    tracker.step(1, {'loss': 1.0})\n"
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
