"""Whether a variant recognises less: image by image where both reports saw the same ones."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_bench.metrics import Goal
from compress_bench.regression.pair import NEW_BASELINE, Pair, decided, make_goal, undecided
from compress_bench.statistics import (
    Estimate,
    exact,
    independent_difference,
    matched_difference,
    missing,
)
from compress_bench.verdict.deciding import images_needed, spread_out
from compress_bench.verdict.judging import Ruling
from compress_bench.verdict.limits import within


def judge_accuracy(pair: Pair, name: str) -> dict[str, Any] | None:
    """The drop against the old report; None where the old report has no accuracy."""
    old, new = pair.fields(name)
    if not old.get("accuracy"):
        return None
    limit = pair.max_increase / 100
    goal = make_goal(name, "accuracy", "max_drop", limit, f"{pair.max_increase:g} pt")
    if not new.get("accuracy"):
        return undecided(goal, missing("no test images now"), "give --data, as then")
    found, how = _drop(old, new)
    status = within("max_drop", goal.limit, found)
    if status == "inconclusive":
        return undecided(goal, found, _advice(old, new, goal), how)
    remedy = f"train or export it as the old report was; {NEW_BASELINE}"
    return decided(goal, found, Ruling(status, how), remedy)


def _advice(old: Mapping[str, Any], new: Mapping[str, Any], goal: Goal) -> str:
    """How many images would decide, where both reports saw the same ones."""
    if not _are_paired(old, new):
        return "measure both on the same images, or give a larger --max-increase"
    before, after = _unpack(old["answers"]), _unpack(new["answers"])

    def is_decided(images: int) -> bool:
        chosen = spread_out(len(before), images)
        more = matched_difference(before[chosen], after[chosen])
        return within(goal.bound, goal.limit, more) != "inconclusive"

    needed = images_needed(len(before), is_decided)
    if needed is None:
        return "no number of test images decides: give a larger --max-increase"
    return (
        f"about {needed:,} test images in place of {len(before):,} would decide, in both reports; "
        "or give a larger --max-increase"
    )


def _drop(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Estimate, str]:
    """Old accuracy minus new, and on which images."""
    if not _are_paired(old, new):
        return independent_difference(_counts(old), _counts(new)), "not on the same images"
    before, after = _unpack(old["answers"]), _unpack(new["answers"])
    if np.array_equal(before, after):
        return exact(0.0), "right on the very same images"
    return matched_difference(before, after), ""


def _are_paired(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    then, now = old.get("answers"), new.get("answers")
    return bool(then and now and then["images_sha256"] == now["images_sha256"])


def _counts(fields: Mapping[str, Any]) -> tuple[int, int]:
    """Right answers, and all."""
    accuracy = fields["accuracy"]
    return round(accuracy["value"] * accuracy["n"]), accuracy["n"]


def _unpack(answers: Mapping[str, Any]) -> NDArray[np.bool_]:
    packed = np.frombuffer(base64.b64decode(answers["right_base64"]), dtype=np.uint8)
    return np.unpackbits(packed, count=answers["n"]).astype(bool)
