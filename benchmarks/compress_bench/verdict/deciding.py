"""What would decide an inconclusive goal, in numbers: images, processes, time, or a quiet machine.

The numbers hold if the value stays as it is: for images, those that there are stand for more of
their kind; for processes, an interval narrows as Student's t does.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from compress.intervals import t_quantile
from compress_bench import noise
from compress_bench.answers import Answers
from compress_bench.evidence import Counted, Evidence
from compress_bench.metrics import Goal, load_metric
from compress_bench.quantities import show
from compress_bench.statistics import FLOORS, INTERVAL_PROCESSES, MARGIN, Estimate
from compress_bench.verdict.limits import within

MOST_IMAGES = 1_000_000  # beyond these numbers the user had better move the limit
MOST_PROCESSES = 100
_FAR = 3.0  # a busy machine seldom makes a time so many times longer
_STRICT = 7  # fresh processes of the strictest profile


def what_decides(goal: Goal, found: Estimate, evidence: Evidence) -> str:
    """One sentence on what to do, for a goal that was not decided.

    Args:
        goal: the limit.
        found: what it was held against.
        evidence: the measurement.
    """
    form = load_metric(goal.metric).GOAL
    assert form is not None
    if form.needs_images and found.value is not None:
        return _more_images(goal, found, evidence)
    if form.timed and form.measured in ("latency", "paced") and _planned_too_few(evidence):
        return f"give --processes {INTERVAL_PROCESSES}: an interval takes as many"
    is_measured = form.timed or form.measured != "latency"
    if is_measured and noise.cut_short(evidence, form.measured, goal.variant):
        return _more_time(evidence, form.measured)
    if found.value is None:
        advice = found.reason.rpartition("; ")[2]  # a reason that knows any ends with it
        return _more_samples(goal, evidence) or advice
    if found.confidence == 1.0:
        return _more_room(goal, found)
    return _more_runs(goal, found, evidence)


def _planned_too_few(evidence: Evidence) -> bool:
    """Whether the user asked for fewer processes than an interval takes."""
    planned = evidence.planned[0] or len(evidence.latency)
    return planned < INTERVAL_PROCESSES and not evidence.untimed


def images_needed(have: int, is_decided: Callable[[int], bool]) -> int | None:
    """About how many images would decide, to two digits; None: more than a million.

    Args:
        have: how many did not.
        is_decided: whether that many images would, of the kind that there are.
    """
    most = have
    while not is_decided(most):
        most *= 2
        if most > MOST_IMAGES:
            return None
    least = most // 2
    while most - least > max(1, most // 50):
        middle = (least + most) // 2
        least, most = (least, middle) if is_decided(middle) else (middle, most)
    step = int(10 ** max(0, len(str(most)) - 2))
    return max(have + 1, math.ceil(most / step) * step)


def spread_out(have: int, wanted: int) -> NDArray[np.int64]:
    """Indices, int64 [wanted], that repeat each of `have` images about equally often."""
    return np.arange(wanted, dtype=np.int64) * have // wanted


def processes_needed(goal: Goal, found: Estimate, processes: int) -> int | None:
    """How many processes would put the bound on the limit, where the value stays; None: too many.

    Args:
        goal: the limit.
        found: value and bounds from `processes` processes.
        processes: how many there were, two at least.
    """
    widths = _widths(goal, found)
    if widths is None:
        return None
    half, gap = widths
    unit = half / _shrink(processes)
    larger = range(processes + 1, MOST_PROCESSES + 1)
    return next((n for n in larger if unit * _shrink(n) < gap), None)


def _shrink(processes: int) -> float:
    """Half of a 95 % interval's width for a spread of one."""
    return t_quantile(0.975, processes - 1) / math.sqrt(processes)


def _widths(goal: Goal, found: Estimate) -> tuple[float, float] | None:
    """From the value to its bound on the limit's side, and to the limit; None: unbounded."""
    assert found.value is not None
    bound = found.high if goal.limit >= found.value else found.low
    return None if bound is None else (abs(bound - found.value), abs(goal.limit - found.value))


def _more_images(goal: Goal, found: Estimate, evidence: Evidence) -> str:
    assert evidence.images is not None
    have = len(evidence.images.labels)

    def is_decided(images: int) -> bool:
        more = load_metric(goal.metric).estimate(_with_images(evidence, images), goal)
        return within(goal.bound, goal.limit, more) != "inconclusive"

    needed = images_needed(have, is_decided)
    if needed is None:
        return (
            f"no number of test images within reach decides: the value is too close to the "
            f"limit, {goal.written}; move one of them"
        )
    return (
        f"give about {needed:,} test images in place of {have:,}: they would decide if the "
        f"value stays, and the goal would be {_outcome(goal, found)}"
    )


def _with_images(evidence: Evidence, wanted: int) -> Evidence:
    """As if there were so many images, answered in the same proportions; without their pixels."""
    assert evidence.images is not None
    chosen = spread_out(len(evidence.images.labels), wanted)
    images = replace(
        evidence.images,
        images=evidence.images.images[:0],
        labels=evidence.images.labels[chosen],
    )
    answers = {
        name: Answers(answers.labels[chosen], answers.confidence[chosen])
        for name, answers in evidence.answers.items()
    }
    return replace(evidence, images=images, answers=answers)


