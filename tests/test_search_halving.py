"""Who is trained, how far, and who goes on: numbers by hand, and a race by known curves."""

from dataclasses import replace

import pytest

import search_case
from compress.progress import SILENT
from compress.search.deployed import latency_of, size_of
from compress.search.front import Point
from compress.search.halving import affordable, chosen, cost, not_needed, rungs, survivors
from compress.search.race import Halved, SoFar, halve, next_in_line
from compress.search.record import Standing


def _point(name, accuracy, size, latency=None):
    return Point(name=name, accuracy=accuracy, size_bytes=size, latency=latency)


def test_rungs_lie_at_an_eighth_and_a_third_of_the_schedule():
    assert rungs(30, warmup=0.0) == (4, 10, 30)
    assert rungs(12, warmup=0.0) == (2, 4, 12)
    assert rungs(1, warmup=0.0) == (1,)


def test_no_rung_lies_in_the_warm_up():
    assert rungs(30, warmup=0.2) == (6, 10, 30)
    assert rungs(30, warmup=0.5) == (15, 30)


def test_the_cost_of_a_halving_is_its_epochs():
    # 8 candidates for 4 epochs, 4 for 6 more, 2 for 20 more.
    assert cost(8, (4, 10, 30)) == 8 * 4 + 4 * 6 + 2 * 20
    assert cost(1, (4, 10, 30)) == 30
    assert cost(3, (1, 3)) == 3 + 2 * 2


def test_as_many_are_trained_as_the_budget_carries():
    # Eight take 96; nine, of which five and then three go on, 36 + 30 + 60.
    assert affordable(20, (4, 10, 30), budget=125) == 8
    assert affordable(20, (4, 10, 30), budget=126) == 9


def test_one_is_trained_whatever_the_budget():
    assert affordable(5, (4, 10, 30), budget=3) == 1


def test_half_of_a_rung_survives_rounded_up():
    points = [_point("a", 0.9, 30), _point("b", 0.8, 20), _point("c", 0.7, 10)]
    assert survivors(points) == ["a", "b"]


def test_each_family_sends_its_largest_then_its_smallest_then_the_farthest_between():
    candidates = [
        *(search_case.candidate(f"a{size}", size, student="a") for size in (10, 20, 80, 100)),
        *(search_case.candidate(f"b{size}", size, student="b") for size in (15, 50)),
    ]
    # Between 10 and 100, 20 is a factor of 2 from its neighbour, 80 one of 1.25.
    assert chosen(candidates, 6, "int8") == ["a100", "b50", "a10", "b15", "a20", "a80"]
    assert chosen(candidates, 3, "int8") == ["a100", "b50", "a10"]


def test_sizes_are_those_of_the_file_that_goals_are_about(tmp_path):
    float32 = {"size_bytes": 40, "latency": {"value": 2.0}}
    one = search_case.candidate("a", 10, latency=1.0)
    one["screening"]["float32"] = float32
    assert (size_of(one, "int8"), latency_of(one, "int8")) == (10, 1.0)
    assert (size_of(one, "float32"), latency_of(one, "float32")) == (40, 2.0)
    # 45 bytes have been found to do: a's file of 40 is worth training, though b's of 50 is not.
    other = {**one, "name": "b", "screening": {"int8": {"size_bytes": 12}}}
    other["screening"]["float32"] = {**float32, "size_bytes": 50}
    goal = replace(search_case.accuracy_goal(0.05), variant="student")
    race = search_case.make_field(tmp_path, [one, other], goals=[goal])
    for name in "ab":
        race.record.put(name, Standing(accuracies=(0.05,)))
    halved = Halved(finalists=(), left={"a": 1, "b": 1})
    assert _next(race, halved, finalists=(), smallest=45) == "a"
    assert _next(race, halved, finalists=("a",), smallest=45) is None


def test_epochs_of_another_search_in_the_folder_cost_nothing(tmp_path):
    race = _race(tmp_path)
    halved = halve(race, search_case.runner(race, ENDS), SILENT)
    race.record.put("of before", Standing(accuracies=(0.5,) * 90))
    assert race.epochs() == 10
    assert _next(race, halved, finalists=("c",), budget=14) == "a"  # 4 epochs to its end


def test_a_larger_and_slower_one_is_not_needed_beside_a_rival_that_is_surely_enough():
    points = [
        _point("small", 0.80, 10, 2.0),
        _point("large", 0.95, 30, 3.0),
        _point("fast", 0.95, 30, 1.0),
        _point("tiny", 0.60, 5, 1.0),
    ]
    assert not_needed(points, {"small": True}) == {"large": "small"}
    assert not_needed(points, {}) == {}
    assert not_needed([_point("a", 0.8, 1), _point("b", 0.9, 2)], {"a": True}) == {"b": "a"}


