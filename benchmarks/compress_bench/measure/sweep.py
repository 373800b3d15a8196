"""Every variant with other numbers of threads, spinning or not: each setting in processes alone.

A process of its own, since threads that spin go on for some 30 ms after an inference and take
the processor from whatever is measured next.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from compress_bench.evidence import LatencyProcess, PacedProcess, Variant
from compress_bench.measure.bed import Advance, Bed, model
from compress_bench.measure.latency import latency_job, read_process
from compress_bench.measure.paced import pace
from compress_bench.subjects.sessions import SPINNING

_LEAST_PROCESSES = 3


@dataclass(frozen=True)
class Setting:
    """How one variant was run, and what came of it.

    Attributes:
        variant: with the threads and the session that were tried.
        spinning: whether its idle threads wait in a loop.
        latency: back to back, one entry a process.
        paced: at a camera's pace, one entry a process; none without --fps.
    """

    variant: Variant
    spinning: bool
    latency: list[LatencyProcess] = field(default_factory=list)
    paced: list[PacedProcess] = field(default_factory=list)

    def medians(self) -> list[float]:
        """Seconds, one median a process."""
        name = self.variant.name
        return [float(np.median(np.concatenate([r[name] for r in p.rounds]))) for p in self.latency]

    def cpu_seconds(self) -> list[float]:
        """CPU seconds of one inference, one mean a process."""
        return [process.cpu_seconds[self.variant.name] for process in self.latency]


def settings_to_try(variant: Variant, cores: int) -> list[Setting]:
    """One thread, half the cores, all of them; each with threads that sleep and that spin.

    One thread waits for no other. Only onnxruntime lets its threads' waiting be chosen.
    """
    tried = []
    for threads in sorted({1, max(1, cores // 2), cores}):
        for spinning in (False, True):
            if spinning and (threads == 1 or variant.runtime != "onnxruntime"):
                continue
            session = dict(variant.session)
            if variant.runtime == "onnxruntime":
                session[SPINNING] = str(int(spinning))
            tried.append(Setting(replace(variant, threads=threads, session=session), spinning))
    return tried


def processes_each(bed: Bed) -> int:
    """How many processes each setting is measured in."""
    return max(_LEAST_PROCESSES, bed.profile.processes)


def measure_sweep(
    bed: Bed, variants: Sequence[Variant], cores: int, fps: float | None, advance: Advance
) -> tuple[list[Setting], bool]:
    """Measure every setting of every variant, in an order shuffled anew for each process.

    Args:
        bed: where; its clock ends the sweep.
        variants: what.
        cores: of the machine, as far as the runner may use them.
        fps: frames a second, to measure each setting at that pace too; or None.
        advance: told of each process.

    Returns:
        The settings with at least one process, and whether the time cap cut any short.

    Raises:
        BenchError: the runner failed; names the variant.
    """
    settings = [s for variant in variants for s in settings_to_try(variant, cores)]
    order = random.Random(bed.seed)  # noqa: S311
    plan = [
        (index, setting)
        for index in range(processes_each(bed))
        for setting in order.sample(settings, len(settings))
    ]
    cut = False
    for done, (index, setting) in enumerate(plan):
        if not bed.clock.left():
            cut = True
            break
        cut |= _measure(bed, setting, fps, index, len(plan) - done)
        advance(1)
    return [setting for setting in settings if setting.latency], cut


def _measure(bed: Bed, setting: Setting, fps: float | None, index: int, left: int) -> bool:
    """One process back to back, and one at a camera's pace; whether the time cap cut it short."""
    wanted = latency_job(bed, [model(setting.variant)], index, left)
    process = read_process(list(bed.listen(wanted)))
    setting.latency.append(process)
    if fps is None:
        return process.capped
    if bed.profile.frames / fps > bed.clock.left():
        return True
    setting.paced.append(pace(bed, setting.variant, fps, index))
    return process.capped
