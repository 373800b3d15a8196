"""Whether instructions can be counted: the steadiest number to compare two files by."""

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = True


def check(facts: Facts) -> Finding:
    """What the kernel said when it was asked."""
    reason = facts["counter_reason"]
    if not reason:
        return Finding(status="ok", found="the kernel counts instructions (perf_event)")
    refused = "paranoid" in reason
    return Finding(
        status="warn" if refused else "unknown",
        found=reason,
        why="instructions an inference vary by a thousandth where times vary by a tenth",
        what_to_do="sudo sysctl kernel.perf_event_paranoid=2"
        if refused
        else "compress bench --instructions valgrind counts on an emulated processor",
    )
