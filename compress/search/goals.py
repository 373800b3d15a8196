"""The user's goals, for files of many candidates: which can be judged before any training.

Goals speak of `student` and `student_int8`; each candidate's files take their places in turn.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compress.errors import UsageError
from compress.search.families import TEACHER
from compress_bench.metrics import Goal, GoalForm, load_metric
from compress_bench.metrics.speedup import widened
from compress_bench.runtimes import check_runtimes, expand_names
from compress_bench.statistics import Estimate
from compress_bench.verdict.goals import check_goals
from compress_bench.verdict.judging import Ruling, entry
from compress_bench.verdict.limits import within

INT8 = "student_int8"
STUDENT = "student"
_VARIANTS = (TEACHER, STUDENT, "baseline", INT8)
_SCREENED = (STUDENT, INT8)
# These take minutes of each file; they are measured of the few that were trained.
_SLOW = ("paced", "sustained")

_FAR = 3.0  # a busy machine seldom makes a time so many times longer

Judged = Mapping[str, Any]


@dataclass(frozen=True)
class Split:
    """Goals by when they can be judged.

    Attributes:
        now: of files with random weights.
        later: of trained ones.
    """

    now: tuple[Goal, ...]
    later: tuple[Goal, ...]


def split_goals(
    goals: Sequence[Goal], runtimes: Sequence[str], *, has_teacher: bool, int8: bool = True
) -> Split:
    """Hold the goals against what there will be, and tell those that need no weights.

    Args:
        goals: the user's.
        runtimes: of bench; the second and further ones have variants of their own.
        has_teacher: whether there is a teacher's file to compare with before any training.
        int8: whether candidates have int8 files.

    Raises:
        UsageError: a variant that no search makes, or no goal on a student's file.
    """
    made = [name for name in _VARIANTS if int8 or name != INT8]
    check_goals(goals, expand_names(made, check_runtimes(runtimes)), TEACHER, has_images=True)
    if not any(role(goal.variant) in _SCREENED for goal in goals):
        found = ", ".join(dict.fromkeys(goal.variant for goal in goals))
        raise UsageError(
            f"--goals: expected a goal on student or student_int8, which candidates can meet, "
            f"found goals on {found}"
        )
    now = tuple(goal for goal in goals if not _waits(goal, has_teacher=has_teacher))
    return Split(now, tuple(goal for goal in goals if goal not in now))


def _waits(goal: Goal, *, has_teacher: bool) -> bool:
    form = form_of(goal)
    compared = (goal.vs or TEACHER) if goal.bound in form.compares else ""
    known = (*_SCREENED, *([TEACHER] if has_teacher else []))
    unknown = role(goal.variant) not in _SCREENED or (compared and role(compared) not in known)
    return bool(form.needs_images or form.measured in _SLOW or unknown)


def form_of(goal: Goal) -> GoalForm:
    """How the goal's metric is measured."""
    form = load_metric(goal.metric).GOAL
    assert form is not None
    return form


def precisions(goals: Iterable[Goal], deployed: str) -> tuple[str, ...]:
    """Which of a candidate's files have to be measured: those that goals name, and the deployed."""
    named = {role(name) for goal in goals for name in (goal.variant, goal.vs)}
    files = {"int8": INT8, "float32": STUDENT}
    return tuple(name for name, file in files.items() if name == deployed or file in named)


def role(variant: str) -> str:
    """Whose file a variant is: student_int8@openvino is student_int8, elsewhere."""
    return variant.partition("@")[0]


def of_candidate(goal: Goal, name: str) -> Goal:
    """The goal for one candidate's file."""
    return replace(goal, variant=_file(goal.variant, name), vs=_file(goal.vs, name))


def _file(variant: str, name: str) -> str:
    """student_int8@openvino of lenet5 is lenet5_int8@openvino: as bench names files."""
    role, at, runtime = variant.partition("@")
    renamed = {INT8: f"{name}_int8", STUDENT: name}
    return renamed.get(role, role) + at + runtime


def variant_of(name: str, precision: str) -> str:
    """What bench calls a candidate's file."""
    return f"{name}_int8" if precision == "int8" else name


def key_of(goal: Goal) -> tuple[str, str, str, str]:
    """What is measured for a goal, whatever its limit is."""
    return goal.variant, goal.name, goal.bound, goal.vs


def judge_again(old: Judged, goal: Goal, smallest_difference: float | None) -> dict[str, Any]:
    """A goal's verdict from what was measured for it when its limit was another.

    Args:
        old: the verdict then.
        goal: of the candidate's file.
        smallest_difference: that this machine could tell then, a fraction; None if none.
    """
    found = Estimate(old["value"], old["low"], old["high"])
    noisy = old["status"] == "inconclusive" != within(goal.bound, old["limit"], found)
    if goal.metric == "speedup":
        found = widened(found, smallest_difference, goal.limit)
    status = "inconclusive" if noisy else within(goal.bound, goal.limit, found)
    ruling = Ruling(status, "other work disturbed the measurement" if noisy else "")
    return entry(goal, found, ruling, vs=old["vs"], remedy=None)


def decide_far(judged: Judged, goal: Goal) -> dict[str, Any]:
    """A time that other work on the machine lengthened is decided where it is far too long.

    Bench leaves it open, since the file alone may be faster. Nobody trains a network for that.
    """
    low, high, limit = judged["low"], judged["high"], judged["limit"]
    is_open = judged["status"] == "inconclusive" and form_of(goal).timed
    if not is_open or low is None or high is None:
        return dict(judged)
    is_far = high * _FAR < limit if goal.bound == "min" else low > limit * _FAR
    if not is_far:
        return dict(judged)
    said = f"{judged['sentence']} Too far from the limit for that to be other work: missed."
    return {**judged, "status": "fail", "sentence": said}


def screened(judged: Sequence[Judged]) -> str:
    """What all goals that need no weights say: pass, fail, inconclusive or unmeasured."""
    statuses = {item["status"] for item in judged}
    if "fail" in statuses:
        return "fail"
    if not judged or any(item["value"] is None for item in judged):
        return "unmeasured"
    return "inconclusive" if "inconclusive" in statuses else "pass"


def goal_content(goal: Goal) -> dict[str, Any]:
    """A goal as a search's JSON has it."""
    return {
        "variant": goal.variant,
        "metric": goal.name,
        "bound": goal.bound,
        "limit": goal.limit,
        "written": goal.written,
        "vs": goal.vs,
    }
