"""Taps: what passes a layer is caught as it is, in any network, which stays as it was."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from compress.errors import ModelError, UsageError
from compress.models.layers import list_layers, tap_shapes
from compress.models.stages import list_stages
from compress.models.taps import Recorder, Tap, parse_tap

IMAGES = torch.linspace(-2, 2, 2 * 3 * 6 * 6).sin().reshape(2, 3, 6, 6)


class Block(nn.Module):
    """Changes what its BatchNorm gave, in one of several ways."""

    def __init__(self, behind) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.act = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
        self.head = nn.Linear(4, 3)
        self.behind = behind

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.behind(self, self.norm(self.conv(images))).mean((2, 3)))


def _add(_, maps):
    maps += maps.detach().sin()
    return maps


def _in_place_module(block, maps):
    block.act.inplace = True
    return block.act(maps)


CHANGES = {
    "module": (_in_place_module, lambda block, maps: block.act(maps)),
    "function": (lambda _, maps: F.relu_(maps), lambda _, maps: F.relu(maps)),
    "addition": (_add, lambda _, maps: maps + maps.detach().sin()),
}


def record(module: nn.Module, *taps: Tap, images=IMAGES) -> tuple[torch.Tensor, ...]:
    recorder = Recorder(module, taps)
    recorder.start()
    module(images)
    caught = recorder.caught()
    recorder.stop()
    recorder.close()
    return caught


def hooks(module: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules())


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_changed_in_place_behind_a_tap_was_caught_before(change):
    in_place, apart = (Block(behind) for behind in CHANGES[change])
    found, expected = (record(block, Tap("norm"))[0] for block in (in_place, apart))
    assert torch.equal(found, expected)
    assert (found < 0).any()


@pytest.mark.parametrize("change", CHANGES)
def test_gradients_through_a_tap_are_those_of_a_network_that_changes_nothing_in_place(change):
    gradients = []
    for behind in CHANGES[change]:
        block = Block(behind)
        recorder = Recorder(block, [Tap("norm")])
        recorder.start()
        loss = block(IMAGES).square().sum()
        (loss + recorder.caught()[0].pow(3).sum()).backward()
        gradients.append([p.grad for p in block.parameters()])
    for found, expected in zip(*gradients, strict=True):
        assert torch.equal(found, expected)


def test_a_tap_may_be_on_the_input_of_a_layer_and_on_the_network_itself():
    block = Block(CHANGES["module"][1]).eval()
    norm, act, images, logits = record(
        block, Tap("norm"), Tap("act", "input"), Tap(".", "input"), Tap(".")
    )
    assert torch.equal(norm, act)
    assert torch.equal(images, IMAGES)
    assert torch.equal(logits, block(IMAGES))


def test_of_a_layer_that_is_called_twice_the_last_call_counts():
    block = Block(lambda block, maps: block.act(block.act(maps) - 0.5))
    (found,) = record(block, Tap("act", "input"))
    assert torch.equal(found, block.norm(block.conv(IMAGES)).relu() - 0.5)


def test_nothing_is_caught_or_held_unless_it_is_asked_for():
    block = Block(CHANGES["function"][1])
    recorder = Recorder(block, [Tap("norm")])
    block(IMAGES)
    with pytest.raises(ModelError, match="forward does not"):
        recorder.caught()
    recorder.start()
    block(IMAGES)
    recorder.stop()
    with pytest.raises(ModelError, match="forward does not"):
        recorder.caught()


def test_a_layer_that_gives_no_tensor_is_refused():
    net = nn.Sequential(nn.Flatten(2), nn.LSTM(36, 5))
    with pytest.raises(
        ModelError, match=r"network layer 1: expected one tensor, found tuple; name"
    ):
        record(net, Tap("1"))


def test_a_layer_that_is_never_called_is_refused():
    block = Block(CHANGES["function"][1])
    with pytest.raises(
        ModelError, match=r"network layer act:input: expected a layer that the netw"
    ):
        record(block, Tap("norm"), Tap("act", "input"))


def test_a_layer_without_a_row_for_each_image_is_refused():
    class Pooled(nn.Flatten):
        def forward(self, inputs):
            return inputs.mean(0)

    net = nn.Sequential(Pooled())
    with pytest.raises(ModelError, match=r"student layer 0: expected a row for each of 2 images, "):
        tap_shapes(net, [Tap("0")], (3, 6, 6), "student")


def test_a_copy_records_into_a_recorder_of_its_own():
    block = Block(CHANGES["function"][1])
    recorder = Recorder(block, [Tap("norm")])
    both = copy.deepcopy((block, recorder))
    recorder.start()
    both[0](IMAGES)  # is not heard here
    with pytest.raises(ModelError):
        recorder.caught()
    both[1].start()
    both[0](2 * IMAGES)
    block(IMAGES)
    assert not torch.equal(both[1].caught()[0], recorder.caught()[0])
    recorder.stop()
    both[1].stop()
    both[1].close()
    assert (hooks(both[0]), hooks(block)) == (0, 1)
    assert hooks(copy.deepcopy(block)) == 1  # an average's copy: heard by nobody
    recorder.close()
    assert hooks(block) == 0


NET = nn.Sequential()
NET.add_module("stem", nn.Conv2d(3, 4, 3))
NET.add_module("stage1", nn.Sequential(nn.Sequential(nn.ReLU(), nn.ReLU()), nn.ReLU()))


@pytest.mark.parametrize(
    ("text", "tap"),
    [
        ("stem", Tap("stem")),
        ("stage1.-1", Tap("stage1.1")),
        ("stage1.-2.-1:input", Tap("stage1.0.1", "input")),
        ("-1.0:output", Tap("stage1.0")),
        (".", Tap(".")),
    ],
)
def test_a_layer_is_named_by_its_path_or_from_the_end(text, tap):
    assert parse_tap(text, NET, "student") == tap


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stagel.0", 'student layer stagel.0: no such layer; did you mean "stage1"?'),
        ("stage1.2", 'student layer stage1.2: no such layer; did you mean "stage1.1"?'),
        ("stage1.-3", 'student layer stage1.-3: no such layer; did you mean "stage1.1"?'),
        ("stem.conv", 'student layer stem.conv: no such layer; did you mean "stem"?'),
        ("neck", "student layer neck: no such layer; expected one of stem, stage1"),
        ("stem:inputs", 'student layer stem:inputs: no such side; did you mean "input"?'),
    ],
)
def test_a_layer_that_is_not_there_is_refused_with_the_nearest(text, said):
    with pytest.raises(UsageError) as caught:
        parse_tap(text, NET, "student")
    assert said in str(caught.value)


def test_layers_are_listed_as_they_end_with_the_shapes_of_one_image():
    found = list_layers(nn.Sequential(NET, nn.Flatten()), (3, 6, 6))
    assert [(layer.path, layer.shape) for layer in found] == [
        ("0.stem", (4, 4, 4)),
        ("0.stage1.0.0", (4, 4, 4)),
        ("0.stage1.0.1", (4, 4, 4)),
        ("0.stage1.0", (4, 4, 4)),
        ("0.stage1.1", (4, 4, 4)),
        ("0.stage1", (4, 4, 4)),
        ("0", (4, 4, 4)),
        ("1", (64,)),
        (".", (64,)),
    ]
    assert (found[0].taken, found[-2].taken) == ((3, 6, 6), (4, 4, 4))


def test_listing_layers_changes_nothing():
    class Counting(nn.Dropout):
        """Draws and counts in eval mode too."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, inputs):
            self.calls += 1
            return F.dropout(inputs, 0.5, training=True)

    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Counting())
    net[0].eval()
    before, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    random_state = torch.get_rng_state()
    list_layers(net, (3, 6, 6))
    tap_shapes(net, [Tap("1")], (3, 6, 6), "student")
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())
    assert [m.training for m in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random_state)
    assert hooks(net) == 0
    assert all(p.grad is None for p in net.parameters())


class Strided(nn.Module):
    """A block that widens before it halves the size."""

    def __init__(self) -> None:
        super().__init__()
        self.widen, self.halve = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 4, 3, 2, 1)

    def forward(self, maps):
        return self.halve(self.widen(maps))


def test_a_stage_ends_before_the_block_that_leaves_its_size():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), Strided(), Strided(), nn.AdaptiveAvgPool2d(1))
    stages = list_stages(net, (3, 16, 16))
    assert [(s.path, s.shape) for s in stages] == [
        ("0", (4, 16, 16)),
        ("1", (4, 8, 8)),
        ("2", (4, 4, 4)),
    ]


def test_what_is_no_map_of_the_image_is_no_stage():
    class ChannelsLast(nn.Module):
        def forward(self, maps):
            return maps.permute(0, 2, 3, 1)  # [B, H, W, C]

    net = nn.Sequential(nn.Conv2d(3, 4, 1), ChannelsLast())
    assert [stage.path for stage in list_stages(net, (3, 16, 16))] == ["0"]
