"""Whatever form an image file has, its pixels come out upright, 8-bit, grey or RGB."""

import warnings

import numpy as np
import pytest
from PIL import Image

from compress.data.image import decode, fit, load_image
from compress.errors import DataError
from compress.preprocess import Preprocessing, crop, resize

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20  # 3 rows, 4 columns
COLOUR = np.stack([RAMP, 255 - RAMP, RAMP // 2], axis=2)


def saved(tmp_path, image, name="image.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def test_a_grey_file_has_one_channel(tmp_path):
    pixels = load_image(saved(tmp_path, Image.fromarray(RAMP)))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, RAMP[..., None])


def test_an_rgb_file_has_three_channels(tmp_path):
    assert np.array_equal(load_image(saved(tmp_path, Image.fromarray(COLOUR))), COLOUR)


def test_an_rgb_file_without_colour_has_one_channel(tmp_path):
    grey = Image.fromarray(RAMP).convert("RGB")
    assert np.array_equal(load_image(saved(tmp_path, grey)), RAMP[..., None])


def test_one_coloured_pixel_off_the_coarse_grid_makes_a_file_coloured(tmp_path):
    pixels = np.full((40, 40, 3), 7, dtype=np.uint8)
    pixels[5, 9, 2] = 8
    assert load_image(saved(tmp_path, Image.fromarray(pixels))).shape == (40, 40, 3)


def test_transparency_is_dropped(tmp_path):
    rgba = np.dstack([COLOUR, np.arange(12, dtype=np.uint8).reshape(3, 4)])
    assert np.array_equal(load_image(saved(tmp_path, Image.fromarray(rgba))), COLOUR)


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    palette = Image.fromarray(COLOUR).quantize(16)
    path = saved(tmp_path, palette, transparency=bytes(range(16)))
    assert np.array_equal(np.asarray(decode(path)), np.asarray(palette.convert("RGB")))


def test_a_one_bit_file_is_black_and_white(tmp_path):
    path = saved(tmp_path, Image.fromarray(RAMP > 100))
    assert np.array_equal(load_image(path)[..., 0], np.where(RAMP > 100, 255, 0))


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    deep = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)  # 0, 1, 128, 255 times 257
    assert load_image(saved(tmp_path, Image.fromarray(deep)))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_a_cmyk_jpeg_becomes_rgb(tmp_path):
    flat = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # magenta and yellow ink: red
    pixels = load_image(saved(tmp_path, flat, "image.jpg", quality=100))
    assert pixels.shape == (8, 8, 3)
    assert (pixels.reshape(-1, 3).mean(axis=0) - [255, 0, 0] < 40).all()


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, RAMP), (3, RAMP[::-1, ::-1]), (6, np.rot90(RAMP, -1)), (8, np.rot90(RAMP))],
)
def test_the_cameras_orientation_is_applied(tmp_path, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(RAMP), exif=exif)
    assert np.array_equal(load_image(path)[..., 0], upright)


def test_of_an_animation_the_first_frame_counts(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), level, dtype=np.uint8)) for level in (10, 200)]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert (load_image(path) == 10).all()


@pytest.mark.parametrize("keep", [0, 1, 100, -40])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tif"])
def test_a_truncated_file_is_refused_with_its_name(tmp_path, name, keep):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), name)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=rf"{name}: expected an image, found one that cannot be"):
        load_image(path)


def test_a_text_file_with_an_images_name_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_text("not an image")
    with pytest.raises(DataError, match="of no known image format"):
        load_image(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        load_image(tmp_path / "gone.png")


def test_floating_point_pixels_are_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(RAMP.astype(np.float32)), "a.tif")
    with pytest.raises(DataError, match="range is unknown"):
        load_image(path)


def test_an_image_of_suspicious_size_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.new("L", (50, 30)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # 1,500 pixels: Pillow only warns
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match="decompression bomb"):
            load_image(path)


@pytest.mark.parametrize("rule", ["crop", "stretch"])
@pytest.mark.parametrize("size", [(8, 8), (20, 31), (64, 48)])
def test_fitting_a_file_agrees_with_fitting_an_array(rule, size):
    pixels = np.random.default_rng(0).integers(0, 256, (37, 23, 3), dtype=np.uint8)
    fitted = np.asarray(fit(Image.fromarray(pixels), size, rule))
    spec = Preprocessing(size=size, channels=3, resize=rule)
    array = resize(crop(pixels[None], spec), size)[0]
    assert np.abs(fitted.astype(int) - array).max() <= 1
