"""The search for settings: within its budget, the same twice, and the same after any kill."""

import json
from dataclasses import replace

import numpy as np
import pytest

from compress.distill.course import Course
from compress.distill.tuning.courses import candidate_courses, course_of, start_of
from compress.distill.tuning.record import open_record
from compress.distill.tuning.space import plan_space
from compress.distill.tuning.study import ask, goes_on
from compress.distill.tuning.trial import Trained, Trial
from compress.distill.tuning.verdict import conclude
from compress.errors import ArtifactError, TrainingError, UsageError
from compress.settings import Teaching
from compress.settings.tuning import Tuning
from tuning_case import BEST, DKD, HARD, IMAGES, KD, accuracy_at, make_plan, run, told, train


@pytest.fixture(scope="module")
def two_teachers(tmp_path_factory):
    """A search over two teachers, and its folder."""
    folder = tmp_path_factory.mktemp("two") / "tuning"
    return run(folder, make_plan(teachers=("small", "big"), budget=90))


def test_the_best_settings_of_a_known_function_are_found(tmp_path):
    record = run(tmp_path, make_plan())
    winner = conclude(record, {}).winner
    found, begun, best = (accuracy_at(s, "big", 9, 9) for s in (winner.settings, KD, BEST))
    assert best - found < 0.15 * (best - begun)


def test_weak_trials_end_at_a_rung_and_strong_ones_are_trained_to_their_end(tmp_path):
    plan = make_plan()
    assert plan.rungs() == (1, 3)
    trials = run(tmp_path, plan).trials
    assert {trial.epochs for trial in trials} <= {1, 3, 9}
    stopped = [trial for trial in trials if trial.state == "pruned"]
    complete = [trial for trial in trials if trial.state == "complete"]
    assert len(stopped) > len(complete) >= 2
    assert all(len(trial.accuracies) == trial.epochs for trial in (*stopped, *complete))


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(1, ()), (2, (1,)), (3, (1,)), (4, (1, 3)), (10, (1, 3)), (30, (3, 9))]
)
def test_rungs_are_at_a_ninth_and_a_third_of_a_training(epochs, rungs):
    assert make_plan(epochs=epochs, budget=90).rungs() == rungs


@pytest.mark.parametrize(
    ("epochs", "warmup", "rungs"),
    [(9, 0.15, (2, 6)), (30, 0.15, (5, 15)), (30, 0.1, (3, 9)), (9, 0.5, (5,)), (9, 0.99, ())],
)
def test_no_rung_lies_in_the_warm_up(epochs, warmup, rungs):
    assert make_plan(epochs=epochs, budget=90, warmup=warmup).rungs() == rungs


@pytest.mark.parametrize("budget", [9, 10, 17, 18, 31, 54])
def test_the_budget_is_never_exceeded_and_never_left_while_a_trial_fits(tmp_path, budget):
    record = run(tmp_path, make_plan(budget=budget))
    assert budget - 9 < record.epochs() <= budget


def test_the_first_trial_has_the_settings_that_were_given(tmp_path):
    given = replace(KD, temperature=17.3, kd_weight=0.123)
    assert run(tmp_path, make_plan(starts=(given,), budget=9)).trials[0].settings == given


def test_every_method_is_tried_with_its_own_settings_before_any_is_drawn(tmp_path):
    plan = make_plan(("temperature", "kd_weight", "method"), (KD, DKD, HARD))
    settings = [trial.settings for trial in run(tmp_path, plan).trials]
    assert settings[:3] == [KD, DKD, HARD]
    drawn = settings[3:]
    assert all((s.temperature is None) == (s.method == "hard") for s in drawn)
    assert all(s.ce_weight == plan.space.start(s.method).ce_weight for s in drawn)


def test_every_drawn_number_is_in_its_range_and_has_three_digits(tmp_path):
    plan = make_plan(("temperature", "kd_weight", "ce_weight"), budget=63)
    for settings in (trial.settings for trial in run(tmp_path, plan).trials):
        assert 1 <= settings.temperature <= 10
        assert 0.09 <= settings.kd_weight <= 9
        assert 0.01 <= settings.ce_weight <= 1
        numbers = (settings.temperature, settings.kd_weight, settings.ce_weight)
        assert all(number == float(f"{number:.3g}") for number in numbers)


