"""Whether the clock stays where a measurement needs it."""

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = True

_FILES = "/sys/devices/system/cpu/cpu*/cpufreq"


def check(facts: Facts) -> Finding:
    """Of every core, not of the first alone."""
    online = [core for core in facts["cpus"] if core["online"]]
    governors = sorted({core["governor"] for core in online if core["governor"]})
    if not governors:
        return Finding(
            status="unknown",
            found="the kernel shows no clock governor",
            why="a virtual machine's clock is its host's, and some kernels have none: whether it "
            "wanders cannot be seen",
            what_to_do="compare files within one bench, where they alternate",
        )
    capped = [core for core in online if is_capped(core["limit_khz"], core["max_khz"])]
    if capped:
        most, limit = capped[0]["max_khz"], capped[0]["limit_khz"]
        return Finding(
            status="warn",
            found=f"a clock limited to {limit * 1e-6:.2f} of {most * 1e-6:.2f} GHz",
            why="somebody or something lowered scaling_max_freq, so that the board is measured "
            "slower than it can be",
            what_to_do=f"echo {most} | sudo tee {_FILES}/scaling_max_freq",
        )
    if governors == ["performance"]:
        return Finding(status="ok", found="performance, on every core")
    return Finding(
        status="warn",
        found=", ".join(governors),
        why="the clock rises while a measurement runs, and single inferences see it low",
        what_to_do=f"echo performance | sudo tee {_FILES}/scaling_governor",
    )


def is_capped(limit_khz: int | None, max_khz: int | None) -> bool:
    """Whether the clock may not rise to its greatest value."""
    return limit_khz is not None and max_khz is not None and limit_khz < max_khz
