"""Which instructions int8 can use, and what follows for speed and for results."""

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = False


def check(facts: Facts) -> Finding | None:
    """Dot products on ARM, VNNI on x86."""
    has = set(facts["description"]["isa"])
    if facts["machine"] in ("aarch64", "arm64"):
        return _arm(has) if facts["cpuinfo"] else None
    if facts["machine"] == "x86_64":
        return _x86(has)
    return None


def _arm(has: set[str]) -> Finding:
    if "asimddp" in has:
        more = " and matrix products (i8mm)" if "i8mm" in has else ""
        return Finding(status="ok", found=f"dot products of 8 bits (asimddp){more}")
    return Finding(
        status="warn",
        found="no dot products of 8 bits (asimddp)",
        # Counted under emulation, a MobileNetV2 of width 1: 120 of 181 M instructions on a
        # Cortex-A72, 64 of 181 M on an A76.
        why="int8 gains little speed on such cores: two thirds of float32's instructions, where "
        "cores with dot products need one third; size and memory fall all the same",
        what_to_do="bench before counting on int8, and try fewer channels for speed",
    )


def _x86(has: set[str]) -> Finding:
    vnni = sorted(has & {"avx512_vnni", "avx_vnni"})
    if vnni:
        return Finding(status="ok", found=f"products of 8 bits summed in 32 ({', '.join(vnni)})")
    if "avx2" in has:
        return Finding(
            status="warn",
            found="AVX2 without VNNI",
            why="two products of 8 bits are added in 16 and may saturate: a file quantised with "
            "signed weights of the full range gives other answers here than elsewhere",
            what_to_do="take files of compress export, which keep clear of it, or quantise with "
            "reduce_range",
        )
    return Finding(status="ok", found="neither AVX2 nor VNNI: int8 is exact but slow")
