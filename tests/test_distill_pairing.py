"""Which layers of two networks belong together, by themselves and as the user says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
import torch
from safetensors import safe_open
from torch import nn

from compress.distill.connectors import CONNECTORS, save_connectors
from compress.distill.methods import Method, load_method
from compress.distill.pairing import (
    Pair,
    Side,
    choose,
    make_pupil,
    named_pairs,
    pair_stages,
    plan_features,
    sentence,
)
from compress.errors import ModelError, UsageError
from compress.models.build import ModelSpec, build_model
from compress.models.taps import Tap


def side(reference: str, size: int, subject: str = "student") -> Side:
    spec = ModelSpec(
        reference=reference,
        num_classes=10,
        channels=3,
        input_size=(size, size),
        input_size_given=True,
        args={},
        replace_head=True,
    )
    return Side(subject, build_model(spec).module, (3, size, size))


def paired(student: tuple[str, int], teacher: tuple[str, int]) -> list[str]:
    return [sentence(pair) for pair in pair_stages(side(*student), side(*teacher, "teacher"))]


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        (
            ("resnet8", 32),
            ("resnet20", 32),
            [
                "stage1 16 x 32 x 32 from stage1 16 x 32 x 32",
                "stage2 32 x 16 x 16 from stage2 32 x 16 x 16",
                "stage3 64 x 8 x 8 from stage3 64 x 8 x 8",
            ],
        ),
        (  # 10 is nearer to 8 than 5 is
            ("lenet5", 32),
            ("resnet20", 32),
            [
                "1 6 x 28 x 28 from stage1 16 x 32 x 32",
                "2 6 x 14 x 14 from stage2 32 x 16 x 16",
                "4 16 x 10 x 10 from stage3 64 x 8 x 8",
            ],
        ),
        (
            ("mobilenet", 32),
            ("resnet20", 32),
            [
                "features.1 32 x 32 x 32 from stage1 16 x 32 x 32",
                "features.3 64 x 16 x 16 from stage2 32 x 16 x 16",
                "features.5 128 x 8 x 8 from stage3 64 x 8 x 8",
            ],
        ),
        (  # nothing of the teacher's is as large as the student's first
            ("resnet8", 32),
            ("torchvision:resnet18", 32),
            [
                "stage2 32 x 16 x 16 from relu 64 x 16 x 16",
                "stage3 64 x 8 x 8 from layer1 64 x 8 x 8",
            ],
        ),
        (  # sizes count as shares: 16 of 32 is 56 of 112
            ("resnet8", 32),
            ("torchvision:resnet18", 112),
            [
                "stage2 32 x 16 x 16 from relu 64 x 56 x 56",
                "stage3 64 x 8 x 8 from layer1 64 x 28 x 28",
            ],
        ),
    ],
)
def test_stages_are_paired_by_size(student, teacher, expected):
    assert paired(student, teacher) == expected


def test_the_stages_of_a_foreign_network_are_its_own():
    student = side("torchvision:mobilenet_v2", 64)
    found = pair_stages(student, replace(student, subject="teacher"))
    paths = ["features.1", "features.3", "features.6", "features.13", "features"]
    assert [pair.student.path for pair in found] == paths
    assert [pair.teacher for pair in found] == [pair.student for pair in found]


def test_networks_without_maps_of_like_size_are_refused_with_their_layers():
    flat = Side("student", nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), (3, 32, 32))
    with pytest.raises(UsageError) as caught:
        pair_stages(flat, side("resnet20", 32, "teacher"))
    said = str(caught.value)
    assert "the student with 0 3072, 1 10 and the teacher with stem 16 x 32 x 32, stage1 16" in said
    assert said.endswith("method block: layers: {student.path: teacher.path}")


def test_all_pairs_the_middle_one_or_the_last_are_chosen():
    pairs = [Pair(Tap(str(k)), Tap(str(k)), (k,), (k,)) for k in range(3)]
    assert choose(pairs, "all") == tuple(pairs)
    assert choose(pairs, "middle") == (pairs[1],)
    assert choose(pairs[:2], "middle") == (pairs[1],)
    assert choose(pairs[:1], "middle") == choose(pairs[:1], "last") == (pairs[0],)
    assert choose(pairs, "last") == (pairs[2],)


def test_layers_that_are_named_are_paired_with_the_shapes_of_what_passes_them():
    student, teacher = side("resnet8", 32), side("resnet20", 32, "teacher")
    first, second = named_pairs(
        {"stage3.-1.conv1:input": "stage2", "head.1": "head.-1"}, student, teacher
    )
    assert first == Pair(Tap("stage3.0.conv1", "input"), Tap("stage2"), (32, 16, 16), (32, 16, 16))
    assert sentence(second) == "head.1 64 from head.2 10"


class Spare(nn.Module):
    """A network with a layer that it never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.stage3, self.unused = nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.stage3(images).mean((2, 3))


