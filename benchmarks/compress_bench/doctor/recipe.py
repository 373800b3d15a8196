"""`compress doctor`, top to bottom: reach the machine, look, say what to do."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from compress.errors import BenchError
from compress.progress import SILENT, Progress
from compress_bench.doctor import WORST_FIRST, Facts, Finding, diagnose
from compress_bench.doctor.examining import examine
from compress_bench.targets import open_place

# Readings that `--json` prints as they are, for programs; null where they would be of the host.
_READINGS = (
    "python", "libc", "system_name", "packages", "imports", "cpus", "memory", "disk", "limits",
    "zones", "cooling", "firmware", "pressure", "busy",
)  # fmt: skip


def doctor(reference: str, *, progress: Progress = SILENT) -> dict[str, Any]:
    """What a machine is and lacks.

    Args:
        reference: local, ssh://user@host, emulate:CORE.
        progress: where waiting is shown.

    Returns:
        `target`; `status`, the worst of the findings'; `machine` as in report.json, or None where
        it was not reached; `findings`, each with check, status, found, why, what_to_do;
        `readings`, what was read, or None as `machine`.

    Raises:
        UsageError: there is no such kind of device.
    """
    facts = None
    try:
        with open_place(reference, progress) as place:
            reference = place.reference  # without paths
            with progress.timed("looking at the machine"):
                facts = examine(place)
            findings = diagnose(facts)
    except BenchError as error:
        findings = {"reach": Finding(status="fail", found=str(error))}
    return content(reference, facts, findings)


def content(reference: str, facts: Facts | None, findings: Mapping[str, Finding]) -> dict[str, Any]:
    """What `--json` prints."""
    statuses = [finding.status for finding in findings.values()]
    return {
        "target": reference,
        "status": min(statuses, key=WORST_FIRST.index, default="ok"),
        "machine": facts and facts["description"],
        "findings": [{"check": name} | asdict(found) for name, found in findings.items()],
        "readings": facts and {name: facts[name] for name in _READINGS},
    }
