"""One pass of the calibration images through the float32 network, watching its tensors.

The images run one at a time, however they come: the largest thing in memory is then the
activations of one image, and neither convolution algorithms, which differ by batch size in the
last digits, nor averages over images can depend on the batches.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper

from compress.errors import ExportError
from compress_export.calibration import Observed
from compress_export.calibration._histogram import RunningHistogram
from compress_export.session import open_session, session_options

# Weight of one image in the moving average, as in onnxruntime's MinMaxCalibrater. The first
# images weigh 1/n each instead: an average that starts at the first image would still be half of
# it after 69 more.
AVERAGING_CONSTANT = 0.01


def observe(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    batches: Iterable[NDArray[np.generic]],
    threads: int | None,
    *,
    histograms: bool,
) -> dict[str, Observed]:
    """Run the images and keep running statistics of each tensor.

    Args:
        model: float32 network with one input; not changed. If its batch is fixed, as many images
            run at a time and count as one; those left over do not run.
        tensors: names of the activations to watch.
        batches: inputs, each [B, ...] of the type that the network takes; read as needed.
        threads: onnxruntime's; all cores if None.
        histograms: also count values; costs several times the time of the rest.

    Returns:
        The statistics, in the order of `tensors`. The same images in the same order give the same
        bits however they are batched.

    Raises:
        ExportError: no images, or a value that is not finite.
    """
    session = _open(model, tensors, threads)
    (value,) = session.get_inputs()
    size = value.shape[0] if value.shape and isinstance(value.shape[0], int) else 1
    statistics = _Statistics(tensors, histograms=histograms)
    for inputs in _portions(batches, size):
        statistics.add(_run(session, value.name, inputs, tensors))
    return statistics.result()


class _Statistics:
    """What is kept from image to image: four numbers and perhaps a histogram a tensor."""

    def __init__(self, tensors: Sequence[str], *, histograms: bool) -> None:
        self._tensors = tensors
        self._histograms = [RunningHistogram() for _ in tensors] if histograms else None
        self._extremes = np.tile([[np.inf], [-np.inf]], len(tensors))  # [2, tensors]
        self._average = np.zeros((2, len(tensors)))
        self._images = 0

    def add(self, values: Iterable[NDArray[np.float32]]) -> None:
        """Take one image's tensors, in order."""
        seen = np.empty_like(self._extremes)
        for index, tensor in enumerate(values):
            # numpy's extremes are NaN if any value is; those of ReduceMin and ReduceMax in
            # onnxruntime 1.31 pass over it, and take longer than to hand the tensor out.
            low, high = float(tensor.min()), float(tensor.max())
            if not np.isfinite((low, high)).all():
                raise ExportError(
                    "calibration: expected finite values, found NaN or infinity in "
                    f"{self._tensors[index]}; look at the network's weights, or leave --int8 out "
                    "where a mask holds infinities"
                )
            seen[:, index] = low, high
            if self._histograms:
                self._histograms[index].add(tensor, low, high)
        self._images += 1
        self._average += (seen - self._average) * max(AVERAGING_CONSTANT, 1 / self._images)
        np.minimum(self._extremes[0], seen[0], out=self._extremes[0])
        np.maximum(self._extremes[1], seen[1], out=self._extremes[1])

    def result(self) -> dict[str, Observed]:
        """The statistics of each tensor."""
        if not self._images:
            raise ExportError(
                "calibration: expected at least one training image, found none; "
                "look at --calibration-images"
            )
        return {name: self._observed(index) for index, name in enumerate(self._tensors)}

    def _observed(self, index: int) -> Observed:
        return Observed(
            low=float(self._extremes[0, index]),
            high=float(self._extremes[1, index]),
            average_low=float(self._average[0, index]),
            average_high=float(self._average[1, index]),
            histogram=self._histograms[index].result() if self._histograms else None,
            count=self._images,
        )


def _open(
    model: onnx.ModelProto, tensors: Sequence[str], threads: int | None
) -> ort.InferenceSession:
    """The network with the tensors as its only outputs; what is an output survives fusion."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    given = {value.name for value in watched.graph.input}
    del watched.graph.output[:]
    for name in tensors:
        if name not in given:
            output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            watched.graph.output.append(output)
    options = session_options(threads)
    # Measured on MobileNetV2 at 224 px: a sixth less memory at its peak in the same time.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    return open_session(watched.SerializeToString(), options, subject="calibration graph")


def _run(
    session: ort.InferenceSession,
    input_name: str,
    inputs: NDArray[np.generic],
    tensors: Sequence[str],
) -> Iterator[NDArray[np.float32]]:
    """The tensors in order, each let go as soon as the next is asked for."""
    names = [name for name in tensors if name != input_name]
    arrays = dict(zip(names, session.run(names, {input_name: inputs}), strict=True))
    arrays[input_name] = inputs
    for name in tensors:
        yield arrays.pop(name)


def _portions(batches: Iterable[NDArray[np.generic]], size: int) -> Iterator[NDArray[np.generic]]:
    """The images of all batches, `size` at a time."""
    images = (batch[at : at + 1] for batch in batches for at in range(len(batch)))
    while len(portion := list(islice(images, size))) == size:
        yield np.concatenate(portion)
