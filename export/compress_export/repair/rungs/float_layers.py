"""The layers that integers spoil most are left in float, with an eye on what that costs.

Each layer is left in float alone, and all that touches one tensor together, and the KL that this
wins is measured on validation images. Of those that win most, the time is measured too, in turns
with the file as it is. Then they are taken in the order of KL won per time, until the budget is met
or int8 would no longer be faster than float32, which would leave nothing but its smaller size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray

from compress.progress import SILENT
from compress_bench.subjects.evaluation_set import balanced_indices
from compress_export.bundle import STUDENT_INT8
from compress_export.proof.latency import Race, race
from compress_export.proof.quality import mean_kl
from compress_export.repair.case import Attempt, Case, Looked
from compress_export.repair.float_groups import Group, find_groups
from compress_export.session import feed
from compress_export.work import as_logits

TITLE = "sensitive layers in float"
BY_ACCURACY = False

_IMAGES = 256
_TIMED = 10  # groups whose time is measured
_MOST_LAYERS = 8
_SECONDS = 0.5  # of one race between two files
_LEAST_COST = 0.005  # of the network's time; what costs less cannot be told from nothing
_THREADS = 1  # as the race of the proof


@dataclass(frozen=True, kw_only=True)
class Option:
    """A group, and what it is worth.

    Attributes:
        group: of nodes.
        won: nats of KL on the validation images.
        cost: seconds of one inference, or multiply-adds where times are not asked for.
        seconds: the time it adds, as measured; None where it was not.
    """

    group: Group
    won: float
    cost: float
    seconds: float | None = None


def why_not(case: Case, found: Looked) -> str:
    """Where everything is in float already."""
    del case
    if any(group.layers for group in find_groups(found.attempt.core, found.attempt.floats)):
        return ""
    return "no layer is computed in integers"


def repair(case: Case, found: Looked) -> tuple[Attempt, str]:
    """The same integers, but for a few layers."""
    options = rank(case, found)
    attempt, taken, end = _take(case, found, options)
    if not taken:
        return found.attempt, end or "no layer left in float brings int8 nearer to float32"
    return attempt, "; ".join(filter(None, (", ".join(map(_said, taken)), end)))


def rank(case: Case, found: Looked) -> list[Option]:
    """The groups that bring int8 nearer to float32, the most KL won per cost first."""
    won = sensitivities(case, found.attempt)
    options = [Option(group=group, won=gain, cost=group.macs) for group, gain in won if gain > 0]
    if case.work.settings.latency:
        options = _timed(case, found.attempt, sorted(options, key=lambda o: -o.won)[:_TIMED])
    else:
        least = max(1.0, _LEAST_COST * sum(group.macs for group, _ in won))
        options = [replace(option, cost=max(option.cost, least)) for option in options]
    return sorted(options, key=lambda option: -option.won / option.cost)


def sensitivities(case: Case, attempt: Attempt) -> list[tuple[Group, float]]:
    """Each group, with the KL in nats that leaving it in float wins on validation images."""
    view = case.view()
    some = balanced_indices(view.split.labels, _IMAGES, case.work.seed)
    exact = case.float32.logits[some]

    def kl(floats: Sequence[str]) -> float:
        graph = replace(attempt, floats=(*attempt.floats, *floats)).graph()
        session = case.work.core_session(STUDENT_INT8, graph)
        rows = view.logits(session, "int8", SILENT, some)
        return mean_kl(exact, as_logits(graph, rows))

    before = kl(())
    groups = find_groups(attempt.core, attempt.floats)
    found = []
    with case.work.progress.task("int8: which layers suffer", total=len(groups)) as advance:
        for group in groups:
            found.append((group, before - kl(group.nodes)))
            advance(1)
    return found


def _timed(case: Case, attempt: Attempt, options: Sequence[Option]) -> list[Option]:
    """The options with the time that each adds, measured in turns with the file as it is."""
    before, timed = attempt.graph(), []
    title = "int8: what they cost in float"
    with case.work.progress.task(title, total=len(options)) as advance:
        for option in options:
            after = _with(attempt, option.group).graph()
            found = _race(case, before, after)
            seconds = found.float32_seconds * (1 / found.ratio.value - 1)
            cost = max(seconds, _LEAST_COST * found.float32_seconds)
            timed.append(replace(option, cost=cost, seconds=seconds))
            advance(1)
    return timed


def _take(
    case: Case, found: Looked, options: Sequence[Option]
) -> tuple[Attempt, list[Option], str]:
    """Group after group while it helps; what was taken, and why no more was, in a phrase."""
    taken: list[Option] = []
    best, exact = found, case.float32.core
    timed = case.work.settings.latency
    fast = timed and _race(case, exact, best.graph).verdict == "faster"
    for option in options:
        if case.meets(best):
            break
        attempt = _with(best.attempt, option.group)
        if attempt.floats == best.attempt.floats:
            continue
        layers = {name for chosen in (*taken, option) for name in chosen.group.layers}
        if len(layers) > _MOST_LAYERS:
            return best.attempt, taken, f"{_MOST_LAYERS} layers in float are the most"
        tried = case.look(attempt)
        if tried.kl >= best.kl and not case.meets(tried):
            continue
        if fast and _race(case, exact, tried.graph).verdict != "faster":
            name = option.group.title()
            return best.attempt, taken, f"with {name} as well int8 is not faster than float32"
        best, taken = tried, [*taken, option]
    return best.attempt, taken, ""


def _with(attempt: Attempt, group: Group) -> Attempt:
    return replace(attempt, floats=tuple(dict.fromkeys((*attempt.floats, *group.nodes))))


def _race(case: Case, first: onnx.ModelProto, second: onnx.ModelProto) -> Race:
    """Two graphs in turns on one thread; the ratio is above 1 where the second is faster."""
    inputs = {first.graph.input[0].name: _one_image(case, first)}
    with TemporaryDirectory(prefix="compress-race-") as folder:
        paths = (Path(folder) / "first.onnx", Path(folder) / "second.onnx")
        for path, model in zip(paths, (first, second), strict=True):
            onnx.save(model, path)
        return race(paths[0], paths[1], inputs, _THREADS, _SECONDS)


def _one_image(case: Case, model: onnx.ModelProto) -> NDArray[np.generic]:
    """The smallest batch that a graph takes."""
    session = case.work.core_session(STUDENT_INT8, model)
    fixed = session.get_inputs()[0].shape[0]
    images = case.view().pixels(np.zeros(fixed if isinstance(fixed, int) else 1, np.int64))
    return feed(session, images, case.source.preprocessing)


def _said(option: Option) -> str:
    title = option.group.title()
    if option.seconds is None:
        return f"{title} (KL {option.won:.2g} less)"
    return f"{title} (KL {option.won:.2g} less, {1e3 * option.seconds:+.3f} ms)"
