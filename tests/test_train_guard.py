"""When a training is stopped because it learns nothing, and when it is left alone."""

import math

import numpy as np
import pytest
import torch

from compress.data.dataset import UNLABELLED
from compress.settings import Training
from compress.training.guard import ChanceGuard, EpochEnd, beats_chance

EVEN = np.arange(1000) % 10  # ten classes, a hundred images each
STEPS = 100  # an epoch
CHANCE = {"kd": 1.0, "ce": math.log(10)}


def epoch(number: int, share: float = 1.0, right: int = 100, **other) -> EpochEnd:
    """Epoch `number` (from 1) with a loss of `share` times chance."""
    terms = {name: share * value for name, value in CHANCE.items()}
    fields = {"terms": terms, "chance": CHANCE, "right": right, "labels": EVEN} | other
    fields = {"loss": sum(fields["terms"].values())} | fields
    return EpochEnd(**{"step": number * STEPS, "steps": STEPS} | fields)


def stops(epochs, **settings) -> list[bool]:
    guard = ChanceGuard({}, **{"warmup_steps": 0} | settings)
    return [guard.stops(one) for one in epochs]


def test_two_epochs_at_chance_stop_a_training():
    assert stops([epoch(1), epoch(2)]) == [False, True]


def test_a_loss_two_percent_below_chance_stops_nothing():
    assert not any(stops(epoch(n, share=0.98) for n in range(1, 20)))


def test_a_network_that_is_right_more_often_than_chance_is_left_alone_at_any_loss():
    # 130 of 1000: Wilson's bounds are 11.1 % and 15.2 %, chance is 10 %
    assert not any(stops(epoch(n, share=1.5, right=130) for n in range(1, 20)))


def test_accuracy_within_the_noise_of_chance_protects_nothing():
    # 115 of 1000: the lower bound is 9.7 %
    assert stops([epoch(1, right=115), epoch(2, right=115)]) == [False, True]


def test_naming_the_largest_class_of_uneven_data_is_chance():
    uneven = np.repeat([0, 1], [900, 100])
    assert not beats_chance(900, uneven)
    assert not beats_chance(500, uneven)
    assert beats_chance(930, uneven)
    always = {"right": 900, "labels": uneven}
    assert stops([epoch(1, **always), epoch(2, **always)]) == [False, True]


def test_images_without_labels_do_not_count_and_no_labels_stop_nothing():
    labels = np.concatenate([EVEN, np.full(5000, UNLABELLED)])
    assert beats_chance(130, labels)
    assert not beats_chance(115, labels)
    unknown = {"right": 0, "labels": np.full(1000, UNLABELLED)}
    assert not any(stops(epoch(n, **unknown) for n in range(1, 20)))


def test_an_epoch_that_begins_within_the_warm_up_does_not_count():
    warming = stops([epoch(n) for n in (1, 2, 3, 4)], warmup_steps=1.5 * STEPS)
    assert warming == [False, False, False, True]


def test_a_loss_that_comes_down_from_far_above_chance_is_left_to_do_so():
    shares = [50, 10, 4, 2, 1.3, 1.1, 1.0, 0.985, 0.9, 0.8]
    assert not any(stops(epoch(n, share) for n, share in enumerate(shares, start=1)))


def test_a_loss_that_only_swings_far_above_chance_is_stopped():
    shares = [5, 9, 6, 8, 5.5]
    found = stops([epoch(n, share) for n, share in enumerate(shares, start=1)])
    assert found[:2] == [False, True]


def test_noise_that_finds_new_lows_near_chance_is_no_way_back():
    shares = [1.04, 1.03, 1.02, 1.01]
    found = stops([epoch(n, share) for n, share in enumerate(shares, start=1)])
    assert found[:2] == [False, True]


def test_an_epoch_below_chance_begins_the_count_anew():
    shares = [1.0, 0.9, 1.0, 1.0]
    found = stops([epoch(n, share) for n, share in enumerate(shares, start=1)])
    assert found == [False, False, False, True]


def test_epochs_of_few_steps_need_more_than_two():
    few = [epoch(n, step=5 * n, steps=5) for n in range(1, 42)]
    found = stops(few)
    assert found.index(True) == 39  # 200 steps are 40 epochs


def test_a_run_of_one_epoch_is_never_stopped():
    assert stops([epoch(1)]) == [False]


def test_a_thousand_classes_that_begin_slowly_are_left_alone_once_the_loss_is_moving():
    labels = np.arange(5000) % 1000
    shares = [1.0, 0.985, 0.97, 0.95]
    slow = {"right": 5, "labels": labels}
    assert not any(stops(epoch(n, s, **slow) for n, s in enumerate(shares, start=1)))


@pytest.mark.parametrize("chance", [{"kd": 0.0}, {"kd": -1.0}, {"kd": math.nan}, {"kd": math.inf}])
def test_a_chance_level_without_meaning_stops_nothing(chance):
    found = stops(epoch(n, terms={"kd": 1.0}, chance=chance) for n in range(1, 20))
    assert not any(found)


def test_a_guard_that_goes_on_from_its_state_decides_as_if_it_had_not_been_stopped():
    shares = [3.0, 1.0, 0.9, 2.0, 1.9, 2.1, 2.1]
    epochs = [epoch(n, share) for n, share in enumerate(shares, start=1)]
    whole = stops(epochs)
    resumed, state = [], {}
    for one in epochs:
        guard = ChanceGuard(dict(state), warmup_steps=0)
        resumed.append(guard.stops(one))
        state = guard.state
    assert resumed == whole
    assert True in whole
    assert all(isinstance(value, (int, float)) for value in state.values())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_logits_of_zeros_cost_ln_of_the_number_of_classes_with_and_without_smoothing(smoothing):
    zeros, labels = torch.zeros(10, 10, dtype=torch.float64), torch.arange(10)
    loss = torch.nn.functional.cross_entropy(zeros, labels, label_smoothing=smoothing)
    assert loss.item() == pytest.approx(math.log(10), rel=1e-12)


def test_the_sentence_says_what_happened_where_the_state_lies_and_what_to_do():
    guard = ChanceGuard({}, warmup_steps=0)
    assert [guard.stops(epoch(n)) for n in (1, 2)] == [False, True]
    settings = Training(lr=0.4, warmup=0.1, clip_norm=0)
    said = guard.sentence("distilling net", epoch(2), "the last good state is s.pt", settings)
    assert said == (
        "distilling net: expected to learn something after the warm-up, found kd 1 (chance 1), "
        "ce 2.303 (chance 2.303) and 10.0 % right on validation, which is no more than naming one "
        "class gives (10.0 %), for 2 epochs up to step 200; the last good state is s.pt; use a "
        "lower --lr than 0.4, a longer --warmup than 0.1 or --clip-norm 5 with --force, or look "
        "at labels and normalisation with --dry-run"
    )


def test_the_sentence_asks_for_a_smaller_clip_where_clipping_is_on():
    guard = ChanceGuard({}, warmup_steps=0)
    guard.stops(epoch(1))
    said = guard.sentence("net", epoch(1), "no state was saved yet", Training(clip_norm=5))
    assert "a smaller --clip-norm than 5 " in said
