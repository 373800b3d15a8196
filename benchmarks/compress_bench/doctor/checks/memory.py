"""Whether there is memory for the runtime and a model, without swapping."""

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = True

# Measured: onnxruntime alone takes 41 MB, with a float32 MobileNetV2 91 MB.
FAIL_BYTES, WARN_BYTES = 64 << 20, 256 << 20


def check(facts: Facts) -> Finding | None:
    """What is available, within the limit of a container."""
    memory, limits = facts["memory"], facts["limits"]
    available, total = memory["available_bytes"], memory["total_bytes"]
    if available is None:
        return None
    if limits["memory_left_bytes"] is not None:
        available = min(available, limits["memory_left_bytes"])
        total = min(total or limits["memory_bytes"], limits["memory_bytes"])
    used = (memory["swap_total_bytes"] or 0) - (memory["swap_free_bytes"] or 0)
    found = f"{available / 2**20:,.0f} MiB available"
    if total:
        found += f" of {total / 2**20:,.0f}"
    found += f", {used / 2**20:,.0f} MiB swapped out" if used > 0 else ""
    if available >= WARN_BYTES:
        return Finding(status="ok", found=found)
    return Finding(
        status="fail" if available < FAIL_BYTES else "warn",
        found=found,
        why="onnxruntime takes 41 MB and with a MobileNetV2 91 MB; what is swapped out is slow",
        what_to_do="stop what else runs there, as a desktop: sudo systemctl isolate multi-user",
    )
