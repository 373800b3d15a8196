"""Time of one inference of each variant, at batch 1."""

import numpy as np
import pytest

pytest.importorskip("pytest_benchmark", reason="pip install pytest-benchmark")


@pytest.fixture
def session(onnx_file, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])


def test_inference(benchmark, session):
    (only,) = session.get_inputs()
    shape = [size if isinstance(size, int) else 1 for size in only.shape]
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    frames = only.type == "tensor(uint8)"
    image = pixels if frames else ((pixels.astype(np.float32) - 128) / 64)
    outputs = benchmark(session.run, None, {only.name: image})
    assert all(np.isfinite(output).all() for output in outputs)
