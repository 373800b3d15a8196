"""Which onnxruntime a file is for: its operator set and the version of ONNX's file format."""

from dataclasses import dataclass

import onnx

from compress.errors import UsageError
from compress_export.lowering import lower

DEFAULT_OPSET = 18


@dataclass(frozen=True)
class Portability:
    """What a file is written in.

    Attributes:
        opset: ONNX operator set.
        ir_version: of the file format; no newer than the operator set needs.
        runtime: oldest onnxruntime that reads both, as 1.14.
    """

    opset: int
    ir_version: int
    runtime: str


# Oldest onnxruntime of each operator set, and the file format to give it. onnxruntime promises to
# read every older operator set, and refuses newer ones.
# Source: onnxruntime, "ONNX Runtime compatibility" (docs/reference/compatibility.md), and trials of
# 1.15 to 1.22 with float32 and int8 files: 1.15, said to read 19, has no kernel for its Reshape;
# 22 is read from 1.21. Below 1.15 the documentation alone speaks.
# int8 weights with a scale per channel came with operator set 13.
TABLE = (
    Portability(13, 7, "1.7"),
    Portability(14, 7, "1.8"),
    Portability(15, 7, "1.9"),
    Portability(16, 7, "1.11"),
    Portability(17, 7, "1.12"),
    Portability(18, 8, "1.14"),
    Portability(19, 9, "1.16"),
    Portability(20, 9, "1.17"),
    Portability(21, 10, "1.18"),
    Portability(22, 10, "1.21"),
)
OLDEST_OPSET, NEWEST_OPSET = TABLE[0].opset, TABLE[-1].opset


def choose_portability(opset: int | None, min_runtime: str | None) -> Portability:
    """The operator set that was asked for, or the default, held against the asked runtime.

    Args:
        opset: --opset; if None 18, or the newest that `min_runtime` reads.
        min_runtime: --min-runtime, as 1.16 or 1.16.3; any if None.

    Raises:
        UsageError: an operator set that cannot be written or that the runtime cannot read, or a
            runtime older than any that can run the files.
    """
    newest = NEWEST_OPSET if min_runtime is None else _newest_read(min_runtime).opset
    wanted = min(DEFAULT_OPSET, newest) if opset is None else opset
    chosen = next((row for row in TABLE if row.opset == wanted), None)
    if chosen is None:
        raise UsageError(f"--opset: expected {OLDEST_OPSET} to {NEWEST_OPSET}, found {opset}")
    if chosen.opset > newest:
        raise UsageError(
            f"--opset {opset} with --min-runtime {min_runtime}: expected {newest} or less, which "
            f"onnxruntime {min_runtime} reads; {opset} needs onnxruntime {chosen.runtime}"
        )
    return chosen


def make_portable(graph: onnx.ModelProto, portability: Portability) -> onnx.ModelProto:
    """The graph at an operator set and file format that the chosen runtime reads.

    Args:
        graph: float32 or quantised; not changed. An older operator set than the chosen one stays.
        portability: see `choose_portability`.

    Raises:
        ExportError: an operator that the older operator set lacks.
    """
    portable = onnx.ModelProto()
    portable.CopyFrom(graph)
    if opset_of(graph) > portability.opset:
        lower(portable, portability.opset)
    portable.ir_version = portability.ir_version
    return portable


def opset_of(graph: onnx.ModelProto) -> int:
    """Version of ONNX's own operator set; 0 if it has none."""
    return next((item.version for item in graph.opset_import if item.domain in ("", "ai.onnx")), 0)


def _newest_read(runtime: str) -> Portability:
    """The newest row that a version of onnxruntime reads."""
    readable = [row for row in TABLE if _release(row.runtime) <= _release(runtime)]
    if not readable:
        raise UsageError(
            f"--min-runtime: expected {TABLE[0].runtime} or newer, the first to read operator set "
            f"{OLDEST_OPSET}, which int8 weights need, found {runtime}"
        )
    return readable[-1]


def _release(version: str) -> tuple[int, int]:
    """Major and minor; a patch reads what its release does."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
