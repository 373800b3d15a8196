"""Whether a variant became slower: only on the old report's machine, and only beyond doubt."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.intervals import CONFIDENCE
from compress_bench.quantities import show
from compress_bench.regression.pair import (
    NEW_BASELINE,
    Pair,
    Report,
    decided,
    make_goal,
    more_than,
    undecided,
)
from compress_bench.statistics import (
    DECISION,
    INTERVAL_PROCESSES,
    Estimate,
    geometric,
    independent_ratio,
    missing,
    scaled,
)
from compress_bench.verdict.judging import Ruling
from compress_bench.verdict.limits import Status

_SLOWED = ("contended", "stolen", "frequency")


def judge_latency(pair: Pair, name: str) -> dict[str, Any] | None:
    """Slower, not slower, or neither can be told.

    None for the yardstick itself, and where the old report has no times.
    """
    if not pair.old["variants"][name]["samples_seconds"]:
        return None
    yardstick = _yardstick(pair)
    if name == yardstick:
        return None
    then = float(np.exp(_logs(pair.old, name, "").mean()))
    least, too_few = _resolved(pair)
    written = more_than(least * 100, show(then, "time"))
    goal = make_goal(name, "latency.p50", "max", then * (1 + least), written)
    unlike = pair.not_comparable(name) or _untimed(pair, name)
    if unlike:
        advice = "measure as the old report was measured, or make a new baseline here"
        return undecided(goal, missing(unlike), advice)
    if too_few:
        return undecided(goal, missing(too_few), _more_processes(pair))
    ratio = _time_ratio(pair, name, yardstick, CONFIDENCE)
    status = _status(ratio, _time_ratio(pair, name, yardstick, DECISION), 1 + least)
    found, doubt = scaled(ratio, then), _doubt(pair, status, yardstick)
    if doubt or status == "inconclusive":
        return undecided(goal, found, _advice(pair), doubt)
    remedy = f"compress report with both reports shows which layers changed; {NEW_BASELINE}"
    return decided(goal, found, Ruling(status, _pace(yardstick)), remedy)


def _untimed(pair: Pair, name: str) -> str:
    """Why there is no time now, or empty."""
    now = pair.new["variants"][name]
    return "" if now.get("samples_seconds") else f"not timed now: {now.get('latency_reason')}"


def _more_processes(pair: Pair) -> str:
    """Of the report that has too few."""
    more = f"--processes {INTERVAL_PROCESSES}"
    if _least(pair.old) is None:
        return f"make a new baseline with {more}"
    planned = pair.new["settings"].get("processes") or 0
    if planned >= INTERVAL_PROCESSES and _is_capped(pair.new):
        return "give a longer --time-cap"
    return f"give {more}"


def _advice(pair: Pair) -> str:
    if _is_capped(pair.old):
        return "make a new baseline with a longer --time-cap"
    if _is_capped(pair.new):
        return "give a longer --time-cap"
    return "measure on an idle machine, or with --instructions, which time does not touch"


def _is_capped(report: Report) -> bool:
    """Whether rounds are missing; the flag alone may be of something else."""
    settings, rounds = report["settings"], report.get("environment")
    planned = (settings.get("processes") or 0) * (settings.get("rounds") or 0)
    all_there = isinstance(rounds, list) and 0 < planned <= len(rounds)
    return "time_cap" in report.get("flags", ()) and not all_there


def _status(ratio: Estimate, sure: Estimate, least: float) -> Status:
    """From new time over old, at 95 % and at 99.9 %, and the least ratio that may be declared."""
    if ratio.high is not None and ratio.high <= least:
        return "pass"
    assert ratio.value is not None
    slower = ratio.value > least and sure.low is not None and sure.low > 1
    return "fail" if slower else "inconclusive"


def _yardstick(pair: Pair) -> str:
    """The reference, where file, runtime and conditions are the same as then; else empty."""
    references = [report["settings"].get("reference") for report in (pair.old, pair.new)]
    runtimes = [report["machine"].get("onnxruntime") for report in (pair.old, pair.new)]
    if references[0] != references[1] or references[0] not in pair.names:
        return ""
    old, new = pair.fields(references[0])
    same = runtimes[0] == runtimes[1] and old.get("sha256") == new.get("sha256")
    if not same or pair.measured_otherwise(references[0]):
        return ""
    return str(references[0])


def _pace(yardstick: str) -> str:
    if yardstick:
        return f"at the pace of {yardstick}, which did not change"
    return "the reference changed too, so that part of it may be the machine's pace"


def _resolved(pair: Pair) -> tuple[float, str]:
    """The larger of the two smallest differences, a fraction; or why there is none."""
    found = [_least(report) for report in (pair.old, pair.new)]
    known = [least for least in found if least is not None]
    if len(known) < 2:
        which = "the old report" if found[0] is None else "this run"
        return 0.0, f"{which} has too few processes to tell differences"
    return max(known), ""


def _least(report: Report) -> float | None:
    """The smallest difference that a report's control tells; None where it tells none."""
    found = (report.get("resolution") or {}).get("smallest_difference")
    return None if found is None else float(found)


def _time_ratio(pair: Pair, name: str, yardstick: str, confidence: float) -> Estimate:
    new, old = (
        geometric(np.exp(_logs(report, name, yardstick)).tolist(), confidence)
        for report in (pair.new, pair.old)
    )
    return independent_ratio(new, old)


def _logs(report: Report, name: str, yardstick: str) -> NDArray[np.float64]:
    """Log of each process's median, less that of the yardstick: [processes]."""
    logs = _log_medians(report, name)
    return logs - _log_medians(report, yardstick) if yardstick else logs


def _log_medians(report: Report, name: str) -> NDArray[np.float64]:
    samples = report["variants"][name]["samples_seconds"]
    return np.array([np.log(np.median(process)) for process in samples])


def _doubt(pair: Pair, status: Status, yardstick: str) -> str:
    """What happened in one of the runs that such a verdict cannot be built on, or empty."""
    for report, whose in ((pair.old, "the old report's"), (pair.new, "this run's")):
        if _is_capped(report):
            return f"the time cap cut {whose} rounds short"
    if yardstick:
        return ""  # it suffered alike
    suspect, whose = (
        (pair.new, "this run's") if status == "fail" else (pair.old, "the old report's")
    )
    happened = [flag for flag in suspect.get("flags", ()) if flag in _SLOWED]
    return f"{whose} times are upper bounds ({', '.join(happened)})" if happened else ""
