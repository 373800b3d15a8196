"""What the deeper measurements say in words: runtimes, modules, settings, pace, heat.

Each sentence has a lead before its colon, and the numbers that it rests on.
"""

import math
from collections.abc import Iterator

import numpy as np

from compress.intervals import t_interval
from compress_bench.report import facts
from compress_bench.report.facts import Report, dig
from compress_bench.report.format import TIMES, TO, Estimate, percent, ratio, seconds
from compress_bench.report.layers import layers_of
from compress_bench.report.module_tables import islands_sentence
from compress_bench.report.right_answers import on_same_images
from compress_bench.report.settings_found import recommended
from compress_bench.statistics import DECISION, INTERVAL_PROCESSES

_SLOWEST = 3


def findings(report: Report) -> tuple[str, ...]:
    """Every finding that the report has the numbers for, in reading order."""
    return (
        *runtimes(report),
        *slowest(report),
        *settings(report),
        *paced(report),
        *sustained(report),
    )


def runtimes(report: Report) -> Iterator[str]:
    """Whether a second runtime serves a file better; only where the measurement can tell."""
    found = facts.variants(report)
    for name, first in facts.again(report).items():
        if facts.emulated(report):
            return
        verdict, gain = _between(report, first, name)
        second_name, first_name = (facts.runtime(report, n) for n in (name, first))
        lead = f"{second_name} or {first_name} for {first}"
        times = " and ".join(
            f"{seconds(p50).text} with {facts.runtime(report, n)}{_threads(found[n])}"
            for n in (first, name)
            if (p50 := facts.latency(report, n)) is not None
        )
        if verdict is None or gain is None:
            yield f"{lead}: no difference in time can be told, {times}."
            continue
        better = second_name if verdict == "faster" else first_name
        factor = gain if verdict == "faster" else _inverse(gain)
        yield (
            f"{lead}: {better} is {_in_words(factor, 'times faster')}, {times}"
            f"{_work(report, first, name)}.{_answers(report, first, name)}"
        )


def _threads(fields: facts.Fields) -> str:
    threads = facts.number(fields, "threads")
    if threads is None:
        return ""
    return f" ({threads:.0f} thread{'' if threads == 1 else 's'})"


def _between(report: Report, first: str, second: str) -> tuple[str | None, Estimate | None]:
    """Whether the second is faster or slower (None: cannot be told), and by which factor.

    The report's own verdict where it compares these two; else the medians of the same processes,
    at the confidence of a decision and beyond what two equal models differ by.
    """
    own = dig(facts.variants(report), second, "speedup")
    if dig(own, "vs") == first and dig(own, "verdict") is not None:
        said = dig(own, "verdict")
        return (said if said in ("faster", "slower") else None), facts.estimate(own)
    return _from_samples(report, first, second)


def _from_samples(report: Report, first: str, second: str) -> tuple[str | None, Estimate | None]:
    found = facts.variants(report)
    over, under = (facts.listed(found, name, "samples_seconds") for name in (first, second))
    smallest = facts.number(report, "resolution", "smallest_difference")
    if len(over) < INTERVAL_PROCESSES or len(over) != len(under):
        return None, None
    if not all(over) or not all(under):
        return None, None
    pairs = zip(over, under, strict=True)
    logs = np.array([math.log(float(np.median(a)) / float(np.median(b))) for a, b in pairs])
    usual, strict = t_interval(logs), t_interval(logs, DECISION)
    gain = Estimate(*(math.exp(x) for x in (usual.value, usual.low, usual.high)))
    if smallest is None:
        return None, gain
    if strict.low > 0 and gain.value > 1 + smallest:
        return "faster", gain
    if strict.high < 0 and gain.value < 1 / (1 + smallest):
        return "slower", gain
    return None, gain


def _inverse(found: Estimate) -> Estimate:
    low = None if not found.high else 1 / found.high
    return Estimate(1 / found.value, low, None if not found.low else 1 / found.low)


def _in_words(factor: Estimate, words: str) -> str:
    """A factor with what it is a factor of, then its interval."""
    shown = ratio(factor)
    bounds = f" ({shown.bounds.replace(TO, ' to ')})" if shown.bounds else ""
    return f"{shown.text.removesuffix(TIMES)} {words}{bounds}"


