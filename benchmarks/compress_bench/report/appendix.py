"""What an engineer wants below the results: the machine, the method, the files."""

from collections.abc import Iterable

from compress_bench.report import facts
from compress_bench.report.facts import Report, dig
from compress_bench.report.format import Estimate, count, seconds, size

Facts = tuple[tuple[str, str], ...]


def machine_facts(report: Report) -> Facts:
    """The machine as it was measured."""
    fields = dig(report, "machine")
    memory = facts.number(fields, "memory_bytes")
    return _known(
        ("Processor", dig(fields, "cpu")),
        ("Architecture", dig(fields, "machine")),
        ("Cores", dig(fields, "cores")),
        ("Instruction sets", ", ".join(map(str, facts.listed(fields, "isa")))),
        ("Memory", None if memory is None else size(memory)),
        ("Kernel", dig(fields, "kernel")),
        ("Clock governor", dig(fields, "governor")),
        ("Emulated", "yes: times are not shown" if facts.emulated(report) else None),
        ("onnxruntime", dig(fields, "onnxruntime")),
        ("numpy", dig(fields, "numpy")),
        ("Python", dig(fields, "python")),
    )


def setting_facts(report: Report) -> Facts:
    """What was asked of the measurement."""
    settings, n = dig(report, "settings"), facts.number(report, "data", "n")
    return _known(
        ("Command", dig(report, "command")),
        ("Reference", dig(settings, "reference")),
        ("Images", dig(report, "data", "reference")),
        ("Test images", None if n is None else count(n)),
        ("Profile", dig(settings, "profile")),
        ("Threads", dig(settings, "threads")),
        ("Batch", dig(settings, "batch_size")),
        ("Fresh processes", dig(settings, "processes")),
        ("Rounds", dig(settings, "rounds")),
    )


def _known(*pairs: tuple[str, object]) -> Facts:
    return tuple((label, str(value)) for label, value in pairs if value not in (None, ""))


def variant_facts(report: Report) -> tuple[tuple[str, Facts], ...]:
    """What the table has no room for, per variant: tails, start, weakest class, file."""
    return tuple((name, _of_variant(report, name)) for name in facts.variants(report))


def _of_variant(report: Report, name: str) -> Facts:
    fields = facts.variants(report)[name]
    weakest, share = dig(fields, "worst_class", "class"), dig(fields, "worst_class", "accuracy")
    pairs: list[tuple[str, object]] = []
    if not facts.emulated(report):
        pairs += _times(fields)
    if weakest is not None and isinstance(share, int | float):
        pairs.append(("Weakest class", f"{weakest}, {share * 100:.1f} % right"))
    pairs += [("File", dig(fields, "file")), ("sha256", dig(fields, "sha256"))]
    return _known(*pairs)


def _times(fields: facts.Fields) -> Iterable[tuple[str, object]]:
    tails = ((key, facts.estimate(fields, "latency", key)) for key in ("p90", "p95", "p99"))
    for key, found in tails:
        reason = dig(fields, "latency", f"{key}_reason")
        yield key, seconds(found).full if found else (f"not given: {reason}" if reason else None)
    throughput = facts.number(fields, "throughput")
    yield "Throughput", None if throughput is None else f"{count(throughput)} images/s"
    for label, key in (("Loading", "session_seconds"), ("First inference", "first_seconds")):
        value = facts.number(fields, "cold_start", key)
        yield label, None if value is None else seconds(Estimate(value)).text


def method(report: Report) -> tuple[str, ...]:
    """How the numbers came about, for those who want to doubt them."""
    paragraphs = [
        "Every number is of the ONNX file itself, run by onnxruntime on the machine below; "
        "nothing is taken over from training.",
    ]
    if not facts.emulated(report):
        paragraphs.append(
            "Variants take turns in short blocks within fresh processes, so that what the machine "
            "does meanwhile meets all of them alike. A speed-up compares blocks of the same round; "
            "its interval, like that of p50, is over processes. A copy of the reference runs "
            "along: how far it seems to differ from itself is what cannot be resolved. Memory and "
            "start are of each variant alone in a fresh process."
        )
    if any(facts.estimate(v, "accuracy") for v in facts.variants(report).values()):
        paragraphs.append(
            "Accuracy and agreement have Wilson score intervals. Differences of accuracy are "
            "paired: both networks answer the same test images."
        )
    return tuple(paragraphs)
