"""What a candidate misses, in words short enough for a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from compress_bench.metrics import load_metric
from compress_bench.quantities import show

Judged = Mapping[str, Any]


def why_out(judged: Sequence[Judged]) -> str:
    """The goals that are missed, and by how much; empty where none is."""
    return "; ".join(miss_words(item) for item in judged if item["status"] == "fail")


def open_words(judged: Sequence[Judged]) -> str:
    """The goals that the measurement does not decide."""
    names = [str(item["metric"]) for item in judged if item["status"] == "inconclusive"]
    return f"{', '.join(names)} not decided" if names else ""


def miss_words(item: Judged) -> str:
    """One goal: size 99.9 kB, twice the limit of 50 kB."""
    form = load_metric(str(item["metric"]).partition(".")[0]).GOAL
    assert form is not None
    quantity, value, limit = form.bounds[item["bound"]], item["value"], item["limit"]
    found = f"{item['metric']} {show(value, quantity)}, wanted"
    if item["bound"] == "min":
        return f"{found} at least {show(limit, quantity)} ({100 * (value / limit - 1):+.0f} %)"
    over = f" ({100 * (value / limit - 1):+.0f} %)" if limit > 0 else ""
    return f"{found} at most {show(limit, quantity)}{over}"
