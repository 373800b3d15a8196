"""What every file of compress/distill/losses keeps to; a new one is tested once it is there."""

import importlib
import re
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import get_args

import pytest
import torch

from compress.distill.methods import Method, list_methods, load_method
from compress.distill.signals import Defaults, Need, Pairs, Signals, Situation
from method_table import COMMAND, README, cut, table

BATCH, CLASSES = 5, 4
METHODS = list_methods()
ON_FEATURES = [name for name in METHODS if "features" in load_method(name).needs]
WITH_CONNECTOR = [name for name in ON_FEATURES if load_method(name).connector]
RELATING = [
    name
    for name in METHODS
    # The file's own word that its loss is no mean over the batch; training has no use for it.
    if getattr(importlib.import_module(f"compress.distill.losses.{name}"), "RELATES_IMAGES", False)
]
SEPARATE = [name for name in METHODS if name not in RELATING]
# [C, H, W] of student and teacher
SHAPES = [((3, 4, 4), (4, 4, 4)), ((3, 2, 2), (4, 4, 4)), ((3, 4, 4), (4, 2, 2))]
EQUAL = SHAPES[:1] * 2  # two pairs of layers

every_method = pytest.mark.parametrize("name", METHODS)


def _defaults(method: Method) -> tuple[Defaults, Defaults]:
    return method.small_data, method.many_classes