def _more_runs(goal: Goal, found: Estimate, evidence: Evidence) -> str:
    form = load_metric(goal.metric).GOAL
    assert form is not None and found.value is not None
    if form.timed and goal.bound in form.compares and _within_margin(goal, found):
        return _nothing_decides(found.value)
    starts = len(evidence.fresh[goal.variant])
    if form.measured == "fresh" and starts < INTERVAL_PROCESSES:
        return _more_starts(goal, starts)
    if form.timed and noise.upper_bounds(evidence):
        return _quiet_machine(goal, found)
    more = {
        "sustained": lambda: _longer_run(goal, evidence),
        "fresh": lambda: _more_starts(goal, starts),
        "counts": lambda: _more_counts(goal, evidence),
    }
    processes = _processes(goal, evidence)
    return more.get(form.measured, lambda: _more_processes(goal, found, processes))()


def _processes(goal: Goal, evidence: Evidence) -> int:
    """Those that the estimate rests on."""
    form = load_metric(goal.metric).GOAL
    if form is not None and form.measured == "paced":
        return len(evidence.paced.get(goal.variant, ()))
    return len(evidence.latency)


def _more_processes(goal: Goal, found: Estimate, have: int) -> str:
    if have < INTERVAL_PROCESSES:  # more were planned
        return f"{have} processes are left of those planned: give the command again"
    needed = processes_needed(goal, found, have)
    if needed is None:
        return (
            f"no number of processes up to {MOST_PROCESSES} decides: measure on a quieter machine, "
            f"or move the limit, {goal.written}"
        )
    return (
        f"give --processes {needed} in place of {have}: they would decide if the value stays, "
        f"and the goal would be {_outcome(goal, found)}"
    )


def _longer_run(goal: Goal, evidence: Evidence) -> str:
    """A run with too few windows: of a file that takes long."""
    seconds = math.ceil(float(evidence.sustained[goal.variant].ends[-1]))
    return f"give --sustained {4 * seconds} in place of {seconds} seconds, for more windows"


def _more_counts(goal: Goal, evidence: Evidence) -> str:
    """Counting processes, too, are as many as the profile says."""
    counted = evidence.counted.get(goal.variant, Counted())
    have = len(counted.joules if goal.metric == "energy" else counted.instructions)
    if have < INTERVAL_PROCESSES:
        return (
            f"give --profile standard: an interval takes {INTERVAL_PROCESSES} processes that "
            f"count, found {have}"
        )
    stricter = (
        "give --profile strict, which counts in more processes, or " if have < _STRICT else ""
    )
    return f"{stricter}move the limit, {goal.written}"


def _more_starts(goal: Goal, have: int) -> str:
    """Fresh processes are as many as the profile says, whatever --processes is."""
    if have < INTERVAL_PROCESSES:
        return f"give --profile standard: an interval takes {INTERVAL_PROCESSES} fresh processes"
    stricter = "give --profile strict, which starts more processes, " if have < _STRICT else ""
    return f"{stricter or 'measure on a quieter machine, '}or move the limit, {goal.written}"


def _outcome(goal: Goal, found: Estimate) -> str:
    assert found.value is not None
    kept = found.value >= goal.limit if goal.bound == "min" else found.value <= goal.limit
    return "met" if kept else "missed"


def _more_time(evidence: Evidence, measured: str) -> str:
    done, planned = noise.rounds_of(evidence)
    if measured != "latency" or done >= planned or not done:
        return "give a longer --time-cap"
    return f"give a longer --time-cap: all rounds take about {planned / done:.1f} times as long"


def _more_samples(goal: Goal, evidence: Evidence) -> str:
    """Of a percentile of latency below its floor; else empty."""
    if goal.metric != "latency" or evidence.untimed:
        return ""
    floor = FLOORS[int(goal.detail.removeprefix("p"))]
    each = sum(map(len, evidence.samples(goal.variant))) / len(evidence.latency)
    needed = max(INTERVAL_PROCESSES, math.ceil(floor / each))
    return (
        f"give --processes {needed}: each brings about {each:.0f} of the {floor} "
        "samples that are needed; or --profile strict"
    )


def _more_room(goal: Goal, found: Estimate) -> str:
    form = load_metric(goal.metric).GOAL
    assert form is not None and found.low is not None and found.high is not None
    quantity = form.bounds[goal.bound]
    parts = "windows" if goal.metric == "sustained" else "processes"
    low, high = show(found.low, quantity), show(found.high, quantity)
    between = f"from {low} to {high}" if low != high else f"all of them {low} in the digits shown"
    return (
        f"{parts} differ, {between}, and the limit lies between them: a limit beyond both decides, "
        f"more {parts} do not"
    )


def _within_margin(goal: Goal, found: Estimate) -> bool:
    assert found.value is not None
    return abs(math.log(goal.limit / found.value)) <= math.log1p(MARGIN)


def _nothing_decides(value: float) -> str:
    return (
        f"nothing decides a limit so close: differences within {100 * MARGIN:.0f} % are never "
        f"declared; a limit of {value / (1 + MARGIN):.3g} or less can be met, one of "
        f"{value * (1 + MARGIN):.3g} or more is missed"
    )


def _quiet_machine(goal: Goal, found: Estimate) -> str:
    assert found.value is not None
    quiet = "close other programs, or measure where no others run"
    if _outcome(goal, found) == "met":
        return f"{quiet}: the value keeps the limit, its bounds do not yet"
    if not 1 / _FAR < goal.limit / found.value < _FAR:
        return (
            f"{quiet}; the value is far from the limit, {goal.written}, so that may not be enough"
        )
    change = 100 * (goal.limit / found.value - 1)
    return f"{quiet}: the goal is met if that changes the value by {change:+.0f} %"
