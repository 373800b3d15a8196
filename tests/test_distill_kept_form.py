"""What is kept of a row of logits, against numbers worked out by hand and in float64."""

import numpy as np
import pytest

from compress.distill.kept.form import Form, choose_form, decode, encode, unkeepable
from compress.errors import ArtifactError, UsageError
from compress.settings import Keeping


def _softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    wide = logits.astype(np.float64) / temperature
    weights = np.exp(wide - wide.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def _random(count: int, classes: int, scale: float, level: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (scale * rng.standard_normal((count, classes)) + level).astype(np.float32)


@pytest.mark.parametrize("level", [0.0, 5000.0, -1e6])
def test_dense_logits_come_back_to_within_float16_of_their_distance_from_the_largest(level):
    logits = _random(50, 10, 5.0, level)
    form = Form(classes=10)
    found = decode(encode(logits, form), form, 3.0)
    below = logits.max(1, keepdims=True) - logits
    assert (np.abs(found - logits) <= 2.0**-11 * below + 1e-6 * abs(level) + 1e-6).all()
    assert (found.argmax(1) == logits.argmax(1)).all()


def test_the_largest_logit_is_kept_to_the_last_bit():
    logits = _random(50, 10, 5.0)
    form = Form(classes=10)
    assert (decode(encode(logits, form), form, 1.0).max(1) == logits.max(1)).all()


def test_a_hand_worked_row_has_its_top_and_spreads_the_rest():
    # Weights 6, 3, 2, 1 of 12 at T = 1. The two largest stay; the others share 3/12: 1/8 each.
    logits = np.log(np.array([[2.0, 6.0, 1.0, 3.0]], dtype=np.float32))
    form = Form(classes=4, top_k=2, temperatures=(1.0,))
    found = _softmax(decode(encode(logits, form), form, 1.0), 1.0)
    np.testing.assert_allclose(found, [[1 / 8, 1 / 2, 1 / 8, 1 / 4]], rtol=4e-4)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_top_k_at_a_declared_temperature_has_exact_top_probabilities_and_rest(temperature):
    logits = _random(20, 1000, 4.0, 30.0)
    form = Form(classes=1000, top_k=10, temperatures=(1.0, 2.0, 4.0))
    expected = _softmax(logits, temperature)
    found = _softmax(decode(encode(logits, form), form, temperature), temperature)
    order = np.argsort(-logits, axis=1)
    top, rest = order[:, :10], order[:, 10:]
    # Of a probability p float16 of a distance d below the top leaves p * d / T * 2^-11 open.
    kept, true = np.take_along_axis(found, top, 1), np.take_along_axis(expected, top, 1)
    np.testing.assert_allclose(kept, true, rtol=5e-3)
    spread = np.take_along_axis(found, rest, 1)
    mass = np.take_along_axis(expected, rest, 1).sum(1, keepdims=True)
    np.testing.assert_allclose(spread.sum(1, keepdims=True), mass, rtol=5e-3)
    np.testing.assert_allclose(spread, np.repeat(mass / 990, 990, 1), rtol=5e-3)


@pytest.mark.parametrize("gap", [12.0, 40.0, 1000.0, 60000.0])
def test_the_rest_of_a_sure_row_is_exact_where_a_difference_would_cancel(gap):
    # e^-12 of the mass lies in the rest; float16 rounding of the kept ones alone is more than that.
    logits = np.zeros((1, 600), dtype=np.float32)
    logits[0, :2], logits[0, 2:] = (7.0, 6.3), 7.0 - gap
    form = Form(classes=600, top_k=2, temperatures=(1.0, 4.0))
    for temperature in (1.0, 4.0):
        found = decode(encode(logits, form), form, temperature)
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found[0, 2:], 7.0 - gap, rtol=1e-5)


def test_the_ids_of_many_classes_need_four_bytes():
    assert Form(classes=2**16, top_k=3, temperatures=(1.0,)).record()["ids"].base == np.uint16
    form = Form(classes=2**16 + 1, top_k=3, temperatures=(1.0,))
    assert form.record()["ids"].base == np.uint32
    logits = np.zeros((1, 2**16 + 1), dtype=np.float32)
    logits[0, -1] = 9.0
    assert decode(encode(logits, form), form, 1.0).argmax() == 2**16


def test_an_undeclared_temperature_is_refused_with_the_command_that_makes_it():
    form = Form(classes=600, top_k=2, temperatures=(1.0, 2.5))
    records = encode(_random(2, 600, 1.0), form)
    with pytest.raises(ArtifactError, match=r"1 2\.5, found 4; .*logits --temperatures 1 2\.5 4"):
        decode(records, form, 4.0)


@pytest.mark.parametrize(
    ("classes", "keeping", "top_k", "temperatures"),
    [
        (512, Keeping(), 0, ()),
        (513, Keeping(), 32, (1.0, 2.0)),
        (513, Keeping(top_k=0), 0, ()),
        (10, Keeping(top_k=4, temperatures=(4, 3)), 4, (1.0, 2.0, 3.0, 4.0)),
        (10, Keeping(top_k=10), 0, ()),
    ],
)
def test_the_form_follows_the_classes_unless_it_is_given(classes, keeping, top_k, temperatures):
    form = choose_form(classes, keeping, 2.0)
    assert (form.top_k, form.temperatures) == (top_k, temperatures)


def test_more_logits_than_classes_are_refused():
    with pytest.raises(UsageError, match="--top-k 11: expected at most 10"):
        choose_form(10, Keeping(top_k=11))


def test_a_form_comes_back_from_json():
    for form in (Form(classes=9), Form(classes=9, top_k=2, temperatures=(1.0, 3.0))):
        assert Form.from_dict(form.to_dict(), 9) == form


def test_only_what_float16_cannot_hold_is_refused():
    assert unkeepable(np.array([[0.0, -65504.0], [1e30, 1e30]], dtype=np.float32)) is None
    row, reason = unkeepable(np.array([[0.0, 1.0], [9.0, -65600.0]], dtype=np.float32))
    assert (row, reason) == (1, "logits 6.561e+04 apart, of which float16 holds 65504")
    assert unkeepable(np.array([[0.0, 1.0], [np.nan, 0.0]], dtype=np.float32)) == (
        1,
        "NaN or infinity",
    )
