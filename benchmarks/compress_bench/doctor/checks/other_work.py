"""What else runs there: it lengthens times and widens their intervals."""

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = True

PRESSURE = 0.1  # share of ten seconds in which some program waited; this command's start is in it


def check(facts: Facts) -> Finding:
    """Programs that take a tenth of a core or more, or a queue for the CPU."""
    busy = facts["busy"]
    if busy:
        return Finding(
            status="warn",
            found="other programs: "
            + ", ".join(f"{one['name']} {100 * one['cores']:.0f} % of a core" for one in busy),
            why="they take cores, caches and memory from what is measured",
            what_to_do="stop them, or measure with --threads below the number of cores",
        )
    waits = facts["pressure"]["cpu"]
    if waits is not None and waits > PRESSURE:
        return Finding(
            status="warn",
            found=f"programs waited for a core in {100 * waits:.0f} % of the last ten seconds",
            why="so will the measured one",
            what_to_do="wait until the machine is idle, or end what runs: top shows it",
        )
    load = facts["state"]["load"]
    told = "" if load is None else f" (load {load:.1f})"
    return Finding(status="ok", found=f"nothing else keeps a core busy{told}")
