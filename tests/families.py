"""Sixteen families of torchvision's networks, as a factory file: `families.py:resnet18`.

In a short form, with blocks, stages and channels left out where others like them stay: what remains
has every kind of step of the whole. `whole` leaves nothing out.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models
from torchvision.models import convnext, efficientnet, inception, mobilenetv3, regnet, vgg

SOURCE = Path(__file__).resolve()
PATCHED_SIDE = 32  # a transformer of whole patches knows its images' height and width in pixels


def resnet18(num_classes: int, whole: bool = False) -> nn.Module:
    """Two stages, of which the second has both kinds of block."""
    module = models.resnet18(num_classes=num_classes)
    if not whole:
        module.layer3 = module.layer4 = nn.Identity()
        module.fc = nn.Linear(128, num_classes)
    return module


def mobilenet_v2(num_classes: int, whole: bool = False) -> nn.Module:
    """Blocks without expansion, with stride, with a residual, and with neither."""
    short = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 1]]
    setting = None if whole else short
    return models.MobileNetV2(num_classes, inverted_residual_setting=setting)


def mobilenet_v3_small(num_classes: int, whole: bool = False) -> nn.Module:
    """Its first five blocks: either activation, with and without squeeze and excitation."""
    if whole:
        return models.mobilenet_v3_small(num_classes=num_classes)
    rows: tuple[tuple[Any, ...], ...] = (
        (16, 3, 16, 16, True, "RE", 2),
        (16, 3, 72, 24, False, "RE", 2),
        (24, 3, 88, 24, False, "RE", 1),
        (24, 5, 96, 40, True, "HS", 2),
        (40, 5, 240, 40, True, "HS", 1),
    )
    blocks = [mobilenetv3.InvertedResidualConfig(*row, dilation=1, width_mult=1.0) for row in rows]
    return models.MobileNetV3(blocks, 128, num_classes=num_classes)


def shufflenet_v2_x0_5(num_classes: int, whole: bool = False) -> nn.Module:
    """Each stage with one block that divides the side by two, and one that does not."""
    return _without_repeats(models.shufflenet_v2_x0_5(num_classes=num_classes), whole)


def squeezenet1_1(num_classes: int, whole: bool = False) -> nn.Module:
    """No two blocks that follow each other are alike: the same either way."""
    return _without_repeats(models.squeezenet1_1(num_classes=num_classes), whole)


def densenet121(num_classes: int, whole: bool = False) -> nn.Module:
    """Two layers a block, each of which sees all before it."""
    if whole:
        return models.densenet121(num_classes=num_classes)
    return models.DenseNet(8, (2, 2, 2, 2), 16, num_classes=num_classes)


def regnet_y_400mf(num_classes: int, whole: bool = False) -> nn.Module:
    """Its first two stages."""
    if whole:
        return models.regnet_y_400mf(num_classes=num_classes)
    stages = regnet.BlockParams([1, 2], [48, 104], [8, 8], [1.0, 1.0], [2, 2], se_ratio=0.25)
    return models.RegNet(stages, num_classes=num_classes)


def convnext_tiny(num_classes: int, whole: bool = False) -> nn.Module:
    """Its first two stages, of one block each."""
    if whole:
        return models.convnext_tiny(num_classes=num_classes)
    stages = [convnext.CNBlockConfig(96, 192, 1), convnext.CNBlockConfig(192, None, 1)]
    return models.ConvNeXt(stages, num_classes=num_classes)


def vit_b_16(num_classes: int, whole: bool = False) -> nn.Module:
    """One layer of a quarter of the width."""
    if whole:
        return models.vit_b_16(num_classes=num_classes, image_size=PATCHED_SIDE)
    return models.VisionTransformer(PATCHED_SIDE, 16, 1, 3, 192, 768, num_classes=num_classes)


def efficientnet_b0(num_classes: int, whole: bool = False) -> nn.Module:
    """Blocks without expansion, with stride, of the larger kernel, and with a residual."""
    if whole:
        return models.efficientnet_b0(num_classes=num_classes)
    rows = ((1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 1), (6, 5, 1, 24, 40, 2))
    blocks = [efficientnet.MBConvConfig(*row) for row in rows]
    return models.EfficientNet(blocks, 0.2, num_classes=num_classes)


def mnasnet0_5(num_classes: int, whole: bool = False) -> nn.Module:
    """Four of six stacks, of two blocks each."""
    module = models.mnasnet0_5(num_classes=num_classes)
    if not whole:
        module.layers[12] = module.layers[13] = nn.Identity()
        module.layers[14] = nn.Conv2d(48, 1280, 1, bias=False)
    return _without_repeats(module, whole)


def googlenet(num_classes: int, whole: bool = False) -> nn.Module:
    """Three of nine modules, which are all of one kind."""
    module = models.googlenet(num_classes=num_classes, aux_logits=False, init_weights=False)
    if not whole:
        module.inception4b = module.inception4c = module.inception4d = nn.Identity()
        module.inception4e = module.inception5a = module.inception5b = nn.Identity()
        module.fc = nn.Linear(512, num_classes)
    return module


def inception_v3(num_classes: int, whole: bool = False) -> nn.Module:
    """Modules A, B, D and E: what C does, A and D do as well."""
    module = models.inception_v3(num_classes=num_classes, aux_logits=False, init_weights=False)
    if not whole:
        module.Mixed_5b = inception.InceptionA(192, pool_features=64)  # as wide as three of them
        module.Mixed_5c = module.Mixed_5d = module.Mixed_6b = nn.Identity()
        module.Mixed_6c = module.Mixed_6d = module.Mixed_6e = module.Mixed_7c = nn.Identity()
    return module


def swin_t(num_classes: int, whole: bool = False) -> nn.Module:
    """Two blocks, of which the second shifts its windows, and a third on merged patches, padded."""
    if whole:
        return models.swin_t(num_classes=num_classes)
    return models.SwinTransformer([4, 4], 24, [2, 1], [2, 4], [7, 7], num_classes=num_classes)


def vgg11_bn(num_classes: int, whole: bool = False) -> nn.Module:
    """A tenth of the channels: the published first fully connected layer alone has 400 MB."""
    if whole:
        return models.vgg11_bn(num_classes=num_classes)
    widths: list[Any] = [16, "M", 16, "M", 32, 32, "M", 32, 32, "M", 64, 64, "M"]
    with torch.device("meta"):
        module = models.vgg11_bn()
    module.features = vgg.make_layers(widths, batch_norm=True)
    module.classifier = _classifier(64 * 7 * 7, num_classes)
    return module


def alexnet(num_classes: int, whole: bool = False) -> nn.Module:
    """A quarter of the channels, and fully connected layers of a hundredth of the size."""
    if whole:
        return models.alexnet(num_classes=num_classes)
    with torch.device("meta"):
        module = models.alexnet()
    channels = 3
    for i, layer in enumerate(module.features):
        if isinstance(layer, nn.Conv2d):
            width = layer.out_channels // 4
            form = (layer.kernel_size, layer.stride, layer.padding)
            module.features[i] = nn.Conv2d(channels, width, *form)
            channels = width
    module.classifier = _classifier(channels * 6 * 6, num_classes)
    return module


def _classifier(inputs: int, num_classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, num_classes)
    )


def _without_repeats(module: nn.Module, whole: bool) -> nn.Module:
    """Leave out blocks that are like the one before them, shape for shape."""
    for parent in () if whole else list(module.modules()):
        if isinstance(parent, nn.Sequential):
            blocks = list(parent.named_children())
            shapes = [[p.shape for p in block.parameters()] for _, block in blocks]
            for i in range(1, len(blocks)):
                if shapes[i] and shapes[i] == shapes[i - 1]:
                    delattr(parent, blocks[i][0])
    return module
