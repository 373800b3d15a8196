"""How much work a file's inference is, and so how many images an emulated core can be asked about.

The number must not depend on how busy this machine is: the same command finds the same again.
"""

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace

from compress.errors import BenchError
from compress_bench.evidence import Variant
from compress_bench.graph.layers import macs_job, profile_job, read_layers
from compress_bench.graph.macs import count_macs
from compress_bench.measure.bed import model
from compress_bench.targets import Stream, local

MOST_IMAGES = 64  # with ten classes 640 values, of which one step more in six is already seen
MOST_FLOAT_IMAGES = 32  # of a float file, whose answers differ by rounding alone
LEAST_IMAGES = 4
# Multiply-adds that an emulated core does in a second or two, in float32.
_WORK = 30_000_000


def count_work(
    variants: Sequence[Variant], batch_size: int = 1, here: Stream = local.stream
) -> tuple[Variant, ...]:
    """The files with their multiply-adds: the same on every core, and soonest counted here.

    Args:
        variants: files.
        batch_size: images of an inference, as their input shapes have it.
        here: where they are counted.
    """
    common = {"kind": "several", "threads": 1, "batch_size": batch_size, "seed": 0, "runtimes": {}}
    parts = [macs_job(profile_job({"models": [model(variant)]})) for variant in variants]
    job = common | {"models": [model(variant) for variant in variants], "jobs": parts}
    found: dict[str, int | None] = {}
    with suppress(BenchError), closing(here(job)) as events:  # the check says what is wrong
        for event in events:
            if event["event"] == "layers":
                total = count_macs(read_layers(event).nodes, batch_size).total
                found[event["variant"]] = total
    return tuple(replace(variant, macs=found.get(variant.name)) for variant in variants)


def images_for(variant: Variant) -> int:
    """How many images a file is asked about on every core."""
    if variant.macs is None:
        return LEAST_IMAGES
    most = MOST_IMAGES if variant.precision == "int8" else MOST_FLOAT_IMAGES
    return max(LEAST_IMAGES, min(most, _WORK // max(variant.macs, 1)))
