"""What is counted: bytes of the file, and instructions of an inference."""

import math
from collections.abc import Mapping
from typing import Any

from compress.intervals import CONFIDENCE
from compress_bench.quantities import show
from compress_bench.regression.pair import (
    NEW_BASELINE,
    Pair,
    decided,
    grown,
    make_goal,
    more_than,
    undecided,
)
from compress_bench.statistics import Estimate, exact, independent_ratio, missing, scaled
from compress_bench.verdict.judging import Ruling
from compress_bench.verdict.limits import within


def judge_size(pair: Pair, name: str) -> dict[str, Any]:
    """Bytes of the file, which are certain."""
    then, now = (fields["size_bytes"] for fields in pair.fields(name))
    written = more_than(pair.max_increase, show(then, "size"))
    limit = math.floor(then * (100 + pair.max_increase) / 100)
    goal = make_goal(name, "size", "max", limit, written)
    found = exact(now)
    counts = [fields.get("parameters") for fields in pair.fields(name)]
    remedy = (
        f"the file grew {grown(now / then)} (parameters: {counts[0]} then, "
        f"{counts[1]} now); {NEW_BASELINE}"
    )
    return decided(goal, found, Ruling(within("max", goal.limit, found)), remedy)


def judge_instructions(pair: Pair, name: str) -> dict[str, Any] | None:
    """Instructions of an inference; None where the old report has none."""
    old, new = pair.fields(name)
    if not old.get("instructions"):
        return None
    then = _estimate(old["instructions"])
    assert then.value is not None
    written = more_than(pair.max_increase, show(then.value, "count"))
    limit = then.value * (1 + pair.max_increase / 100)
    goal = make_goal(name, "instructions", "max", limit, written)
    unlike = pair.not_comparable(name) or _other_source(old, new)
    if unlike:
        advice = "measure as the old report was measured, or make a new baseline here"
        return undecided(goal, missing(unlike), advice)
    ratio = independent_ratio(_estimate(new["instructions"]), then)
    found = scaled(ratio, then.value)
    status = within("max", goal.limit, found)
    if status == "inconclusive":
        return undecided(goal, found, f"{_more_counts(pair)}give a larger --max-increase")
    assert ratio.value is not None
    shows = "" if pair.untimed else ": compress report with both reports shows which layers changed"
    remedy = f"the instructions grew {grown(ratio.value)}{shows}; {NEW_BASELINE}"
    return decided(goal, found, Ruling(status), remedy)


def _more_counts(pair: Pair) -> str:
    """The next profile, which counts in more processes; empty in the last one."""
    after = {"quick": "standard", "standard": "strict"}.get(pair.new["settings"].get("profile", ""))
    return f"give --profile {after}, which counts in more processes, or " if after else ""


def _other_source(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Why two counts are not of one kind, or empty."""
    if not new.get("instructions"):
        return f"not counted now: {new.get('instructions_reason') or 'no counter'}"
    sources = [fields.get("instructions_source") for fields in (old, new)]
    same = sources[0] == sources[1]
    return "" if same else f"counted by {sources[1]}, baseline by {sources[0]}"


def _estimate(fields: Mapping[str, Any]) -> Estimate:
    return Estimate(
        fields["value"],
        fields.get("low"),
        fields.get("high"),
        fields.get("confidence", CONFIDENCE),
        fields.get("reason", ""),
    )
