"""The candidates of a search as one of our tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from compress.data.wording import counted
from compress_bench.report.format import Estimate, count, percent, seconds, size
from compress_bench.report.search import reading
from compress_bench.report.search.reading import Content, Tried
from compress_bench.report.search.words import epochs_words, speed_words
from compress_bench.report.table import Cell, Row, Table, cell, without_empty
from compress_bench.report.verdict import MARKS

_COLUMNS = ("State", "Parameters", "File size", "p50 latency", "Speed-up", "Memory",
            "Float32 accuracy", "Deployed accuracy", "Goals")  # fmt: skip
_MOST = 8  # candidates in a terminal where none was trained
_CAPTION = (
    "Both accuracies are of the validation images: of the float32 student after the epochs named, "
    "and of the file that the goals are about.",
    "Size and latency of what was not trained to its end are of the same network with random "
    "weights, on which they do not depend. Speed-up is the teacher's p50 latency divided by "
    "the candidate's.",
)


@dataclass(frozen=True)
class Group:
    """Candidates that came equally far, as a table, with what is said of each.

    Attributes:
        title: how far they came, and how many.
        table: a row a candidate.
        reasons: why each ended there, a sentence or "", in the rows' order.
        folded: whether the page shows it on request only.
    """

    title: str
    table: Table
    reasons: tuple[str, ...]
    folded: bool = False


def table(content: Content, shown: Sequence[Tried]) -> Table:
    """A row for each of `shown`, without columns that hold nothing."""
    teacher = reading.teacher(content)
    with_memory = any(aim.metric == "memory" for aim in reading.aims(content))
    rows = tuple(
        Row(tried.name, tried.network, _cells(tried, teacher, with_memory=with_memory))
        for tried in shown
    )
    return without_empty(Table(_COLUMNS, rows, _caption(shown), head="Candidate"))


def _caption(shown: Sequence[Tried]) -> tuple[str, ...]:
    return _CAPTION if any(tried.epochs for tried in shown) else _CAPTION[1:]


def _cells(tried: Tried, teacher: Tried | None, *, with_memory: bool) -> tuple[Cell, ...]:
    speed = speed_words(tried, teacher)
    return (
        _state(tried),
        Cell() if tried.parameters is None else Cell(count(tried.parameters)),
        Cell() if tried.size_bytes is None else Cell(size(tried.size_bytes)),
        cell(seconds(tried.latency) if tried.latency else None),
        Cell(speed) if speed else Cell(),
        _memory(tried.memory) if with_memory else Cell(),
        cell(percent(tried.validation) if tried.validation else None),
        cell(percent(tried.accuracy) if tried.accuracy else None),
        goals_cell(tried),
    )


def _state(tried: Tried) -> Cell:
    """How it ended; nothing where it was never trained, which the table's title says."""
    if tried.epochs is None and not tried.won and tried.state != "failed":
        return Cell()
    trained = f"{epochs_words(tried)} epochs" if tried.epochs is not None else ""
    return Cell(
        "winner" if tried.won else tried.state, trained, "on the front" if tried.on_front else ""
    )


def _memory(found: Estimate | None) -> Cell:
    if found is None:
        return Cell()
    bounded = found.low is not None and found.high is not None and found.low < found.high
    bounds = f"{size(found.low)} to {size(found.high)}" if bounded else ""  # type: ignore[arg-type]
    return Cell(size(found.value), bounds)


def goals_cell(tried: Tried) -> Cell:
    """The verdict on all goals; of what was never trained, on those that need no training."""
    mark = MARKS.get(tried.met or (tried.screened if tried.epochs is None else ""), "").lower()
    if not mark:
        return Cell()
    missed = [aim.metric for aim in tried.aims if aim.status == "fail"]
    unsure = [aim.metric for aim in tried.aims if aim.status == "inconclusive"]
    names = ", ".join(dict.fromkeys(missed or unsure))
    return Cell(mark, note=f"{'misses' if missed else 'undecided:'} {names}" if names else "")


def groups(content: Content) -> tuple[Group, ...]:
    """The candidates in three tables: trained, promising but not trained, screened out."""
    every = reading.candidates(content)
    parts: dict[str, list[Tried]] = {"trained": [], "not trained": [], "screened out": []}
    for tried in every:
        is_trained = tried.epochs is not None or tried.won
        out = "screened out" if tried.state == "screened out" else "not trained"
        parts["trained" if is_trained else out].append(tried)
    return tuple(
        Group(
            f"{len(shown)} {title}",
            table(content, shown),
            tuple(tried.reason for tried in shown),
            folded=title != "trained" and bool(parts["trained"]),
        )
        for title, shown in parts.items()
        if shown
    )


def terminal_table(content: Content) -> tuple[Table, str]:
    """What a terminal has room for: the trained ones, or else the smallest that may do.

    Returns:
        The table, and a sentence on how many candidates it leaves out, or "".
    """
    every = reading.candidates(content)
    kept = [tried for tried in every if tried.epochs is not None or tried.won]
    kept = kept or list((reading.promising(content) or every)[:_MOST])
    left = len(every) - len(kept)
    more = f"{counted(left, 'other candidate')} can be seen on the page." if left else ""
    return table(content, kept), more
