"""Who wins a search, what is on the front, and what becomes of the others."""

import pytest

import search_case
from compress.errors import GoalMissedError, InconclusiveError
from compress.progress import SILENT
from compress.search.outcome import Trainings, choose, conclude
from compress.search.race import halve
from compress.search.record import Standing, open_record
from compress.show_found import require_winner

ENDS = {"a": 0.70, "b": 0.90, "c": 0.95}


def _entry(value, status):
    return {
        "variant": "student_int8",
        "metric": "accuracy",
        "bound": "min",
        "limit": 0.8,
        "value": value,
        "vs": None,
        "status": status,
    }


def _judged(name, size, met, value=0.9):
    return {
        "name": name,
        "met": met,
        "deployed": {"size_bytes": size},
        "goals": [_entry(value, met)],
    }


def test_the_smallest_file_that_meets_all_goals_wins():
    small, large = _judged("small", 10, "pass"), _judged("large", 20, "pass")
    assert choose([large, small, _judged("tiny", 5, "fail")])["name"] == "small"


def test_without_a_winner_undecided_goes_before_missed_and_the_nearest_first():
    near, far = _judged("near", 20, "fail", 0.79), _judged("far", 10, "fail", 0.5)
    assert choose([far, near])["name"] == "near"
    assert choose([near, _judged("open", 30, "inconclusive", 0.7)])["name"] == "open"


def _verdict(size, value, met):
    accuracy = {"value": value, "low": value - 0.02, "high": value + 0.02, "n": 1000}
    return {
        "deployed": {"accuracy": accuracy, "latency": None, "size_bytes": size},
        "goals": [_entry(value, met)],
        "met": met,
    }


def _conclude(folder, verdicts):
    sizes = {"a": 10, "b": 20, "c": 30}
    candidates = [search_case.candidate(name, size) for name, size in sizes.items()]
    out = search_case.candidate("huge", 99) | {"screened": "fail", "state": "screened out"}
    goals = [search_case.accuracy_goal(0.99)]
    race = search_case.make_field(folder, candidates, goals=goals)
    halved = halve(race, search_case.runner(race, ENDS), SILENT)
    finalists = [name for name in verdicts if name != "teacher"]
    found = Trainings(race=race, halved=halved, finalists=finalists, verdicts=verdicts)
    screened = {
        "candidates": [*candidates, out],
        "teacher": {"name": "big", "latency": None, "size_bytes": 500},
        "sentences": [],
        "seconds": {"screening": 1.0},
    }
    return conclude(screened, found)


def test_a_finished_search_tells_of_each_candidate_what_became_of_it(tmp_path):
    verdicts = {"b": _verdict(20, 0.89, "pass"), "c": _verdict(30, 0.94, "pass"), "teacher": None}
    found = _conclude(tmp_path, verdicts)
    assert (found["winner"], found["verdict"], found["distances"]) == ("b", "pass", [])
    states = {c["name"]: (c["state"], c["on_front"], c["won"]) for c in found["candidates"]}
    assert states == {
        "a": ("dropped", False, False),
        "b": ("finalist", True, True),
        "c": ("finalist", True, False),
        "huge": ("screened out", False, False),
    }
    assert found["candidates"][0]["trained"]["epochs"] == 1
    assert found["candidates"][0]["reason"].startswith("dropped after epoch 1")
    assert found["epochs"] == 3 + 2 + 4 and found["rungs"] == [1, 2, 6]
    assert found["teacher"]["validation"]["value"] == 0.9


def test_a_search_without_a_winner_says_how_far_the_nearest_is(tmp_path):
    found = _conclude(tmp_path, {"c": _verdict(30, 0.75, "fail"), "teacher": None})
    assert (found["winner"], found["nearest"], found["verdict"]) == (None, "c", "fail")
    assert (
        "c comes nearest with 75.0 %, 5.00 points from the limit"
        in (found["distances"][0]["sentence"])
    )


def test_what_validation_leaves_open_ends_in_four_though_test_meets_all_goals():
    with pytest.raises(InconclusiveError, match=r"the intervals of a, which comes nearest"):
        require_winner({"verdict": "inconclusive", "nearest": "a"}, None)
    with pytest.raises(GoalMissedError, match="no candidate meets the goals on validation"):
        require_winner({"verdict": "fail", "distances": []}, None)
    require_winner({"verdict": "pass"}, None)


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = open_record(tmp_path)
    record.put("a", Standing(accuracies=(0.5, 0.625), seconds=1.5))
    record.put("b", Standing(accuracies=(0.25,), failure="it diverged"))
    record.judge({"files": {"a": "1"}}, {"a": {"met": "pass"}})
    record.met_teacher({"n": 48})
    again = open_record(tmp_path)
    assert again.standings == record.standings and again.epochs("ab") == 2 + 2
    assert again.verdicts({"files": {"a": "1"}}) == {"a": {"met": "pass"}}
    assert again.verdicts({"files": {"a": "2"}}) is None
    assert again.teacher == {"n": 48}
