"""Whether a container, a service or a mask of cores allows less than the machine has."""

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = True


def check(facts: Facts) -> Finding | None:
    """A quota of CPU time stops every thread until the next period; a mask only takes cores."""
    quota = facts["limits"]["cores"]
    online = sum(core["online"] for core in facts["cpus"])
    if quota is not None and quota < facts["cores"]:
        return Finding(
            status="warn",
            found=f"a quota of {quota:g} of {facts['cores']} cores",
            why="when it is used up all threads stand still until the next period, of 100 ms "
            "mostly: the slowest inferences show it",
            what_to_do="run without it (docker run without --cpus), or with --cpuset-cpus",
        )
    if online and facts["cores"] < online:
        found = f"{facts['cores']} of {online} cores may be used (cpuset or taskset)"
        return Finding(status="ok", found=found)
    return Finding(status="ok", found="no quota") if facts["limits"]["container"] else None
