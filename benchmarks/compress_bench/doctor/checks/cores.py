"""What cores there are, and whether they are of two kinds."""

from collections.abc import Mapping
from typing import Any

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = True

# Cores of one kind differ by less: turbo clocks of an x86 server by a few percent.
ALIKE = 0.1

Cluster = list[Mapping[str, Any]]


def check(facts: Facts) -> Finding:
    """Threads on slow cores hold the fast ones up, and the kernel moves them about."""
    name = facts["description"]["cpu"]
    kinds = clusters(facts["cpus"])
    if len(kinds) < 2:
        return Finding(status="ok", found=f"{facts['cores']} x {name}")
    fastest = ",".join(str(core["cpu"]) for core in kinds[0])
    here = facts["target"] == "local"
    program = "compress bench ..." if here else "python3 student.pyz, on the board itself"
    return Finding(
        status="warn",
        found=f"{name}: " + " and ".join(_say(kind) for kind in kinds),
        why="a thread on a slow core holds up the others, and the kernel moves threads about, so "
        "that times have two modes",
        what_to_do=f"--threads {len(kinds[0])}, and keep to those: taskset -c {fastest} {program}",
    )


def clusters(cpus: list[Mapping[str, Any]]) -> list[Cluster]:
    """Cores of about one greatest clock or capacity together, the fastest first."""
    found: list[Cluster] = []
    for core in sorted(cpus, key=_power, reverse=True):
        if not core["online"]:
            continue
        if found and _power(core) >= (1 - ALIKE) * _power(found[-1][0]):
            found[-1].append(core)
        else:
            found.append([core])
    return [sorted(kind, key=lambda core: int(core["cpu"])) for kind in found]


def _power(core: Mapping[str, Any]) -> float:
    """The kernel's own measure on ARM; else the greatest clock; 0 where neither is shown."""
    return float(core["capacity"] or core["max_khz"] or 0)


def _say(kind: Cluster) -> str:
    fastest = max((core["max_khz"] or 0 for core in kind), default=0)
    clock = f" of up to {fastest * 1e-6:.2g} GHz" if fastest else ""
    return f"{len(kind)} cores{clock}"