@pytest.mark.parametrize(
    ("layers", "error", "said"),
    [
        ({"stage4": "stage3"}, UsageError, 'student layer stage4: no such layer; did you mean "st'),
        ({"stage3": "stgae3"}, UsageError, 'teacher layer stgae3: no such layer; did you mean "st'),
        ({"stage3": "unused"}, ModelError, "teacher layer unused: expected a layer that the netw"),
    ],
)
def test_layers_that_cannot_be_paired_are_refused(layers, error, said):
    student, teacher = side("resnet8", 32), Side("teacher", Spare(), (3, 32, 32))
    with pytest.raises(error) as caught:
        named_pairs(layers, student, teacher)
    assert said in str(caught.value)


@dataclass(frozen=True)
class Wanted:
    method: Method
    layers: Mapping[str, str] | None = None


def method(**fields) -> Method:
    """One that looks at features."""
    return replace(load_method("kd"), name="look", needs=frozenset({"features"}), **fields)


def connector(student: tuple[int, ...], teacher: tuple[int, ...]) -> nn.Module:
    return nn.Conv2d(student[0], teacher[0], 1)


def planned_pupil():
    student, teacher = side("resnet8", 32), side("resnet20", 32, "teacher")
    wanted = [
        Wanted(load_method("kd")),
        Wanted(method(pairs="last", connector=None)),
        Wanted(method(pairs="all", connector=connector), {"stage1": "stage2", "stem": "stem"}),
    ]
    planned = plan_features(wanted, student, teacher)
    return planned, make_pupil(student.module, planned)


def test_each_loss_that_looks_at_features_gets_its_pairs():
    planned, _ = planned_pupil()
    assert [(one.owner, one.sentence()) for one in planned] == [
        (1, "look: stage3 64 x 8 x 8 from stage3 64 x 8 x 8"),
        (2, "look: stage1 16 x 32 x 32 from stage2 32 x 16 x 16"),
        (2, "look: stem 16 x 32 x 32 from stem 16 x 32 x 32"),
    ]


def test_a_pupil_has_a_feature_for_each_pair_and_connectors_where_a_method_has_some():
    _, pupil = planned_pupil()
    assert isinstance(pupil.connectors[0], nn.Identity)
    _, features = pupil(torch.zeros(2, 3, 32, 32))
    shapes = [(2, 64, 8, 8), (2, 32, 32, 32), (2, 16, 32, 32)]
    assert [tuple(feature.shape) for feature in features] == shapes


def test_connectors_are_kept_apart_with_the_pairs_that_they_belong_to(tmp_path):
    planned, pupil = planned_pupil()
    save_connectors(tmp_path, pupil, planned)
    with safe_open(tmp_path / CONNECTORS, "pt") as file:
        assert set(file.keys()) == {f"{k}.{name}" for k in (1, 2) for name in ("weight", "bias")}
        assert torch.equal(file.get_tensor("1.weight"), pupil.connectors[1].weight)
        pairs = json.loads(file.metadata()["connectors"])
    assert pairs["1"] == {
        "method": "look",
        "student": "stage1",
        "teacher": "stage2",
        "student_shape": [16, 32, 32],
        "teacher_shape": [32, 16, 16],
    }


def test_where_nothing_is_connected_no_file_is_written(tmp_path):
    planned, pupil = planned_pupil()
    save_connectors(tmp_path, make_pupil(pupil.student, planned[:1]), planned[:1])
    assert not list(tmp_path.iterdir())
