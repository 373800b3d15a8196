"""What the sweep over threads and spin-waiting found, and what it recommends."""

from collections.abc import Callable
from dataclasses import dataclass

from compress_bench.report import facts
from compress_bench.report.facts import Report, dig
from compress_bench.report.format import Estimate


@dataclass(frozen=True)
class Setting:
    """One setting of one variant.

    Attributes:
        threads: of the session.
        spinning: whether idle threads wait in a loop.
        p50: seconds.
        cpu: CPU seconds per inference, back to back.
        frame: CPU seconds per frame of a camera.
        missed: share of the frames that were not answered in time.
    """

    threads: int
    spinning: bool
    p50: Estimate
    cpu: Estimate | None
    frame: Estimate | None
    missed: Estimate | None

    @property
    def words(self) -> str:
        """Both settings in words."""
        return setting_words(self.threads, self.spinning)


@dataclass(frozen=True)
class Best:
    """The recommended setting of one variant, and why."""

    threads: int
    spinning: bool
    reason: str

    @property
    def words(self) -> str:
        """Both settings in words."""
        return setting_words(self.threads, self.spinning)


def setting_words(threads: int, spinning: bool) -> str:
    """Threads and spin-waiting; one thread waits for nobody."""
    if threads == 1 and not spinning:
        return "1 thread"
    how = "spinning" if spinning else "not spinning"
    return f"{threads} thread{'' if threads == 1 else 's'}, {how}"


def settings_of(report: Report) -> dict[str, tuple[Setting, ...]]:
    """Settings with a time, by variant; none on an emulated machine."""
    found: dict[str, list[Setting]] = {}
    if facts.emulated(report):
        return {}
    for row in facts.listed(report, "sweep", "rows"):
        threads, p50 = facts.number(row, "threads"), facts.estimate(row, "p50")
        if threads is None or p50 is None:
            continue
        setting = Setting(
            threads=int(threads),
            spinning=bool(dig(row, "spinning")),
            p50=p50,
            cpu=facts.estimate(row, "cpu_seconds_per_inference"),
            frame=facts.estimate(row, "cpu_seconds_per_frame"),
            missed=facts.estimate(row, "missed"),
        )
        found.setdefault(str(dig(row, "variant")), []).append(setting)
    return {
        name: tuple(sorted(found[name], key=lambda row: (row.threads, row.spinning)))
        for name in sorted(found, key=_place(report))
    }


def _place(report: Report) -> Callable[[str], int]:
    """Where a variant stands in the tables; unknown ones come last."""
    names = list(facts.variants(report))
    return lambda name: names.index(name) if name in names else len(names)


def recommended(report: Report) -> dict[str, Best]:
    """The recommended setting by variant; none where times were not shown."""
    measured = settings_of(report)
    found = {}
    for name, fields in (dig(report, "sweep", "recommended") or {}).items():
        threads = facts.number(fields, "threads")
        if threads is not None and name in measured:
            reason = str(dig(fields, "reason") or "")
            found[str(name)] = Best(int(threads), bool(dig(fields, "spinning")), reason)
    return found
