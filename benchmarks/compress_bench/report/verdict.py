"""The verdict on the goals, as every view shows it: a mark, a word, a sentence, a remedy."""

from dataclasses import dataclass

from compress_bench.report import facts
from compress_bench.report.facts import Report, dig

MARKS = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE", "no_goals": "NO GOALS"}
SYMBOLS = {
    "pass": "\N{CHECK MARK}",
    "fail": "\N{BALLOT X}",
    "inconclusive": "?",
    "no_goals": "\N{EN DASH}",
}


@dataclass(frozen=True)
class Goal:
    """One goal line.

    Attributes:
        status: pass, fail or inconclusive.
        variant: the variant that it is about, as goals call it.
        metric: the goal's key, "latency.p50".
        sentence: what was asked and what was measured.
        remedy: what to do where it is not met, or "".
        vs: what it is compared with: a variant, "--baseline" for an earlier report, or "".
        decides: whether the verdict on all goals counts it.
    """

    status: str
    variant: str
    metric: str
    sentence: str
    remedy: str
    vs: str = ""
    decides: bool = True

    @property
    def against_earlier(self) -> bool:
        """Whether it is held against an earlier report, and not a variant of that name."""
        return self.vs == "--baseline"


def status(report: Report) -> str:
    """pass, fail, inconclusive or no_goals."""
    found = dig(report, "verdict", "status")
    return found if found in MARKS else "no_goals"


def goals(report: Report) -> tuple[Goal, ...]:
    """The goal lines, in the report's order."""
    return tuple(
        Goal(
            status=str(dig(goal, "status") or "inconclusive"),
            variant=str(dig(goal, "variant") or ""),
            metric=str(dig(goal, "metric") or ""),
            sentence=str(dig(goal, "sentence") or ""),
            remedy=_sentence(str(dig(goal, "remedy") or "")),
            vs=str(dig(goal, "vs") or ""),
            decides=dig(goal, "decides") is not False,
        )
        for goal in facts.listed(report, "verdict", "goals")
    )


def _sentence(text: str) -> str:
    """With a capital and a full stop."""
    return text and text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def verdict(report: Report) -> str:
    """One sentence on all goals."""
    lines = tuple(goal for goal in goals(report) if goal.decides)
    failed = sum(goal.status == "fail" for goal in lines)
    unsure = sum(goal.status == "inconclusive" for goal in lines)
    total = f"{len(lines)} goal{'' if len(lines) == 1 else 's'}"
    if not lines:
        return "No goals were set: this is a measurement without a verdict."
    if failed:
        return f"{failed} of {total} not met" + (f", {unsure} undecided." if unsure else ".")
    if unsure:
        return f"{unsure} of {total} cannot be decided from this measurement."
    return "The goal is met." if len(lines) == 1 else f"All {total} are met."
