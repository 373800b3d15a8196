"""Whether energy can be read."""

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = True

# Its counters are root's since Linux 5.10, for they tell other programs' secrets (CVE-2020-8694).
_READABLE = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj, until the next restart"
_BY_HAND = "where energy matters, put a meter between plug and board"


def check(facts: Facts) -> Finding:
    """Which meter there is, or why none."""
    if facts["meter"]:
        return Finding(status="ok", found=facts["meter"])
    return Finding(
        status="unknown",
        found=facts["meter_reason"],
        why="reports have no energy then",
        what_to_do=_READABLE if "RAPL," in facts["meter_reason"] else _BY_HAND,
    )
