"""`pytest benchmarks/suite --bundle DIR`: needs numpy, onnxruntime, pytest, pytest-benchmark."""

import json
import os
from pathlib import Path

import pytest

# Before any test imports onnxruntime: its Linux wheels record telemetry.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def pytest_addoption(parser):
    group = parser.getgroup("compress")
    group.addoption("--bundle", type=Path, help="folder that compress export wrote")
    group.addoption("--threads", type=int, default=1, help="CPU threads of one inference")


def pytest_generate_tests(metafunc):
    """One test a variant of the bundle; a single skipped one without a bundle."""
    if "onnx_file" not in metafunc.fixturenames:
        return
    folder = metafunc.config.getoption("--bundle")
    if folder is None:
        skip = pytest.mark.skip(reason="no --bundle DIR given")
        metafunc.parametrize("onnx_file", [pytest.param(None, marks=skip, id="no-bundle")])
        return
    if not (folder / "bundle.json").is_file():
        raise pytest.UsageError(f"--bundle {folder}: expected bundle.json there, found none")
    variants = json.loads((folder / "bundle.json").read_text())["variants"]
    files = {name: folder / entry["file"] for name, entry in variants.items()}
    metafunc.parametrize("onnx_file", files.values(), ids=files.keys())


@pytest.fixture
def threads(request):
    return request.config.getoption("--threads")
