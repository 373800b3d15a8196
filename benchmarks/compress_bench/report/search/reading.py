"""What a search's JSON holds; a field that is absent or null is None, never an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compress_bench.report import facts
from compress_bench.report.facts import dig
from compress_bench.report.format import Estimate

Content = Mapping[str, Any]

# In the order of the tables: how far each candidate came.
STATES = ("finalist", "dropped", "failed", "not trained", "screened out")
_OUT = ("screened out", "failed")


@dataclass(frozen=True, kw_only=True)
class Aim:
    """One goal.

    Attributes:
        variant: the variant that it is about.
        metric: "latency.p50", "size", "accuracy".
        bound: min, max or max_drop.
        limit: seconds, bytes, a fraction, a ratio or a count.
        written: the limit as the user wrote it.
        vs: what it is compared with, or "".
        status: of a candidate: pass, fail or inconclusive; "" in the list of all goals.
        sentence: of a candidate: what was asked and what was measured.
    """

    variant: str
    metric: str
    bound: str
    limit: float | None
    written: str
    vs: str = ""
    status: str = ""
    sentence: str = ""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One candidate, or the teacher.

    Attributes:
        name: as files and goals call it.
        network: reference of the network with its arguments, in words.
        parameters: of the network.
        size_bytes: of the file that goals are about.
        latency: its p50, seconds.
        speedup: over the teacher, paired, of the same measurement as `latency`.
        untrained_bytes: size of the same file with random weights.
        untrained_latency: its p50, seconds.
        memory: bytes that it adds to a process.
        screened: pass, fail, inconclusive or unmeasured, of the goals that need no training.
        state: one of STATES.
        reason: why it ended there, a sentence or "".
        epochs: trained; None where none was.
        planned: epochs of a whole training.
        validation: accuracy of the float32 student after `epochs`.
        accuracy: of the file that goals are about, on the validation images.
        met: status of all goals on validation, or "".
        aims: its goals, each with its status.
        on_front: whether no other one is better in accuracy, size and latency.
        won: whether it is the one that the search found.
        recipe: YAML that trains it.
    """

    name: str
    network: str
    parameters: float | None
    size_bytes: float | None
    latency: Estimate | None
    speedup: Estimate | None
    untrained_bytes: float | None
    untrained_latency: Estimate | None
    memory: Estimate | None
    screened: str
    state: str
    reason: str
    epochs: int | None
    planned: int | None
    validation: Estimate | None
    accuracy: Estimate | None
    met: str
    aims: tuple[Aim, ...]
    on_front: bool
    won: bool
    recipe: str

    @property
    def shown_accuracy(self) -> Estimate | None:
        """The deployed file's, else the float32 student's so far."""
        return self.accuracy or self.validation

    @property
    def is_partial(self) -> bool:
        """Whether it was trained for a part of the epochs only."""
        return self.epochs is not None and self.planned is not None and self.epochs < self.planned


def aims(content: Content) -> tuple[Aim, ...]:
    """The goals of the search."""
    return tuple(map(_aim, _mappings(content, "goals")))


def _mappings(fields: Any, *path: str) -> list[Content]:
    """The fields in a list; what is none is left out."""
    return [entry for entry in facts.listed(fields, *path) if isinstance(entry, Mapping)]


def _aim(fields: Content) -> Aim:
    return Aim(
        variant=_text(fields, "variant"),
        metric=_text(fields, "metric"),
        bound=_text(fields, "bound"),
        limit=facts.number(fields, "limit"),
        written=_text(fields, "written"),
        vs=_text(fields, "vs"),
        status=_text(fields, "status"),
        sentence=_text(fields, "sentence"),
    )


def _text(fields: Any, *path: str) -> str:
    found = dig(fields, *path)
    return "" if found is None else str(found)


def precision(content: Content) -> str:
    """The precision of the files that the goals are about."""
    return _text(content, "deployed_precision") or "int8"


def candidates(content: Content) -> tuple[Tried, ...]:
    """Every candidate: how far it came, then by size; the winner first."""
    form = precision(content)
    found = [_tried(fields, form) for fields in _mappings(content, "candidates")]
    return tuple(sorted(found, key=_place))


def _place(tried: Tried) -> tuple[bool, int, float]:
    rank = STATES.index(tried.state) if tried.state in STATES else len(STATES)
    return not tried.won, rank, _bytes(tried)


