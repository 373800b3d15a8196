"""--for-edge: what is changed in a network, what is left alone, and what it computes afterwards."""

import importlib

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import families
from compress.errors import UsageError
from compress.models.build import BuiltModel, ModelSpec, build_model
from compress.models.change import Changed, change_for_edge, title_of
from compress.models.edge._groups import Group, Segment
from compress.models.edge._widen import places
from compress.settings import Network
from compress.settings.edge_names import list_edge_changes

ALL = list_edge_changes()
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def build(reference: str, edge: tuple[str, ...], channels: int = 3) -> BuiltModel:
    torch.manual_seed(0)
    return build_model(
        ModelSpec(
            reference=reference,
            num_classes=10,
            channels=channels,
            input_size=(28, 28),
            args={},
            edge=edge,
        )
    )


def change(module: nn.Module, *names: str, trained: bool = True) -> Changed:
    return change_for_edge(module, names, IMAGES, trained=trained)


def answer(module: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return module.eval()(IMAGES)


def lively(module: nn.Module) -> nn.Module:
    """BatchNorm as after a training: statistics and weights that are not ones and zeros."""
    generator = torch.Generator().manual_seed(2)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.bias.data.normal_(generator=generator)
    return module


def widths(module: nn.Module) -> list[int]:
    return [layer.out_channels for layer in module.modules() if isinstance(layer, nn.Conv2d)]


# What every file of compress/models/edge must keep.


@pytest.mark.parametrize("name", ALL)
def test_every_change_has_a_title_and_leaves_a_network_without_its_subject_alone(name):
    before = build("resnet8", ())
    after = build("resnet8", (name,))
    assert title_of(name)
    assert after.edge == ()
    assert [type(m) for m in after.module.modules()] == [type(m) for m in before.module.modules()]
    assert torch.equal(answer(after.module), answer(before.module))


@pytest.mark.parametrize("name", ALL)
def test_every_change_is_known_by_its_file_alone(name):
    assert callable(importlib.import_module(f"compress.models.edge.{name}").apply)


def test_no_network_is_changed_without_being_asked():
    built = build("lenet5", (), channels=1)
    assert built.edge == ()
    assert widths(built.module) == [6, 16]


# Activations.


class OwnSwish(nn.Module):
    """A user's class of his own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x.sigmoid()


class CalledInForward(nn.Module):
    """Activations that are no layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.silu(self.conv(x))
        return self.head(nn.functional.gelu(x).mean((2, 3)))


def test_hard_swish_silu_and_gelu_of_any_class_become_relu():
    layers = [nn.Hardswish(inplace=True), nn.SiLU(), nn.GELU(), nn.GELU(approximate="tanh")]
    kept = [nn.ReLU6(), nn.Sigmoid(), nn.Dropout(), nn.Identity(), nn.PReLU(), nn.Flatten()]
    changed = change(nn.Sequential(*layers, OwnSwish(), *kept), "activations")
    assert [type(layer) for layer in changed.module] == [nn.ReLU] * 5 + [type(k) for k in kept]
    assert changed.module[0].inplace
    assert not changed.module[1].inplace
    (note,) = changed.notes
    assert note == (
        "activations: 1 GELU and 1 GELU by tanh and 2 SiLU and 1 hard-swish became ReLU; "
        "the weights were learned without and must learn again"
    )


def test_one_layer_in_two_places_is_replaced_in_both():
    swish = nn.SiLU()
    changed = change(nn.Sequential(swish, nn.Conv2d(3, 16, 1), swish), "activations")
    assert [type(layer) for layer in changed.module] == [nn.ReLU, nn.Conv2d, nn.ReLU]


def test_a_network_whose_dropout_overwrote_its_input_can_be_trained():
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 8 * 8, 16), nn.Hardswish(), nn.Dropout(0.5, inplace=True)
    ).append(nn.Linear(16, 4))
    changed = change_for_edge(network, ("activations",), torch.zeros(2, 3, 8, 8), trained=False)
    assert changed.names == ("activations",)
    changed.module.train()(torch.rand(2, 3, 8, 8)).sum().backward()
    assert network[1].weight.grad is not None


