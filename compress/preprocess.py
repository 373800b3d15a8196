"""From uint8 images to a network's input, in numpy alone.

One function for evaluation, calibration, training and the board, so that all of them feed the
network the same numbers. Python 3.8 syntax: boards run old interpreters.
"""

from dataclasses import asdict, dataclass
from typing import Any, Dict, Sequence, Tuple

import numpy as np

# ITU-R 601 luma in 16-bit fixed point, as Pillow's convert("L") computes it.
_LUMA = (19595, 38470, 7471)
_PRECISION = 22  # bits after the point in Pillow's weights for uint8
_BLOCK = 2**17  # elements that resize works on at a time: half a megabyte of int32

# What a network may take, as onnxruntime calls it.
FLOAT_INPUTS = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
}
UINT8_INPUT = "tensor(uint8)"


@dataclass(frozen=True)
class Preprocessing:
    """How one network wants its images; travels in its manifest.

    Attributes:
        size: height and width of the input in pixels.
        channels: 1 (grey) or 3 (RGB).
        mean: per channel, in units of uint8 (0 to 255).
        scale: per channel divisor, in units of uint8.
        resize: "crop" keeps the aspect ratio and cuts the centre square (for square inputs; the
            centre rectangle of the input's aspect ratio in general); "stretch" uses all of it.
        crop_fraction: share of the centre that "crop" keeps (0.875 for most ImageNet networks).
    """

    size: Tuple[int, int]
    channels: int
    mean: Tuple[float, ...] = (128.0,)
    scale: Tuple[float, ...] = (64.0,)
    resize: str = "crop"
    crop_fraction: float = 1.0

    def to_dict(self) -> Dict[str, Any]:
        """The form that manifests and bundles hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Dict[str, Any]) -> "Preprocessing":
        """Read `to_dict`'s form back; JSON lists become tuples."""
        tuples: Dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()
        }
        return cls(**tuples)


def preprocess(images: np.ndarray, spec: Preprocessing) -> np.ndarray:
    """Crop, resize, convert channels and normalise.

    Args:
        images: uint8 [N, H, W, C], C = 1 or 3 (RGB).
        spec: what the network wants.

    Returns:
        float32 [N, spec.channels, height, width], C-contiguous.
    """
    pixels = fit_pixels(images, spec)
    normalised = (pixels.astype(np.float32) - _row(spec.mean)) / _row(spec.scale)
    return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))


def to_input(
    images: np.ndarray, spec: Preprocessing, tensor_type: str, shape: Sequence[Any]
) -> np.ndarray:
    """Images as the input of an ONNX file wants them.

    Args:
        images: uint8 [N, H, W, C], C = 1 or 3 (RGB).
        spec: what the network wants.
        tensor_type: of the input as onnxruntime calls it: "tensor(float)", "tensor(uint8)", ...
        shape: of the input: four sizes, each a number or the name of a dynamic one.

    Returns:
        [N, c, height, width] or [N, height, width, c], whichever `shape` is, C-contiguous:
        normalised for an input of floats; pixels for one of uint8, whose graph normalises.

    Raises:
        ValueError: the input is no image, or of another type.
    """
    last = channels_last(spec.channels, tensor_type, shape)
    if tensor_type == UINT8_INPUT:
        pixels = fit_pixels(images, spec)
        return np.ascontiguousarray(pixels if last else pixels.transpose(0, 3, 1, 2))
    if tensor_type not in FLOAT_INPUTS:
        raise ValueError("input: expected a type of float or uint8, found %s" % tensor_type)
    normalised = preprocess(images, spec)
    arranged = normalised.transpose(0, 2, 3, 1) if last else normalised
    return np.ascontiguousarray(arranged, dtype=FLOAT_INPUTS[tensor_type])


def channels_last(channels: int, tensor_type: str, shape: Sequence[Any]) -> bool:
    """Whether an input is [N, height, width, c]; one that fits both is so if it is of uint8.

    Args:
        channels: that the network wants.
        tensor_type: of the input, as onnxruntime calls it.
        shape: of the input, dynamic sizes by their names.

    Raises:
        ValueError: the input has other than four axes.
    """
    if len(shape) != 4:
        raise ValueError(
            "input: expected [batch, %d, height, width] or [batch, height, width, %d], found %s"
            % (channels, channels, list(shape))
        )
    first, last = shape[1] == channels, shape[3] == channels
    return last if first != last else tensor_type == UINT8_INPUT


def fit_pixels(images: np.ndarray, spec: Preprocessing) -> np.ndarray:
    """Crop, resize and convert channels, but do not normalise: uint8 [N, height, width, c]."""
    return convert_channels(resize(crop(images, spec), spec.size), spec.channels)