def _bytes(tried: Tried) -> float:
    """Of its file; what has none known comes last."""
    return float("inf") if tried.size_bytes is None else tried.size_bytes


def _tried(fields: Content, form: str) -> Tried:
    measured, delivered = dig(fields, "screening", form), dig(fields, "deployed")
    size = facts.number(delivered, "size_bytes")
    timed = measured if facts.estimate(delivered, "latency") is None else delivered
    epochs, planned = (facts.number(fields, "trained", key) for key in ("epochs", "of"))
    return Tried(
        name=_text(fields, "name"),
        network=_network(fields),
        parameters=facts.number(fields, "parameters"),
        size_bytes=facts.number(measured, "size_bytes") if size is None else size,
        latency=facts.estimate(timed, "latency"),
        speedup=facts.estimate(timed, "speedup"),
        untrained_bytes=facts.number(measured, "size_bytes"),
        untrained_latency=facts.estimate(measured, "latency"),
        memory=facts.estimate(measured, "memory_bytes"),
        screened=_text(fields, "screened") or "unmeasured",
        state=_text(fields, "state") or "not trained",
        reason=_text(fields, "reason"),
        epochs=None if epochs is None else int(epochs),
        planned=None if planned is None else int(planned),
        validation=facts.estimate(fields, "trained", "validation"),
        accuracy=facts.estimate(delivered, "accuracy"),
        met=_text(fields, "met"),
        aims=tuple(map(_aim, _mappings(fields, "goals"))),
        on_front=dig(fields, "on_front") is True,
        won=dig(fields, "won") is True,
        recipe=_text(fields, "recipe"),
    )


def _network(fields: Content) -> str:
    """Reference and arguments: "ds_cnn, width 0.5, for the edge"."""
    args = dig(fields, "model_args")
    said = [_text(fields, "student")]
    said += [f"{key} {value}" for key, value in args.items()] if isinstance(args, Mapping) else []
    said += ["for the edge"] if dig(fields, "for_edge") is True else []
    return ", ".join(part for part in said if part)


def teacher(content: Content) -> Tried | None:
    """What the students are held against; None where the search has none."""
    fields = dig(content, "teacher")
    if not isinstance(fields, Mapping):
        return None
    return Tried(
        name=_text(fields, "name") or "teacher",
        network=_network(fields),
        parameters=facts.number(fields, "parameters"),
        size_bytes=facts.number(fields, "size_bytes"),
        latency=facts.estimate(fields, "latency"),
        speedup=None,
        untrained_bytes=None,
        untrained_latency=None,
        memory=None,
        screened="",
        state="",
        reason="",
        epochs=None,
        planned=None,
        validation=None,
        accuracy=facts.estimate(fields, "validation"),
        met="",
        aims=(),
        on_front=False,
        won=False,
        recipe="",
    )


def winner(content: Content) -> Tried | None:
    """The candidate that the search found; None where none met the goals."""
    return next((tried for tried in candidates(content) if tried.won), None)


def promising(content: Content) -> tuple[Tried, ...]:
    """The candidates that were not screened out: surely fitting ones first, then by size."""
    order = ("pass", "inconclusive", "unmeasured")
    found = [t for t in candidates(content) if t.screened in order and t.state not in _OUT]
    return tuple(sorted(found, key=lambda t: (order.index(t.screened), _bytes(t))))


def best(content: Content) -> Tried | None:
    """The winner, or of the trained ones the nearest; before training the one to start with."""
    found = winner(content)
    if found is not None:
        return found
    every = {tried.name: tried for tried in candidates(content)}
    if is_trained(content):
        return every.get(_text(content, "nearest"))
    return every.get(_text(content, "start")) or next(iter(promising(content)), None)


def status(content: Content) -> str:
    """pass, fail, inconclusive or not trained."""
    return _text(content, "verdict") or "not trained"


def is_trained(content: Content) -> bool:
    """Whether any candidate was."""
    return any(tried.epochs for tried in candidates(content))


def sentences(content: Content, key: str) -> tuple[str, ...]:
    """The sentences in a list of the content."""
    return tuple(str(said) for said in facts.listed(content, key) if said)


def distances(content: Content) -> tuple[str, ...]:
    """How far the nearest candidate is from each goal that none meets, as sentences."""
    return tuple(_text(entry, "sentence") for entry in _mappings(content, "distances") if entry)
