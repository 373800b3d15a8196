"""Several reports side by side: the same variants on several machines.

Each machine's numbers stand as its own report gives them. Nothing is subtracted or divided across
machines: clocks, noise and runtimes differ, and no interval would cover that.
"""

from collections.abc import Callable, Sequence

from compress_bench.report import facts, table
from compress_bench.report.details import estimated, until_answer
from compress_bench.report.facts import Fields, Report, dig
from compress_bench.report.format import amount, energy, seconds
from compress_bench.report.portability import checked
from compress_bench.report.right_answers import on_same_images
from compress_bench.report.table import Cell, Row, Table

_OWN = (
    "Every number holds for the machine above it; speed-ups are against the reference on the same "
    "machine. Numbers of different machines are not subtracted from each other."
)
_MEASURES: dict[str, Callable[[Report, Fields], Cell]] = {
    "p50 latency": table.latency,
    "Speed-up": table.speedup,
    "Test accuracy": table.accuracy,
    "Memory": table.memory,
    "CPU time per inference": estimated(seconds, "cpu", "seconds_per_inference", timed=True),
    "Instructions per inference": estimated(amount, "instructions"),
    "Energy per inference": estimated(energy, "energy", "joules_per_inference", timed=True),
    "Cold start, until the first answer": until_answer,
}


def machine_tables(reports: Sequence[Report]) -> list[tuple[str, Table]]:
    """One titled table per measure: rows are variants, columns machines."""
    found = [(title, _measure(reports, build)) for title, build in _MEASURES.items()]
    found.append(("Answers of the same file, held against its host's", _measure(reports, checked)))
    return [(title, filled) for title, filled in found if _any_cell(filled)]


def _any_cell(filled: Table) -> bool:
    return any(not cell.empty for row in filled.rows for cell in row.cells)


def _measure(reports: Sequence[Report], build: Callable[[Report, Fields], Cell]) -> Table:
    names = dict.fromkeys(name for report in reports for name in facts.variants(report))
    rows = []
    for name in names:
        having = [name in facts.variants(report) for report in reports]
        first = reports[having.index(True)]
        cells = (
            build(report, facts.variants(report)[name]) if has else Cell()
            for report, has in zip(reports, having, strict=True)
        )
        rows.append(Row(name, facts.detail(first, name), tuple(cells)))
    return Table(columns=machine_names(reports), rows=tuple(rows))


def machine_names(reports: Sequence[Report]) -> tuple[str, ...]:
    """Processor and threads of each report, numbered where two would read alike."""
    names = [_machine_name(report) for report in reports]
    return tuple(
        f"{name} [{i}]" if names.count(name) > 1 else name for i, name in enumerate(names, start=1)
    )


def _machine_name(report: Report) -> str:
    if dig(report, "machine", "emulates"):
        return f"{facts.core(report)}, emulated"
    name = str(dig(report, "machine", "cpu") or dig(report, "machine", "machine") or "machine")
    threads = facts.number(report, "settings", "threads")
    if threads is not None:
        name += f", {threads:.0f} thread{'' if threads == 1 else 's'}"
    return name + (", emulated" if facts.emulated(report) else "")


def cautions(reports: Sequence[Report]) -> tuple[str, ...]:
    """What must be known before the columns are compared."""
    found = [_OWN, *_estimates(reports)]
    for name in dict.fromkeys(name for report in reports for name in facts.variants(report)):
        sums = {dig(facts.variants(report), name, "sha256") for report in reports}
        if len(sums - {None}) > 1:
            found.append(f"{name}: the reports are of different files (their sha256 differ).")
    found += answers(reports)
    compared: tuple[tuple[str, str], ...] = (
        ("data", "reference"),
        ("data", "n"),
        ("settings", "batch_size"),
    )
    compared += (("settings", "profile"), ("settings", "reference"), ("machine", "onnxruntime"))
    for path in compared:
        values = [str(dig(report, *path)) for report in reports]
        if len(set(values)) > 1:
            found.append(f"{'.'.join(path)} differs: {', '.join(values)}.")
    return tuple(found)


def _estimates(reports: Sequence[Report]) -> list[str]:
    """What instructions of an emulated core are, where there are any."""
    counted = any(
        facts.emulated(report) and dig(fields, "instructions")
        for report in reports
        for fields in facts.variants(report).values()
    )
    return ["Instructions of an emulated core are an estimate of work, not a time."] * counted


def answers(reports: Sequence[Report]) -> list[str]:
    """Files that answer the same images differently on the machines: int8 can."""
    names = machine_names(reports)
    every = dict.fromkeys(name for report in reports for name in facts.variants(report))
    found = []
    for name in every:
        having = [
            (machine, facts.variants(report)[name])
            for machine, report in zip(names, reports, strict=True)
            if _is_same_task(reports[0], report, name)
        ]
        said = _differing(having)
        if said:
            found.append(f"{name}: the same file {said}; {_WHY}")
    return found


_WHY = "processors can round otherwise, above all in int8."


def _differing(having: Sequence[tuple[str, Fields]]) -> str:
    """How one file's answers differ between machines; "" where they do not."""
    shares = {machine: facts.number(fields, "accuracy", "value") for machine, fields in having}
    known = {machine: share for machine, share in shares.items() if share is not None}
    pairs = [on_same_images(having[0][1], fields) for _, fields in having[1:]]
    differ = [int((a.bits != b.bits).sum()) for pair in pairs if pair for a, b in [pair]]
    images = f"; {max(differ):,} images are right on one machine only" if any(differ) else ""
    if len(set(known.values())) > 1:
        said = ", ".join(f"{share * 100:.2f} % on {m}" for m, share in known.items())
        return f"is right on {said}{images}"
    if images or len({str(dig(f, "confusion")) for _, f in having if dig(f, "confusion")}) > 1:
        number = f" ({max(differ):,} are right on one machine only)" if any(differ) else ""
        return f"gives some images other answers{number}"
    return ""


def _is_same_task(first: Report, report: Report, name: str) -> bool:
    """Whether a variant is the same file on the same images as in the first report."""
    fields, known = facts.variants(report).get(name), facts.variants(first).get(name)
    if fields is None or known is None or not fields.get("sha256"):
        return False
    digests = [dig(variant, "answers", "images_sha256") for variant in (fields, known)]
    if None not in digests and digests[0] != digests[1]:
        return False
    keys = (("data", "reference"), ("data", "n"))
    alike = all(dig(report, *key) == dig(first, *key) for key in keys)
    return alike and fields.get("sha256") == known.get("sha256")
