"""How much is measured: more processes and rounds narrow the intervals and take longer."""

from dataclasses import dataclass, replace

from compress.errors import UsageError
from compress.settings import Bench


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How much is measured.

    Attributes:
        processes: fresh processes for latency; each gives one value to an interval.
        rounds: rounds in each process; a round has one block of each variant.
        block_seconds: time that a block takes at least, unless its inferences reach their cap.
        block_inferences: inferences that a block has at least.
        warm_up_seconds: longest warm-up of one variant in one process.
        fresh: processes a variant for memory and cold start.
    """

    processes: int
    rounds: int
    block_seconds: float
    block_inferences: int = 5
    warm_up_seconds: float
    fresh: int


PROFILES = {
    # Smoke: two processes give an interval, but a wide one (t with one degree of freedom).
    "quick": Profile(processes=2, rounds=8, block_seconds=0.005, warm_up_seconds=0.2, fresh=1),
    "standard": Profile(processes=5, rounds=10, block_seconds=0.02, warm_up_seconds=0.5, fresh=3),
    # 7 x 20 x 5 = 700 inferences at least: above the floor of p99.
    "strict": Profile(processes=7, rounds=20, block_seconds=0.05, warm_up_seconds=3.0, fresh=7),
}


def choose_profile(settings: Bench) -> Profile:
    """The profile of that name, with the number of processes that the user gave."""
    if settings.profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise UsageError(f"--profile: expected one of {known}; found {settings.profile}")
    profile = PROFILES[settings.profile]
    if settings.processes is None:
        return profile
    if settings.processes < 1:
        raise UsageError(f"--processes: expected at least 1, found {settings.processes}")
    return replace(profile, processes=settings.processes)