SIZES = {"a": 10, "b": 20, "c": 30, "d": 40}
ENDS = {"a": 0.90, "b": 0.70, "c": 0.95, "d": 0.80}  # b and d are beaten by smaller ones


FAR = (search_case.accuracy_goal(0.99),)  # which nobody meets before the end


def _race(folder, goals=FAR):
    candidates = [search_case.candidate(name, size) for name, size in SIZES.items()]
    return search_case.make_field(folder, candidates, goals=goals)


def test_the_better_half_goes_on_at_each_rung(tmp_path):
    race = _race(tmp_path)
    found = halve(race, search_case.runner(race, ENDS), SILENT)
    assert found.finalists == ("c",)
    assert found.left == {"b": 1, "d": 1, "a": 2}
    assert "dropped after epoch 1 with 20.0 % right" in found.reasons["b"]
    assert race.epochs() == cost(4, race.steps) == 4 + 2 + 4


def test_asked_again_the_same_accuracies_lead_to_the_same_end_and_nothing_is_trained(tmp_path):
    race, trained = _race(tmp_path), []
    train = search_case.runner(race, ENDS, trained=trained)
    first = halve(race, train, SILENT)
    done = list(trained)
    assert halve(race, train, SILENT) == first
    assert trained == done and len(set(done)) == len(done)


def test_one_that_diverges_fails_and_the_others_go_on(tmp_path):
    race = _race(tmp_path)
    found = halve(race, search_case.runner(race, ENDS, diverging=("c",)), SILENT)
    assert found.finalists == ("a",)
    assert found.reasons["c"] == "expected finite weights, found NaN"
    assert race.record.of("c").epochs() == 2  # the one in which it diverged counts


def test_one_beside_a_smaller_rival_that_is_accurate_enough_already_is_dropped(tmp_path):
    race = _race(tmp_path, goals=[search_case.accuracy_goal(0.30)])
    found = halve(race, search_case.runner(race, ENDS), SILENT)
    assert found.finalists == ("a",)
    assert found.reasons["c"] == "not needed: a is smaller, no slower, and accurate enough already"


def test_a_goal_on_a_drop_is_one_on_accuracy_once_the_teacher_is_known(tmp_path):
    goal = search_case.accuracy_goal(0.05)
    drop = type(goal)(
        variant=goal.variant,
        metric="accuracy",
        detail="",
        bound="max_drop",
        limit=0.05,
        written="5 pt",
        vs="teacher",
    )
    assert _race(tmp_path, goals=[drop]).wanted_accuracy() == pytest.approx(0.85)
    assert _race(tmp_path, goals=[drop, search_case.accuracy_goal(0.9)]).wanted_accuracy() == 0.9


def test_other_goals_on_answers_leave_open_which_accuracy_is_wanted(tmp_path):
    goal = search_case.accuracy_goal(0.5)
    agreement = type(goal)(
        variant=goal.variant, metric="agreement", detail="", bound="min", limit=0.9, written="90 %"
    )
    assert _race(tmp_path, goals=[agreement]).wanted_accuracy() is None


def _next(race, halved, *, finalists, smallest=None, budget=100):
    return next_in_line(
        race, halved, SoFar(finalists=finalists, smallest_bytes=smallest), budget=budget
    )


def test_where_no_finalist_will_do_the_most_accurate_of_the_dropped_is_trained_on(tmp_path):
    race = _race(tmp_path)
    halved = halve(race, search_case.runner(race, ENDS), SILENT)
    assert _next(race, halved, finalists=("c",)) == "a"  # 0.5 after two epochs
    assert _next(race, halved, finalists=("c", "a")) == "d"  # 0.3 after one, b had 0.2
    assert _next(race, halved, finalists=("c", "a", "d", "b")) is None
    assert _next(race, halved, finalists=("c",), budget=10) is None  # all of it is spent


def test_a_smaller_one_whose_interval_reached_the_goal_is_tried_beside_a_winner(tmp_path):
    race = _race(tmp_path, goals=[search_case.accuracy_goal(0.51)])
    halved = halve(race, search_case.runner(race, ENDS), SILENT)
    # c wins with 30 bytes; a had 50 % after two epochs: 46.9 to 53.1 % on 1000 images.
    assert halved.finalists == ("c",) and halved.left["a"] == 2
    assert _next(race, halved, finalists=("c",), smallest=30) == "a"
    far = _race(tmp_path, goals=[search_case.accuracy_goal(0.60)])
    far.record.standings.update(race.record.standings)
    assert _next(far, halved, finalists=("c",), smallest=30) is None
