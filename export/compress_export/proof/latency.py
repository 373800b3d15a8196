"""float32 against int8 on this machine, in turns: whichever other load there is meets both."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compress.intervals import Interval
from compress_bench.statistics import MARGIN, nearest_rank, order_ranks
from compress_export.session import open_session, session_options

Verdict = Literal["faster", "slower", "no clear difference"]
Seconds = NDArray[np.float64]

_PAIRS = 31  # of blocks, where the time allows
_LEAST_PAIRS = 9  # where one inference takes long
_LONGEST_SECONDS = 10.0  # with which the number of pairs falls to what an interval needs
_NEEDED_PAIRS = 6  # with five, the smallest and the largest hold the median 94 times in 100
_LARGEST_BLOCK = 200  # inferences
_WARM_UP_RUNS = 3


@dataclass(frozen=True)
class Race:
    """Both files in one process.

    Attributes:
        verdict: of int8: faster or slower only beyond its interval and 2 %.
        ratio: float32's time over int8's; above 1 int8 is faster.
        float32_seconds: median of one inference.
        int8_seconds: the same.
        pairs: of blocks, one of each file.
        inferences: of all blocks, float32's and int8's.
        threads: onnxruntime's; None is all cores.
    """

    verdict: Verdict
    ratio: Interval
    float32_seconds: float
    int8_seconds: float
    pairs: int
    inferences: tuple[int, int]
    threads: int | None

    def to_dict(self) -> dict[str, Any]:
        """The form that bundle.json holds."""
        return asdict(self) | {"ratio": self.ratio.to_dict(), "inferences": list(self.inferences)}


def race(
    float32_path: Path,
    int8_path: Path,
    feed: Mapping[str, NDArray[Any]],
    threads: int | None,
    seconds: float = 2.0,
) -> Race:
    """Time both files in blocks by turns, the first of a pair changing from pair to pair.

    Args:
        float32_path: ONNX file.
        int8_path: its quantised form, of the same inputs.
        feed: inputs, by name.
        threads: onnxruntime's; all cores if None.
        seconds: for all blocks; more where nine pairs of single inferences take longer.
    """
    runners = [_runner(path, feed, threads) for path in (float32_path, int8_path)]
    with _no_garbage_collection():
        guesses = [_warm_up(run, seconds / 20) for run in runners]
        pairs, sizes = plan_blocks(guesses, seconds)
        blocks: tuple[list[Seconds], list[Seconds]] = ([], [])
        for index in range(pairs):
            for which in (0, 1) if index % 2 == 0 else (1, 0):
                blocks[which].append(_block(runners[which], sizes[which]))
    return judge(*blocks, threads)


def plan_blocks(guesses: Sequence[float], seconds: float) -> tuple[int, list[int]]:
    """How many pairs of blocks, and how many inferences each file's block has.

    Args:
        guesses: seconds of one inference of each file.
        seconds: for all blocks, where possible.
    """
    # each block begins with an inference that is not counted
    single = 2 * sum(guesses)
    pairs = min(_PAIRS, max(_LEAST_PAIRS, int(seconds / single)))
    pairs = max(_NEEDED_PAIRS, min(pairs, int(max(_LONGEST_SECONDS, seconds) / single)))
    share = seconds / pairs / len(guesses)
    sizes = [min(_LARGEST_BLOCK, max(1, int(share / guess) - 1)) for guess in guesses]
    return pairs, sizes


def judge(float32: Sequence[Seconds], int8: Sequence[Seconds], threads: int | None) -> Race:
    """From blocks to a verdict.

    Args:
        float32: seconds of each inference, per block.
        int8: those of the block that was its pair.
        threads: for the record.
    """
    pairs = zip(float32, int8, strict=True)
    ratio = median_interval(np.array([np.median(a) / np.median(b) for a, b in pairs]))
    verdict: Verdict = "no clear difference"
    if ratio.low > 1 and ratio.value > 1 + MARGIN:
        verdict = "faster"
    elif ratio.high < 1 and ratio.value < 1 / (1 + MARGIN):
        verdict = "slower"
    samples = [np.sort(np.concatenate(blocks)) for blocks in (float32, int8)]
    return Race(
        verdict=verdict,
        ratio=ratio,
        float32_seconds=nearest_rank(samples[0], 50),
        int8_seconds=nearest_rank(samples[1], 50),
        pairs=len(float32),
        inferences=(len(samples[0]), len(samples[1])),
        threads=threads,
    )


def median_interval(values: NDArray[np.float64]) -> Interval:
    """The median of n independent values, between two of them.

    The k-th smallest and the k-th largest hold the median with probability
    1 - 2 P(B <= k - 1), B binomial with n trials of 1/2; the largest k that leaves 95 %.

    Source: W. R. Thompson, Ann. Math. Stat. 7 (1936).
    """
    ordered = np.sort(values)
    low, high = order_ranks(len(ordered), 50)
    return Interval(
        float(np.median(ordered)),
        float(ordered[low - 1]) if low >= 1 else -math.inf,
        float(ordered[high - 1]) if high <= len(ordered) else math.inf,
    )


def _runner(
    path: Path, feed: Mapping[str, NDArray[Any]], threads: int | None
) -> Callable[[], object]:
    session = open_session(path, session_options(threads), subject=path.name)
    inputs = dict(feed)
    return lambda: session.run(None, inputs)


def _warm_up(run: Callable[[], object], seconds: float) -> float:
    """Run for a while; the seconds of one inference at the end."""
    deadline = time.perf_counter() + seconds
    samples = [_timed(run) for _ in range(_WARM_UP_RUNS)]
    while time.perf_counter() < deadline:
        samples.append(_timed(run))
    return float(np.median(samples[len(samples) // 2 :]))


def _block(run: Callable[[], object], inferences: int) -> Seconds:
    """Times of a block's inferences; the first one finds the other file's weights in the caches."""
    run()
    return np.array([_timed(run) for _ in range(inferences)])


def _timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
