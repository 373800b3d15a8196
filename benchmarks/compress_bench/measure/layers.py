"""Each operator's time, by onnxruntime's profile on the target, and the multiply-adds it tells."""

from collections.abc import Sequence

from compress.errors import BenchError, RunnerLostError
from compress_bench.evidence import Variant
from compress_bench.graph.layers import Profiled, profile
from compress_bench.measure.bed import Advance, Bed, job, model

ONNXRUNTIME = "onnxruntime"


def measure_layers(
    bed: Bed, variants: Sequence[Variant], advance: Advance
) -> tuple[dict[str, Profiled], tuple[str, ...]]:
    """The profile of each variant that onnxruntime runs, one model a process.

    Returns:
        Profiles by name, and a note on each file that has none: its other figures stand.

    Raises:
        RunnerLostError: the link to the target dropped.
    """
    found, notes = {}, []
    for variant in variants:
        if variant.runtime == ONNXRUNTIME and bed.clock.left():
            try:
                found[variant.name] = profile(bed.target, job("layers", bed, [model(variant)]))
            except RunnerLostError:
                raise
            except BenchError as error:
                notes.append(f"layers were not timed: {error}")
        advance(1)
    return found, tuple(notes)
