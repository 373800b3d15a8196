"""Whether the processor is a real one, and this machine's own."""

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = False


def check(facts: Facts) -> Finding | None:
    """An emulated core's times mean nothing; a virtual machine's are those of its host."""
    if facts["emulates"]:
        return Finding(
            status="ok",
            found=f"{facts['emulates']}, emulated",
            why="results, coverage and instruction counts are checked there; times mean nothing",
        )
    if facts["description"]["emulated"]:
        return Finding(
            status="fail",
            found=f"an emulated processor ({facts['machine']})",
            why="its times would mean nothing, and bench refuses to take them",
            what_to_do="bench on the board itself; compress bench --target emulate:CORE checks "
            "everything but time",
        )
    if " hypervisor" in facts["cpuinfo"]:
        return Finding(
            status="warn",
            found="a virtual machine",
            why="its host's other guests take time that it does not see, and its clock is theirs",
            what_to_do="trust ratios measured side by side, and take times on the board",
        )
    return None
