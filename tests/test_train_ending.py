"""What one of several processes says, as far as a single one can show it."""

import pytest

from compress.cli import main
from compress.errors import DataError, MissingExtraError
from compress.explain import explain
from compress.launched import SaidElsewhereError
from compress.training.ending import is_loss
from compress.training.processes import ALONE


def in_process(monkeypatch, rank: int) -> None:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", "2")


@pytest.mark.parametrize(("rank", "lines"), [(0, 1), (1, 0)])
def test_a_wrong_flag_is_said_by_the_first_process_only(monkeypatch, capsys, rank, lines):
    in_process(monkeypatch, rank)
    code = main(["train", "--model", "lenet5", "--data", "demo", "-o", "out", "--epochs", "0"])
    assert code == 2
    assert capsys.readouterr().err.count("\n") == lines


@pytest.mark.parametrize(("rank", "lines"), [(0, 1), (1, 0)])
def test_interrupted_is_said_by_the_first_process_only(monkeypatch, capsys, rank, lines):
    in_process(monkeypatch, rank)
    assert explain(KeyboardInterrupt(), debug=False) == 130
    assert capsys.readouterr().err.count("\n") == lines


def test_an_error_of_another_process_is_said_with_its_number(monkeypatch, capsys):
    in_process(monkeypatch, 1)
    assert explain(DataError("photos: none"), debug=False) == 1
    assert capsys.readouterr().err == "compress: process 1: photos: none\n"


def test_what_another_process_says_is_not_said_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    in_process(monkeypatch, 0)
    assert explain(SaidElsewhereError("photos: none"), debug=False) == 1
    assert capsys.readouterr().err == ""
    assert not list(tmp_path.iterdir())


def test_the_outcome_of_a_process_alone_is_its_value_or_its_error():
    assert ALONE.outcome(lambda: 7) == 7

    def refuse() -> None:
        raise MissingExtraError("torch", "train")

    with pytest.raises(MissingExtraError, match="torch is not installed"):
        ALONE.outcome(refuse)


def test_a_lost_connection_is_told_from_other_faults():
    text = "[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer"
    assert is_loss(RuntimeError(text))
    assert not is_loss(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_loss(ValueError(text))
