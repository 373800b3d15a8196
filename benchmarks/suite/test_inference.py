"""Time of one inference of each variant of a bundle, opened and fed as `compress bench` does it."""

import hashlib
import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("pytest_benchmark", reason="pip install pytest-benchmark")

RUNNER = Path(__file__).parents[1] / "compress_bench" / "runner.py"
THREADS, SPINNING = "intra_op_num_threads", "session.intra_op.allow_spinning"


@pytest.fixture(scope="session")
def runner():
    """The file that `compress bench` sends to a board; compress need not be installed here."""
    spec = importlib.util.spec_from_file_location("compress_runner", str(RUNNER))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_inference(benchmark, variant, threads, runner):
    model = settle(variant, threads)
    events = []
    session = runner.open_session(model, {}, events.append)
    job = {"seed": 0, "batch_size": 1}
    feed = runner.make_feed(session, dict(model, shapes=open_shapes(session, variant)), job)
    opened = next(event for event in events if event["event"] == "session")
    benchmark.extra_info.update(
        variant=variant["name"],
        file=variant["path"].name,
        sha256=hashlib.sha256(variant["path"].read_bytes()).hexdigest(),
        size_bytes=variant["path"].stat().st_size,
        threads=model["threads"],
        session=opened["applied"],
        skipped=opened["skipped"],
        onnxruntime=runner.load_runtime("onnxruntime", {}),
    )
    outputs = benchmark(session.run, None, feed)
    assert runner.all_finite(outputs)


def settle(variant, threads):
    """The file with the settings that its bundle recommends, or with that many threads."""
    session = dict(variant["entry"].get("session", {}))
    recommended = session.pop(THREADS, 1)
    if threads is not None:
        session.pop(SPINNING, None)  # it was recommended for another number
    return {
        "variant": variant["name"],
        "path": str(variant["path"]),
        "threads": threads or recommended,
        "session": session,
    }


def open_shapes(session, variant):
    """Shapes of an image whose size the file leaves open: its preprocessing decides them."""
    inputs = session.get_inputs()
    spec = variant["entry"].get("preprocessing")
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or spec is None:
        return {}
    own = inputs[0].shape
    last = own[1] != spec["channels"] and spec["channels"] == own[3]
    image = [*spec["size"], spec["channels"]] if last else [spec["channels"], *spec["size"]]
    pairs = zip(own, [1, *image])  # noqa: B905 - Python 3.8
    return {inputs[0].name: [n if isinstance(n, int) else known for n, known in pairs]}
