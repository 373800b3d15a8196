"""The last layer of foreign networks: found, replaced; what comes before it: frozen."""

import pytest
import torch
from torch import nn
from torchvision import models

from compress.errors import ModelError
from compress.models.head import (
    find_head,
    freeze_first,
    head_width,
    keep_frozen_in_eval,
    replace_head,
)

# Family -> where its last layer is, by reading torchvision's source.
FAMILIES = {
    "resnet18": "fc",
    "mobilenet_v3_small": "classifier.3",
    "efficientnet_b0": "classifier.1",
    "densenet121": "classifier",
    "squeezenet1_1": "classifier.1",
    "shufflenet_v2_x0_5": "fc",
    "vgg11": "classifier.6",
    "convnext_tiny": "classifier.2",
}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_head_of_a_torchvision_family_is_replaced_in_place(name: str) -> None:
    with torch.device("meta"):  # shapes are all that counts here
        module = models.get_model(name, weights=None)
        sample = torch.zeros(2, 3, 64, 64)
        assert head_width(module, sample) == 1000
        assert replace_head(module, 7, sample) == FAMILIES[name]
        assert head_width(module, sample) == 7
        expected = models.get_model(name, weights=None, num_classes=7).state_dict()
    assert {k: v.shape for k, v in module.state_dict().items()} == {
        k: v.shape for k, v in expected.items()
    }


def test_the_head_of_a_vision_transformer_is_found() -> None:
    module = models.VisionTransformer(
        image_size=32, patch_size=16, num_layers=1, num_heads=2, hidden_dim=32, mlp_dim=64
    )
    assert replace_head(module, 7, torch.zeros(2, 3, 32, 32)) == "heads.head"


class LastDefinedFirst(nn.Module):
    """Its head is defined before its body, and its body ends in a layer as wide as the output."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Linear(10, 10)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(48, 10), nn.ReLU())
        self.unused = nn.Linear(10, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.scores(self.body(images))
        return scores


def test_the_head_is_the_layer_that_computes_last_not_the_one_defined_last() -> None:
    module = LastDefinedFirst()
    assert find_head(module, torch.zeros(2, 3, 4, 4)).path == "scores"


def test_finding_the_head_leaves_modes_statistics_and_hooks_alone() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8).eval(), nn.Dropout(), nn.Flatten(), nn.Linear(32, 5)
    )
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    find_head(module, torch.ones(2, 3, 4, 4))
    assert [m.training for m in module] == [True, False, True, True, True]
    assert all(torch.equal(before[name], t) for name, t in module.state_dict().items())
    assert not any(m._forward_hooks for m in module.modules())


def test_an_output_that_no_layer_gives_is_refused() -> None:
    module = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    with pytest.raises(ModelError, match="expected a linear layer or convolution as wide"):
        replace_head(module, 7, torch.zeros(2, 3, 8, 8))


class Returns(nn.Module):
    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value

    def forward(self, images: torch.Tensor) -> object:
        return self.value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((torch.zeros(2, 10), torch.zeros(2, 10)), "found tuple"),
        ({"out": torch.zeros(2, 10)}, "found dict"),
        (torch.zeros(2, 10, 4, 4), r"found \[2, 10, 4, 4\]"),
        (torch.zeros(1, 10), r"expected logits of shape \[2, classes\], found \[1, 10\]"),
    ],
)
def test_an_output_that_is_no_row_of_logits_an_image_is_refused(
    value: object, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        head_width(Returns(value), torch.zeros(2, 3, 8, 8))


def test_an_input_too_small_is_refused_with_its_size_and_cause() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 7), nn.Flatten(), nn.LazyLinear(2))
    with pytest.raises(ModelError, match=r"3 x 5 x 5 images.*--input-size") as caught:
        head_width(module, torch.zeros(2, 3, 5, 5))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_freezing_counts_a_sequence_by_its_own_children() -> None:
    with torch.device("meta"):
        module = models.mobilenet_v3_small(weights=None)
    assert freeze_first(module, 3) == ("features.0", "features.1", "features.2")
    frozen = {n.split(".")[1] for n, p in module.named_parameters() if not p.requires_grad}
    assert frozen == {"0", "1", "2"}


def test_freezing_counts_only_parts_that_hold_weights() -> None:
    with torch.device("meta"):
        module = models.resnet18(weights=None)
    assert freeze_first(module, 4) == ("conv1", "bn1", "layer1.0", "layer1.1")


def test_freezing_looks_through_a_mere_wrapper() -> None:
    wrapper = nn.Module()
    wrapper.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(2, 2))
    assert freeze_first(wrapper, 2) == ("backbone.0", "backbone.1")


def test_freezing_nothing_changes_nothing() -> None:
    with torch.device("meta"):
        module = models.resnet18(weights=None)
    assert freeze_first(module, 0) == ()
    assert all(p.requires_grad for p in module.parameters())


@pytest.mark.parametrize("count", [3, 99, -1])
def test_freezing_everything_is_refused_with_the_number_of_parts(count: int) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Linear(4, 2))
    with pytest.raises(ModelError, match=rf"--freeze {count}: expected 0 to 2.*3 parts"):
        freeze_first(module, count)


def test_statistics_of_frozen_parts_stand_still_in_training() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
    )
    freeze_first(module, 2)
    module.train()
    keep_frozen_in_eval(module)
    module(torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(module[1].running_mean, torch.zeros(4))
    assert not torch.equal(module[3].running_mean, torch.zeros(4))
    assert module.training
