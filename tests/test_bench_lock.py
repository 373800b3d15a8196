"""One bench at a time on a machine: through ssh, from a packed file, or its own."""

import ast
import os
from pathlib import Path

import pytest

import bench_models
from compress.errors import BenchError
from compress.settings import Bench, Run
from compress_bench.measure.neighbours import hold_machine
from compress_bench.pack.board import lonely
from compress_bench.recipe import bench
from compress_bench.remote import lock


@pytest.fixture
def held():
    taken, _ = lock.take_lock("anna@laptop")
    assert taken is not None
    yield
    os.close(taken)


def test_the_lock_is_the_same_for_users_with_folders_of_their_own(monkeypatch, tmp_path):
    monkeypatch.delenv(lock.VARIABLE)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert lock.lock_path() == Path("/tmp/compress-bench.lock")


def test_a_packed_file_is_refused_while_a_bench_has_the_board(held):
    with pytest.raises(
        BenchError, match=r"student.pyz: expected a free board, found that anna@laptop has been"
    ):
        lonely.hold_board("student.pyz")


def test_a_packed_file_keeps_others_away():
    mine = lonely.hold_board("student.pyz")
    assert mine is not None
    taken, holder = lock.take_lock("anna@laptop")
    os.close(mine)
    assert taken is None and holder["holder"].endswith("with student.pyz")


def test_a_bench_of_this_machine_tells_of_another_one(held, tmp_path):
    model = bench_models.write_model(tmp_path / "net.onnx")
    report = bench([model], settings=Bench(profile="quick", processes=1), run=Run(threads=1))
    said = "anna@laptop was measuring on this machine at the same time"
    assert [said in note for note in report["notes"]].count(True) == 1


def test_a_bench_of_this_machine_keeps_packed_files_away():
    with hold_machine("local") as notes, pytest.raises(BenchError, match="with compress bench has"):
        lonely.hold_board("student.pyz")
    assert notes == ()


def test_a_bench_of_a_board_leaves_this_machine_s_lock_alone():
    with hold_machine("ssh://pi@board"):
        taken, _ = lock.take_lock("anna@laptop")
    assert taken is not None
    os.close(taken)


def test_a_lock_that_no_user_could_open_does_not_stop_a_bench_here(monkeypatch, tmp_path):
    monkeypatch.setenv(lock.VARIABLE, str(tmp_path))
    with hold_machine("local") as notes:
        assert "found a folder; remove it" in notes[0]


def test_what_goes_into_packed_files_reads_as_python_3_8():
    for module in (lock, lonely):
        ast.parse(Path(module.__file__).read_text(), feature_version=(3, 8))


@pytest.mark.parametrize(
    "written", [b"[]", b'{"holder": 3}', b'{"holder": "a", "since": "b"}', b"\xff"]
)
def test_what_another_user_wrote_into_a_held_lock_harms_nobody(held, written):
    lock.lock_path().write_bytes(written)
    assert lock.take_lock("me") == (None, {"holder": "another bench", "seconds": 0.0})


def test_a_holder_s_name_is_shown_without_what_a_terminal_would_obey(held):
    lock.lock_path().write_bytes(b'{"holder": "\\u001b[31mevil\\n", "since": 0}')
    assert lock.take_lock("me")[1]["holder"] == "[31mevil"
