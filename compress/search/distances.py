"""How far the candidates are from each goal, for whoever has to move one."""

from collections.abc import Mapping, Sequence
from typing import Any

from compress_bench.metrics import goal_words, load_metric
from compress_bench.quantities import Quantity, show

_POINTS = ("share", "points")  # quantities whose distance is a difference, not a ratio

Judged = Mapping[str, Any]  # an entry of a candidate's `goals`


def miss(entry: Judged) -> float:
    """By how much a goal is missed: 0 where it is kept, 1 is twice the limit or 100 points."""
    value, limit = entry.get("value"), entry["limit"]
    if value is None:
        return 0.0
    if _quantity(entry) in _POINTS:
        over = limit - value if entry["bound"] == "min" else value - limit
    elif entry["bound"] == "min":
        over = limit / value - 1 if value > 0 else float("inf")
    else:
        over = value / limit - 1 if limit > 0 else value
    return float(max(0.0, over))


def distance(candidate: Mapping[str, Any]) -> float:
    """How far a candidate is from meeting all of its goals: by the one that it misses most."""
    return max((miss(entry) for entry in candidate["goals"]), default=0.0)


def nearest(candidates: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The candidate that misses its goals by least."""
    return min(candidates, key=distance, default=None)


def distances(candidates: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each goal that nobody meets who comes nearest; else those that the nearest misses.

    Args:
        candidates: as a search's JSON has them, each with its goals as judged last.

    Returns:
        The entries of `distances` in that JSON.
    """
    by_goal: dict[tuple[Any, ...], list[tuple[str, Judged]]] = {}
    for candidate in candidates:
        for entry in candidate["goals"]:
            if entry.get("value") is not None:
                by_goal.setdefault(_key(entry), []).append((candidate["name"], entry))
    unmet = [
        min(judged, key=lambda pair: miss(pair[1]))
        for judged in by_goal.values()
        if not any(entry["status"] == "pass" for _, entry in judged)
    ]
    closest = nearest(candidates)
    if not unmet and closest is not None:
        unmet = [(closest["name"], e) for e in closest["goals"] if e["status"] != "pass"]
    return [_entry(name, entry) for name, entry in unmet]


def _entry(name: str, entry: Judged) -> dict[str, Any]:
    return {
        "goal": _wanted(entry),
        "best": name,
        "value": entry.get("value"),
        "limit": entry["limit"],
        "sentence": _sentence(name, entry),
    }


def _sentence(name: str, entry: Judged) -> str:
    """Who comes nearest, and by how much that is too far."""
    wanted = _wanted(entry)
    if entry.get("value") is None:
        return f"{wanted}: not measured of {name}"
    quantity, value, limit = _quantity(entry), entry["value"], entry["limit"]
    found = f"{wanted}: {name} comes nearest with {show(value, quantity)}"
    if not miss(entry):
        return f"{found}, whose interval does not keep the limit"
    if quantity in _POINTS:
        return f"{found}, {100 * abs(value - limit):.2f} points from the limit"
    if entry["bound"] == "min":
        return f"{found}, {100 * (1 - value / limit):.0f} % below the limit"
    return f"{found}, {value / limit:.3g} times the limit" if limit else found


def _wanted(entry: Judged) -> str:
    limit = show(entry["limit"], _quantity(entry))
    variant, metric, bound = (entry[key] for key in ("variant", "metric", "bound"))
    return goal_words(variant, metric, bound, limit, entry.get("vs") or "")


def _key(entry: Judged) -> tuple[Any, ...]:
    return entry["variant"], entry["metric"], entry["bound"], entry["limit"], entry.get("vs")


def _quantity(entry: Judged) -> Quantity:
    form = load_metric(str(entry["metric"]).partition(".")[0]).GOAL
    assert form is not None
    return form.bounds[entry["bound"]]
