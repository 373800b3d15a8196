"""What a user of the reference would miss: images that it has right and the variant has wrong.

Two files of equal accuracy can fail on different images; of those, accuracy says nothing.

Source: Yan et al., Positive-congruent training, CVPR 2021, there as a share of all images.
"""

from typing import Any

from compress.intervals import wilson
from compress_bench.evidence import Evidence
from compress_bench.metrics import Goal, GoalForm
from compress_bench.remedies.blame import ROUNDING, float32_verdict, may_blame_int8
from compress_bench.remedies.expectations import sentences
from compress_bench.statistics import Estimate, from_interval, missing

GOAL = GoalForm(bounds={"max": "share"}, compares=("max",), needs_images=True)


def measure(evidence: Evidence, variant: str) -> dict[str, Any]:
    """`negative_flips`: share of the images that the reference has right; None for itself."""
    both = evidence.answered(variant, evidence.reference)
    if evidence.images is None or not both or variant == evidence.reference:
        return {"negative_flips": None}
    right = int(evidence.right(evidence.reference).sum())
    found = _flips(evidence, variant, evidence.reference).to_dict()
    return {"negative_flips": found | {"n": right, "vs": evidence.reference}}


def estimate(evidence: Evidence, goal: Goal) -> Estimate:
    """Share of the images that `vs` has right."""
    return _flips(evidence, goal.variant, goal.vs or evidence.reference)


def remedy(goal: Goal, evidence: Evidence) -> str:
    """How many images were lost, how many may be, and which file loses them."""
    before, after = evidence.right(goal.vs or evidence.reference), evidence.right(goal.variant)
    lost, won = int((before & ~after).sum()), int((after & ~before).sum())
    most = int(goal.limit * before.sum() + ROUNDING)
    count = f"{lost} images were lost ({won} were won), at most {most} may be"
    said = float32_verdict(goal, evidence)
    if may_blame_int8(goal, evidence):
        return sentences(count, said)
    follow = "raise --kd-weight when distilling, so that it follows its teacher more closely"
    return sentences(count, said, follow)


def _flips(evidence: Evidence, variant: str, vs: str) -> Estimate:
    """With Wilson's interval, given which images `vs` has right."""
    before = evidence.right(vs)
    if not before.any():
        return missing(f"{vs} has no image right")
    lost = before & ~evidence.right(variant)
    return from_interval(wilson(int(lost.sum()), int(before.sum())))