def _work(report: Report, first: str, second: str) -> str:
    """CPU time of both: a faster answer by more cores is not a cheaper one."""
    found = facts.variants(report)
    paid = [facts.estimate(found, n, "cpu", "seconds_per_inference") for n in (first, second)]
    if None in paid:
        return ""
    one, other = (seconds(p).text for p in paid if p is not None)
    return f"; CPU time per inference {one} and {other}"


def _answers(report: Report, first: str, second: str) -> str:
    """Whether both answer alike; a faster runtime that answers otherwise is another product."""
    one, other = (facts.variants(report)[name] for name in (first, second))
    pair = on_same_images(one, other)
    differ = int((pair[0].bits != pair[1].bits).sum()) if pair else 0
    if differ:
        return f" {differ:,} test image{'' if differ == 1 else 's'} only one of them has right."
    confusions = [dig(fields, "confusion") for fields in (one, other)]
    if None not in confusions and confusions[0] != confusions[1]:
        return " Their answers to the test images differ in part."
    return ""


def slowest(report: Report) -> Iterator[str]:
    """The slowest modules of the variant for the board, and what float islands take."""
    name = facts.deployed(report)
    rows = layers_of(report).get(name or "", ())
    if name is None or not rows:
        return
    said = []
    for row in rows[:_SLOWEST]:
        share = "" if row.share is None else f", {percent(Estimate(row.share)).text}"
        said.append(f"{row.name} ({seconds(row.time).text}{share})")
    islands = islands_sentence(report, name)
    yield f"Slowest modules of {name}: {', '.join(said)}.{' ' + islands if islands else ''}"


def settings(report: Report) -> Iterator[str]:
    """The session settings that the sweep recommends."""
    found = recommended(report)
    if found:
        said = (
            f"{name} {best.words}" + (f" ({best.reason.rstrip('.')})" if best.reason else "")
            for name, best in found.items()
        )
        yield f"Recommended session settings: {'; '.join(said)}."


def paced(report: Report) -> Iterator[str]:
    """Whether the variant for the board keeps a camera's pace."""
    name = facts.deployed(report)
    fields = dig(facts.timed(report, name), "paced") if name else None
    missed, fps = facts.estimate(fields, "missed"), facts.number(fields, "fps")
    if missed is None or fps is None:
        return
    frames, cpu = facts.number(fields, "frames"), facts.estimate(fields, "cpu_seconds_per_frame")
    share = percent(missed)
    bounds = f" ({share.bounds.replace(TO, ' to ')})" if share.bounds else ""
    of = "" if frames is None else f" of {frames:,.0f} frames"
    work = "" if cpu is None else f", with {seconds(cpu).text} of CPU time a frame"
    yield f"At {fps:g} frames a second: {name} missed {share.text}{bounds}{of}{work}."


def sustained(report: Report) -> Iterator[str]:
    """What is left of the speed when the variant for the board runs without a pause."""
    name = facts.deployed(report)
    fields = dig(facts.timed(report, name), "sustained") if name else None
    burst, kept = facts.estimate(fields, "burst"), facts.estimate(fields, "sustained")
    factor, length = facts.estimate(fields, "ratio"), facts.number(fields, "seconds")
    if burst is None or kept is None or factor is None:
        return
    after = "" if length is None else f" after {length:.3g} s"
    longer = _in_words(factor, "times as long")
    if facts.is_range(fields, "ratio"):
        longer = longer.replace(")", " over all windows)")
    yield (
        f"Burst and sustained: {name} takes {seconds(burst).text} from idle and "
        f"{seconds(kept).text}{after} without a pause, {longer}."
    )


def earlier(report: Report) -> Iterator[str]:
    """Which report this one was held against, and whether its times could be."""
    found = dig(report, "baseline")
    if not isinstance(found, dict):
        return
    created = str(found.get("created_utc") or "")[:10]
    of = f" of {created}" if created else ""
    same = "the same machine" if found.get("same_machine") else "another machine"
    reason = str(found.get("reason") or "").rstrip(".")
    yield f"Against an earlier report: {found.get('file')}{of}, {same}" + (
        f"; {reason}." if reason else "."
    )
