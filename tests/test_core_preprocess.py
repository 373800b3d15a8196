"""Pixels reach every network by one function, which agrees with Pillow and runs on old Pythons."""

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import compress.preprocess
from compress.preprocess import (
    Preprocessing,
    channels_last,
    convert_channels,
    crop,
    crop_box,
    fit_pixels,
    preprocess,
    resize,
    to_input,
)

SIZES = [  # height and width of the image, then of the result
    ((28, 28), (32, 32)),
    ((32, 32), (28, 28)),
    ((224, 224), (32, 32)),
    ((32, 32), (224, 224)),
    ((17, 23), (5, 61)),
    ((23, 17), (61, 5)),
    ((97, 101), (33, 29)),
    ((1, 1), (7, 3)),
    ((50, 3), (1, 1)),
    ((500, 7), (10, 7)),
]


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def with_pillow(image, size):
    grey = image.shape[2] == 1
    pillow = Image.fromarray(image[..., 0] if grey else image)
    resized = pillow.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(*size, -1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_resizing_agrees_with_pillow_to_one_grey_level(shape, size, channels):
    images = noise((3, *shape, channels))
    resized = resize(images, size)
    assert resized.shape == (3, *size, channels) and resized.dtype == np.uint8
    for image, result in zip(images, resized, strict=True):
        assert np.abs(result.astype(int) - with_pillow(image, size)).max() <= 1


@settings(max_examples=60, deadline=None)
@given(*[st.integers(1, 40)] * 4, st.sampled_from([1, 3]), st.integers(0, 2**32))
def test_resizing_agrees_with_pillow_at_any_size(height, width, new_height, new_width, c, seed):
    image, size = noise((height, width, c), seed), (new_height, new_width)
    difference = resize(image[None], size)[0].astype(int) - with_pillow(image, size)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_resizing_keeps_a_flat_image_flat(level):
    flat = np.full((1, 13, 29, 1), level, dtype=np.uint8)
    assert (resize(flat, (31, 7)) == level).all()


def test_an_equal_size_gives_the_same_array():
    images = noise((2, 9, 8, 3))
    assert resize(images, (9, 8)) is images


def test_resizing_in_blocks_gives_what_single_images_give():
    images = noise((40, 100, 90, 1))  # more than one block
    together = resize(images, (20, 30))
    assert all(np.array_equal(together[i], resize(images[i : i + 1], (20, 30))[0]) for i in (0, 39))


def test_no_images_are_resized_to_no_images():
    assert resize(noise((0, 5, 5, 3)), (2, 2)).shape == (0, 2, 2, 3)


def test_luma_is_pillows_exactly():
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 52, 3)
    pillow = np.asarray(Image.fromarray(colours[0]).convert("L"))
    assert np.array_equal(convert_channels(colours, 1)[0, ..., 0], pillow)


def test_grey_becomes_rgb_by_repetition():
    grey = noise((2, 3, 4, 1))
    assert (convert_channels(grey, 3) == grey).all()
    assert convert_channels(grey, 3).shape == (2, 3, 4, 3)


def test_other_channel_counts_are_refused():
    with pytest.raises(ValueError, match="cannot turn 4 into 3"):
        convert_channels(noise((1, 2, 2, 4)), 3)


@pytest.mark.parametrize(
    ("shape", "size", "fraction", "box"),
    [
        ((100, 200), (32, 32), 1.0, (0, 50, 100, 100)),
        ((200, 100), (32, 32), 1.0, (50, 0, 100, 100)),
        ((100, 200), (10, 20), 1.0, (0, 0, 100, 200)),
        ((100, 200), (20, 10), 1.0, (0, 75, 100, 50)),
        ((256, 256), (224, 224), 0.875, (16, 16, 224, 224)),
        ((101, 100), (5, 5), 1.0, (0, 0, 100, 100)),  # an odd row: the upper half is kept
        ((1, 500), (500, 1), 1.0, (0, 249, 1, 1)),  # never less than a pixel
    ],
)
def test_the_crop_is_the_centre_of_the_inputs_aspect_ratio(shape, size, fraction, box):
    assert crop_box(shape, size, fraction) == box


@settings(deadline=None)
@given(*[st.integers(1, 300)] * 4, st.floats(0.01, 1.0))
def test_the_crop_lies_inside_the_image(height, width, new_height, new_width, fraction):
    top, left, box_height, box_width = crop_box((height, width), (new_height, new_width), fraction)
    assert 0 <= top < top + box_height <= height
    assert 0 <= left < left + box_width <= width


def test_stretch_uses_all_of_the_image_and_crop_its_centre():
    images = noise((2, 4, 8, 1))
    stretch = Preprocessing(size=(4, 4), channels=1, resize="stretch")
    assert crop(images, stretch) is images
    assert np.array_equal(crop(images, Preprocessing((4, 4), 1)), images[:, :, 2:6])


