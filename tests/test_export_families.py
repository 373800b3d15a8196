"""Networks of sixteen families: each converts, answers as torch does, and computes in integers.

Of torchvision's networks, with blocks left out where several equal ones follow each other: what
remains has every kind of step of the whole. COMPRESS_NETWORKS=few takes eight that have no step in
common but the plainest; COMPRESS_NETWORKS=whole leaves no block out, which takes minutes.
"""

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models import vgg

from compress.models.checkpoint import LoadedModel
from compress.preprocess import Preprocessing, preprocess
from compress_export.calibration import find_ranges
from compress_export.calibration._observe import observe
from compress_export.convert import convert
from compress_export.proof.census import take_census
from compress_export.quantizers.pair_safe import count_saturating_pairs
from compress_export.quantizers.static_qdq import activations, quantize
from compress_export.rewrites import apply_rewrites
from compress_export.session import open_session, run_logits, session_options
from suite.untrained import structured_images, waken

ASKED = os.environ.get("COMPRESS_NETWORKS", "short")
WHOLE = ASKED == "whole"
CLASSES = tuple("0123456789")
BATCHES = (1, 2, 5)
# What transformers keep in float: normalisation over channels, and Gelu in its parts.
TRANSFORMER = ("Erf", "LayerNormalization", "Pad", "QuantizeLinear", "Shape")


@dataclass(frozen=True)
class Family:
    """One network, and what it is known to keep in float.

    Attributes:
        network: torchvision's name.
        side: height and width in pixels, the smallest that leave it something to see.
        islands: operator types that stay float; empty where all is computed in integers.
        make: a short form where equal blocks do not follow each other.
    """

    network: str
    side: int = 64
    islands: tuple[str, ...] = ()
    make: Callable[[], nn.Module] | None = None


def small_densenet() -> nn.Module:
    """Two layers a block, each of which sees all before it."""
    return models.DenseNet(8, (2, 2, 2, 2), 16, num_classes=len(CLASSES))


def small_vgg() -> nn.Module:
    """A tenth of the channels: the published first fully connected layer alone has 400 MB."""
    with torch.device("meta"):
        module = models.vgg11_bn()
    widths = [16, "M", 16, "M", 32, 32, "M", 32, 32, "M", 64, 64, "M"]
    module.features = vgg.make_layers(widths, batch_norm=True)
    module.classifier = nn.Sequential(
        nn.Linear(64 * 7 * 7, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, len(CLASSES))
    )
    return module


def small_alexnet() -> nn.Module:
    """Its own convolutions, and fully connected layers of a hundredth of the size."""
    module = models.alexnet()
    module.classifier = nn.Sequential(
        nn.Linear(256 * 6 * 6, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, len(CLASSES))
    )
    return module


def small_googlenet() -> nn.Module:
    """Without the modules that give what they take."""
    module = models.googlenet(num_classes=len(CLASSES), aux_logits=False, init_weights=False)
    module.inception4b = module.inception4c = module.inception5a = nn.Identity()
    return module


def small_inception() -> nn.Module:
    """Likewise; one of each kind stays."""
    module = models.inception_v3(num_classes=len(CLASSES), aux_logits=False, init_weights=False)
    module.Mixed_5d = module.Mixed_6c = module.Mixed_6d = module.Mixed_6e = nn.Identity()
    module.Mixed_7c = nn.Identity()
    return module


def small_swin() -> nn.Module:
    """Two stages of two blocks, of which the second shifts its windows; 16 patches are padded."""
    return models.SwinTransformer(
        [4, 4], 24, [2, 2], [2, 4], window_size=[7, 7], num_classes=len(CLASSES)
    )


