"""The search: trials one after the other, teacher after teacher, within the budget.

A trial begins only where the rest of its teacher's share would carry it to its end: one that could
not win is not begun. So the budget is never exceeded, and never spent in vain.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from compress.distill.tuning.record import Record
from compress.distill.tuning.study import ask, goes_on
from compress.distill.tuning.trial import KeepGoing, Task, Trained, Trial, TrialRunner
from compress.errors import TrainingError
from compress.progress import Progress


def search(record: Record, run_trial: TrialRunner, progress: Progress) -> None:
    """Go on with the search until its budget is used; a finished one has nothing left to do.

    Args:
        record: the trials so far, to which others are added.
        run_trial: trains one student; its own bars would hide the search's.
        progress: shows the epochs and how long the rest of them will take.
    """
    record.sweep()
    shown = 0
    with progress.task("search, epochs", total=record.plan.budget) as advance:

        def show() -> None:
            nonlocal shown
            shown, before = record.epochs(), shown
            advance(shown - before)

        show()
        if shown:
            progress.say(f"search: going on after {shown} of {record.plan.budget} epochs")
        for teacher in record.plan.teachers:
            while (trial := _next(record, teacher)) is not None:
                trial = _run(record, trial, run_trial, show)
                show()
                record.sweep()
                progress.say(_sentence(trial, record.plan.epochs))


def _next(record: Record, teacher: str) -> Trial | None:
    """The trial that was interrupted, or a new one; None where the teacher's share is used up."""
    plan, trials = record.plan, record.of(teacher)
    if trials and trials[-1].state == "running":
        return trials[-1]
    if plan.share() - sum(trial.epochs for trial in trials) < plan.epochs:
        return None
    point = ask(plan, trials)
    if point is None:
        return None
    return Trial(
        number=len(record.trials) + 1,
        teacher=teacher,
        point=point,
        settings=plan.space.settings_at(point),
    )


def _run(record: Record, trial: Trial, run_trial: TrialRunner, show: Callable[[], None]) -> Trial:
    """Have a trial trained, and keep what it comes to."""
    record.put(trial)
    task = Task(trial=trial, folder=record.state_folder(trial))
    try:
        trained = run_trial(task, _asking(record, trial, show))
    except TrainingError as error:
        return _failed(record, trial, str(error))
    return _over(record, trial, trained)


def _asking(record: Record, trial: Trial, show: Callable[[], None]) -> KeepGoing:
    """What the training of a trial asks after each epoch; the answer is on disk before it is given.

    A restarted training may come by epochs that are on disk already, and is answered as before.
    """
    earlier = record.of(trial.teacher)[:-1]
    began, answered = time.perf_counter(), 0

    def keep_going(accuracies: Sequence[float]) -> bool:
        nonlocal answered
        now = replace(
            trial,
            accuracies=tuple(float(accuracy) for accuracy in accuracies),
            epochs=len(accuracies),
            seconds=trial.seconds + time.perf_counter() - began,
        )
        new = any(answered < rung <= now.epochs for rung in record.plan.rungs())
        going = goes_on(record.plan, earlier, now) if new else True
        answered = now.epochs
        record.put(now if going else replace(now, state="pruned"))
        show()
        return going

    return keep_going


def _failed(record: Record, trial: Trial, reason: str) -> Trial:
    """A trial that diverged has used the epoch in which it did, of which it never told."""
    last = record.trials[trial.number - 1]
    epochs = min(last.epochs + 1, record.plan.epochs)
    failed = replace(last, state="failed", epochs=epochs, reason=reason)
    record.put(failed)
    return failed


def _over(record: Record, trial: Trial, trained: Trained | None) -> Trial:
    """What a trial has come to that was trained to the end, or told to stop."""
    last = record.trials[trial.number - 1]
    if trained is None and last.state == "pruned":
        return last
    if trained is None or last.state == "pruned" or len(trained.accuracies) != record.plan.epochs:
        raise ValueError(
            f"trial {trial.number}: expected a runner that trains for {record.plan.epochs} epochs, "
            "or gives None where it is told to stop"
        )
    complete = replace(
        last,
        state="complete",
        accuracies=tuple(float(accuracy) for accuracy in trained.accuracies),
        epochs=record.plan.epochs,
        accuracy=float(trained.right.mean()),
    )
    record.keep_right(complete, trained.right)  # first: a complete trial is not trained again
    record.put(complete)
    return complete


def _sentence(trial: Trial, epochs: int) -> str:
    """What a trial has come to, as it is said while the search runs."""
    accuracy = trial.last_accuracy()
    known = "" if accuracy is None else f", {100 * accuracy:.2f} % right on validation"
    return (
        f"trial {trial.number}, {trial.teacher}: {trial.settings.sentence()}: {trial.end()} after "
        f"{trial.epochs} of {epochs} epochs{known}"
    )
