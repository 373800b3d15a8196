"""How much is measured: more processes and rounds narrow the intervals and take longer."""

from dataclasses import dataclass, replace

from compress.errors import UsageError
from compress.settings import Bench

_EMULATE = "emulate"


def is_played(settings: Bench) -> bool:
    """Whether the target is an emulated core, of which nothing is timed."""
    return settings.target.partition(":")[0] == _EMULATE


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
        counting: processes a variant for instructions and energy.
        frames: a process and variant, where frames are paced.
        sustained_seconds: that each variant runs without a pause; None: it does not.
        idle_seconds: of rest before that.
        time_cap_seconds: for everything.
    """

    processes: int
    rounds: int
    block_seconds: float
    block_inferences: int = 5
    warm_up_seconds: float
    fresh: int
    counting: int
    frames: int
    sustained_seconds: float | None = None
    idle_seconds: float = 5.0
    time_cap_seconds: float


PROFILES = {
    # Smoke: intervals, but wide ones.
    "quick": Profile(
        processes=5,
        rounds=4,
        block_seconds=0.005,
        warm_up_seconds=0.2,
        fresh=1,
        counting=1,
        frames=30,
        time_cap_seconds=60.0,
    ),
    # Seven, so that a tenth more work is told apart where processes differ by 1 to 2 %.
    "standard": Profile(
        processes=7,
        rounds=10,
        block_seconds=0.02,
        warm_up_seconds=0.5,
        fresh=5,
        counting=5,
        frames=60,
        time_cap_seconds=300.0,
    ),
    # 7 x 20 x 5 = 700 inferences and 7 x 140 = 980 frames at least: above the floor of p99.
    "strict": Profile(
        processes=7,
        rounds=20,
        block_seconds=0.05,
        warm_up_seconds=3.0,
        fresh=7,
        counting=7,
        frames=140,
        sustained_seconds=60.0,
        time_cap_seconds=1800.0,
    ),
}


def choose_profile(settings: Bench) -> Profile:
    """The profile of that name, with what the user gave in place of its own.

    Raises:
        UsageError: a number that cannot be measured with, an unknown profile, or a flag that asks
            an emulated core for times.
    """
    settings.check()
    _check_untimed(settings)
    profile = PROFILES[settings.profile]
    return replace(
        profile,
        processes=settings.processes or profile.processes,
        sustained_seconds=settings.sustained or profile.sustained_seconds,
        time_cap_seconds=settings.time_cap or profile.time_cap_seconds,
    )


def _check_untimed(settings: Bench) -> None:
    """Refuse flags that ask an emulated core for times, or for another runtime."""
    if not is_played(settings):
        return
    refused = {
        f"--fps {settings.fps or 0:g}": settings.fps is not None,
        f"--sustained {settings.sustained or 0:g}": settings.sustained is not None,
        "--sweep": settings.sweep,
        f"--processes {settings.processes}": settings.processes is not None,
        f"--instructions {settings.instructions}": settings.instructions in ("perf", "valgrind"),
        f"--runtime {' '.join(settings.runtime)}": tuple(settings.runtime) != ("onnxruntime",),
    }
    for flag, given in refused.items():
        if given:
            raise UsageError(
                f"{flag}: expected only what can be had of --target {settings.target}, which is "
                "answers and instructions of onnxruntime and no times; leave it out, or measure on "
                "a board"
            )
