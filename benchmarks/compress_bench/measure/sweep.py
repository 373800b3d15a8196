"""Every variant with other numbers of threads, spinning or not: each setting in processes alone.

A process of its own, since threads that spin go on for some 30 ms after an inference and take
the processor from whatever is measured next.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from compress.errors import RunnerLostError
from compress_bench.evidence import Evidence, LatencyProcess, PacedProcess, Variant
from compress_bench.measure.bed import Advance, Bed, model
from compress_bench.measure.latency import latency_job, read_process
from compress_bench.measure.paced import pace
from compress_bench.noise import rounds_of
from compress_bench.runner import SPIN_SECONDS
from compress_bench.subjects.sessions import SPINNING

_LEAST_PROCESSES = 3


@dataclass(frozen=True, eq=False)
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


def seconds_needed(bed: Bed, evidence: Evidence, fps: float | None, spent: float) -> float:
    """The time cap that would not have cut the sweep short, with room to spare.

    Args:
        bed: how the sweep is measured.
        evidence: what starts and inferences took before it.
        fps: frames a second, or None.
        spent: seconds before the sweep began; more, if the cap had cut those short too.
    """
    done, planned = rounds_of(evidence)
    total = spent * planned / done if evidence.capped else spent
    for variant in evidence.variants.values():
        start = _start(evidence, variant)
        inference = float(np.median(np.concatenate(evidence.samples(variant.name))))
        block = max(bed.profile.block_seconds, bed.profile.block_inferences * inference) + inference
        process = start + bed.profile.warm_up_seconds + bed.profile.rounds * (block + SPIN_SECONDS)
        if fps is not None:
            process += start + bed.profile.warm_up_seconds + bed.profile.frames / fps
        tried = len(settings_to_try(variant, evidence.cores)) * processes_each(bed)
        total += 2 * process * tried + _left_out(bed, evidence, variant, fps)
    return total


def _left_out(bed: Bed, evidence: Evidence, variant: Variant, fps: float | None) -> float:
    """Seconds of what the cap left out of this variant before the sweep."""
    seconds = 0.0
    if fps is not None and evidence.gap("paced", variant.name):
        seconds += bed.profile.processes * (
            bed.profile.frames / fps + 2 * _start(evidence, variant)
        )
    if evidence.gap("sustained", variant.name):
        seconds += (bed.profile.sustained_seconds or 0.0) + bed.profile.idle_seconds
    return seconds


def _start(evidence: Evidence, variant: Variant) -> float:
    return float(np.median([p.total_seconds for p in evidence.fresh[variant.name]]))


def measure_sweep(
    bed: Bed, variants: Sequence[Variant], cores: int, fps: float | None, advance: Advance
) -> tuple[list[Setting], bool, tuple[str, ...]]:
    """Measure every setting of every variant, in an order shuffled anew for each process.

    Args:
        bed: where; its clock ends the sweep.
        variants: what.
        cores: of the machine, as far as the runner may use them.
        fps: frames a second, to measure each setting at that pace too; or None.
        advance: told of each process.

    Returns:
        The settings with at least one process, whether the time cap cut any short, and a note on
        each setting that killed its process: those are left out.

    Raises:
        BenchError: the runner failed; names the variant.
    """
    deaths: list[str] = []
    settings = [s for variant in variants for s in settings_to_try(variant, cores)]
    order = random.Random(bed.seed)  # noqa: S311
    plan = [
        (index, setting)
        for index in range(processes_each(bed))
        for setting in order.sample(settings, len(settings))
    ]
    cut, alive = False, list(settings)
    for done, (index, setting) in enumerate(plan):
        if not bed.clock.left():
            cut = True
            break
        if setting in alive:
            try:
                cut |= _measure(bed, setting, fps, index, len(plan) - done)
            except RunnerLostError as death:
                alive.remove(setting)
                deaths.append(f"the sweep left out {_words(setting)}: {death}")
        advance(1)
    return [setting for setting in alive if setting.latency], cut, tuple(deaths)


def _words(setting: Setting) -> str:
    spinning = ", spinning" if setting.spinning else ""
    threads = setting.variant.threads
    return f"{setting.variant.name} on {threads} thread{'s' if threads > 1 else ''}{spinning}"


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
