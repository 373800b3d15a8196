"""The ladder: from plain int8 upwards, in order of cost, until the budget is met on validation."""

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from compress.errors import CompressError, ExportError, TrainingError
from compress_export.repair import Rung, choose_rungs, load_rung
from compress_export.repair.case import Attempt, Case, Looked

PLAIN = "plain"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One rung of the ladder, as bundle.json holds it.

    Attributes:
        name: `plain`, or the rung's file.
        title: what people read.
        status: kept, dropped (no better than before), skipped (nothing to do here) or failed.
        said: what was done, or why it was not, in a phrase.
        drop: of validation accuracy, {"value", "low", "high"}, fractions; None where it was not
            tried.
        kl: of int8 from float32, nats; None likewise.
        size_bytes: of the int8 graph; None likewise.
        seconds: that it took.
        delivered: whether its attempt is the one in the file.
    """

    name: str
    title: str
    status: str
    said: str
    drop: dict[str, Any] | None = None
    kl: float | None = None
    size_bytes: int | None = None
    seconds: float = 0.0
    delivered: bool = False


@dataclass(frozen=True, kw_only=True)
class Climb:
    """What a repair came to.

    Attributes:
        best: the attempt that is delivered.
        met: whether it keeps the budget on validation.
        steps: plain int8, and every rung that was reached.
    """

    best: Looked
    met: bool
    steps: tuple[Step, ...]

    def record(self, case: Case) -> dict[str, Any]:
        """The form that bundle.json holds as checks["int8"]["repair"]."""
        return {
            "max_drop": case.budget,
            "images": len(case.float32.logits),
            "met": self.met,
            "asked": case.work.settings.repair,
            "steps": [asdict(step) for step in self.steps],
        }


def climb(case: Case, first: Attempt) -> Climb:
    """Repair an attempt, step by step, until it costs no more than it may.

    Each rung goes on from the best attempt so far. What does worse is dropped, and so are layers in
    float that do not suffice: they cost time, and training may yet do without. Where the budget is
    never met, what has the smallest drop is delivered.

    Args:
        case: the student.
        first: plain int8.
    """
    began = time.perf_counter()
    best = case.look(first)
    steps = [_step(PLAIN, "plain int8", "kept", _plain_said(first), best, began)]
    looked = {0: best}  # by index of its step
    for name in choose_rungs(case.work.settings.repair):
        if case.meets(best):
            break
        rung = load_rung(name)
        step, found = _try(case, best, name, rung)
        if found is not None:
            looked[len(steps)] = found
            if _is_better(case, found, best, by_accuracy=rung.BY_ACCURACY):
                best, step = found, replace(step, status="kept")
        steps.append(step)
    if not case.meets(best):
        best = min(looked.values(), key=lambda one: (one.drop.value, one.kl))
    which = next(index for index, found in looked.items() if found is best)
    steps[which] = replace(steps[which], delivered=True)
    return Climb(best=best, met=case.meets(best), steps=tuple(steps))


def _try(case: Case, best: Looked, name: str, rung: Rung) -> tuple[Step, Looked | None]:
    """One rung's step, as if it were dropped, and how its attempt does; None without one."""
    began = time.perf_counter()
    reason = rung.why_not(case, best)
    if reason:
        return Step(name=name, title=rung.TITLE, status="skipped", said=reason), None
    case.work.progress.say(f"int8: {_short_of(case, best)}; trying {rung.TITLE}")
    try:
        attempt, said = rung.repair(case, best)
        found = case.look(attempt)
    except (TrainingError, ExportError) as error:
        return _failed(name, rung.TITLE, error, began), None
    if _is_slower(found, best) and not case.meets(found):
        said += "; not enough, and what is in float costs time"
    return _step(name, rung.TITLE, "dropped", said, found, began), found


def _is_slower(found: Looked, best: Looked) -> bool:
    return len(found.attempt.floats) > len(best.attempt.floats)


def _is_better(case: Case, found: Looked, best: Looked, *, by_accuracy: bool) -> bool:
    """Nearer to float32; a budget that is kept farther from it than before is kept by luck."""
    if by_accuracy:
        return (found.drop.value, found.kl) < (best.drop.value, best.kl)
    if _is_slower(found, best) and not case.meets(found):
        return False
    return found.kl < best.kl


def _short_of(case: Case, found: Looked) -> str:
    lost, allowed = 100 * found.drop.value, case.work.settings.max_drop
    return f"{lost:.2f} points lost on validation, --max-drop is {allowed:g}"


def _plain_said(first: Attempt) -> str:
    return f"ranges by {first.found.method} from {first.found.images} images"


def _step(name: str, title: str, status: str, said: str, found: Looked, began: float) -> Step:
    return Step(
        name=name,
        title=title,
        status=status,
        said=said,
        drop=found.drop.to_dict(),
        kl=found.kl,
        size_bytes=found.graph.ByteSize(),
        seconds=time.perf_counter() - began,
    )


def _failed(name: str, title: str, error: CompressError, began: float) -> Step:
    seconds = time.perf_counter() - began
    return Step(name=name, title=title, status="failed", said=str(error), seconds=seconds)
