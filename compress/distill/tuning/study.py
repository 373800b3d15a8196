"""What to try next, and who goes on at a rung: optuna's answers, as functions of the trials.

A study is made anew from the trials for every question, by its public calls alone, and its sampler
is seeded by the trial's number. So a search that was killed asks what one that nobody stopped would
have asked, and nothing but the trials needs to be kept.
"""

from collections.abc import Sequence

import optuna
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from compress.distill.tuning.space import METHOD, Point, Space, three_digits
from compress.distill.tuning.trial import REDUCTION, Plan, Trial

# Trials that are drawn at random after each method's own, before a model draws them. On simulated
# learning curves of two settings fifteen trials then end 0.6 points below the best there is; with
# optuna's own 10, 0.9 points; all at random, 1.4 points.
_RANDOM = 4
_DRAW_APART = 1_000_003  # between the seeds of two draws: far beyond the number of trials
_DRAWS = 100  # for a point that is new, where some methods have nothing to search


def ask(plan: Plan, trials: Sequence[Trial]) -> Point | None:
    """What to try next with a teacher; None where all that there is has been tried.

    The first trials are the starts of the methods, in their order: so each is tried, and by what
    its authors take. The next are drawn at random, the others by a model of those before (TPE).

    Args:
        plan: the search.
        trials: the teacher's so far, in their order; all of them over.
    """
    space = plan.space
    if len(trials) < len(space.starts):
        return space.start_point(space.starts[len(trials)])
    if not any(space.numbers(method) for method in space.methods()):
        return None
    tried = [dict(trial.point) for trial in trials]
    for draw in range(_DRAWS):
        seed = plan.seed + len(trials) + draw * _DRAW_APART
        # What the model would have tried twice is drawn at random: by a study that knows nothing.
        study = _study(plan, trials if draw == 0 else (), seed)
        point = _rounded(_suggest(study.ask(), space), space)
        if point not in tried:
            return point
    return None


def goes_on(plan: Plan, earlier: Sequence[Trial], trial: Trial) -> bool:
    """Whether a trial is good enough, at every rung that it has come to, to be trained on.

    Args:
        plan: the search.
        earlier: the same teacher's trials before it, in their order.
        trial: with its accuracies so far.
    """
    return not _replay(_study(plan, earlier, plan.seed), plan, trial)[1]


def _study(plan: Plan, trials: Sequence[Trial], seed: int) -> optuna.Study:
    """The study that has seen these trials, one after the other."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    random = len(plan.space.starts) + _RANDOM
    study = optuna.create_study(
        direction="maximize",
        sampler=TPESampler(seed=seed % 2**32, n_startup_trials=random),
        pruner=SuccessiveHalvingPruner(
            min_resource=min(plan.rungs(), default=1), reduction_factor=REDUCTION
        ),
    )
    for trial in trials:
        _tell(study, plan, trial)
    return study


def _tell(study: optuna.Study, plan: Plan, trial: Trial) -> None:
    asked, _ = _replay(study, plan, trial)
    if trial.state == "complete":
        study.tell(asked, trial.accuracy)
    else:
        # One that failed has reported nothing, which makes it the worst of all to the sampler. Told
        # as failed it would be forgotten: where half of the range diverges, 94 % of what was drawn
        # then did, and so 22 %.
        study.tell(asked, state=TrialState.PRUNED)


def _replay(study: optuna.Study, plan: Plan, trial: Trial) -> tuple[optuna.Trial, bool]:
    """A trial asked for and reported once more, and whether it ends at one of its rungs.

    Of its accuracies only those at rungs matter: to the pruner, and to the sampler for what ended.
    """
    study.enqueue_trial(dict(trial.point))
    asked = study.ask()
    _suggest(asked, plan.space)
    ends = False
    if trial.state != "failed":
        for epoch in (rung for rung in plan.rungs() if rung <= len(trial.accuracies)):
            asked.report(trial.accuracies[epoch - 1], epoch)
            ends = ends or asked.should_prune()
    return asked, ends


def _suggest(asked: optuna.Trial, space: Space) -> dict[str, str | float]:
    """A point: the method first, since the numbers depend on it."""
    method = asked.suggest_categorical(METHOD, space.methods())
    point: dict[str, str | float] = {METHOD: method}
    for name in space.numbers(method):
        point[name] = asked.suggest_float(name, *space.bounds(name), log=True)
    return point


def _rounded(point: Point, space: Space) -> dict[str, str | float]:
    """With numbers of three digits within their ranges."""

    def rounded(name: str, value: str | float) -> str | float:
        if isinstance(value, str):
            return value
        low, high = space.bounds(name)
        return min(max(three_digits(value), low), high)

    return {name: rounded(name, value) for name, value in point.items()}