def _signals(method, shapes=EQUAL, dtype=torch.float64, scale=1.0) -> Signals:
    """Random ones, those of the student with gradient; features as after a connector."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return scale * torch.randn(BATCH, *shape, generator=generator, dtype=dtype)

    connected = [(_connected(method, *pair), pair[1]) for pair in shapes]
    on_features = "features" in method.needs
    return Signals(
        student_logits=normal(CLASSES).requires_grad_(),
        teacher_logits=normal(CLASSES),
        labels=torch.randint(CLASSES, (BATCH,), generator=generator),
        indices=torch.arange(BATCH) * 7,
        student_features=tuple(normal(*s).requires_grad_() for s, _ in connected if on_features),
        teacher_features=tuple(normal(*t) for _, t in connected if on_features),
    )


def _connected(method, student_shape, teacher_shape):
    if not method.connector:
        return student_shape
    module = method.connector(student_shape, teacher_shape)
    return tuple(module(torch.zeros(2, *student_shape)).shape[1:])


def _of_student(signals: Signals) -> tuple[torch.Tensor, ...]:
    return (signals.student_logits, *signals.student_features)


def _of_teacher(signals: Signals) -> tuple[torch.Tensor, ...]:
    return (signals.teacher_logits, *signals.teacher_features)


def _with_student(signals: Signals, logits, *features) -> Signals:
    return replace(signals, student_logits=logits, student_features=features)


def _reordered(signals: Signals, order: torch.Tensor) -> Signals:
    """The same images in another order, or several times."""
    return Signals(
        student_logits=signals.student_logits[order],
        teacher_logits=signals.teacher_logits[order],
        labels=signals.labels[order],
        indices=signals.indices[order],
        student_features=tuple(each[order] for each in signals.student_features),
        teacher_features=tuple(each[order] for each in signals.teacher_features),
    )


# --- what a file says ---------------------------------------------------------------------------


@every_method
def test_a_method_says_in_one_line_what_it_does_and_where_it_comes_from(name):
    method = load_method(name)
    assert method.summary.endswith("."), "the docstring's first line is a sentence"
    assert len(method.summary) <= 80, "it is a cell of the README's table"
    assert re.search(r"^.+ (19|20)\d\d, .+, (arXiv \d{4}\.\d{4,5}|doi \S+)\.$", method.source), (
        "Source: authors and year, title, arXiv number or doi"
    )


@every_method
def test_a_method_states_the_reduction_of_its_loss(name):
    assert "Reduction: " in (load_method(name).loss.__doc__ or "")


@every_method
def test_settings_are_numbers_and_each_is_explained(name):
    settings = load_method(name).settings
    assert is_dataclass(settings)
    assert settings.__dataclass_params__.frozen
    _, _, explained = (settings.__doc__ or "").partition("Attributes:")
    for field in fields(settings):
        assert field.type in (float, int, bool)
        assert field.default is MISSING, "defaults depend on the data: SMALL_DATA, MANY_CLASSES"
        assert re.search(rf"^\s+{field.name}: \w", explained, re.MULTILINE)


@every_method
def test_needs_and_pairs_are_words_that_the_recipe_knows(name):
    method = load_method(name)
    assert isinstance(method.needs, frozenset)
    assert method.needs <= set(get_args(Need))
    assert method.pairs in get_args(Pairs)
    assert method.connector is None or "features" in method.needs


@every_method
def test_defaults_of_both_regimes_teach_something(name):
    method = load_method(name)
    for defaults in _defaults(method):
        assert isinstance(defaults.settings, method.settings)
        assert defaults.weight > 0
        assert defaults.ce_weight >= 0
        assert 0 <= defaults.warmup < 1
        assert getattr(defaults.settings, "temperature", 1.0) > 0


# --- what its loss does -------------------------------------------------------------------------


@every_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_loss_is_a_scalar_in_the_dtype_of_its_signals(name, dtype):
    method = load_method(name)
    for defaults in _defaults(method):
        value = method.loss(_signals(method, dtype=dtype), defaults.settings)
        assert value.shape == ()
        assert value.dtype == dtype
        assert torch.isfinite(value)


@every_method
def test_a_loss_teaches_the_student_and_never_the_teacher(name):
    method = load_method(name)
    signals = _signals(method)
    for each in _of_teacher(signals):
        each.requires_grad_()
    method.loss(signals, method.small_data.settings).backward()
    assert any(each.grad is not None and each.grad.any() for each in _of_student(signals))
    assert all(each.grad is None for each in _of_teacher(signals))


@every_method
def test_the_gradient_of_a_loss_is_that_of_its_finite_differences(name):
    method = load_method(name)
    for defaults in _defaults(method):
        signals = _signals(method, shapes=[((2, 3, 3), (3, 3, 3))])

        def loss(*student, signals=signals, settings=defaults.settings):
            return method.loss(_with_student(signals, *student), settings)

        assert torch.autograd.gradcheck(loss, _of_student(signals))


@every_method
def test_a_loss_does_not_depend_on_the_order_of_the_images(name):
    method = load_method(name)
    signals, settings = _signals(method), method.small_data.settings
    shuffled = _reordered(signals, torch.tensor([3, 0, 4, 1, 2]))
    expected = method.loss(signals, settings).item()
    assert method.loss(shuffled, settings).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", SEPARATE)
def test_a_loss_that_looks_at_each_image_alone_is_a_mean_over_the_batch(name):
    method = load_method(name)
    signals, settings = _signals(method), method.small_data.settings
    each = [method.loss(_reordered(signals, torch.tensor([i])), settings) for i in range(BATCH)]
    expected = torch.stack(each).mean().item()
    assert method.loss(signals, settings).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", RELATING)
def test_a_loss_that_relates_images_remarks_on_few_of_them_at_once(name):
    advise = load_method(name).advise
    few = Situation(ce_weight=1, images_at_once=4, mixes=True, epochs=1000)
    assert f"--method {name}: " in advise(few)[0]
    assert advise(replace(few, images_at_once=256)) == []


@every_method
def test_a_loss_reads_no_signal_that_it_did_not_declare(name):
    method = load_method(name)
    declared = {
        "labels": {"labels", "hard labels"},
        "indices": {"index"},
        "student_features": {"features"},
        "teacher_features": {"features"},
    }
    undeclared = [field for field, needs in declared.items() if not needs & method.needs]
    signals = replace(_signals(method), **dict.fromkeys(undeclared, _Untouchable()))
    assert torch.isfinite(method.loss(signals, method.small_data.settings))


class _Untouchable:
    """Fails at whatever is done with it."""

    def __getattribute__(self, name):
        raise AssertionError(f"{name} of a signal that NEEDS does not name")


# --- hard cases ---------------------------------------------------------------------------------


def _assert_finite(method, signals):
    for defaults in _defaults(method):
        value = method.loss(signals, defaults.settings)
        grads = torch.autograd.grad(value, _of_student(signals), allow_unused=True)
        assert torch.isfinite(value)
        assert all(torch.isfinite(grad).all() for grad in grads if grad is not None)


@every_method
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4])
def test_extreme_and_silent_networks_give_finite_values_and_gradients(name, scale):
    method = load_method(name)
    signals = _signals(method, dtype=torch.float32, scale=scale)
    _assert_finite(method, signals)  # both networks
    lively = _signals(method, dtype=torch.float32)
    _assert_finite(method, _with_student(lively, *_of_student(signals)))  # the student alone


@every_method
def test_a_part_of_a_single_image_gives_a_finite_value_and_gradient(name):
    method = load_method(name)
    _assert_finite(method, _reordered(_signals(method), torch.tensor([2])))


@every_method
def test_a_student_that_answers_as_the_teacher_does_is_better_than_another(name):
    method = load_method(name)
    signals = _signals(method, shapes=[((4, 4, 4), (4, 4, 4))])
    settings = method.small_data.settings
    equal = _with_student(signals, *_of_teacher(signals))
    assert method.loss(equal, settings) < method.loss(signals, settings)


@pytest.mark.parametrize("name", ON_FEATURES)
@pytest.mark.parametrize("shapes", SHAPES)
def test_maps_of_any_size_and_width_can_be_compared(name, shapes):
    method = load_method(name)
    _assert_finite(method, _signals(method, shapes=[shapes]))


@pytest.mark.parametrize("name", WITH_CONNECTOR)
@pytest.mark.parametrize(("student", "teacher"), SHAPES)
def test_a_connector_learns_with_the_student(name, student, teacher):
    method = load_method(name)
    module = method.connector(student, teacher)
    features = torch.randn(BATCH, *student)
    signals = _signals(method, shapes=[(student, teacher)], dtype=torch.float32)
    signals = replace(signals, student_features=(module(features),))
    method.loss(signals, method.small_data.settings).backward()
    assert all(p.grad is not None and p.grad.any() for p in module.parameters())


# --- the README ---------------------------------------------------------------------------------


def test_the_table_of_the_readme_is_that_of_the_files():
    _, found, _ = cut(README.read_text(encoding="utf-8"))
    assert found == table(), f"the README's table is not that of the files: run {COMMAND}"
