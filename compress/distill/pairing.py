"""Which layer of the student learns from which of the teacher: named by the user, or by size."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, Protocol

from torch import nn

from compress.distill.methods import Method
from compress.distill.signals import Pairs
from compress.errors import UsageError
from compress.models.layers import Layer, Shape, list_layers, tap_shapes
from compress.models.stages import list_stages
from compress.models.taps import WHOLE, Tap, parse_tap
from compress.training.pupil import Pupil

_FAR = 2.0  # times as long a side, above which two maps do not show the same things
_LISTED = 8  # layers of a network that an error lists


@dataclass(frozen=True)
class Pair:
    """Two places, one in each network; shapes are of one image: [C, H, W] of feature maps."""

    student: Tap
    teacher: Tap
    student_shape: Shape
    teacher_shape: Shape


@dataclass(frozen=True)
class Side:
    """One of the two networks.

    Attributes:
        subject: what errors call it.
        module: the network; it stays as it is.
        input_shape: [C, H, W].
    """

    subject: str
    module: nn.Module
    input_shape: Shape


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A pair of layers that a loss compares.

    Attributes:
        owner: number of the loss in its course.
        method: of that loss.
        pair: the layers.
    """

    owner: int
    method: Method
    pair: Pair

    def sentence(self) -> str:
        """For people: `hint: stage2 32 x 14 x 14 from stage2 64 x 14 x 14`."""
        return f"{self.method.name}: {sentence(self.pair)}"

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        pair = self.pair
        return {
            "method": self.method.name,
            "student": str(pair.student),
            "teacher": str(pair.teacher),
            "student_shape": list(pair.student_shape),
            "teacher_shape": list(pair.teacher_shape),
        }


class Wanted(Protocol):
    """What this needs to know of one loss of a course."""

    @property
    def method(self) -> Method:
        """Its file."""

    @property
    def layers(self) -> Mapping[str, str] | None:
        """Of the student -> of the teacher; None for those that match by themselves."""


def plan_features(wanted: Sequence[Wanted], student: Side, teacher: Side) -> tuple[Planned, ...]:
    """The pairs of all losses of a course that look at features, in the order of the losses.

    Raises:
        UsageError: a network has no such layer, or none of like size where the user named none.
        ModelError: a layer is never called, or gives no tensor.
    """
    automatic = cache(lambda: pair_stages(student, teacher))
    planned = []
    for owner, one in enumerate(wanted):
        if "features" not in one.method.needs:
            continue
        if one.layers:
            pairs = named_pairs(one.layers, student, teacher)
        else:
            pairs = choose(automatic(), one.method.pairs)
        planned += [Planned(owner=owner, method=one.method, pair=pair) for pair in pairs]
    return tuple(planned)


def make_pupil(student: nn.Module, planned: Sequence[Planned]) -> Pupil:
    """The student with taps, and connectors where a method has some, drawn from torch's generator.

    Raises:
        ModelError: a method cannot connect such layers.
    """
    connectors = [
        nn.Identity()
        if one.method.connector is None
        else one.method.connector(one.pair.student_shape, one.pair.teacher_shape)
        for one in planned
    ]
    return Pupil(student, [one.pair.student for one in planned], connectors)


def pair_stages(student: Side, teacher: Side) -> tuple[Pair, ...]:
    """Each stage of the student with the teacher's nearest in size, from the input on.

    Sizes are shares of each network's input. The nearest two are paired first; every stage is taken
    once, and pairs do not cross: what is deeper in the student is deeper in the teacher.

    Raises:
        UsageError: no two stages are within a factor of 2 of each other.
    """
    mine, other = (list_stages(side.module, side.input_shape) for side in (student, teacher))
    apart = {
        (i, k): abs(math.log(_share(mine[i], student) / _share(other[k], teacher)))
        for i, k in product(range(len(mine)), range(len(other)))
    }
    chosen: list[tuple[int, int]] = []
    # Rounded: sizes that are equally far apart come in the order of depth.
    for i, k in sorted(apart, key=lambda pair: (round(apart[pair], 9), pair)):
        near = apart[i, k] <= math.log(_FAR) + 1e-9
        if near and all((i - a) * (k - b) > 0 for a, b in chosen):
            chosen.append((i, k))
    if not chosen:
        raise UsageError(_no_pair(student, teacher))
    return tuple(
        Pair(Tap(mine[i].path), Tap(other[k].path), mine[i].shape, other[k].shape)
        for i, k in sorted(chosen)
    )


def choose(pairs: Sequence[Pair], which: Pairs) -> tuple[Pair, ...]:
    """All pairs, the middle one (of an even number the deeper one), or the last; one or more."""
    if which == "all":
        return tuple(pairs)
    return (pairs[len(pairs) // 2 if which == "middle" else -1],)


def named_pairs(layers: Mapping[str, str], student: Side, teacher: Side) -> tuple[Pair, ...]:
    """The pairs that the user names: the student's layer to the teacher's, as taps.

    Raises:
        UsageError: a network has no such layer.
        ModelError: a layer is never called, or gives no tensor.
    """
    taps, shapes = [], []
    for side, names in ((student, layers.keys()), (teacher, layers.values())):
        found = [parse_tap(name, side.module, side.subject) for name in names]
        taps.append(found)
        shapes.append(tap_shapes(side.module, found, side.input_shape, side.subject))
    return tuple(Pair(*found) for found in zip(*taps, *shapes, strict=True))


def sentence(pair: Pair) -> str:
    """For people: `stage2 32 x 14 x 14 from stage2 64 x 14 x 14`."""
    student, teacher = _sized(pair.student_shape), _sized(pair.teacher_shape)
    return f"{pair.student} {student} from {pair.teacher} {teacher}"


def _share(layer: Layer, side: Side) -> float:
    """The side of a map as a share of the input's: of both sides, the geometric mean."""
    _, height, width = layer.shape
    return math.sqrt(height * width / (side.input_shape[1] * side.input_shape[2]))


def _no_pair(student: Side, teacher: Side) -> str:
    found = " and ".join(f"the {side.subject} with {_outline(side)}" for side in (student, teacher))
    return (
        f"layers: expected feature maps of like size in both networks, found {found}; name the "
        "layers in the recipe's method block: layers: {student.path: teacher.path}"
    )


def _outline(side: Side) -> str:
    """The outermost layers with their shapes."""
    layers = [x for x in list_layers(side.module, side.input_shape) if x.path != WHOLE]
    least = min((layer.path.count(".") for layer in layers), default=0)
    outer = [f"{x.path} {_sized(x.shape)}" for x in layers if x.path.count(".") == least]
    return ", ".join(outer[:_LISTED]) + (", …" if len(outer) > _LISTED else "")


def _sized(shape: Shape) -> str:
    return " x ".join(str(size) for size in shape)
