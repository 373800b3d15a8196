"""The pytest-benchmark suite, started as its user would."""

import os
import subprocess
import sys
from pathlib import Path

import bench_models

SUITE = Path(__file__).parents[1] / "benchmarks" / "suite"


def run_suite(*arguments):
    # Nothing but pytest and pytest-benchmark, as on a board.
    plugins = ["-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", str(SUITE), "-rs", *plugins, *map(str, arguments)]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_each_variant_of_a_bundle_is_measured(tmp_path):
    bundle = bench_models.write_bundle(tmp_path / "bundle")
    found = run_suite("--bundle", bundle, "--benchmark-max-time=0.01", "--benchmark-min-rounds=2")
    assert found.returncode == 0, found.stdout + found.stderr
    for name in ("teacher", "student", "baseline", "student_int8"):
        assert f"test_inference[{name}]" in found.stdout


def test_files_that_take_frames_and_give_labels_are_measured(tmp_path):
    bundle = bench_models.write_bundle(tmp_path / "bundle", ends=("uint8", "label"))
    found = run_suite("--bundle", bundle, "--benchmark-max-time=0.01", "--benchmark-min-rounds=2")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "test_inference[student_int8]" in found.stdout


def test_without_a_bundle_the_suite_is_skipped_with_the_reason():
    found = run_suite()
    assert found.returncode == 0
    assert "1 skipped" in found.stdout and "no --bundle DIR given" in found.stdout
