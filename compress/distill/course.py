"""The course of a distillation: which losses teach, each with its settings and its weight."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, cast

from compress.distill.methods import Method, load_method
from compress.distill.signals import Defaults, Need
from compress.errors import UsageError
from compress.settings import Teaching
from compress.settings.method_blocks import Block, read_block
from compress.suggest import did_you_mean

_OF_ALL = ("name", "weight", "warmup")  # keys of every method's block
_OF_FEATURES = "layers"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """One loss of a course.

    Attributes:
        method: its file.
        settings: of the method's own class.
        weight: in the sum.
        warmup: share of the steps in which the weight rises from 0.
        layers: of the student -> of the teacher; None for those that match by themselves.
    """

    method: Method
    settings: Any
    weight: float
    warmup: float
    layers: Mapping[str, str] | None = None

    def weight_at(self, done: float) -> float:
        """The weight once a share `done` (0 to 1) of the training is over."""
        return self.weight * (min(1.0, done / self.warmup) if self.warmup else 1.0)

    def temperature(self) -> float | None:
        """Its T; None where the method knows none."""
        return cast("float | None", getattr(self.settings, "temperature", None))

    def block(self) -> Block:
        """As a recipe holds it."""
        own = {"name": self.method.name, "weight": self.weight, "warmup": self.warmup}
        layers = {_OF_FEATURES: dict(self.layers)} if self.layers else {}
        return own | asdict(self.settings) | layers


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a student learns from: ce_weight CE(labels) + sum of weight_i loss_i.

    Attributes:
        ce_weight: of the cross-entropy with the labels.
        chosen: the distillation losses, one or more.
    """

    ce_weight: float
    chosen: tuple[Chosen, ...]

    def needs(self) -> frozenset[Need]:
        """What its losses cannot do without."""
        return frozenset[Need]().union(*(one.method.needs for one in self.chosen))

    def temperatures(self) -> tuple[float, ...]:
        """The temperatures of its losses, each once, rising."""
        found = {one.temperature() for one in self.chosen}
        return tuple(sorted(t for t in found if t is not None))

    def temperature(self) -> float:
        """The one that the teacher is looked at with: its losses' lowest; 1 where none has any."""
        return min(self.temperatures(), default=1.0)

    def settings(self) -> dict[str, Any]:
        """The keys of the recipe that it resolves: method, temperature, kd_weight, ce_weight."""
        blocks = [one.block() for one in self.chosen]
        temperature = kd_weight = None
        if len(blocks) == 1:  # a single method's are flags, and stay under the flags' names
            kd_weight = blocks[0].pop("weight")
            temperature = blocks[0].pop("temperature", None)
        return {
            "method": blocks,
            "temperature": temperature,
            "kd_weight": kd_weight,
            "ce_weight": self.ce_weight,
        }

    def sentence(self) -> str:
        """The sum in words: `0.1 ce + 0.9 kd (temperature 4)`."""
        terms = [f"{self.ce_weight:g} ce"] if self.ce_weight else []
        for one in self.chosen:
            own = {**asdict(one.settings)} | ({"warmup": one.warmup} if one.warmup else {})
            inside = ", ".join(f"{key} {value:g}" for key, value in own.items())
            terms.append(f"{one.weight:g} {one.method.name}" + (f" ({inside})" if inside else ""))
        return " + ".join(terms)


def plan_course(teaching: Teaching, classes: int) -> Course:
    """The losses that the settings ask for; what they leave open is the methods' own defaults.

    Args:
        teaching: names or blocks of methods, and the flags that a single one answers to.
        classes: of the data: decides the regime of the defaults.

    Raises:
        UsageError: an unknown method or setting, a value out of its range, or two that contradict.
    """
    blocks = [read_block(text) for text in teaching.method]
    methods = [load_method(block["name"]) for block in blocks]
    _refuse_flags_of_none(teaching, blocks, methods)
    ce_weight = teaching.ce_weight
    if ce_weight is None:
        ce_weight = 0.0 if teaching.transfer else methods[0].defaults(classes).ce_weight
    course = Course(
        ce_weight=ce_weight,
        chosen=tuple(
            _choose(block, method, method.defaults(classes), _flags(teaching, method, block))
            for block, method in zip(blocks, methods, strict=True)
        ),
    )
    _refuse_idle(course, teaching)
    return course


