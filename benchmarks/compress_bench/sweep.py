"""From a sweep's measurements to recommended session settings, and into the bundle."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifacts import BUNDLE, header, read_json, write_json
from compress_bench.measure.sweep import Setting
from compress_bench.metrics.deadline_misses import share_missed
from compress_bench.metrics.frame_cpu import seconds_per_frame
from compress_bench.quantities import show
from compress_bench.statistics import Estimate, geometric
from compress_bench.subjects.sessions import SPINNING, THREADS

# A machine that does other things too drops a frame now and then, with any setting.
_MISSES = 0.01


@dataclass(frozen=True, kw_only=True)
class Row:
    """One setting of one variant, with intervals.

    Attributes:
        variant: its name.
        runtime: what runs it.
        threads: of one inference.
        spinning: whether idle threads wait in a loop.
        p50: seconds, back to back.
        cpu: CPU seconds an inference, back to back.
        frame_cpu: CPU seconds an answered frame at a camera's pace; None where there is none.
        missed: share of frames that were; None without --fps.
    """

    variant: str
    runtime: str
    threads: int
    spinning: bool
    p50: Estimate
    cpu: Estimate
    frame_cpu: Estimate | None = None
    missed: Estimate | None = None

    @property
    def words(self) -> str:
        """The setting in words."""
        count = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{count}, spinning" if self.spinning else count

    def to_dict(self) -> dict[str, Any]:
        """The form that report.json and bundle.json hold."""
        return {
            "variant": self.variant,
            "threads": self.threads,
            "spinning": self.spinning,
            "p50": self.p50.to_dict(),
            "cpu_seconds_per_inference": self.cpu.to_dict(),
            "cpu_seconds_per_frame": None if self.frame_cpu is None else self.frame_cpu.to_dict(),
            "missed": None if self.missed is None else self.missed.to_dict(),
        }


def read_row(setting: Setting) -> Row:
    """One setting's processes as intervals."""
    frames = setting.paced
    cost = seconds_per_frame(frames) if frames else None
    return Row(
        variant=setting.variant.name,
        runtime=setting.variant.runtime,
        threads=setting.variant.threads,
        spinning=setting.spinning,
        p50=geometric(setting.medians()),
        cpu=geometric(setting.cpu_seconds()),
        frame_cpu=None if cost is None or cost.value is None else cost,
        missed=share_missed([process.missed for process in frames]) if frames else None,
    )


@dataclass(frozen=True)
class Choice:
    """The row to take, and why."""

    row: Row
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """The form that report.json and bundle.json hold."""
        return {
            "threads": self.row.threads,
            "spinning": self.row.spinning,
            "reason": self.reason,
        }


def choose(rows: Sequence[Row]) -> Choice:
    """The setting to recommend for one variant.

    Paced: the least CPU time a frame of those that keep the deadline. Else the fastest; of those
    that cannot be told from it, the one that takes the least CPU time. What cannot be told apart
    by CPU time either goes to the fewest threads.

    Args:
        rows: of one variant, at least one.
    """
    paced = [row for row in rows if row.missed is not None]
    if not paced:
        return _fastest(rows)
    keeping = [row for row in paced if row.frame_cpu is not None and _share(row) <= _MISSES]
    if not keeping:
        found = _fastest(rows)
        best = min(paced, key=_share)
        return Choice(
            found.row,
            f"no setting answers {100 * (1 - _MISSES):.0f} % of the frames in time (the best, "
            f"{best.words}, misses {100 * _share(best):.1f} %); back to back {found.reason}",
        )
    return _least_work(keeping, of=len(paced))


def _share(row: Row) -> float:
    assert row.missed is not None and row.missed.value is not None
    return row.missed.value


def _least_work(keeping: Sequence[Row], *, of: int) -> Choice:
    chosen = _cheapest(keeping, lambda row: row.frame_cpu)
    others = [row for row in keeping if row is not chosen]
    cost = show(_value(chosen.frame_cpu), "time")
    if not others:
        return Choice(chosen, f"{chosen.words} alone keeps the deadline, for {cost} of CPU a frame")
    most = max(others, key=lambda row: _value(row.frame_cpu))
    return Choice(
        chosen,
        f"{chosen.words}: {len(keeping)} of {of} settings keep the deadline, and none of them "
        f"takes less CPU time a frame than its {cost}; {most.words} takes "
        f"{show(_value(most.frame_cpu), 'time')}",
    )


