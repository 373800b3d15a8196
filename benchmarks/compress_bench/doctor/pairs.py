"""Known bad pairs, as data: what does not work together, and who found it."""

from dataclasses import dataclass

from compress_bench.doctor import Facts, Finding, Status
from compress_bench.doctor.versions import within

_ISSUES = "https://github.com/microsoft/onnxruntime/issues"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two things that fail together.

    Attributes:
        status: of the finding.
        found: what is there, in words.
        why: what happens.
        what_to_do: the way out on a machine.
        instead: an onnxruntime for an emulated core, where no pip is; empty: the same way out.
        source: who found it.
        onnxruntime: from this version and below that one; an empty string is no bound.
        numpy: the same.
        machines: of these architectures alone; empty: of any.
        lacks: one of `machine.ISA` that some core lacks.
        unreadable: it takes a machine whose processors onnxruntime cannot read.
        stops_import: what imports here has not got it.
    """

    status: Status
    found: str
    why: str
    what_to_do: str
    source: str
    instead: str = ""
    onnxruntime: tuple[str, str] | None = None
    numpy: tuple[str, str] | None = None
    machines: tuple[str, ...] = ()
    lacks: str = ""
    unreadable: bool = False
    stops_import: bool = True


PAIRS = (
    Pair(
        status="fail",
        found="onnxruntime 1.21.0 on ARM cores without dot products (Cortex-A53, A72 and alike)",
        why="its import ends in an illegal instruction",
        what_to_do="pip install 'onnxruntime!=1.21.0': 1.20 and 1.22 work",
        source=f"{_ISSUES}/23957",
        instead="1.22.0",
        onnxruntime=("1.21.0", "1.21.1"),
        machines=("aarch64",),
        lacks="asimddp",
    ),
    Pair(
        status="fail",
        found="onnxruntime on an ARM machine that does not show its processors in /proc/cpuinfo, "
        "or in /sys/devices/system/cpu/possible and present",
        why="its import cannot tell the cores and crashes: so in some containers, on AWS Lambda, "
        "and under emulators that show the host's /proc",
        what_to_do="let the container see /proc/cpuinfo and /sys, or emulate with QEMU 10",
        source=f"{_ISSUES}/10038",
        onnxruntime=("", ""),
        machines=("aarch64",),
        unreadable=True,
    ),
    Pair(
        status="fail",
        found="an onnxruntime older than 1.19 with NumPy 2",
        why="it was built for NumPy 1 and cannot be imported with NumPy 2",
        what_to_do="pip install 'onnxruntime>=1.19', or 'numpy<2' where that is not to be had",
        source=f"{_ISSUES}/21063",
        instead="1.19.2",
        onnxruntime=("", "1.19"),
        numpy=("2", ""),
    ),
    Pair(
        status="warn",
        found="an onnxruntime older than 1.14",
        why="it does not read operator set 18, which compress export writes by default",
        what_to_do="pip install --upgrade onnxruntime, or export for it: compress export "
        "--min-runtime VERSION",
        source="https://onnxruntime.ai/docs/reference/compatibility.html",
        instead="1.19.2",
        onnxruntime=("", "1.14"),
        stops_import=False,
    ),
)


def applies(pair: Pair, facts: Facts) -> bool:
    """Whether a machine has both."""
    versions = facts["packages"]
    if pair.stops_import and facts["imports"].get("onnxruntime", {}).get("ok"):
        return False
    return (
        (pair.onnxruntime is None or within(versions["onnxruntime"], *pair.onnxruntime))
        and (pair.numpy is None or within(versions["numpy"], *pair.numpy))
        and (not pair.machines or facts["machine"] in pair.machines)
        and (not pair.lacks or pair.lacks not in facts["description"]["isa"])
        and (not pair.unreadable or is_unreadable(facts))
    )


def is_unreadable(facts: Facts) -> bool:
    """Whether a machine hides its processors, or shows those of another architecture."""
    shown = "CPU part" in facts["cpuinfo"]
    return not shown or not all(facts["cpu_lists"].values())


def as_finding(pair: Pair, core: str | None) -> Finding:
    """What the doctor says of a pair, on a machine or on an emulated core."""
    other = f"emulate:{core}?onnxruntime={pair.instead}" if core and pair.instead else ""
    return Finding(
        status=pair.status,
        found=pair.found,
        why=f"{pair.why} ({pair.source})",
        what_to_do=f"take another version: {other}" if other else pair.what_to_do,
    )