def test_nothing_is_tried_twice_and_a_finite_search_ends_by_itself(tmp_path):
    only_methods = run(tmp_path / "a", make_plan(("method",), (KD, DKD, HARD), budget=900))
    assert [trial.settings for trial in only_methods.trials] == [KD, DKD, HARD]
    plan = make_plan(("temperature", "method"), (HARD, KD), budget=72)
    settings = [trial.settings for trial in run(tmp_path / "b", plan).trials]
    assert len(set(settings)) == len(settings) > 10


def test_the_same_seed_asks_for_the_same_trials_and_another_for_others(tmp_path):
    first = run(tmp_path / "a", make_plan())
    assert told(run(tmp_path / "b", make_plan())) == told(first)
    assert told(run(tmp_path / "c", make_plan(seed=1))) != told(first)
    largest = make_plan(seed=2**32 - 1, budget=27)
    assert len(run(tmp_path / "d", largest).trials) > 1


class Killed(BaseException):
    """What a kill is to a runner: it ends there and then."""


def test_a_search_that_is_killed_after_any_epoch_ends_in_the_same_table(tmp_path):
    plan = make_plan(("temperature", "kd_weight", "method"), (KD, HARD), ("a", "small"), budget=60)
    whole = run(tmp_path / "whole", plan)
    steps = []

    def kill(task, epoch):
        if (task.trial.number, epoch) not in steps:  # once after each epoch that there is
            steps.append((task.trial.number, epoch))
            raise Killed

    while True:
        try:
            record = run(
                tmp_path / "killed", plan, lambda task, keep: train(task, keep, after_epoch=kill)
            )
            break
        except Killed:
            continue
    assert len(steps) == sum(len(trial.accuracies) for trial in whole.trials)
    assert told(record) == told(whole)
    assert conclude(record, {}).sentences == conclude(whole, {}).sentences


def test_a_finished_search_trains_nothing_again(tmp_path):
    plan = make_plan(budget=27)
    record = run(tmp_path, plan)
    again = run(tmp_path, plan, lambda task, keep: pytest.fail("trained again"))
    assert again.trials == record.trials


def test_a_trial_that_diverges_is_recorded_and_the_search_goes_on(tmp_path):
    start = replace(KD, kd_weight=7.0)  # above 8 the runner fails
    record = run(tmp_path, make_plan(starts=(start,), budget=90))
    failed = [trial for trial in record.trials if trial.state == "failed"]
    assert failed
    assert all(t.reason == "expected finite weights, found NaN" for t in failed)
    assert all(t.epochs == 1 and t.accuracies == () for t in failed)  # the epoch that it began
    assert record.trials[-1].number > failed[0].number
    assert record.epochs() <= 90
    assert f"{len(failed)} trial" in " ".join(conclude(record, {}).sentences)


def test_the_sampler_avoids_where_trials_failed(tmp_path):
    start = replace(KD, kd_weight=7.0)
    trials = run(tmp_path, make_plan(("kd_weight",), starts=(start,), budget=120)).trials
    drawn = [trial.state == "failed" for trial in trials[5:]]  # by the model
    assert sum(drawn) / len(drawn) < 0.4  # of its whole range about half


def test_a_search_in_which_every_trial_fails_says_why(tmp_path):
    start = replace(KD, kd_weight=100.0)
    record = run(tmp_path, make_plan(starts=(start,), budget=27))
    assert record.epochs() <= 27
    with pytest.raises(TrainingError, match="that failed; the last one: expected finite weights"):
        conclude(record, {})


def test_every_teacher_has_an_equal_share_and_the_same_first_questions(two_teachers):
    small, big = two_teachers.of("small"), two_teachers.of("big")
    for trials in (small, big):
        assert 45 - 9 < sum(trial.epochs for trial in trials) <= 45
    assert [t.settings for t in small[:5]] == [t.settings for t in big[:5]]  # before the model


