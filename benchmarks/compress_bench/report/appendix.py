"""What an engineer wants below the results: the machine, the method, the files."""

from compress_bench.report import facts
from compress_bench.report.caption import measured, was_paced
from compress_bench.report.details import span
from compress_bench.report.facts import Report, dig
from compress_bench.report.format import count, size

Facts = tuple[tuple[str, str], ...]


def machine_facts(report: Report) -> Facts:
    """The machine as it was measured."""
    fields = dig(report, "machine")
    # An emulator shows its host's memory, cores and kernel.
    memory = None if dig(fields, "emulates") else facts.number(fields, "memory_bytes")
    return _known(
        ("Processor", dig(fields, "cpu")),
        ("Architecture", dig(fields, "machine")),
        ("Target", dig(fields, "target")),
        ("Emulator", dig(fields, "emulator")),
        ("Cores", None if dig(fields, "emulates") else dig(fields, "cores")),
        ("Instruction sets", ", ".join(map(str, facts.listed(fields, "isa")))),
        ("Memory", None if memory is None else size(memory)),
        ("Kernel", None if dig(fields, "emulates") else dig(fields, "kernel")),
        ("Clock governor", dig(fields, "governor")),
        ("Emulated", "yes: times are not shown" if facts.emulated(report) else None),
        ("onnxruntime", dig(fields, "onnxruntime")),
        ("OpenVINO", dig(fields, "openvino")),
        ("numpy", dig(fields, "numpy")),
        ("Python", dig(fields, "python")),
    )


def setting_facts(report: Report) -> Facts:
    """How it was measured, as far as it came about."""
    settings, n = dig(report, "settings"), facts.number(report, "data", "n")
    return _known(
        ("Command", dig(report, "command")),
        ("Reference", dig(settings, "reference")),
        ("Images", dig(report, "data", "reference")),
        ("Test images", None if n is None else count(n)),
        ("Profile", dig(settings, "profile")),
        ("Mode", dig(settings, "mode")),
        ("Runtimes", ", ".join(map(str, facts.listed(settings, "runtimes")))),
        ("Threads", dig(settings, "threads")),
        ("Spin-waiting", _yes_or_no(dig(settings, "spinning"))),
        ("Batch", dig(settings, "batch_size")),
        ("Latency", _measured(report)),
        ("Frames a second", _number(settings, "fps") if was_paced(report) else None),
        ("Without a pause", _without_pause(report)),
        ("Time cap", _number(settings, "time_cap_seconds", " s")),
        ("Seed", dig(settings, "seed")),
    )


def environment_facts(report: Report) -> Facts:
    """Lowest to highest of what was read between the rounds."""
    rounds = facts.listed(report, "environment")

    def read(key: str) -> list[float]:
        return [value for entry in rounds if (value := facts.number(entry, key)) is not None]

    return _known(
        ("Clock", span(read("khz"), 1e-6, " GHz")),
        ("Temperature", span(read("celsius"), 1.0, " °C")),
        ("Load", span(read("load"), 1.0, "")),
        ("Flags", "; ".join(map(str, facts.listed(report, "flags")))),
    )


def _measured(report: Report) -> str:
    """Processes and rounds; of an emulated core none."""
    return "" if facts.emulated(report) else ", ".join(p for p in measured(report) if p)


def _without_pause(report: Report) -> str:
    """Seconds of the variants that ran so; "" where none did."""
    every = [facts.number(v, "sustained", "seconds") for v in facts.variants(report).values()]
    return span([seconds for seconds in every if seconds is not None], 1.0, " s a variant")


def _yes_or_no(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else ""


def _number(fields: object, key: str, unit: str = "") -> str:
    found = facts.number(fields, key)
    return "" if found is None else f"{found:g}{unit}"


def _known(*pairs: tuple[str, object]) -> Facts:
    return tuple((label, str(value)) for label, value in pairs if value not in (None, ""))


def variant_facts(report: Report) -> tuple[tuple[str, Facts], ...]:
    """Which file each variant is, and how it was run."""
    return tuple((name, _of_variant(report, name)) for name in facts.variants(report))


def _of_variant(report: Report, name: str) -> Facts:
    fields = facts.variants(report)[name]
    settings = dig(fields, "session")
    session = settings.items() if isinstance(settings, dict) else ()
    return _known(
        ("Runtime", facts.runtime(report, name) if fields.get("runtime") else None),
        ("Threads", dig(fields, "threads")),
        ("Spin-waiting", _yes_or_no(facts.spinning(fields))),
        *((f"Session {key}", str(value)) for key, value in session if value is not None),
        ("File", dig(fields, "file")),
        ("sha256", dig(fields, "sha256")),
    )


def method(report: Report) -> tuple[str, ...]:
    """How the numbers came about, for those who want to doubt them."""
    paragraphs = [
        "Every number is of the ONNX file itself, run by onnxruntime on the machine below; "
        "nothing is taken over from training.",
    ]
    if facts.emulated(report):
        paragraphs.append(
            f"The core type, {facts.core(report)}, was played by an emulator. Which instructions "
            "it has, what they answer and how many run is as on such a core; how long they take "
            "is not, so that no time, memory, start or energy is shown. The number of "
            "instructions is an estimate of work, for it says nothing of caches and memory."
        )
    else:
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
