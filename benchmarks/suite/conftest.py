"""`pytest benchmarks/suite --bundle DIR`: needs numpy, onnxruntime, pytest, pytest-benchmark."""

import json
import os
from pathlib import Path

import pytest

# These take minutes and need all that developing needs: they run when they are named.
WHEN_NAMED = (
    "test_distillation_methods.py",
    "test_distillation_speed.py",
    "test_flat_memory.py",
    "test_calibration_cost.py",
    "test_quantization_accuracy.py",
    "test_quantization_speed.py",
    "test_quantization_training.py",
    "test_bench_trust.py",
)

# Before any test imports onnxruntime: its Linux wheels record telemetry.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def pytest_addoption(parser):
    group = parser.getgroup("compress")
    group.addoption("--bundle", type=Path, help="folder that compress export wrote")
    group.addoption("--threads", type=int, help="CPU threads of one inference")
    group.addoption("--images", type=int, default=5000, help="images of a timed epoch")
    group.addoption("--rounds", type=int, default=3, help="times that contenders take turns")
    group.addoption("--runs", type=int, default=20, help="benches that a claim about them rests on")
    group.addoption("--epochs", type=int, default=30, help="epochs of a student in comparisons")
    group.addoption("--out", type=Path, help="folder to keep a comparison in, to go on from")


def pytest_ignore_collect(collection_path, config):
    """Leave out what was not asked for by its name; None lets pytest decide."""
    named = {Path(argument.split("::")[0]).name for argument in config.args}
    return (
        True if collection_path.name in WHEN_NAMED and collection_path.name not in named else None
    )


def pytest_generate_tests(metafunc):
    """One test a variant of the bundle; a single skipped one without a bundle."""
    if "variant" not in metafunc.fixturenames:
        return
    folder = metafunc.config.getoption("--bundle")
    if folder is None:
        skip = pytest.mark.skip(reason="no --bundle DIR given")
        metafunc.parametrize("variant", [pytest.param(None, marks=skip, id="no-bundle")])
        return
    if not (folder / "bundle.json").is_file():
        raise pytest.UsageError(f"--bundle {folder}: expected bundle.json there, found none")
    variants = json.loads((folder / "bundle.json").read_text())["variants"]
    found = [
        {"name": name, "path": folder / entry["file"], "entry": entry}
        for name, entry in variants.items()
    ]
    metafunc.parametrize("variant", found, ids=list(variants))


@pytest.fixture
def threads(request):
    """As given; None: as many as is best for what is measured."""
    return request.config.getoption("--threads")