def _fastest(rows: Sequence[Row]) -> Choice:
    fastest = min(rows, key=lambda row: _value(row.p50))
    alike = [row for row in rows if not _is_above(row.p50, fastest.p50)]
    chosen = _cheapest(alike, lambda row: row.cpu)
    time = f"{chosen.words} with p50 {_shown(chosen.p50)}"
    cost = f"{show(_value(chosen.cpu), 'time')} of CPU an inference"
    if len(rows) == 1:
        return Choice(chosen, f"{time} is the only setting here")
    if chosen is not fastest:
        return Choice(
            chosen,
            f"{time} cannot be told from the fastest, {fastest.words} with "
            f"{_shown(fastest.p50)}, and takes {cost} against "
            f"{show(_value(fastest.cpu), 'time')}",
        )
    if len(alike) > 1:
        return Choice(
            chosen,
            f"{time} is the fastest, and none that cannot be told from it takes less than its "
            f"{cost}",
        )
    others = [row for row in rows if row is not chosen]
    second = min(others, key=lambda row: _value(row.p50))
    return Choice(
        chosen, f"{time} is the fastest; next is {second.words} with {_shown(second.p50)}"
    )


def _cheapest(rows: Sequence[Row], cpu: Callable[[Row], Estimate | None]) -> Row:
    """The fewest threads, best not spinning, of those that none takes certainly less CPU than."""
    least = min(rows, key=lambda row: _value(cpu(row)))
    alike = [row for row in rows if not _is_above(cpu(row), cpu(least))]
    return min(alike, key=lambda row: (row.threads, row.spinning))


def _is_above(found: Estimate | None, least: Estimate | None) -> bool:
    """Whether two intervals are apart; without intervals nothing is told from nothing."""
    assert found is not None and least is not None
    return found.low is not None and least.high is not None and found.low > least.high


def _value(found: Estimate | None) -> float:
    assert found is not None and found.value is not None
    return found.value


def _shown(found: Estimate) -> str:
    value = show(_value(found), "time")
    if found.low is None or found.high is None:
        return value
    return f"{value} ({show(found.low, 'time')} to {show(found.high, 'time')})"


# ---------------------------------------------------------------------------------- what is kept


def conclude(settings: Sequence[Setting], *, cut: bool) -> tuple[list[Row], dict[str, Choice]]:
    """Rows, and what they recommend by variant; nothing where the time cap cut the sweep."""
    rows = [read_row(setting) for setting in settings]
    if cut:
        return rows, {}
    names = dict.fromkeys(row.variant for row in rows)
    return rows, {name: choose([row for row in rows if row.variant == name]) for name in names}


def sweep_dict(rows: Sequence[Row], choices: Mapping[str, Choice]) -> dict[str, Any]:
    """The form that report.json holds."""
    return {
        "rows": [row.to_dict() for row in rows],
        "recommended": {name: choice.to_dict() for name, choice in choices.items()},
    }


def keep_settings(
    folder: Path, machine: Mapping[str, Any], rows: Sequence[Row], choices: Mapping[str, Choice]
) -> None:
    """Write what was found into bundle.json; onnxruntime's settings are what others read there.

    Nothing else in the bundle changes, so that its digests and a finished export stay.

    Args:
        folder: the bundle.
        machine: from `describe_machine`; where it was found.
        rows: the measurements.
        choices: by variant of the bundle.

    Raises:
        ArtifactError: the bundle cannot be read or written.
    """
    bundle = read_json(folder / BUNDLE, kind="bundle")
    for name, choice in choices.items():
        if name in bundle["variants"] and choice.row.runtime == "onnxruntime":
            session = bundle["variants"][name].setdefault("session", {})
            session[THREADS] = choice.row.threads
            session[SPINNING] = str(int(choice.row.spinning))
    made = header("sweep")
    bundle["sweep"] = {
        "created_utc": made["created_utc"],
        "versions": made["versions"] | {"onnxruntime": machine["onnxruntime"]},
        "machine": {key: machine[key] for key in ("machine", "cpu", "cores")},
        **sweep_dict(rows, choices),
    }
    write_json(folder / BUNDLE, bundle)
