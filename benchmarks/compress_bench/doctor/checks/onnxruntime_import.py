"""Whether onnxruntime is installed, once, and can be imported on this processor."""

from compress_bench.doctor import Facts, Finding
from compress_bench.doctor.imports import imported

NEEDS_HARDWARE = False


def check(facts: Facts) -> Finding:
    """Its version, or what stops it, or a second wheel over the first."""
    finding = imported("onnxruntime", facts)
    wheels = facts["packages"]["wheels"]
    if finding.status == "ok" and len(wheels) > 1:
        return Finding(
            status="warn",
            found="installed together: " + ", ".join(f"{n} {v}" for n, v in wheels.items()),
            why="they overwrite each other's files, so that it is not clear what was measured",
            what_to_do=f"pip uninstall {' '.join(wheels)}, then install one",
        )
    return finding