def test_which_teacher_teaches_best_is_measured_and_need_not_be_the_most_accurate(two_teachers):
    outcome = conclude(two_teachers, {"small": 0.95, "big": 0.91})
    assert outcome.winner.teacher == "big"
    small, big = outcome.teachers
    assert big.behind is None
    right = {t: two_teachers.right(two_teachers.trials[t.best - 1]) for t in (small, big)}
    assert small.behind.value == pytest.approx(right[big].mean() - right[small].mean())
    assert small.behind.low > 0
    said = " ".join(outcome.sentences)
    assert "big teaches this student best" in said
    assert "it clears its interval" in said
    assert "not the most accurate one: on the same images big itself is right on 91.00 %" in said
    assert "No other teacher is more accurate itself" in " ".join(
        conclude(two_teachers, {"small": 0.91, "big": 0.95}).sentences
    )


def test_a_winner_is_compared_with_the_first_settings_over_the_same_images(tmp_path):
    record = run(tmp_path, make_plan())
    outcome = conclude(record, {})
    first, winner = record.trials[0], outcome.winner
    assert outcome.gain.value == pytest.approx(winner.accuracy - first.accuracy)
    assert outcome.accuracy.value == winner.accuracy
    assert outcome.images == IMAGES
    assert "flatters it" in outcome.sentences[-1]


def test_the_earlier_of_two_equal_trials_wins_and_a_single_one_is_called_no_search(tmp_path):
    def alike(task, keep_going):
        accuracies = [0.5] * 9
        keep_going(accuracies)
        return Trained(accuracies=accuracies, right=np.arange(10) < 5)

    record = run(tmp_path / "a", make_plan(budget=27), alike)
    outcome = conclude(record, {})
    assert len(record.trials) == 3
    assert outcome.winner.number == 1
    assert "No other settings did better" in " ".join(outcome.sentences)
    alone = conclude(run(tmp_path / "b", make_plan(budget=9), alike), {})
    assert alone.sentences[-1].startswith("A single trial is no search")


def test_only_the_best_trial_keeps_its_weights(tmp_path):
    record = run(tmp_path, make_plan())
    best = conclude(record, {}).winner.number
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [f"trial-{best}"]


def test_a_runner_that_does_not_stop_when_told_to_is_an_error(tmp_path):
    def deaf(task, keep_going):
        accuracies = [1 / task.trial.number] * 9
        keep_going(accuracies[:1])
        return Trained(accuracies=accuracies, right=np.ones(3, dtype=bool))

    with pytest.raises(ValueError, match="trial 2: expected a runner"):
        run(tmp_path, make_plan(), deaf)


def test_what_is_asked_depends_on_the_trials_alone():
    plan = make_plan()
    first = Trial(
        number=1,
        teacher="big",
        point=plan.space.start_point(KD),
        settings=KD,
        state="complete",
        accuracies=(0.5,) * 9,
        epochs=9,
        accuracy=0.5,
    )
    assert ask(plan, []) == {"method": "kd", "temperature": 4.0, "kd_weight_factor": 1.0}
    assert ask(plan, [first]) == ask(plan, [first]) != ask(plan, [])
    second = replace(first, number=2, state="running")
    assert goes_on(plan, [first], replace(second, accuracies=(0.5,)))  # as good as the first
    assert not goes_on(plan, [first], replace(second, accuracies=(0.49,)))
    assert not goes_on(plan, [first], replace(second, accuracies=(0.49, 0.9)))  # nor later on
    assert goes_on(plan, [first], replace(second, accuracies=(0.6, 0.1)))  # no rung at epoch 2


def test_the_record_of_another_search_is_refused(tmp_path):
    run(tmp_path, make_plan(budget=9))
    with pytest.raises(ArtifactError, match=r"those of another \(budget differs\)"):
        open_record(tmp_path, make_plan(budget=18))