def _refuse_flags_of_none(
    teaching: Teaching, blocks: Sequence[Block], methods: Sequence[Method]
) -> None:
    """Flags that no method, or not a single one, answers to."""
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--method {name}: expected each method once, found it twice")
    if len(names) > 1 and teaching.kd_weight is not None:
        raise UsageError(
            f"--kd-weight {teaching.kd_weight:g}: expected a single method, found "
            f"{' and '.join(names)}; weigh each, as in --set method.{names[0]}.weight=0.9"
        )
    if teaching.temperature is None:
        return
    heard = [
        method
        for block, method in zip(blocks, methods, strict=True)
        if _has_temperature(method) and block.get("temperature") in (None, teaching.temperature)
    ]
    if not heard and (len(names) > 1 or not _has_temperature(methods[0])):
        blocked = ", and none in its own block" if len(names) > 1 else ""
        raise UsageError(
            f"--temperature {teaching.temperature:g}: expected a method that has one{blocked}, "
            f"found {' and '.join(names)}; leave it out"
        )


def _has_temperature(method: Method) -> bool:
    return any(field.name == "temperature" for field in fields(method.settings))


def _flags(teaching: Teaching, method: Method, block: Block) -> Block:
    """The flags that were given and that concern a method, by the names of its block.

    Raises:
        UsageError: the block of a single method says otherwise; of several, each goes its own way.
    """
    flags = {"weight": ("kd-weight", teaching.kd_weight)}
    if _has_temperature(method):
        flags["temperature"] = ("temperature", teaching.temperature)
    for key, (flag, value) in flags.items():
        contradicts = value is not None and block.get(key, value) != value
        if contradicts and len(teaching.method) == 1:
            raise UsageError(
                f"--{flag} {value:g}: expected what the block of method {method.name} says, found "
                f"{key}: {block[key]} there; leave one out, or give --set method.{key}={value:g}"
            )
    return {key: value for key, (_, value) in flags.items() if value is not None}


def _choose(block: Block, method: Method, defaults: Defaults[Any], flags: Block) -> Chosen:
    """One block over the flags, over the method's defaults."""
    given = flags | block
    own = [field.name for field in fields(method.settings)]
    known = [*_OF_ALL, *own, *([_OF_FEATURES] if "features" in method.needs else [])]
    for key, value in given.items():
        if key not in known:
            raise UsageError(f"--method {method.name}: {key}: unknown; {did_you_mean(key, known)}")
        _check_value(method, key, value, getattr(defaults.settings, key, 0.0))
    return Chosen(
        method=method,
        settings=replace(defaults.settings, **{key: given[key] for key in own if key in given}),
        weight=given.get("weight", defaults.weight),
        warmup=given.get("warmup", defaults.warmup),
        layers=_paths(given.get(_OF_FEATURES)),
    )


def _paths(layers: Mapping[Any, Any] | None) -> Mapping[str, str] | None:
    """Layers by their paths; YAML reads a path such as 5 as a number."""
    return None if layers is None else {str(key): str(value) for key, value in layers.items()}


def _check_value(method: Method, key: str, value: Any, default: Any) -> None:
    """Refuse a value that no loss can use."""
    if key == "name":
        return
    if key == _OF_FEATURES:
        fits = isinstance(value, dict) and all(
            isinstance(path, (str, int)) for pair in value.items() for path in pair
        )
        expected = "layers of the student with those of the teacher, such as {stage2: layer3}"
        fits = fits and bool(value)
    elif isinstance(default, bool):
        fits, expected = isinstance(value, bool), "true or false"
    elif isinstance(default, int):
        whole = isinstance(value, int) and not isinstance(value, bool)
        fits, expected = whole and value >= 0, "a whole number, 0 or more"
    else:
        fits, expected = _fits(key, value)
    if not fits:
        raise UsageError(f"--method {method.name}: {key}: expected {expected}, found {value!r}")


def _fits(key: str, value: Any) -> tuple[bool, str]:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    finite = number and math.isfinite(value)
    if key == "temperature":
        return finite and value > 0, "a number above 0"
    if key == "warmup":
        return finite and 0 <= value < 1, "a share from 0 to below 1"
    return finite and value >= 0, "a number, 0 or more"


def _refuse_idle(course: Course, teaching: Teaching) -> None:
    """Something must be learnt: from the teacher where nobody else teaches, and by every layer."""
    names = ", ".join(one.method.name for one in course.chosen)
    weighing = [one for one in course.chosen if one.weight]
    if not weighing and (teaching.transfer or not course.ce_weight):
        raise UsageError(f"--method {names}: expected a weight above 0, found 0: nothing is learnt")
    if not course.ce_weight and all("features" in one.method.needs for one in weighing):
        raise UsageError(
            f"--method {names}: expected labels or a method of logits as well, found neither: "
            "the layers behind the features would learn nothing; add --method kd"
        )
