"""From a target to the facts that the checks read."""

from contextlib import closing
from pathlib import Path

from compress.errors import BenchError
from compress_bench import examiner
from compress_bench.doctor import Facts
from compress_bench.emulation.described import played
from compress_bench.machine import describe_machine
from compress_bench.targets import Place

EXAMINER = str(Path(examiner.__file__))
# What an emulator shows of the machine that it runs on.
OF_THE_HOST = (
    "cores", "meminfo", "governor", "meter", "meter_reason", "counter_reason", "state", "firmware",
    "busy", "cpus", "memory", "disk", "limits", "zones", "cooling", "pressure",
)  # fmt: skip


def examine(place: Place) -> Facts:
    """Let the runner look at a machine.

    Returns:
        What `examiner.look` and `runner.examine` tell, with `target`, `emulates` and
        `description`; of an emulated core without its host's readings and without times.

    Raises:
        BenchError: the runner could not look.
    """
    job = {"kind": "examine", "models": [], "runtimes": {}, "examiner": EXAMINER}
    with closing(place.stream(job)) as events:
        for event in events:
            if event["event"] == "examined":
                facts = describe(event, place.reference)
                return facts if place.emulates is None else as_played(facts, place.emulates)
    raise BenchError(f"{place.reference}: expected the runner's facts, found none; try again")


def describe(event: Facts, reference: str) -> Facts:
    """An examined event of a real machine as the checks read it."""
    packages = event["packages"]
    raw = {
        **event,
        "python": event["python"]["version"],
        "numpy": packages["numpy"],
        "onnxruntime": packages["onnxruntime"],
    }
    described = describe_machine(raw)
    return {**event, "target": reference, "emulates": None, "description": described}


def as_played(facts: Facts, core: str) -> Facts:
    """The facts of an emulated core, from what its programs see of it and of the host."""
    timeless = {
        name: {key: value for key, value in trial.items() if key != "seconds"}
        for name, trial in facts["imports"].items()
    }
    return {
        **facts,
        **dict.fromkeys(OF_THE_HOST),
        "emulates": core,
        "imports": timeless,
        "description": played(facts["description"], core),
    }
