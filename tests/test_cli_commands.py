"""The command line itself: fast, quiet when piped, and clear about its own faults."""

import os
import signal
import subprocess
import sys

import pytest

from compress import cli
from compress.cli import main
from compress.explain import explain

HEAVY = {"torch", "torchvision", "onnx", "onnxruntime", "matplotlib", "scipy"}


def _loaded(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after `code`."""
    script = f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(result.stdout.splitlines()[-1].split())


def test_help_loads_nothing_heavy():
    assert not HEAVY & _loaded("from compress.cli import main; main(['--help'])")


def test_the_help_of_a_command_loads_nothing_heavy():
    assert not HEAVY & _loaded("from compress.cli import main; main(['distill', '--help'])")


def test_the_whole_of_bench_loads_neither_torch_nor_onnx():
    code = (
        "import importlib, pkgutil, compress_bench\n"
        "for module in pkgutil.walk_packages(compress_bench.__path__, 'compress_bench.'):\n"
        "    importlib.import_module(module.name)\n"
    )
    assert not {"torch", "torchvision", "onnx"} & _loaded(code)


def test_help_names_every_command_and_no_other(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for command in ("run", "init", "train", "distill", "export", "bench", "predict", "report"):
        assert f" {command} " in said


def test_the_version_is_the_packages(capsys):
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == version("edge-compress")


def test_python_m_compress_is_the_same_command():
    result = subprocess.run(
        [sys.executable, "-m", "compress", "--version"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0
    assert result.stdout.strip()


def test_threads_wait_passively_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert main(["--version"]) == 0
    assert cli.os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert main(["--version"]) == 0
    assert cli.os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_a_fault_of_ours_is_saved_to_a_file_and_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = explain(ZeroDivisionError("by zero"), debug=False)
    said = capsys.readouterr().err
    (log,) = tmp_path.glob("compress-error-*.log")
    assert code == 1
    assert log.name in said
    assert said.count("\n") == 1
    assert "ZeroDivisionError: by zero" in log.read_text()


def test_debug_shows_the_traceback_of_any_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "no.yaml", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_recipe_fills_what_the_flags_leave_open_and_flags_go_before_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(
        "run: {seed: 5, data: demo}\ndistill: {student: lenet5, kd_weight: 0.7, temperature: 3}\n"
    )
    seen = {}
    tokens = ["distill", "--recipe", "r.yaml", "--temperature", "4"]
    command, bound, _ = cli.app.parse_args(tokens, exit_on_error=False, print_error=False)
    assert command is cli.distill
    seen = bound.arguments
    assert seen["student"] == "lenet5"
    assert seen["teaching"].kd_weight == pytest.approx(0.7)
    assert seen["teaching"].temperature == 4
    assert seen["run"].seed == 5


def test_a_reader_that_goes_away_is_no_fault(tmp_path):
    script = f"{sys.executable} -m compress --help | head -c 1"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr


def test_an_interrupted_bench_does_not_claim_that_anything_is_kept(tmp_path):
    goals = tmp_path / "goals.toml"
    os.mkfifo(goals)
    process = subprocess.Popen(
        [sys.executable, "-m", "compress", "bench", "any.onnx", "--goals", str(goals)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    with goals.open("w"):  # waits until bench reads it
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert said == "compress: interrupted while measuring; no report was written\n"
    assert process.returncode == 130


def test_bench_finds_before_measuring_that_its_report_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    assert main(["bench", "none.onnx", "-o", str(tmp_path / "file" / "out")]) != 0
    assert "out: cannot be written" in capsys.readouterr().err


def test_bench_looks_at_its_own_folder_before_measuring_too(tmp_path, capsys):
    (tmp_path / "report").write_text("no folder")
    assert main(["bench", str(tmp_path)]) != 0
    assert "report: expected a folder for the report" in capsys.readouterr().err
