"""A network in an ONNX file, run by onnxruntime: from TensorFlow, Keras or anywhere else.

Its input is recognised: name, type (uint8 takes raw pixels), NCHW or NHWC by which dimension is
fixed to 1 or 3, size, and a fixed batch.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compress.errors import ModelError, UsageError
from compress.preprocess import Preprocessing, fit_pixels, preprocess

_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
_COLOURS = (1, 3)
_FATAL_ONLY = 4  # onnxruntime's severity; its errors are raised as well as printed
_TRIED = 2  # images at which a file of any batch is tried: one alone proves nothing


@dataclass(frozen=True)
class Signature:
    """What a file takes and gives.

    Attributes:
        name: of the input.
        kind: numpy type of the input.
        channels_last: whether it is [N, H, W, C].
        channels: 1 or 3.
        size: height and width; None where the file leaves them open.
        batch: images a run; 0 for any number.
        output: name of the output that is read; empty before one is chosen.
        width: of that output.
    """

    name: str
    kind: type[np.generic]
    channels_last: bool
    channels: int
    size: tuple[int, int] | None
    batch: int
    output: str = ""
    width: int = 0

    def takes_pixels(self) -> bool:
        """Whether the input is the image's own bytes."""
        return self.kind is np.uint8


class OnnxNetwork:
    """See `live.Network`.

    Attributes:
        session: onnxruntime's.
        signature: what the file takes and gives.
        device: where its answers go; it computes on the CPU.
    """

    def __init__(
        self, session: Any, signature: Signature, preprocessing: Preprocessing, device: str
    ) -> None:
        """Keep an open session."""
        self.session = session
        self.signature = signature
        self._preprocessing = preprocessing
        self.device = torch.device(device)

    @property
    def preprocessing(self) -> Preprocessing:
        """See `live.Network.preprocessing`."""
        return self._preprocessing

    def outputs(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        """See `live.Network.outputs`."""
        inputs = self._inputs(pixels)
        batch = self.signature.batch or len(inputs)
        starts = range(0, len(inputs), batch)
        found = np.concatenate([self._run(inputs[start : start + batch]) for start in starts])
        return torch.from_numpy(found).to(self.device)

    def _inputs(self, pixels: NDArray[np.uint8]) -> NDArray[np.generic]:
        """uint8 [B, H, W, C] in the file's own layout and type."""
        if self.signature.takes_pixels():
            fitted = fit_pixels(pixels, self.preprocessing)
            return fitted if self.signature.channels_last else fitted.transpose(0, 3, 1, 2)
        inputs = preprocess(pixels, self.preprocessing)
        if self.signature.channels_last:
            inputs = inputs.transpose(0, 2, 3, 1)
        return inputs.astype(self.signature.kind)

    def _run(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """One run; a short one is filled up by repeating the last image."""
        missing = max(0, self.signature.batch - len(inputs))
        filled = np.concatenate([inputs, np.repeat(inputs[-1:], missing, axis=0)])
        (found,) = self.session.run(
            [self.signature.output], {self.signature.name: np.ascontiguousarray(filled)}
        )
        return np.asarray(found[: len(inputs)], dtype=np.float32)

    def with_preprocessing(self, preprocessing: Preprocessing) -> "OnnxNetwork":
        """See `live.Network.with_preprocessing`."""
        return OnnxNetwork(self.session, self.signature, preprocessing, str(self.device))


def open_session(path: Path, threads: int | None, subject: str) -> Any:
    """Load a file on the CPU with `threads` threads, all cores if None.

    Args:
        path: the file.
        threads: onnxruntime's.
        subject: what errors call it.

    Raises:
        ModelError: no such file, or onnxruntime refuses it.
    """
    # Linux wheels since 1.29 record telemetry with a thread of their own, unless told before.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as ort

    ort.disable_telemetry_events()
    if not path.is_file():
        raise ModelError(f"{subject}: expected an ONNX file, found no such file")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    # Spinning threads would take the cores from torch, which trains the student in between.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # onnxruntime's exceptions share no base class but Exception.
    except Exception as error:
        raise ModelError(
            f"{subject}: expected an ONNX file, and onnxruntime {ort.__version__} cannot "
            f"open it ({_line(error)}); export it again"
        ) from error


def read_signature(session: Any, subject: str) -> Signature:
    """What the file says of its only input.

    Args:
        session: onnxruntime's.
        subject: what errors call the teacher.

    Raises:
        ModelError: no single image input, of an unknown type, or of a layout that is not clear.
    """
    inputs = session.get_inputs()
    described = ", ".join(f"{value.name} {value.type} {value.shape}" for value in inputs)
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _TYPES:
        raise ModelError(
            f"{subject}: expected one input of float or uint8 images, [N, C, H, W] or "
            f"[N, H, W, C], found {described}; export the network with the image as its only input"
        )
    shape = [size if isinstance(size, int) and size > 0 else 0 for size in inputs[0].shape]
    first, last = shape[1] in _COLOURS, shape[3] in _COLOURS
    if first == last:
        found = "both" if first else "neither"
        raise ModelError(
            f"{subject}: expected 1 or 3 channels fixed in position 1 (NCHW) or 3 (NHWC), found "
            f"{found} in {described}; export it with a fixed number of channels and a fixed size"
        )
    height, width = shape[1:3] if last else shape[2:4]
    return Signature(
        name=inputs[0].name,
        kind=_TYPES[inputs[0].type],
        channels_last=last,
        channels=shape[3] if last else shape[1],
        size=(height, width) if height and width else None,
        batch=shape[0],
    )


def choose_size(signature: Signature, asked: int | None, subject: str) -> tuple[int, int]:
    """The input's height and width: the file's, or --teacher-size where it leaves them open.

    Raises:
        UsageError: the file fixes another size, or none and none was given.
    """
    if signature.size is None:
        if asked is None:
            raise UsageError(
                f"{subject}: its file takes images of any size; give --teacher-size, "
                "the height and width that it was trained with"
            )
        return asked, asked
    height, width = signature.size
    if asked and signature.size != (asked, asked):
        raise UsageError(
            f"--teacher-size: expected {height} x {width} pixels, which the file {subject} fixes, "
            f"found {asked}; leave the flag out"
        )
    return signature.size


def choose_output(
    session: Any, signature: Signature, size: tuple[int, int], wanted: int | None, subject: str
) -> Signature:
    """Run black images through the file, and find the output that classifies them.

    Args:
        session: onnxruntime's.
        signature: of its input.
        size: height and width of the input.
        wanted: width of the output where it is known, which decides between several.
        subject: what errors call the teacher.

    Returns:
        The signature with output, width, and a batch that was seen to run.

    Raises:
        ModelError: the file cannot be run, or no output is the only one of its kind.
    """
    count, found = _try(session, signature, size, subject)
    shapes = {name: list(np.shape(value)) for name, value in found.items()}
    flat = {n: s[1] for n, s in shapes.items() if len(s) == 2 and s[0] == count and s[1] > 1}
    fitting = [name for name, width in flat.items() if width == wanted]
    candidates = fitting if len(flat) > 1 and len(fitting) == 1 else list(flat)
    if len(candidates) != 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ModelError(
            f"{subject}: expected one output [images, classes]"
            f"{f' of {wanted} classes' if wanted else ''}, found {listed} for {count} images; "
            "export the network with its logits as its only output"
        )
    batch = signature.batch or (0 if count == _TRIED else count)
    return replace(signature, output=candidates[0], width=flat[candidates[0]], batch=batch)


def _try(
    session: Any, signature: Signature, size: tuple[int, int], subject: str
) -> tuple[int, dict[str, NDArray[Any]]]:
    """All outputs for black images, as many as the file takes, and how many those are."""
    names = [value.name for value in session.get_outputs()]
    plane = (*size, signature.channels) if signature.channels_last else (signature.channels, *size)
    # A file that says it takes any number may take one only: its graph has that number inside.
    counts = (signature.batch,) if signature.batch else (_TRIED, 1)
    for count in counts:
        try:
            values = session.run(names, {signature.name: np.zeros((count, *plane), signature.kind)})
        except Exception as error:  # onnxruntime's exceptions share no other base class
            failure = error
            continue
        return count, dict(zip(names, values, strict=True))
    raise ModelError(
        f"{subject}: expected to run on images of {size[0]} x {size[1]} pixels, found that "
        f"onnxruntime cannot run it ({_line(failure)}); look at --teacher-size, or export it again"
    ) from failure


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
