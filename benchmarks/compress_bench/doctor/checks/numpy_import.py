"""Whether NumPy is installed and can be imported."""

from compress_bench.doctor import Facts, Finding
from compress_bench.doctor.imports import imported

NEEDS_HARDWARE = False


def check(facts: Facts) -> Finding:
    """Its version, or what stops it."""
    return imported("numpy", facts)
