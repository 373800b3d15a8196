"""Whether Python is one that onnxruntime still has wheels for."""

from compress_bench.doctor import Facts, Finding
from compress_bench.doctor.versions import parse

NEEDS_HARDWARE = False

# The last onnxruntime with a wheel for a Python. Source: the files of
# https://pypi.org/project/onnxruntime/, asked with pip in November 2026.
LAST_WHEELS = {(3, 8): "1.19.2", (3, 9): "1.19.2", (3, 10): "1.23.2"}


def check(facts: Facts) -> Finding:
    """Older than 3.8: nothing works; up to 3.10: no newer onnxruntime comes."""
    version = facts["python"]["version"]
    found = f"{facts['python']['implementation']} {version}, {facts['python']['executable']}"
    minor = parse(version)[:2]
    if minor < (3, 8):
        return Finding(
            status="fail",
            found=found,
            why="expected 3.8 or newer: the runner and onnxruntime's wheels need it",
            what_to_do="install a newer system, or name another Python: ssh://...?python=PATH",
        )
    if minor in LAST_WHEELS:
        return Finding(
            status="warn",
            found=found,
            why=f"onnxruntime's wheels for it end at {LAST_WHEELS[minor]}",
            what_to_do="stay with that version, or install Python 3.11 or newer",
        )
    return Finding(status="ok", found=found)