FEW = (
    Family("resnet18"),
    Family("mobilenet_v3_small"),
    Family("shufflenet_v2_x0_5"),
    Family("squeezenet1_1"),
    Family("densenet121", 32, make=small_densenet),
    Family("regnet_y_400mf"),
    Family("convnext_tiny", 32, TRANSFORMER),
    Family("vit_b_16", 32, TRANSFORMER),
)
FAMILIES = (
    FEW
    if ASKED == "few"
    else (
        *FEW,
        Family("mobilenet_v2"),
        Family("efficientnet_b0"),
        Family("mnasnet0_5"),
        Family("googlenet", make=small_googlenet),
        Family("inception_v3", 75, make=small_inception),
        Family("swin_t", 64, TRANSFORMER, make=small_swin),
        Family("vgg11_bn", 224, make=small_vgg),  # at any other size it pools to 7 x 7 unevenly
        Family("alexnet", 224, make=small_alexnet),
    )
)


def make(family: Family) -> nn.Module:
    """The network with random weights, in one piece or short."""
    torch.manual_seed(0)
    if family.make and not WHOLE:
        return family.make()
    arguments = {"num_classes": len(CLASSES)}
    if family.network in ("googlenet", "inception_v3"):
        arguments |= {"aux_logits": False, "init_weights": False}
    if family.network == "vit_b_16":
        arguments["image_size"] = family.side
    module = models.get_model(family.network, weights=None, **arguments)
    if not WHOLE:
        shorten(module)
    return module


def shorten(module: nn.Module) -> None:
    """Leave out blocks that are like the one before them, shape for shape."""
    for parent in module.modules():
        if isinstance(parent, nn.Sequential):
            blocks = list(parent.named_children())
            shapes = [[p.shape for p in block.parameters()] for _, block in blocks]
            for i in range(1, len(blocks)):
                if shapes[i] and shapes[i] == shapes[i - 1]:
                    delattr(parent, blocks[i][0])


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.network)
def test_a_network_of_each_family_becomes_integers(family, tmp_path):
    spec = Preprocessing((family.side, family.side), 3)
    module = waken(make(family), structured_images(32, family.side, seed=1), spec)
    model = LoadedModel(module, spec, CLASSES, family.network, "", {})
    core, _ = convert(model, 18)
    check_parity(module, core, spec)

    prepared = copy.deepcopy(core)
    apply_rewrites(prepared, "before_int8")
    images = [preprocess(structured_images(16, family.side, seed=2), spec)]
    observed = observe(prepared, activations(prepared), images, 1, histograms=False)
    quantized = quantize(prepared, find_ranges(observed, "minmax"))
    assert count_saturating_pairs(quantized) == 0
    path = tmp_path / "int8.onnx"
    onnx.save(quantized, path)
    census = take_census(path)
    assert census.integer_convolutions == census.convolutions
    assert census.integer_products == census.products
    assert {island.operator for island in census.islands} <= set(family.islands)
    assert all(island.module and island.reason for island in census.islands)
    check_closeness(core, quantized, spec)


def check_parity(module: nn.Module, core: onnx.ModelProto, spec: Preprocessing) -> None:
    """The graph answers as torch does, and the images do not all get the same answer."""
    inputs = preprocess(structured_images(sum(BATCHES), spec.size[0], seed=3), spec)
    session = open_session(core.SerializeToString(), session_options(1), subject="core")
    with torch.no_grad():
        expected = module(torch.from_numpy(inputs)).numpy()
    found = [run_logits(session, part) for part in np.split(inputs, np.cumsum(BATCHES)[:-1])]
    largest = np.abs(expected).max()
    assert np.ptp(expected, axis=0).max() > 0.05 * largest
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-4 * max(1.0, largest))


def check_closeness(core: onnx.ModelProto, quantized: onnx.ModelProto, spec: Preprocessing) -> None:
    """int8 answers are those of float32 and noise, not noise alone."""
    inputs = preprocess(structured_images(16, spec.size[0], seed=4), spec)
    exact, found = (
        run_logits(open_session(g.SerializeToString(), session_options(1), subject="graph"), inputs)
        for g in (core, quantized)
    )
    decibel = 10 * np.log10(np.square(exact).sum() / np.square(exact - found).sum())
    assert decibel > 12  # found: 17 to 41
