"""Limits per variant, as the user writes them; judging.py says whether they are kept."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from compress.errors import UsageError
from compress.suggest import did_you_mean
from compress_bench.metrics import Bound, Goal, GoalForm, load_metric, metric_names
from compress_bench.quantities import parse


def read_goals(path: Path) -> tuple[Goal, ...]:
    """Goals from a TOML file.

    Raises:
        UsageError: no such file, not TOML, not of the documented form, or without a goal.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--goals {path}: cannot be read ({error.strerror or error})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--goals {path}: not TOML ({error})") from error
    goals = parse_goals(content, str(path))
    if not goals:
        raise UsageError(
            f"--goals {path}: expected at least one goal, found none; write one such as "
            '[student] "latency.p50" = { max = "5 ms" }, or leave --goals out'
        )
    return goals


def parse_goals(mapping: Mapping[str, Any], source: str) -> tuple[Goal, ...]:
    """Goals from a mapping variant -> metric -> limit, as TOML files and recipes hold it.

    Args:
        mapping: {"student_int8": {"latency.p50": {"max": "5 ms"}}}.
        source: file or section, for errors.

    Raises:
        UsageError: an unknown metric, key or unit, or a limit that is not one.
    """
    goals: list[Goal] = []
    for variant, metrics in mapping.items():
        where = f"{source}: {variant}"
        for name, limits in _table(metrics, where).items():
            goals += _parse_metric(variant, name, limits, f'{where}: "{name}"')
    return tuple(goals)


def write_goals(goals: Iterable[Goal]) -> dict[str, dict[str, dict[str, str]]]:
    """The mapping that `parse_goals` reads: a recipe's section goals."""
    limits: dict[str, dict[str, dict[str, str]]] = {}
    for goal in goals:
        written = limits.setdefault(goal.variant, {}).setdefault(goal.name, {})
        written |= {goal.bound: goal.written} | ({"vs": goal.vs} if goal.vs else {})
    return limits


def _table(content: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise UsageError(f'{where}: expected a table such as {{ max = "5 ms" }}, found {content!r}')
    return content


def _parse_metric(variant: str, name: str, limits: Any, where: str) -> list[Goal]:
    form = _find_form(name, where)
    metric, _, detail = name.partition(".")
    fields = dict(_table(limits, where))
    vs = fields.pop("vs", "")
    if not isinstance(vs, str):
        raise UsageError(f"{where}: vs: expected a variant's name, found {vs!r}")
    keys = [*form.bounds, *(["vs"] if form.compares else [])]
    for key in fields:
        if key not in form.bounds:
            raise UsageError(f'{where}: unknown key "{key}"; {did_you_mean(key, keys)}')
    if not fields:
        raise UsageError(f"{where}: expected a limit, found none; give {' or '.join(form.bounds)}")
    if vs and not set(fields) & set(form.compares):
        raise UsageError(f"{where}: vs makes no sense for {' and '.join(fields)}; leave it out")
    return [
        Goal(
            variant=variant,
            metric=metric,
            detail=detail,
            bound=cast(Bound, key),
            limit=_limit(written, form, cast(Bound, key), f"{where}: {key}"),
            written=str(written),
            vs=vs if key in form.compares else "",
        )
        for key, written in fields.items()
    ]


def _limit(written: object, form: GoalForm, bound: Bound, where: str) -> float:
    """In seconds, bytes or a fraction; nothing lost, flipped or missed can be asked for."""
    quantity = form.bounds[bound]
    zero = quantity == "points" or (quantity == "share" and bound == "max")
    return parse(written, quantity, where, zero=zero)


def _find_form(name: str, where: str) -> GoalForm:
    """How goals for `name` ("latency.p50") are written."""
    metric, dot, detail = name.partition(".")
    forms = {known: load_metric(known).GOAL for known in metric_names()}
    form = forms.get(metric)
    if form is not None and (detail in form.details if form.details else not dot):
        return form
    if form is not None and form.details and not dot:
        raise UsageError(f'{where}: unknown metric; did you mean "{metric}.{form.details[0]}"?')
    known = [n for m, f in forms.items() if f for n in ([f"{m}.{d}" for d in f.details] or [m])]
    raise UsageError(f"{where}: unknown metric; {did_you_mean(name, known)}")


def check_goals(
    goals: Iterable[Goal], variants: Sequence[str], reference: str, *, has_images: bool
) -> None:
    """Whether the goals can be judged at all; called before anything is measured.

    Raises:
        UsageError: a variant that does not exist, a comparison with itself, or no images.
    """
    for goal in goals:
        where = f'goal {goal.variant} "{goal.name}"'
        form = load_metric(goal.metric).GOAL
        assert form is not None
        for name in (goal.variant, goal.vs or reference):
            if name not in variants:
                raise UsageError(f"{where}: no variant {name}; {did_you_mean(name, variants)}")
        if goal.bound in form.compares and (goal.vs or reference) == goal.variant:
            raise UsageError(f"{where}: {goal.variant} cannot be compared with itself; change vs")
        if form.needs_images and not has_images:
            raise UsageError(f"{where}: needs test images; give --data, or drop the goal")
