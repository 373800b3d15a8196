"""What the one table has no room for: a table per subject, in the order of the page.

A number that is missing has its reason below the table.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from compress_bench.report import facts
from compress_bench.report.absent import absences, unbounded
from compress_bench.report.facts import Fields, Report, dig
from compress_bench.report.format import (
    DASH,
    Estimate,
    Scaled,
    amount,
    count,
    energy,
    percent,
    ratio,
    seconds,
    size,
)
from compress_bench.report.table import Cell, Columns, Table, cell, fill

Fill = Callable[[Report, Fields], Cell]


@dataclass(frozen=True)
class Detail:
    """A table with its heading.

    Attributes:
        key: makes ids of the page.
        title: heading.
        table: its rows, variants without any number left out.
    """

    key: str
    title: str
    table: Table


def details(report: Report) -> tuple[Detail, ...]:
    """The tables that hold at least one number."""
    every = (
        Detail("tails", "Latency beyond the median", _tails(report)),
        Detail("work", "Work of the processor", _work(report)),
        Detail("answers", "Answers", _answers(report)),
        Detail("memory", "Memory", _memory(report)),
        Detail("start", "Cold start", _start(report)),
        Detail("paced", "Paced like a camera", _paced(report)),
        Detail("sustained", "Burst and sustained", _sustained(report)),
    )
    return tuple(detail for detail in every if detail.table.columns)


def estimated(show: Callable[[Estimate], Scaled], *path: str, timed: bool = False) -> Fill:
    """What fills a column from estimates under `path`; `timed`: none on an emulated machine."""

    def build(report: Report, fields: Fields) -> Cell:
        shown = facts.hidden_if_emulated(report, fields) if timed else fields
        found = facts.estimate(shown, *path)
        if found is not None and found.low == found.high:
            found = Estimate(found.value)  # exact, or a single count
        return cell(show(found) if found else None)

    return build


def _plain(show: Callable[[float], str], *path: str, timed: bool = False) -> Fill:
    """What fills a column from plain numbers under `path`."""

    def build(report: Report, fields: Fields) -> Cell:
        shown = facts.hidden_if_emulated(report, fields) if timed else fields
        found = facts.number(shown, *path)
        return Cell() if found is None else Cell(show(found))

    return build


def _duration(value: float) -> str:
    return seconds(Estimate(value)).text


def _tails(report: Report) -> Table:
    keys = ("p90", "p95", "p99")
    columns: Columns = {key: estimated(seconds, "latency", key, timed=True) for key in keys} | {
        "Fastest": _plain(_duration, "latency", "min", timed=True),
        "Slowest": _plain(_duration, "latency", "max", timed=True),
        "Inferences": _plain(count, "latency", "n", timed=True),
        "Throughput": _plain(lambda rate: f"{count(rate)} images/s", "throughput", timed=True),
    }
    missing = [sentence for key in keys for sentence in absences(report, key, "latency", key)]
    missing += [sentence for key in keys for sentence in unbounded(report, key, "latency", key)]
    return fill(report, columns, tuple(missing))


def _work(report: Report) -> Table:
    columns: Columns = {
        "Runtime": _runtime,
        "CPU time": estimated(seconds, "cpu", "seconds_per_inference", timed=True),
        "Wall over CPU": _plain(lambda x: f"{x:.2f}", "cpu", "wall_over_cpu", timed=True),
        "Instructions": estimated(amount, "instructions"),
        "Energy": estimated(energy, "energy", "joules_per_inference", timed=True),
        "MACs": _plain(lambda macs: amount(Estimate(macs)).text, "macs"),
    }
    said = ["Per inference. CPU time counts all cores."]
    said += _sources(report, "Instructions", "instructions_source")
    if facts.emulated(report):
        said.append(f"Instructions are an estimate of the work on {facts.core(report)}, no time.")
    said += _sources(report, "Energy", "energy", "source")
    said += absences(report, "instructions", "instructions")
    said += absences(report, "energy", "energy")
    said += unbounded(report, "CPU time", "cpu", "seconds_per_inference")
    said += unbounded(report, "instructions", "instructions")
    said += unbounded(report, "energy", "energy", "joules_per_inference")
    table = fill(report, columns, tuple(said))
    measured = set(table.columns) - {"Runtime"}
    return table if measured else Table((), ())


def _runtime(report: Report, fields: Fields) -> Cell:
    """Runtime and threads, where they are not the same for all variants."""
    looks = {_serving(other) for other in facts.variants(report).values()}
    if len(looks) < 2 or not fields.get("runtime"):
        return Cell()
    threads = facts.number(fields, "threads")
    note = "" if threads is None else f"{threads:.0f} thread{'' if threads == 1 else 's'}"
    spinning = ", spinning" if facts.spinning(fields) else ""
    return Cell(facts.runtime_words(fields), note=note + spinning)


def _serving(fields: Fields) -> tuple[object, ...]:
    return fields.get("runtime"), fields.get("threads"), facts.spinning(fields)


def _sources(report: Report, what: str, *path: str) -> list[str]:
    """Where numbers come from; by variant where they come from several places."""
    by_source: dict[str, list[str]] = {}
    for name, fields in facts.variants(report).items():
        source = dig(fields, *path)
        if source:
            by_source.setdefault(str(source), []).append(name)
    if len(by_source) == 1:
        return [f"{what}: {next(iter(by_source))}."]
    return [f"{what} of {', '.join(names)}: {source}." for source, names in by_source.items()]


def _answers(report: Report) -> Table:
    columns: Columns = {
        "Negative flips": estimated(percent, "negative_flips"),
        "Calibration error": estimated(percent, "calibration_error"),
        "Weakest class": _weakest,
    }
    reference = facts.reference(report) or "the reference"
    said = {
        "Negative flips": f"Negative flips: share of the images that {reference} answers right "
        "and the variant wrong.",
        "Calibration error": "Calibration error: how far stated confidence and share of right "
        "answers are apart, on average (expected calibration error of the top answer).",
    }
    missing = [
        *absences(report, "negative flips", "negative_flips"),
        *absences(report, "calibration error", "calibration_error"),
    ]
    table = fill(report, columns)
    caption = (*(said[key] for key in table.columns if key in said), *missing)
    return replace(table, caption=caption)


def _weakest(report: Report, fields: Fields) -> Cell:
    """The class that is recognised least."""
    name, share = (
        dig(fields, "worst_class", "class"),
        facts.number(fields, "worst_class", "accuracy"),
    )
    if name is None or share is None:
        return Cell()
    return Cell(percent(Estimate(share)).text, note=str(name))


def _memory(report: Report) -> Table:
    columns: Columns = {
        "Of the model": _plain(size, "memory", "model_bytes"),
        "Peak of the process": _plain(size, "memory", "peak_bytes"),
        "Before the model": _plain(size, "memory", "baseline_bytes"),
        "Proportional share": _plain(size, "memory", "pss_bytes"),
        "Private and written": _plain(size, "memory", "private_dirty_bytes"),
    }
    table = fill(report, columns)
    said = ["Medians over fresh processes."]
    if "Proportional share" in table.columns:
        said.append(
            "The proportional share divides pages that several processes use among them; private "
            "and written pages are freed when the process ends."
        )
    return replace(table, caption=(" ".join(said), *absences(report, "memory", "memory")))


def _start(report: Report) -> Table:
    def phase(key: str) -> Fill:
        return _plain(_duration, "cold_start", key, timed=True)

    columns: Columns = {
        "Python": phase("python_seconds"),
        "numpy": phase("import_numpy_seconds"),
        "Runtime": phase("import_runtime_seconds"),
        "Imports": _imports,
        "Loading": phase("session_seconds"),
        "First inference": phase("first_seconds"),
        "Second": phase("second_seconds"),
        "Until first answer": until_answer,
    }
    table = fill(report, columns)
    said = ["Medians over fresh processes."]
    if "Until first answer" in table.columns and any(row.cells[-1].bounds for row in table.rows):
        said.append(_brackets(report, "process", "cold_start", "total_seconds"))
    missing = unbounded(report, "time until the first answer", "cold_start", "total_seconds")
    return replace(table, caption=(" ".join(said), *missing))


def _brackets(report: Report, of: str, *path: str) -> str:
    """What the bounds are: an interval, or the least and the greatest that were seen."""
    if any(facts.is_range(fields, *path) for fields in facts.variants(report).values()):
        return f"Brackets hold the fastest and the slowest {of}."
    return f"Brackets hold {facts.confidence(report) * 100:g} % intervals."


def until_answer(report: Report, fields: Fields) -> Cell:
    """All phases together; a single process is no range."""
    found = facts.estimate(facts.hidden_if_emulated(report, fields), "cold_start", "total_seconds")
    if found is not None and found.low == found.high:
        found = Estimate(found.value)
    return cell(seconds(found) if found else None)


def _imports(report: Report, fields: Fields) -> Cell:
    """Both imports together, where a report does not tell them apart."""
    if facts.number(fields, "cold_start", "import_numpy_seconds") is not None:
        return Cell()
    return _plain(_duration, "cold_start", "import_seconds", timed=True)(report, fields)


def _paced(report: Report) -> Table:
    def paced(show: Callable[[Estimate], Scaled], key: str) -> Fill:
        return estimated(show, "paced", key, timed=True)

    columns: Columns = {
        "Deadlines missed": paced(percent, "missed"),
        "p50": paced(seconds, "p50"),
        "p90": paced(seconds, "p90"),
        "p99": paced(seconds, "p99"),
        "CPU per frame": paced(seconds, "cpu_seconds_per_frame"),
        "Frames": _plain(count, "paced", "frames", timed=True),
    }
    said: list[str] = []
    for fields in facts.variants(report).values():
        fps, limit = (facts.number(fields, "paced", key) for key in ("fps", "deadline_seconds"))
        if fps is not None and limit is not None:
            said.append(
                f"{fps:g} frames a second, so each has {_duration(limit)}, from its arrival to "
                "its answer."
            )
    missing = [*absences(report, "paced times", "paced")]
    for key in ("p90", "p99"):
        missing += absences(report, f"paced {key}", "paced", key)
    for key in ("p50", "p90", "p99"):
        missing += unbounded(report, f"paced {key}", "paced", key)
    return fill(report, columns, (*dict.fromkeys(said), *missing))


def _sustained(report: Report) -> Table:
    def sustained(show: Callable[[Estimate], Scaled], key: str) -> Fill:
        return estimated(show, "sustained", key, timed=True)

    columns: Columns = {
        "Burst": sustained(seconds, "burst"),
        "Sustained": sustained(seconds, "sustained"),
        "Sustained over burst": sustained(ratio, "ratio"),
        "Temperature": _range("celsius", 1.0, " °C"),
        "Clock": _range("khz", 1e-6, " GHz"),
    }
    missing = [*absences(report, "sustained times", "sustained")]
    for key in ("burst", "sustained"):
        missing += unbounded(report, key, "sustained", key)
    ranges = [facts.is_range(v, "sustained", "ratio") for v in facts.variants(report).values()]
    said = (
        "Brackets hold the fastest and the slowest window, those of the ratio the least and the "
        "greatest of any two: no intervals, for windows that follow each other are alike."
    )
    return fill(report, columns, (*((said,) if any(ranges) else ()), *missing))


def _range(key: str, factor: float, unit: str) -> Fill:
    """Lowest and highest of a window's readings."""

    def build(report: Report, fields: Fields) -> Cell:
        listed = facts.listed(facts.hidden_if_emulated(report, fields), "sustained", key)
        found = [value for value in listed if isinstance(value, int | float)]
        text = span(found, factor, unit)
        return Cell(text) if text else Cell(DASH)

    return build


def span(values: list[float], factor: float, unit: str) -> str:
    """Lowest to highest of some readings, scaled; "" where there are none."""
    if not values:
        return ""
    low, high = (f"{value * factor:.3g}" for value in (min(values), max(values)))
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"
