"""A limit and an interval: which side of the one the other lies on."""

from typing import Literal

from compress_bench.statistics import Estimate

Status = Literal["pass", "fail", "inconclusive"]


def within(bound: str, limit: float, found: Estimate) -> Status:
    """Pass if the whole interval keeps the limit, fail if none of it does."""
    low, high = found.low, found.high
    if bound == "min":
        if low is not None and low >= limit:
            return "pass"
        return "fail" if high is not None and high < limit else "inconclusive"
    if high is not None and high <= limit:
        return "pass"
    return "fail" if low is not None and low > limit else "inconclusive"