def _row(values: Tuple[float, ...]) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def crop(images: np.ndarray, spec: Preprocessing) -> np.ndarray:
    """Cut the centre that `spec` looks at; a view of uint8 [N, h, w, C]."""
    if spec.resize == "stretch":
        return images
    if spec.resize != "crop":
        raise ValueError("resize: expected 'crop' or 'stretch', found %r" % (spec.resize,))
    top, left, height, width = crop_box(images.shape[1:3], spec.size, spec.crop_fraction)
    return images[:, top : top + height, left : left + width]


def crop_box(
    shape: Tuple[int, ...], size: Tuple[int, int], crop_fraction: float = 1.0
) -> Tuple[int, int, int, int]:
    """The centre of an image that has the aspect ratio of `size`.

    Args:
        shape: height and width of the image in pixels.
        size: height and width wanted.
        crop_fraction: share of the largest such rectangle that is kept, over 0 to 1.

    Returns:
        top, left, height and width in pixels; the last two at least 1.
    """
    unit = min(shape[0] / size[0], shape[1] / size[1]) * crop_fraction
    height = max(1, int(round(unit * size[0])))
    width = max(1, int(round(unit * size[1])))
    return (shape[0] - height) // 2, (shape[1] - width) // 2, height, width


def resize(images: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Bilinear with antialiasing when shrinking: Pillow's BILINEAR, in the same integers.

    Pillow of some versions takes the height first where it shrinks much more than the width; the
    results then differ by at most one grey level.

    Args:
        images: uint8 [N, H, W, C].
        size: height and width wanted.

    Returns:
        uint8 [N, height, width, C]; the input itself where nothing changes.
    """
    count, height, width, channels = images.shape
    if (height, width) == tuple(size):
        return images
    out = np.empty((count, size[0], size[1], channels), dtype=np.uint8)
    largest = max(height, size[0]) * max(width, size[1]) * channels
    step = max(1, _BLOCK // largest)  # memory stays flat, and small blocks stay in the cache
    for start in range(0, count, step):
        wide = _resample(images[start : start + step], size[1], axis=2)
        out[start : start + step] = _resample(wide, size[0], axis=1)
    return out


def _resample(images: np.ndarray, n_out: int, axis: int) -> np.ndarray:
    """Change the length of one axis of uint8 [N, H, W, C], rounding to uint8 as Pillow does."""
    if images.shape[axis] == n_out:
        return images
    positions, weights = _taps(images.shape[axis], n_out)
    column = [1, 1, 1, 1]
    column[axis] = n_out
    shape = list(images.shape)
    shape[axis] = n_out
    # 255 * 2^22 and half a unit fit in int32; the half rounds the shift to the nearest.
    total = np.full(shape, 1 << (_PRECISION - 1), dtype=np.int32)
    for tap in np.flatnonzero(weights.any(axis=1)):
        taken = images.take(positions[tap], axis=axis)
        total += np.multiply(taken, weights[tap].reshape(column), dtype=np.int32)
    return (total >> _PRECISION).astype(np.uint8)


def _taps(n_in: int, n_out: int) -> Tuple[np.ndarray, np.ndarray]:
    """Positions and weights of the triangle filter, int [taps, n_out]; weights sum to 2^22."""
    ratio = n_in / n_out
    support = max(ratio, 1.0)
    centers = (np.arange(n_out) + 0.5) * ratio
    first = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    positions = first + np.arange(2 * int(np.ceil(support)) + 1)[:, None]
    weights = np.maximum(0.0, 1.0 - np.abs((positions - centers + 0.5) * (1.0 / support)))
    weights[positions >= n_in] = 0.0
    weights /= np.cumsum(weights, axis=0)[-1]  # summed in Pillow's order, for the same last bit
    fixed = (weights * (1 << _PRECISION) + 0.5).astype(np.int32)
    return np.minimum(positions, n_in - 1), fixed


def convert_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Grey to RGB by repetition, RGB to grey by ITU-R 601 luma; uint8 [N, H, W, channels]."""
    found = images.shape[3]
    if found == channels:
        return images
    if (found, channels) == (1, 3):
        return np.repeat(images, 3, axis=3)
    if (found, channels) == (3, 1):
        luma = np.full((*images.shape[:3], 1), 0x8000, dtype=np.int32)
        for channel, weight in enumerate(_LUMA):
            luma += np.multiply(images[..., channel, None], weight, dtype=np.int32)
        return (luma >> 16).astype(np.uint8)
    raise ValueError("channels: cannot turn %d into %d; expected 1 or 3" % (found, channels))
