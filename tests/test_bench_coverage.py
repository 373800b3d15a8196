"""How often the 95 % intervals of p50 and p90 hold the true value, on simulated machines.

The true values come from the distribution itself, never from samples: p50 is the geometric mean
over processes of a long process's median, p90 what 90 % of the inferences of a random process do
not exceed. Run as a program, this prints the table that statistics.py quotes.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import optimize, special

from compress_bench.statistics import geometric, percentile

TRIALS = 2000
# Between two blocks of one variant stand those of the reference, its copy and another variant.
OTHER_BLOCKS = 3


@dataclass(frozen=True)
class Size:
    processes: int
    rounds: int
    block: int  # inferences

    @property
    def inferences(self):
        return self.rounds * self.block


FEWEST = Size(5, 10, 5)
STANDARD = Size(7, 10, 5)
STANDARD_SMALL_MODEL = Size(7, 10, 40)
STRICT = Size(7, 20, 5)


@dataclass(frozen=True)
class Machine:
    """Log-normal times around 1, and what else happens to them.

    Attributes:
        sigma: of the log of one inference.
        apart: sigma of the log of a process's own factor.
        drift: how much slower the end of a process is than its begin.
        slowed: share of the time in which a neighbour is busy.
        slower: what that multiplies times by.
        run: inferences that it lasts, on average.
    """

    sigma: float = 0.05
    apart: float = 0.0
    drift: float = 0.0
    slowed: float = 0.0
    slower: float = 1.5
    run: float = 10.0

    def draw(self, rng, size, trials=TRIALS):
        """Seconds, [trials, processes, inferences]."""
        logs = rng.normal(0, self.sigma, (trials, size.processes, size.inferences))
        logs += rng.normal(0, self.apart, (trials, size.processes, 1))
        logs += np.log1p(self.drift * np.linspace(0, 1, size.inferences))
        if self.slowed:
            logs += math.log(self.slower) * self._busy(rng, size, trials)
        return np.exp(logs)

    def _busy(self, rng, size, trials):
        """Whether the neighbour is: a two-state chain in time, which goes on between blocks."""
        leave = 1 / self.run
        memory = 1 - leave / (1 - self.slowed)  # how much of a state's odds a step keeps
        states = np.empty((size.inferences, trials, size.processes), dtype=bool)
        chance = np.full((trials, size.processes), self.slowed)
        for i in range(size.inferences):
            states[i] = rng.random(chance.shape) < chance
            between = 1 + (OTHER_BLOCKS * size.block if (i + 1) % size.block == 0 else 0)
            chance = self.slowed + (states[i] - self.slowed) * memory**between
        return states.transpose(1, 2, 0)

    def p50(self):
        """Geometric mean of the processes' medians: the median where the factor is 1."""
        return self._quantile(0.5, self.sigma)

    def p90(self):
        """Of an inference of a random process."""
        return self._quantile(0.9, math.hypot(self.sigma, self.apart))

    def _quantile(self, share, sigma):
        drift = np.log1p(self.drift * (np.arange(500) + 0.5) / 500)

        def exceeds(log):
            free = special.ndtr((log - drift) / sigma).mean()
            held = special.ndtr((log - drift - math.log(self.slower)) / sigma).mean()
            return (1 - self.slowed) * free + self.slowed * held - share

        return math.exp(optimize.brentq(exceeds, -1, 2))


MACHINES = {
    "log-normal": Machine(),
    "bursts": Machine(slowed=0.2),
    "drift": Machine(drift=0.1),
    "processes that differ by 1 %": Machine(apart=0.01),
    "processes that differ by 5 %": Machine(apart=0.05),
    "all of it": Machine(apart=0.02, drift=0.1, slowed=0.2),
}


def covered(machine, size, seed=0):
    """Share of trials whose intervals hold the true p50, and the true p90."""
    true50, true90 = machine.p50(), machine.p90()
    held = np.zeros(2)
    for trial in machine.draw(np.random.default_rng(seed), size):
        p50 = geometric(np.median(trial, axis=1))
        p90 = percentile(list(trial), 90)
        high = math.inf if p90.high is None else p90.high
        held += p50.low <= true50 <= p50.high, (p90.low or 0.0) <= true90 <= high
    return held / TRIALS


@pytest.mark.parametrize("size", [FEWEST, STANDARD], ids=["fewest", "standard"])
@pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))
def test_95_percent_intervals_of_p50_and_p90_hold_the_truth_in_93_to_97_of_100(machine, size):
    p50, p90 = covered(machine, size)
    assert 0.93 <= p50 <= 0.97
    assert 0.93 <= p90 <= 0.97


def test_the_true_values_are_those_of_a_very_large_sample():
    machine = MACHINES["all of it"]
    rng = np.random.default_rng(5)
    samples = machine.draw(rng, Size(1000, 20, 100), trials=1)[0]
    # The sampling error of a thousand processes is 2 % / sqrt(1000) = 0.06 %.
    assert machine.p90() == pytest.approx(np.quantile(samples, 0.9), rel=3e-3)
    medians = np.median(samples, axis=1)
    assert machine.p50() == pytest.approx(math.exp(np.log(medians).mean()), rel=3e-3)


HARD = {
    "bursts in a tenth of the time": Machine(slowed=0.1),
    "the same, three times as long": Machine(slowed=0.1, run=30),
}


def print_table():
    """Coverage in percent, per machine and size."""
    sizes = [FEWEST, STANDARD, STANDARD_SMALL_MODEL, STRICT]
    names = [f"{s.processes} x {s.rounds} x {s.block}" for s in sizes]
    print(f"{'p50, p90 in %':32s}" + "".join(f"{name:>15s}" for name in names))
    for name, machine in (MACHINES | HARD).items():
        found = [covered(machine, size) * 100 for size in sizes]
        cells = "".join(f"{f'{a:.1f}, {b:.1f}':>15s}" for a, b in found)
        print(f"{name:32s}{cells}")


if __name__ == "__main__":
    print_table()
