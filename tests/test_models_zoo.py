"""The zoo's networks: their sizes, worked out by hand, and the inputs that they take."""

import pytest
import torch
from torch import nn

from compress.errors import ModelError
from compress.models.build import BuiltModel, ModelSpec, build_model
from compress.models.reference import list_models
from compress.preprocess import Preprocessing


def build(reference: str, *, side: int = 32, channels: int = 3, **args: object) -> BuiltModel:
    return build_model(
        ModelSpec(
            reference=reference,
            num_classes=10,
            channels=channels,
            input_size=(side, side),
            args=args,
        )
    )


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("side", [28, 32])
def test_lenet5_has_the_classic_number_of_parameters(side: int) -> None:
    conv1, conv2 = 6 * (5 * 5 * 1 + 1), 16 * (5 * 5 * 6 + 1)
    linear = 120 * (16 * 5 * 5 + 1) + 84 * (120 + 1) + 10 * (84 + 1)
    assert conv1 + conv2 + linear == 61_706
    assert parameters(build("lenet5", side=side, channels=1).module) == 61_706


def conv_bn(channels_in: int, channels_out: int, kernel: int) -> int:
    return kernel * kernel * channels_in * channels_out + 2 * channels_out


def residual_parameters(blocks: int) -> int:
    """Stem, three stages of `blocks` blocks with two projections, and ten outputs."""
    total = conv_bn(3, 16, 3)
    for before, after in ((16, 16), (16, 32), (32, 64)):
        total += conv_bn(before, after, 3) + (2 * blocks - 1) * conv_bn(after, after, 3)
        total += conv_bn(before, after, 1) if before != after else 0
    return total + 10 * 64 + 10


@pytest.mark.parametrize(
    ("name", "blocks", "total"), [("resnet8", 1, 78_042), ("resnet20", 3, 272_474)]
)
def test_a_cifar_resnet_has_the_parameters_of_its_formula(
    name: str, blocks: int, total: int
) -> None:
    assert residual_parameters(blocks) == total
    assert parameters(build(name).module) == total


@pytest.mark.parametrize(
    ("name", "layers"),
    [("resnet8", 8), ("resnet14", 14), ("resnet20", 20), ("resnet32", 32), ("resnet56", 56)],
)
def test_a_resnet_has_as_many_layers_as_its_name_says(name: str, layers: int) -> None:
    weighted = [m for m in build(name).module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    projections = [m for m in weighted if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert len(weighted) - len(projections) == layers


def test_ds_cnn_has_a_stem_and_four_separable_blocks_of_64_channels() -> None:
    block = 3 * 3 * 64 + 2 * 64 + conv_bn(64, 64, 1)
    assert parameters(build("ds_cnn").module) == conv_bn(3, 64, 5) + 4 * block + 10 * 65


@pytest.mark.parametrize("name", list_models())
@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3), (96, 1), (96, 3)])
def test_every_network_takes_small_and_large_grey_and_colour_images(
    name: str, side: int, channels: int
) -> None:
    built = build(name, side=side, channels=channels)
    assert built.preprocessing == Preprocessing(size=(side, side), channels=channels)
    with torch.no_grad():
        logits = built.module(torch.zeros(3, channels, side, side))
    assert logits.shape == (3, 10)
    assert built.notes == ()


@pytest.mark.parametrize("name", [n for n in list_models() if n != "lenet5"])
@pytest.mark.parametrize("width", [0.25, 1.7])
def test_widths_are_multiples_of_16_at_any_multiplier(name: str, width: float) -> None:
    convolutions = [
        m for m in build(name, width=width).module.modules() if isinstance(m, nn.Conv2d)
    ]
    assert all(m.out_channels % 16 == 0 for m in convolutions)


def test_mobilenet_at_a_quarter_has_the_widths_of_mlperf_tiny_rounded_to_16() -> None:
    pointwise = [
        m.out_channels
        for m in build("mobilenet", width=0.25).module.modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)
    ]
    assert pointwise == [16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256]


def test_images_that_are_not_square_are_taken() -> None:
    built = build_model(
        ModelSpec(reference="lenet5", num_classes=4, channels=1, input_size=(28, 40), args={})
    )
    assert built.module(torch.zeros(2, 1, 28, 40)).shape == (2, 4)


@pytest.mark.parametrize("name", list_models())
def test_no_relu_works_in_place(name: str) -> None:
    assert not any(m.inplace for m in build(name).module.modules() if isinstance(m, nn.ReLU))


def test_an_image_too_small_for_lenet5_is_refused_with_both_sizes() -> None:
    with pytest.raises(ModelError, match=r"at least 12 pixels a side, found 8 x 8"):
        build("lenet5", side=8)


def test_an_unknown_argument_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ModelError, match=r"resnet8.*found widht; did you mean width\?"):
        build("resnet8", widht=2)


@pytest.mark.parametrize("width", [0, -1, "wide"])
def test_a_width_that_is_no_positive_number_is_refused(width: object) -> None:
    with pytest.raises(ModelError, match="width: expected a positive number"):
        build("resnet8", width=width)


def test_one_seed_gives_one_set_of_weights() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(build("resnet8").module.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_first_stride_of_two_quarters_the_pixels_of_the_stages() -> None:
    plain, strided = (build("resnet14", first_stride=stride).module.eval() for stride in (1, 2))
    maps = torch.zeros(1, 3, 32, 32)
    assert plain.stage1(plain.stem(maps)).shape == (1, 16, 32, 32)
    assert strided.stage1(strided.stem(maps)).shape == (1, 16, 16, 16)


@pytest.mark.parametrize("stride", [0, 3, "two"])
def test_another_first_stride_is_refused(stride: object) -> None:
    with pytest.raises(ModelError, match="first_stride: expected 1 or 2"):
        build("resnet8", first_stride=stride)
