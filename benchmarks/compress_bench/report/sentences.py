"""What the numbers say in words: what was gained, did the teacher help, was int8 worth it.

Every sentence carries the numbers that it rests on, so that a reader can disagree.
"""

import math

import numpy as np

from compress.intervals import t_interval
from compress_bench.report import facts
from compress_bench.report.facts import Report, dig
from compress_bench.report.findings import earlier, findings
from compress_bench.report.format import TIMES, TO, Estimate, Scaled, points, ratio
from compress_bench.report.repair import repair_sentence
from compress_bench.statistics import INTERVAL_PROCESSES

# Points of accuracy up to which int8 counts as cheap: the default of export's --max-drop.
_CHEAP = 0.01
_MATTERS = 0.03  # of accuracy: a loss that no interval may hide behind "not measurable"
_UNRESOLVED = " (not resolvable by this measurement)"


def headline(report: Report) -> str:
    """What the variant for the board gained and what that cost, against the reference."""
    name, reference = facts.deployed(report), facts.reference(report)
    if name is None or reference is None or name == reference:
        return ""
    gains = (_faster(report, name), _smaller(report, reference, name))
    sentence = " and ".join(gain for gain in gains if gain) or "no gain was measured"
    cost = facts.estimate(facts.variants(report), name, "accuracy_drop")
    price = f", {_cost(cost)}" if cost else ""
    return f"{name} against {reference}: {sentence}{price}."


def _faster(report: Report, name: str) -> str:
    found = facts.estimate(facts.variants(report), name, "speedup")
    if found is None or facts.emulated(report):
        return ""
    unsure = dig(facts.variants(report), name, "speedup", "resolvable") is False
    return _times(found.value, "faster", "slower") + (_UNRESOLVED if unsure else "")


def _smaller(report: Report, than: str, name: str) -> str:
    before = facts.number(facts.variants(report), than, "size_bytes")
    after = facts.number(facts.variants(report), name, "size_bytes")
    if not before or not after:
        return ""
    said = _times(before / after, "smaller", "larger")
    return "equally large" if said.startswith("1.00 ") else said


def _times(value: float, more: str, less: str) -> str:
    """A ratio above zero in words, turned so that it is at least 1."""
    factor = ratio(Estimate(max(value, 1 / value))).text.removesuffix(TIMES)
    return f"{factor} times {more if value >= 1 else less}"


def _cost(drop: Estimate) -> str:
    """An accuracy drop in words.

    One whose interval holds zero is no measurable loss; if the interval also holds a loss that
    would matter, the images are too few to say so.
    """
    shown = _in_words(points(drop))
    if drop.low is not None and drop.high is not None and drop.low <= 0 <= drop.high:
        if drop.high > _MATTERS:
            return f"with a change of accuracy that these images are too few to tell: {shown} lost"
        return f"with no measurable loss of accuracy: {shown}"
    if drop.value >= 0:
        return f"for {shown} of accuracy"
    return f"with a gain of accuracy: a drop of {shown}"


def _in_words(scaled: Scaled) -> str:
    """Value and interval, the interval with "to", as a sentence wants it."""
    return scaled.full.replace(TO, " to ")


def distillation(report: Report) -> str:
    """Whether the teacher helped: distilled minus baseline accuracy, paired on the images."""
    found = facts.estimate(report, "comparison")
    if found is None:
        return _no_comparison(report)
    gain = _in_words(points(found, signed=True))
    over = "of test accuracy over the same student trained without a teacher"
    if found.low is not None and found.low > 0:
        return f"Distillation helped: {gain} {over}."
    if found.high is not None and found.high < 0:
        return f"Distillation hurt: {gain} {over}."
    return f"Distillation did not help beyond its interval: {gain} {over}."


def _no_comparison(report: Report) -> str:
    if facts.with_role(report, "teacher") is None or facts.with_role(report, "student") is None:
        return ""
    return (
        "Whether distillation helped was not measured; compress distill --with-baseline "
        "trains the same student without a teacher to compare with."
    )


def int8_worth(report: Report) -> str:
    """Whether int8 was worth it against the float32 student: size, time and accuracy."""
    student, int8 = (facts.with_role(report, role) for role in ("student", "student_int8"))
    if student is None or int8 is None:
        return ""
    faster, time = _int8_time(report, student, int8)
    size = _smaller(report, student, int8)
    cost = facts.estimate(report, "int8_comparison")
    price = f", {_cost(cost)}" if cost else "; its accuracy was not measured"
    found = " and ".join(part for part in (size, time) if part)
    judgement = _int8_judgement(cost, faster, smaller=size.endswith("smaller"))
    return f"{judgement}: {found or 'neither size nor time was measured'}{price}."


def _int8_judgement(cost: Estimate | None, faster: bool | None, *, smaller: bool) -> str:
    if cost is not None and cost.value > _CHEAP:
        sure = cost.low is not None and cost.low > _CHEAP
        return (
            f"int8 {'costs' if sure else 'may cost'} more than {_CHEAP * 100:g} point of accuracy"
        )
    if faster:
        return "int8 was worth it"
    if not smaller:
        return "int8 brought nothing that can be measured"
    return "int8 paid in size" if faster is None else "int8 paid in size only"


def _int8_time(report: Report, student: str, int8: str) -> tuple[bool | None, str]:
    """Whether int8 is faster (None: the measurement cannot tell), and how to say it."""
    gain = _paired_speedup(report, student, int8)
    if gain is None:
        return None, ""
    said = _times(gain.value, "faster", "slower")
    smallest = facts.number(report, "resolution", "smallest_difference")
    if gain.low is None or gain.high is None or smallest is None:
        return None, said + _UNRESOLVED
    if gain.low > 1 + smallest:
        return True, f"{said} ({ratio(gain).bounds.replace(TO, ' to ')})"
    if gain.high < 1 / (1 + smallest):
        return False, said
    return None, said + _UNRESOLVED


def _paired_speedup(report: Report, slow: str, fast: str) -> Estimate | None:
    """Median time of one variant over another's, paired within processes, with Student's t.

    The report's own speed-ups are against its reference; this one is from the raw samples.
    """
    found = facts.variants(report)
    if facts.emulated(report):
        return None
    over, under = (facts.listed(found, name, "samples_seconds") for name in (slow, fast))
    if not over or len(over) != len(under) or not all(over) or not all(under):
        return None
    medians = [(np.median(a), np.median(b)) for a, b in zip(over, under, strict=True)]
    logs = t_interval(np.array([math.log(a / b) for a, b in medians]))
    if len(medians) < INTERVAL_PROCESSES:
        return Estimate(math.exp(logs.value))
    return Estimate(math.exp(logs.value), math.exp(logs.low), math.exp(logs.high))


def all_sentences(report: Report) -> tuple[str, ...]:
    """What the numbers say, in reading order."""
    found = (headline(report), distillation(report), int8_worth(report), repair_sentence(report))
    said = (sentence for sentence in found if sentence)
    return (*said, *findings(report), *earlier(report), *notes(report))


def notes(report: Report) -> tuple[str, ...]:
    """What the measurement itself remarked."""
    return tuple(str(note) for note in facts.listed(report, "notes"))
