"""Each operator's time, by onnxruntime's profile on the target, and the multiply-adds it tells."""

from collections.abc import Sequence

from compress.errors import BenchError, RunnerLostError
from compress_bench.evidence import Gap, Variant
from compress_bench.graph.layers import Profiled, profile
from compress_bench.measure.bed import Advance, Bed, cut, job, lost, model

ONNXRUNTIME = "onnxruntime"


def measure_layers(
    bed: Bed, variants: Sequence[Variant], advance: Advance
) -> tuple[dict[str, Profiled], tuple[Gap, ...], tuple[str, ...]]:
    """The profile of each variant that onnxruntime runs, one model a process.

    Returns:
        Profiles by name, what the time cap or a death left out, and a note on each file that
        cannot be profiled: its other figures stand.
    """
    found, gaps, notes = {}, [], []
    for variant in variants:
        if variant.runtime == ONNXRUNTIME and not bed.clock.left():
            gaps.append(cut("layers", variant, 0, 1))
        elif variant.runtime == ONNXRUNTIME:
            try:
                found[variant.name] = profile(bed.target, job("layers", bed, [model(variant)]))
            except RunnerLostError as death:
                gaps.append(lost("layers", variant, death))
            except BenchError as error:
                notes.append(f"layers were not timed: {error}")
        advance(1)
    return found, tuple(gaps), tuple(notes)