class Overwriting(nn.Module):
    """Adds to what its activation gave, in place: hard-swish can take that, ReLU cannot."""

    def __init__(self):
        super().__init__()
        self.flat, self.act = nn.Flatten(), nn.Hardswish()
        self.head = nn.Linear(3 * 8 * 8, 4)

    def forward(self, images):
        activated = self.act(self.head(self.flat(images)))
        activated += 1
        return activated


def test_a_change_that_would_keep_a_network_from_learning_is_not_made():
    network = Overwriting()
    changed = change_for_edge(network, ("activations",), torch.zeros(2, 3, 8, 8), trained=False)
    assert changed.names == ()
    assert isinstance(changed.module.act, nn.Hardswish)
    assert "overwrites" in changed.notes[0]


def test_activations_that_forward_calls_as_functions_stay_and_are_named():
    changed = change(CalledInForward(), "activations")
    assert changed.names == ()
    assert changed.notes == (
        "activations: 1 GELU as before, since its forward calls a function; make it a layer",
        "activations: 1 SiLU as before, since its forward calls a function; make it a layer",
    )


# Gates.


class Excited(nn.Module):
    """Squeeze and excitation by linear layers, the product in the block."""

    def __init__(self, gate: nn.Module | None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 24, 3, padding=1)
        self.branch = nn.Sequential(nn.Linear(24, 6), nn.ReLU(), nn.Linear(6, 24))
        self.gate = gate
        self.head = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        factors = self.branch(x.mean((2, 3)))
        factors = self.gate(factors) if self.gate else factors.sigmoid()
        return self.head((x * factors[:, :, None, None]).mean((2, 3)))


