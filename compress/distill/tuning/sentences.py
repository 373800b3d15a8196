"""What the numbers of a search say, in sentences that every view shows."""

from compress.data.wording import counted, some
from compress.distill.tuning.outcome import Outcome
from compress.intervals import Interval


def sentences(outcome: Outcome) -> tuple[str, ...]:
    """All that is to be said, the most important first."""
    found = [winner(outcome), gain(outcome), best_teacher(outcome), most_accurate(outcome)]
    found += [failures(outcome), untried(outcome), caution(outcome)]
    return tuple(sentence for sentence in found if sentence)


def winner(outcome: Outcome) -> str:
    """Which trial won, and how often it is right."""
    trial, right = outcome.winner, outcome.accuracy
    by = f", taught by {trial.teacher}" if len(outcome.teachers) > 1 else ""
    return (
        f"Trial {trial.number} won: {trial.settings.sentence()}{by}; {_percent(right.value)} right "
        f"on validation ({100 * right.low:.1f} to {100 * right.high:.1f}, "
        f"{counted(outcome.images, 'image')}), the best of {counted(len(outcome.trials), 'trial')} "
        f"in {outcome.epochs():,} of {counted(outcome.plan.budget, 'epoch')}."
    )


def gain(outcome: Outcome) -> str:
    """How far it is above the settings that the search began with."""
    first = outcome.first()
    if first.number == outcome.winner.number:
        return (
            "" if len(outcome.trials) == 1 else "No other settings did better than the first ones."
        )
    if outcome.gain is None or first.accuracy is None:
        return f"The settings that the search began with, {first.settings.sentence()}, failed."
    return (
        f"The settings that the search began with, {first.settings.sentence()}, reached "
        f"{_percent(first.accuracy)}; the winner is {_apart(outcome.gain)} above: "
        f"{_weight(outcome.gain)}."
    )


def best_teacher(outcome: Outcome) -> str:
    """Which teacher teaches this student best, and whether that is more than chance."""
    if len(outcome.teachers) == 1:
        return ""
    name = outcome.winner.teacher
    rivals = [(one.behind, one.teacher) for one in outcome.teachers if one.behind is not None]
    if not rivals:
        return f"{name} teaches this student best: no student of another teacher was complete."
    behind, second = min(rivals, key=lambda rival: rival[0].value)
    share = counted(outcome.plan.share(), "epoch")
    return (
        f"{name} teaches this student best: with {share} for each teacher, its best student is "
        f"{_apart(behind)} above that of {second}, the next: {_weight(behind)}."
    )


def most_accurate(outcome: Outcome) -> str:
    """Whether the best teacher is the one that is most often right itself."""
    if len(outcome.teachers) == 1:
        return ""
    known = {one.teacher: one.own_accuracy for one in outcome.teachers}
    accuracies = {name: accuracy for name, accuracy in known.items() if accuracy is not None}
    name = outcome.winner.teacher
    if len(accuracies) < len(known):
        return "Not every teacher's own accuracy on validation is known."
    best = max(accuracies, key=lambda teacher: accuracies[teacher])
    if accuracies[best] == accuracies[name]:
        return f"No other teacher is more accurate itself ({_percent(accuracies[name])})."
    return (
        f"It is not the most accurate one: on the same images {name} itself is right on "
        f"{_percent(accuracies[name])}, {best} on {_percent(accuracies[best])}."
    )


def failures(outcome: Outcome) -> str:
    """Trials that diverged."""
    failed = [trial for trial in outcome.trials if trial.state == "failed"]
    if not failed:
        return ""
    numbers = some([str(trial.number) for trial in failed], 10)
    return f"{counted(len(failed), 'trial')} failed ({numbers}); the first said: {failed[0].reason}"


def untried(outcome: Outcome) -> str:
    """Candidates among the methods that the budget did not reach."""
    tried = {trial.settings.method for trial in outcome.trials}
    left = [name for name in outcome.plan.space.methods() if name not in tried]
    if not left:
        return ""
    return f"The budget ended before {some(left, 10)} could be tried: give more --tune-epochs."


def caution(outcome: Outcome) -> str:
    """What must be known with the numbers."""
    if len(outcome.trials) == 1:
        return "A single trial is no search: give more --tune-epochs."
    complete = sum(trial.state == "complete" for trial in outcome.trials)
    return (
        f"The winner's validation accuracy is the largest of {complete} and flatters it, and so do "
        "the differences, which are of one seed each. Test took no part in the search: it is "
        "reported of the winner alone."
    )


def _weight(difference: Interval) -> str:
    """What a difference is worth."""
    return "it clears its interval" if difference.low > 0 else "it does not clear its interval"


def _apart(difference: Interval) -> str:
    """A difference in points with its bounds: `1.20 points (+0.31 to +2.09)`."""
    low, high = 100 * difference.low, 100 * difference.high
    return f"{100 * difference.value:.2f} points ({low:+.2f} to {high:+.2f})"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