@pytest.mark.parametrize("damage", ["[]", '{"schema": 1, "kind": "tuning trials"}', "{"])
def test_a_damaged_record_is_refused(tmp_path, damage):
    run(tmp_path, make_plan(budget=9))
    content = json.loads((tmp_path / "trials.json").read_text())
    del content["trials"][0]["settings"]
    for text in (damage, json.dumps(content)):
        (tmp_path / "trials.json").write_text(text)
        with pytest.raises(ArtifactError):
            open_record(tmp_path, make_plan(budget=9))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"tune": "temprature"}, '--tune temprature: no such setting; did you mean "temperature"?'),
        ({"tune": "temperature,temperature"}, "expected each setting once"),
        ({"tune": ""}, "--tune : no such setting"),
        ({"tune": "method", "tune_epochs": 0}, "--tune-epochs: expected 1 or more, found 0"),
        ({"tune_epochs": 9}, "--tune-epochs 9: expected --tune as well"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(settings, says):
    with pytest.raises(UsageError, match=says.replace("?", r"\?")):
        Tuning(**settings).check()


def test_flags_and_recipes_spell_settings_alike():
    tuning = Tuning(tune="kd-weight, ce_weight")
    tuning.check()
    assert tuning.names() == ("kd_weight", "ce_weight")
    assert Tuning().names() == ()


def test_a_budget_trains_every_teacher_at_least_once():
    assert Tuning(tune="temperature").budget(10, ["a", "b"]) == 120
    assert Tuning(tune="temperature", tune_epochs=20).budget(10, ["a", "b"]) == 20
    with pytest.raises(UsageError, match=r"--tune-epochs 19: expected 20 or more.*found 19"):
        Tuning(tune="temperature", tune_epochs=19).budget(10, ["a", "b"])
    with pytest.raises(UsageError, match="--teacher a: expected each candidate once"):
        Tuning(tune="temperature").budget(10, ["a", "a"])


@pytest.mark.parametrize(
    ("tuned", "starts", "says"),
    [
        (("temperature",), (HARD,), "--tune temperature: expected a method that has one"),
        (("ce_weight",), (replace(KD, ce_weight=0.0),), "--tune ce_weight: expected a weight"),
        (("kd_weight",), (replace(KD, kd_weight=0.0),), "expected a --kd-weight above 0"),
        (("method",), (KD,), "--tune method: expected two methods or more"),
        (("temperature",), (KD, DKD), "with --tune temperature,method they are candidates"),
        (("method",), (KD, KD), "--method kd: expected each candidate once"),
    ],
)
def test_a_space_without_anything_to_search_is_refused(tuned, starts, says):
    with pytest.raises(UsageError, match=says):
        plan_space(tuned, starts)


def fits(course: Course) -> None:
    """Everything but what needs a label for each image."""
    if "hard labels" in course.needs():
        raise UsageError("no labels")


def test_a_single_method_is_joined_by_all_of_logits_that_fit():
    courses = candidate_courses(Teaching(method=("lskd",), temperature=3.0), ("method",), 10, fits)
    starts = {start_of(course).method: start_of(course) for course in courses}
    assert next(iter(starts)) == "lskd"
    assert {"kd", "dist", "hard"} <= set(starts)
    assert not {"dkd", "hint", "rkd"} & set(starts)
    assert starts["kd"].temperature == 3.0
    assert starts["hard"].temperature is None


def test_several_methods_are_the_candidates_and_keep_what_only_they_know():
    teaching = Teaching(method=('{"name": "dkd", "beta": 5}', "kd"))
    courses = candidate_courses(teaching, ("method",), 10, lambda course: None)
    assert [start_of(course).method for course in courses] == ["dkd", "kd"]
    settings = replace(start_of(courses[0]), temperature=2.5, kd_weight=0.3, ce_weight=0.2)
    course = course_of(courses, settings)
    assert start_of(course) == settings
    assert course.chosen[0].settings.beta == 5


def test_candidates_that_cannot_be_taught_and_sums_of_methods_are_refused():
    both = Teaching(method=("kd", "dist"))
    with pytest.raises(UsageError, match="with --tune temperature,method they are candidates"):
        candidate_courses(both, ("temperature",), 10, fits)
    with pytest.raises(UsageError, match="no labels"):
        candidate_courses(Teaching(method=("dkd", "kd")), ("method",), 10, fits)