def test_an_unknown_resize_rule_is_refused():
    with pytest.raises(ValueError, match="expected 'crop' or 'stretch', found 'squash'"):
        preprocess(noise((1, 4, 4, 1)), Preprocessing((4, 4), 1, resize="squash"))


def test_pixels_are_normalised_per_channel():
    image = np.array([[[[0, 128, 255]]]], dtype=np.uint8)
    spec = Preprocessing((1, 1), 3, mean=(0.0, 128.0, 55.0), scale=(1.0, 64.0, 100.0))
    assert preprocess(image, spec).ravel().tolist() == [0.0, 0.0, 2.0]


def test_the_default_maps_128_to_0_and_a_step_to_a_64th():
    image = np.array([0, 64, 128, 192, 255], dtype=np.uint8).reshape(1, 1, 5, 1)
    spec = Preprocessing((1, 5), 1)
    assert preprocess(image, spec).ravel().tolist() == [-2.0, -1.0, 0.0, 1.0, 127 / 64]


def test_the_result_is_a_contiguous_float32_batch_of_channels_first():
    images = noise((3, 6, 9, 3))
    inputs = preprocess(images, Preprocessing((4, 4), 3, mean=(0.0,), scale=(1.0,)))
    assert inputs.shape == (3, 3, 4, 4)
    assert inputs.dtype == np.float32 and inputs.flags.c_contiguous
    squares = resize(images[:, :, 1:7], (4, 4))  # the centre 6 of 9 columns
    assert np.array_equal(inputs.transpose(0, 2, 3, 1), squares)


def test_a_manifest_gives_the_same_preprocessing_back():
    spec = Preprocessing((5, 6), 3, (1.0, 2.0, 3.0), (4.0,), "stretch", 0.875)
    fields = spec.to_dict()
    as_json = {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}
    assert Preprocessing.from_dict(as_json) == spec


FLOAT, UINT8 = "tensor(float)", "tensor(uint8)"


@pytest.mark.parametrize(
    ("tensor_type", "shape", "last"),
    [
        (FLOAT, ["batch", 3, 5, 4], False),
        (FLOAT, ["batch", 5, 4, 3], True),
        (FLOAT, [1, 3, "height", "width"], False),
        (FLOAT, ["n", "height", "width", 3], True),
        (FLOAT, ["n", "c", "h", "w"], False),  # it does not say: as each type usually is
        (UINT8, ["n", "h", "w", "c"], True),
        (FLOAT, [1, 3, 5, 3], False),  # both fit
        (UINT8, [1, 3, 5, 3], True),
        (UINT8, [1, 3, 5, 4], False),
        (UINT8, [1, 5, 4, 3], True),
    ],
)
def test_the_layout_of_an_input_is_read_from_where_its_channels_are(tensor_type, shape, last):
    assert channels_last(3, tensor_type, shape) is last


def test_an_input_of_floats_is_normalised_in_its_own_type_and_layout():
    spec = Preprocessing((4, 5), 3, (1.0, 2.0, 3.0), (3.0, 5.0, 7.0))
    images = noise((2, 9, 9, 3))
    first = to_input(images, spec, FLOAT, ["batch", 3, 4, 5])
    assert np.array_equal(first, preprocess(images, spec))
    last = to_input(images, spec, FLOAT, ["batch", 4, 5, 3])
    assert np.array_equal(last.transpose(0, 3, 1, 2), first) and last.flags.c_contiguous
    half = to_input(images, spec, "tensor(float16)", ["batch", 3, 4, 5])
    assert half.dtype == np.float16 and np.array_equal(half, first.astype(np.float16))
    double = to_input(images, spec, "tensor(double)", ["batch", 3, 4, 5])
    assert double.dtype == np.float64 and np.array_equal(double, first)


def test_an_input_of_uint8_gets_the_pixels_themselves():
    spec = Preprocessing((4, 5), 1, (1.0,), (3.0,))
    images = noise((2, 9, 9, 3))
    frames = to_input(images, spec, UINT8, ["batch", 4, 5, 1])
    assert np.array_equal(frames, fit_pixels(images, spec)) and frames.dtype == np.uint8
    first = to_input(images, spec, UINT8, ["batch", 1, 4, 5])
    assert np.array_equal(first[:, 0], frames[..., 0]) and first.flags.c_contiguous


@pytest.mark.parametrize(
    ("tensor_type", "shape", "message"),
    [
        (
            "tensor(int64)",
            [1, 3, 4, 5],
            r"expected a type of float or uint8, found tensor\(int64\)",
        ),
        (FLOAT, ["n", 60], r"expected \[batch, 3, height, width\] or .* found \['n', 60\]"),
    ],
)
def test_an_input_that_takes_no_image_is_refused(tensor_type, shape, message):
    with pytest.raises(ValueError, match=message):
        to_input(noise((1, 4, 5, 3)), Preprocessing((4, 5), 3), tensor_type, shape)


def test_the_file_is_python_3_8():
    source = Path(compress.preprocess.__file__).read_text()
    ast.parse(source, feature_version=(3, 8))
