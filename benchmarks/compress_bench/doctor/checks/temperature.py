"""How warm it is before anything has run, and whether it is being slowed already."""

from collections.abc import Mapping
from typing import Any

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = True

# A Raspberry Pi lowers its clock from 80 °C, and from 60 °C on a Pi 3B+ ("soft limit").
# Source: https://www.raspberrypi.com/documentation/computers/raspberry-pi.html#frequency-management-and-thermal-control
WARM = 70.0
MARGIN = 10.0  # to a point where the kernel acts
_ACTS = ("passive", "hot", "critical")
_SLOWED = ("cpufreq", "processor", "cpu-idle")
_COOL = "let it cool, add a heat sink or a fan, and see sustained speed with --sustained 300"


def check(facts: Facts) -> Finding:
    """The zone that is nearest to its limit, and what is slowed to cool."""
    known = [zone for zone in facts["zones"] if zone["celsius"] is not None]
    slowed = [
        device["type"]
        for device in facts["cooling"]
        if (device["state"] or 0) > 0 and any(word in device["type"].lower() for word in _SLOWED)
    ]
    if slowed:
        found = f"{slowed[0]} is at work: the kernel slows the processor to cool it"
        return Finding(status="warn", found=found, why="times fall with it", what_to_do=_COOL)
    celsius = facts["firmware"]["celsius"]
    if not known:
        if celsius is None:
            return Finding(
                status="unknown",
                found="no thermal zone",
                why="a machine that grows hot lowers its clock, and nothing here would tell of it",
                what_to_do="see whether times rise with --sustained 300",
            )
        return _judge("the firmware", celsius, None)
    # Each against its own limit: a battery's is lower than a processor's.
    nearest = min(known, key=lambda zone: _limit(zone) - float(zone["celsius"]))
    points = [at for kind, at in nearest["trips"].items() if kind in _ACTS]
    return _judge(nearest["type"], nearest["celsius"], min(points, default=None))


def _limit(zone: Mapping[str, Any]) -> float:
    """Where the kernel acts, or where it is warm to begin with."""
    points = [float(at) - MARGIN for kind, at in zone["trips"].items() if kind in _ACTS]
    return min([WARM, *points])


def _judge(zone: str, celsius: float, limit: float | None) -> Finding:
    found = f"{celsius:.0f} °C ({zone})" + (f", limit {limit:.0f} °C" if limit else "")
    if celsius >= WARM or (limit is not None and celsius > limit - MARGIN):
        why = "a bench warms it further, and a clock that falls makes times drift"
        return Finding(status="warn", found=found, why=why, what_to_do=_COOL)
    return Finding(status="ok", found=found)
