"""The peers: int8 as the documentation of other tools writes it, from torch's own ONNX export.

Each function takes a float32 file and calibration inputs and writes an int8 file; what it raises is
the result of that peer.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from compress.preprocess import Preprocessing, preprocess

Inputs = NDArray[np.float32]
Peer = Callable[[Path, Path, Inputs], None]
_BATCH = 8


def export_plainly(module: torch.nn.Module, spec: Preprocessing, path: Path) -> None:
    """The float32 file that an engineer starts from: torch's exporter, a dynamic batch, no more."""
    with quiet():
        torch.onnx.export(
            module.eval(),
            (torch.zeros(2, spec.channels, *spec.size),),
            path,
            dynamo=True,
            verbose=False,
            opset_version=18,
            input_names=["input"],
            output_names=["logits"],
            dynamic_shapes=({0: "batch"},),
            external_data=False,
        )


class OneByOne(CalibrationDataReader):
    """Calibration inputs, an image at a time, as in the library's example."""

    def __init__(self, inputs: Inputs) -> None:
        self.batches = iter([{"input": inputs[i : i + 1]} for i in range(len(inputs))])

    def get_next(self) -> dict[str, Inputs] | None:
        return next(self.batches, None)


def library_defaults(path: Path, out: Path, inputs: Inputs) -> None:
    """onnxruntime's quantiser as its documentation shows it: pre-process, then quantize_static.

    Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html and the
    example that it points to, microsoft/onnxruntime-inference-examples,
    quantization/image_classification/cpu/run.py: QDQ, int8 weights, all else left as it is.
    """
    with quiet():
        prepared = out.with_suffix(".prepared.onnx")
        quant_pre_process(path, prepared)
        quantize_static(
            prepared,
            out,
            OneByOne(inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=False,
            weight_type=QuantType.QInt8,
        )


def library_for_cpus(path: Path, out: Path, inputs: Inputs) -> None:
    """The same with what that page and quantize_static's own docstring advise for x86.

    uint8 activations with int8 weights, a scale for each output channel. `reduce_range`, which the
    page advises on CPUs without VNNI, would cost accuracy and give no speed: left out.
    """
    with quiet():
        prepared = out.with_suffix(".prepared.onnx")
        quant_pre_process(path, prepared)
        quantize_static(
            prepared,
            out,
            OneByOne(inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def nncf_defaults(path: Path, out: Path, inputs: Inputs) -> None:
    """NNCF's post-training quantisation with its defaults.

    Source: https://docs.openvino.ai/2025/openvino-workflow/model-optimization-guide/
    quantizing-models-post-training/basic-quantization-flow.html, and NNCF's own example,
    examples/post_training_quantization/onnx/mobilenet_v2/main.py.
    """
    with quiet():
        import nncf

        calibration = nncf.Dataset(list(inputs), lambda image: {"input": image[None]})
        onnx.save(nncf.quantize(onnx.load(path), calibration), out)


PEERS: dict[str, Peer] = {
    "quantize_static, defaults": library_defaults,
    "quantize_static, U8S8 per channel": library_for_cpus,
    "NNCF, defaults": nncf_defaults,
}


@contextmanager
def quiet() -> Iterator[None]:
    """Without the advice that these libraries log, nor their warnings."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def answer(
    path: Path, pixels: NDArray[np.uint8], spec: Preprocessing, threads: int
) -> NDArray[np.float32]:
    """Logits of an ONNX file as onnxruntime optimises it, float32 [N, classes]."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (name,) = (value.name for value in session.get_inputs())
    batch = _BATCH if max(spec.size) > 64 else 250
    parts = [
        session.run(None, {name: preprocess(pixels[start : start + batch], spec)})[0]
        for start in range(0, len(pixels), batch)
    ]
    return np.concatenate(parts).astype(np.float32)


def decibel(exact: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Signal to quantisation noise of logits [N, classes], in dB; more is closer."""
    wrong = max(np.square(exact.astype(np.float64) - found).sum(), 1e-30)  # equal: not infinite
    return float(10 * np.log10(np.square(exact.astype(np.float64)).sum() / wrong))


def sentence(error: Exception) -> str:
    """What a peer failed with, in a line of a table."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:160]}"
