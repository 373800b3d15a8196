"""Versions and processors that are known not to work together."""

from compress_bench.doctor import WORST_FIRST, Facts, Finding
from compress_bench.doctor.pairs import PAIRS, applies, as_finding

NEEDS_HARDWARE = False


def check(facts: Facts) -> Finding | None:
    """The worst of those that this machine has; nothing before onnxruntime is installed."""
    if not facts["packages"]["onnxruntime"]:
        return None
    found = [as_finding(pair, facts["emulates"]) for pair in PAIRS if applies(pair, facts)]
    none = Finding(status="ok", found=f"none of the {len(PAIRS)} that are known")
    return min(found, key=lambda one: WORST_FIRST.index(one.status), default=none)