class Attentive(nn.Module):
    """A sigmoid for each pixel, not for each channel; and one of the classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.look = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 1, 1)
        self.pixels, self.classes = nn.Sigmoid(), nn.Sigmoid()
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        x = x * self.pixels(self.look(x))
        return self.classes(self.head(x.mean((2, 3))))


def test_gates_of_torchvision_become_hard_sigmoids():
    module = families.efficientnet_b0(10)
    count = sum(isinstance(layer, nn.Sigmoid) for layer in module.modules())
    changed = change(module, "gates", trained=False)
    assert count == 4  # one in each block
    assert sum(isinstance(layer, nn.Hardsigmoid) for layer in changed.module.modules()) == 4
    assert changed.notes == ("gates: 4 gates with a hard sigmoid, not a sigmoid",)


def test_gates_of_timm_become_hard_sigmoids():
    layers = pytest.importorskip("timm.layers")
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    module = nn.Sequential(nn.Conv2d(3, 16, 3), layers.SqueezeExcite(16), head)
    assert isinstance(change(module, "gates").module[1].gate, nn.Hardsigmoid)


def test_a_gate_whose_product_is_in_the_block_is_found():
    assert isinstance(change(Excited(nn.Sigmoid()), "gates").module.gate, nn.Hardsigmoid)


def test_a_gate_that_is_no_layer_stays_and_is_named():
    changed = change(Excited(None), "gates")
    assert changed.names == ()
    assert changed.notes == (
        "gates: 1 gate as before, since its forward calls sigmoid as a function; make it a layer",
    )


def test_sigmoids_that_are_no_gates_stay():
    changed = change(Attentive(), "gates")
    assert changed.names == ()
    assert isinstance(changed.module.pixels, nn.Sigmoid)
    assert isinstance(changed.module.classes, nn.Sigmoid)


# Channels.


def test_lenet5_gets_sixteen_maps_twice_and_keeps_its_units():
    built = build("lenet5", ALL, channels=1)
    conv = 16 * (5 * 5 * 1 + 1) + 16 * (5 * 5 * 16 + 1)
    linear = 120 * (16 * 5 * 5 + 1) + 84 * (120 + 1) + 10 * (84 + 1)
    assert built.edge == ("channels",)
    assert widths(built.module) == [16, 16]
    assert sum(p.numel() for p in built.module.parameters()) == conv + linear == 65_966


def test_new_entries_lie_behind_the_old_ones_of_their_group():
    wide, narrow = Group(15, mapped=True), Group(1, "the classes")
    found = places((Segment(wide, repeat=2), Segment(narrow)))
    assert found.tolist() == [*range(30), -1, -1, 30]


@pytest.mark.parametrize(
    "factory",
    [
        families.mobilenet_v2,
        families.mobilenet_v3_small,
        families.efficientnet_b0,
        families.mnasnet0_5,
        families.shufflenet_v2_x0_5,
        families.regnet_y_400mf,
    ],
)
def test_a_trained_network_goes_on_computing_what_it_computed(factory):
    torch.manual_seed(3)
    module = lively(factory(10))
    before, old = answer(module), widths(module)
    changed = change(module, "channels")
    assert changed.names == ("channels",)
    assert sum(width % 16 != 0 for width in widths(changed.module)) < sum(w % 16 != 0 for w in old)
    assert torch.allclose(answer(changed.module), before, rtol=1e-4, atol=1e-4)
    assert widths(module) == old


def test_weights_from_a_file_are_read_before_the_changes_and_kept(tmp_path):
    torch.manual_seed(6)
    trained = build("lenet5", (), channels=1).module
    save_file(trained.state_dict(), tmp_path / "lenet.safetensors")
    built = build_model(
        ModelSpec(
            reference="lenet5",
            num_classes=10,
            channels=1,
            input_size=(28, 28),
            args={},
            weights=tmp_path / "lenet.safetensors",
            edge=("channels",),
        )
    )
    images = torch.randn(4, 1, 28, 28)
    assert widths(built.module) == [16, 16]
    assert torch.allclose(built.module(images), trained(images), atol=1e-5)


class Joined(nn.Module):
    """A sum, a concatenation, a depthwise convolution and a flatten, of odd widths."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 10, 3, padding=1)
        self.same = nn.Sequential(nn.Conv2d(10, 10, 3, padding=1), nn.BatchNorm2d(10), nn.ReLU())
        self.other = nn.Conv2d(10, 20, 1)
        self.depthwise = nn.Conv2d(30, 30, 3, groups=30)
        self.norm = nn.BatchNorm2d(30)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(120, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.same(x)
        x = torch.cat([x, self.other(x)], dim=1)
        return self.head(self.norm(self.depthwise(x)))


def test_sums_share_their_channels_and_concatenations_hold_segments():
    torch.manual_seed(4)
    module = lively(Joined())
    changed = change(module, "channels").module
    assert widths(changed) == [16, 16, 32, 48]
    assert changed.depthwise.groups == changed.norm.num_features == 48
    assert changed.head[2].in_features == 4 * 48
    assert changed.other.weight.shape == (32, 16, 1, 1)
    assert torch.allclose(answer(changed), answer(module), atol=1e-5)


def test_what_a_trained_network_takes_anew_counts_nothing_and_what_it_gives_anew_is_drawn():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 16, 1), nn.Flatten())
    module.append(nn.Linear(16 * 32 * 32, 10))
    first, second = change(module, "channels").module[:2]
    assert torch.equal(first.weight[:4], module[0].weight)
    assert set(first.weight[4:].flatten().tolist()) <= set(module[0].weight.flatten().tolist())
    assert torch.equal(second.weight[:, :4], module[1].weight)
    assert not second.weight[:, 4:].any()


def test_of_random_weights_the_variance_of_what_a_layer_gives_stays():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 16, 1), nn.Flatten())
    module.append(nn.Linear(16 * 32 * 32, 10))
    second = change(module, "channels", trained=False).module[1]
    assert torch.allclose(second.weight[:, :4], module[1].weight / 2)  # the root of 4 / 16
    drawn = {round(2 * value, 6) for value in second.weight[:, 4:].flatten().tolist()}
    assert drawn <= {round(value, 6) for value in module[1].weight.flatten().tolist()}


