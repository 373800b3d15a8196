"""`compress run --search` between screening and the last report. Read top to bottom."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.distill.asked import wish_of
from compress.distill.lesson import Lesson, prepare
from compress.distill.lesson_teacher import answering_teacher, asked_teacher
from compress.distill.teachers.check import check_teacher
from compress.distill.wish import Wish
from compress.errors import ExportError, ModelError, TrainingError
from compress.intervals import wilson
from compress.progress import Progress
from compress.recipes import Recipe
from compress.search.deployed import precision_of
from compress.search.finalists import Ending, of_students
from compress.search.halving import affordable, budget_of, chosen, cost, rungs
from compress.search.outcome import Trainings, conclude
from compress.search.race import Field, SoFar, halve, next_in_line
from compress.search.record import LOGITS, Record
from compress.search.screening import candidate_of
from compress.search.trial import train_until
from compress.search.written import recipe_of
from compress.settings import Searching
from compress.training.processes import ALONE
from compress.training.torch_setup import set_up_torch
from compress_bench.metrics import Goal

Content = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a search was asked for.

    Attributes:
        recipe: the user's, with the goals.
        source: its name, for errors.
        searching: how many candidates are trained, and for how long.
        goals: the user's.
        teacher: folder of the teacher that the recipe's section train made.
        record: what is there already.
    """

    recipe: Recipe
    source: str
    searching: Searching
    goals: Sequence[Goal]
    teacher: Path
    record: Record

    def wish(self, candidate: Mapping[str, Any]) -> Wish:
        """What makes a candidate: the recipe's section distill, with the teacher asked once."""
        network = candidate_of(candidate)
        wish = wish_of(
            recipe_of(self.recipe, network),
            self.source,
            teacher=self.teacher,
            out=self.record.student(network.name),
            force=False,
        )
        teaching = replace(wish.teaching, with_baseline=False)
        if not any("features" in course.needs() for course in wish.courses(classes=2)):
            views = "x".join(map(str, candidate["views"]))  # who sees others needs other answers
            kept = teaching.logits or self.record.folder / f"{LOGITS}-{views}"
            teaching = replace(teaching, keep_logits="always", logits=kept)
        return replace(wish, teaching=teaching, training=replace(wish.training, runs=1))


def train_candidates(asked: Asked, screened: Content, progress: Progress) -> Content:
    """Train the promising candidates, halving, and judge those that come to the end.

    Args:
        asked: for what.
        screened: the search's JSON after screening, with a candidate or more that may meet the
            goals.
        progress: shows the epochs and how long the rest of them will take.

    Returns:
        The search's JSON with what came of it; validation alone decided.
    """
    record, candidates = asked.record, {c["name"]: c for c in screened["candidates"]}
    promising = promising_of(screened)
    wishes = {c["name"]: asked.wish(c) for c in promising}
    training = next(iter(wishes.values())).training
    steps, budget = (
        rungs(training.epochs, training.warmup),
        budget_of(asked.searching, training.epochs),
    )
    count = min(asked.searching.search_students, affordable(len(promising), steps, budget))
    names = chosen(promising, count, precision_of(asked.goals))
    progress.say(
        f"search: training {len(names)} of {len(promising)} candidates that may meet the goals, "
        f"compared after {' and '.join(map(str, steps[:-1])) or 'all'} of {steps[-1]} epochs"
    )
    _ask_teacher(record, wishes[names[0]], progress)
    field = Field(
        candidates={name: candidates[name] for name in wishes},
        names=tuple(names),
        steps=steps,
        goals=of_students(asked.goals),
        record=record,
    )
    with _training(record, wishes, cost(count, steps), progress) as to:
        halved = halve(field, to, progress)
    if not halved.finalists:
        raise TrainingError(f"search: expected a candidate that learns, found none: {halved.why()}")

    ending = Ending(
        recipe=asked.recipe,
        source=asked.source,
        goals=field.goals,
        record=record,
        progress=progress,
    )
    finalists = list(halved.finalists)
    verdicts = _judge(ending, finalists, wishes)
    while (more := next_in_line(field, halved, _so_far(finalists, verdicts), budget)) is not None:
        progress.say(f"search: {more} is trained to the end as well")
        total = field.epochs() + steps[-1] - len(record.of(more).accuracies)
        with _training(record, wishes, total, progress) as to:
            to(more, steps[-1])
        finalists.append(more)
        verdicts = _judge(ending, finalists, wishes)
    trainings = Trainings(race=field, halved=halved, finalists=finalists, verdicts=verdicts)
    return conclude(screened, trainings)


def promising_of(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The candidates that may meet the goals, as far as screening tells."""
    return [
        candidate
        for candidate in content["candidates"]
        if candidate["screened"] != "fail" and candidate["state"] != "failed"
    ]


def _ask_teacher(record: Record, wish: Wish, progress: Progress) -> None:
    """Its accuracy on validation, and its logits of every view, once for all candidates.

    What is wrong with the teacher or the images shows here, before it is blamed on a candidate.
    """
    resolved = replace(wish, run=set_up_torch(wish.run.resolved()))
    lesson = prepare(resolved, ALONE, progress)
    if not record.teacher:
        record.met_teacher(_accuracy(lesson, progress))
    if lesson.keeps:
        answering_teacher(lesson, asked_teacher(lesson, progress), progress)


def _accuracy(lesson: Lesson, progress: Progress) -> dict[str, Any]:
    """Of the teacher on validation, with its interval; the number of images alone, if unknown."""
    accuracy = check_teacher(lesson.teacher, lesson.dataset, progress)
    images = len(lesson.dataset.validation)
    if accuracy is None:
        return {"n": images}
    found = wilson(round(accuracy * images), images)
    return {"value": found.value, "low": found.low, "high": found.high, "n": images}


Train = Callable[[str, int], None]


@contextmanager
def _training(
    record: Record, wishes: Mapping[str, Wish], total: int, progress: Progress
) -> Iterator[Train]:
    """What trains a candidate up to an epoch, under one bar over the epochs of all of them."""
    shown = 0
    with progress.task("search, epochs", total=total) as advance:

        def show() -> None:
            nonlocal shown
            shown, before = record.epochs(wishes), shown
            advance(shown - before)

        def train(name: str, until: int) -> None:
            train_until(record, name, wishes[name], until, show)
            show()

        show()
        yield train


def _judge(
    ending: Ending, finalists: Sequence[str], wishes: Mapping[str, Wish]
) -> Mapping[str, Any]:
    """Checkpoints, files and verdicts of those that were trained to the end."""
    record = ending.record
    with record.timed("judging"):
        for name in finalists:
            if record.of(name).failure:
                continue
            try:
                ending.finish(name, wishes[name])
            except (TrainingError, ModelError, ExportError) as error:
                record.put(name, replace(record.of(name), failure=str(error)))
        whole = [name for name in finalists if not record.of(name).failure]
        if not whole:
            why = "; ".join(record.of(name).failure for name in finalists)
            raise ExportError(f"search: expected a finalist that becomes a file, found none: {why}")
        return ending.judge(whole)


def _so_far(finalists: Sequence[str], verdicts: Mapping[str, Any]) -> SoFar:
    """Who has been judged, and the smallest of them that meets all goals."""
    sizes = [
        verdicts[name]["deployed"]["size_bytes"]
        for name in finalists
        if name in verdicts and verdicts[name]["met"] == "pass"
    ]
    return SoFar(finalists=tuple(finalists), smallest_bytes=min(sizes, default=None))
