"""What must be said with the table: n, confidence, machine, threads, profile, resolution.

A number without these is a claim; with them it is a measurement.
"""

from collections.abc import Sequence

from compress_bench.report import facts
from compress_bench.report.absent import absences, unbounded
from compress_bench.report.facts import Report, dig
from compress_bench.report.format import Estimate, count, percent
from compress_bench.targets import LOCAL

# What a flag of the runner means; a flag without a sentence is shown by its name.
_FLAGS = {
    "contended": "Other processes used the machine during the measurement; times may be long.",
    "throttled": "The processor was throttled during the measurement; times may be long.",
    "not_steady": "Times had not settled when the measurement began.",
    "frequency": "The processor's clock changed during the measurement; times hold for the mix.",
    "stolen": "The host gave the processor to others at times; times may be long.",
    "time_cap": "The time cap cut the measurement short: fewer rounds than planned.",
    "lost_process": "A process of the measurement died; its finished rounds are in the numbers.",
}


def caption(report: Report) -> tuple[str, ...]:
    """The sentences below the table."""
    times = () if facts.emulated(report) else (serving(report), *percentiles(report))
    sentences = (images(report), latency(report), *times, machine(report), resolution(report))
    return tuple(s for s in sentences if s) + warnings(report)


def images(report: Report) -> str:
    """Which images, how many, and what the brackets and differences are."""
    level = f"{facts.confidence(report) * 100:g} %"
    n = facts.number(report, "data", "n")
    measured = any(facts.estimate(v, "accuracy") for v in facts.variants(report).values())
    if not measured or n is None:
        return f"Brackets hold {level} intervals; accuracy was not measured (no labelled answers)."
    source = dig(report, "data", "reference")
    where = f" of {source}" if source else ""
    return (
        f"Accuracy on {count(n)} test images{where}; brackets hold {level} intervals; "
        "drop and agreement are paired on the same images."
    )


def latency(report: Report) -> str:
    """Batch, threads, profile, processes and rounds."""
    if facts.emulated(report):
        return "The processor was emulated, so no time is shown: it would say nothing of a board."
    batch = facts.number(report, "settings", "batch_size")
    what = "one image" if batch in (None, 1) else f"a batch of {batch:.0f} images"
    how = (
        "" if serving(report) else _counted(report, "threads", "thread"),
        _profile(report),
        *measured(report),
    )
    said = f"Latency of {what}: " + ", ".join(part for part in how if part) + "."
    cap, fps = (facts.number(report, "settings", key) for key in ("time_cap_seconds", "fps"))
    said += f" Also paced at {fps:g} frames a second." if fps and was_paced(report) else ""
    return said + ("" if cap is None else f" Time cap: {cap:g} s.")


def serving(report: Report) -> str:
    """Runtime, threads and spin-waiting of each variant, where they are not alike."""
    by_words: dict[str, list[str]] = {}
    for name, fields in facts.variants(report).items():
        by_words.setdefault(_served(report, fields), []).append(name)
    if len(by_words) < 2 or "" in by_words:
        return ""
    said = (f"{words} for {', '.join(names)}" for words, names in by_words.items())
    return f"Run by {'; '.join(said)}."


def _served(report: Report, fields: facts.Fields) -> str:
    threads = facts.number(fields, "threads")
    if threads is None:
        return ""
    spinning = ", spinning" if facts.spinning(fields) else ""
    plural = "" if threads == 1 else "s"
    return f"{facts.runtime_words(fields)} with {threads:.0f} thread{plural}{spinning}"


def percentiles(report: Report) -> tuple[str, ...]:
    """Why percentiles or the intervals of times are missing."""
    keys = ("p50", "p90", "p95", "p99")
    found = (sentence for key in keys for sentence in absences(report, key, "latency", key))
    return (*found, *unbounded(report, "p50", "latency", "p50"))


def was_paced(report: Report) -> bool:
    """Whether any variant was fed frames; reports that only ask for it have none."""
    return any(dig(fields, "paced") for fields in facts.variants(report).values())


def measured(report: Report) -> tuple[str, str]:
    """Processes and rounds in words: what was measured, of what was planned where that differs."""
    rounds = [dig(entry, "process") for entry in facts.listed(report, "environment")]
    each = [rounds.count(process) for process in dict.fromkeys(rounds)]
    samples = [facts.listed(v, "samples_seconds") for v in facts.variants(report).values()]
    done = max(map(len, samples), default=0) or len(each)
    return (
        _counted(report, "processes", "fresh process", "es", [done] if done else []),
        _counted(report, "rounds", found=each),
    )


def _counted(
    report: Report,
    key: str,
    noun: str = "round",
    plural: str = "s",
    found: Sequence[int] = (),
) -> str:
    """A planned number, with what there is in its place where that is less."""
    planned = facts.number(report, "settings", key)
    if planned is None:
        return ""
    said = f"{planned:.0f} {noun}{'' if planned == 1 else plural}"
    if not found or min(found) >= planned:
        return said
    least, most = min(found), max(found)
    return f"{least if least == most else f'{least} to {most}'} of {said}"


def _profile(report: Report) -> str:
    profile = dig(report, "settings", "profile")
    return f"profile {profile}" if profile else ""


def machine(report: Report) -> str:
    """Where it is, processor, architecture, cores and runtime."""
    fields = dig(report, "machine")
    if facts.dig(fields, "emulates"):
        return _played(fields)
    cores = facts.number(fields, "cores")
    place = dig(fields, "target")
    parts = [None if place == LOCAL else place, dig(fields, "cpu"), dig(fields, "machine")]
    parts += [None if cores is None else f"{cores:.0f} core{'' if cores == 1 else 's'}"]
    runtime = dig(fields, "onnxruntime")
    parts += [f"onnxruntime {runtime}" if runtime else None]
    other = dig(fields, "openvino")
    parts += [f"OpenVINO {other}" if other else None]
    found = [str(part) for part in parts if part]
    return f"Machine: {', '.join(found)}." if found else ""


def _played(fields: facts.Fields) -> str:
    """An emulated core and what runs there; cores and memory are its host's."""
    said = f"Emulated: {dig(fields, 'emulates')} ({dig(fields, 'machine')})"
    emulator, runtime = (dig(fields, key) for key in ("emulator", "onnxruntime"))
    said += f" by {emulator}" if emulator else ""
    return said + (f", onnxruntime {runtime}." if runtime else ".")


def resolution(report: Report) -> str:
    """What the A/A control could tell apart."""
    if facts.emulated(report):
        return ""
    smallest = facts.number(report, "resolution", "smallest_difference")
    if smallest is None:
        reason = dig(report, "resolution", "reason")
        return f"A/A control: no difference in time can be declared: {reason}." if reason else ""
    return (
        "A/A control: the reference was measured against a copy of itself; differences in time "
        f"below {percent(Estimate(smallest)).text} are not resolvable here today."
    )


def warnings(report: Report) -> tuple[str, ...]:
    """The runner's flags in words, where its notes do not explain them already."""
    notes = [str(note) for note in facts.listed(report, "notes")]
    flags = [str(flag) for flag in facts.listed(report, "flags")]
    bare = (flag for flag in flags if not any(note.startswith(f"{flag}:") for note in notes))
    return tuple(_FLAGS.get(flag, f"Flag of the measurement: {flag}.") for flag in bare)
