"""Whether energy can be read."""

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = True


def check(facts: Facts) -> Finding:
    """Which meter there is, or why none."""
    if facts["meter"]:
        return Finding(status="ok", found=facts["meter"])
    return Finding(
        status="unknown",
        found=facts["meter_reason"],
        why="reports have no energy then; a meter between plug and board is the other way",
    )