def test_a_hard_swish_written_out_lets_its_channels_grow():
    class WrittenOut(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * nn.functional.relu6(x + 3) / 6

    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 10)]
    module = nn.Sequential(nn.Conv2d(3, 20, 1), WrittenOut(), *pool)
    changed = change(module, "channels").module
    assert widths(changed) == [32]
    assert torch.allclose(answer(changed), answer(module), atol=1e-6)


def test_channels_that_divide_others_stay():
    class Ratio(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Conv2d(3, 20, 1), nn.Conv2d(3, 20, 1)
            self.head = nn.Linear(20, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head((self.one(x) / (1 + self.other(x).abs())).mean((2, 3)))

    changed = change(Ratio(), "channels")
    assert changed.names == ()
    assert changed.notes == (
        "channels: one, other have as many channels as before: the operator div needs as many",
    )


def test_the_gate_of_widened_maps_is_widened_too():
    module = Excited(nn.Sigmoid())
    changed = change(module, "channels").module
    assert changed.conv.out_channels == 32
    assert changed.branch[2].out_features == changed.branch[0].in_features == 32
    assert changed.branch[0].out_features == 6  # units of linear layers alone stay
    assert torch.allclose(answer(changed), answer(module), atol=1e-6)


class CountsItsChannels(nn.Module):
    """A number of channels written into forward."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 20, 3, stride=2), nn.Linear(20 * 15 * 15, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).reshape(-1, 20 * 15 * 15))


class Slices(nn.Module):
    """A slice that takes all channels as long as there are twenty."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 20, 3, stride=2), nn.Linear(20, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x)[:, :20].mean((2, 3)))


@pytest.mark.parametrize("factory", [CountsItsChannels, Slices])
def test_a_forward_that_counts_its_channels_is_left_as_it_is(factory):
    module = factory()
    changed = change(module, "channels", trained=False)
    assert changed.names == ()
    assert changed.module is module
    assert "left as it is" in changed.notes[0]


def test_channels_that_a_grouped_convolution_takes_stay_and_the_reason_is_said():
    layers = [nn.Conv2d(3, 20, 3), nn.Conv2d(20, 40, 3, groups=4), nn.Conv2d(40, 20, 1)]
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 10)]
    changed = change(nn.Sequential(*layers, *pool), "channels")
    assert widths(changed.module) == [20, 40, 32]
    assert changed.notes == (
        "channels: one convolution makes a multiple of 16 channels now: 20 to 32",
        "channels: 0 has as many channels as before: a grouped convolution takes or makes them",
    )


def test_a_layer_that_is_called_twice_stays_one_layer():
    conv = nn.Conv2d(20, 20, 3, padding=1)
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 10)]
    module = nn.Sequential(nn.Conv2d(3, 20, 1), conv, nn.ReLU(), conv, *pool)
    changed = change(module, "channels").module
    assert changed[1] is changed[3]
    assert changed[1].weight.shape == (32, 32, 3, 3)
    assert torch.allclose(answer(changed), answer(module), atol=1e-5)


def test_a_frozen_layer_stays_frozen():
    module = nn.Sequential(nn.Conv2d(3, 20, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    module.append(nn.Linear(20, 10))
    module[0].weight.requires_grad_(False)
    changed = change(module, "channels").module
    assert [p.requires_grad for p in changed[0].parameters()] == [False, True]


# Which changes are asked for.


def test_no_change_is_asked_for_without_for_edge():
    assert Network().edge() == ()
    assert Network(for_edge=True).edge() == ALL == ("activations", "channels", "gates")


def test_changes_keep_the_order_in_which_they_are_named():
    assert Network(for_edge=True, edge_changes="gates, channels").edge() == ("gates", "channels")


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Network(for_edge=True, edge_changes="channel"), 'did you mean "channels"?'),
        (Network(for_edge=True, edge_changes=","), "found none"),
        (Network(edge_changes="gates"), "expected it with --for-edge"),
    ],
)
def test_unknown_changes_and_changes_without_for_edge_are_refused(network, said):
    with pytest.raises(UsageError) as caught:
        network.check()
    assert said in str(caught.value)
