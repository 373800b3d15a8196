"""From a target to the facts that the checks read."""

from contextlib import closing
from pathlib import Path

from compress.errors import BenchError
from compress_bench.doctor import Facts, examiner
from compress_bench.machine import describe_machine
from compress_bench.targets import Place

EXAMINER = str(Path(examiner.__file__))


def examine(place: Place) -> Facts:
    """Let the runner look at a machine.

    Returns:
        What `examiner.look` and `runner.examine` tell, with `target`, `emulates` and
        `description`.

    Raises:
        BenchError: the runner could not look.
    """
    job = {"kind": "examine", "models": [], "runtimes": {}, "examiner": EXAMINER}
    with closing(place.stream(job)) as events:
        for event in events:
            if event["event"] == "examined":
                return describe(event, place.reference, place.emulates)
    raise BenchError(f"{place.reference}: expected the runner's facts, found none; try again")


def describe(event: Facts, reference: str, emulates: str | None = None) -> Facts:
    """An examined event as the checks read it."""
    packages = event["packages"]
    raw = {
        **event,
        "python": event["python"]["version"],
        "numpy": packages["numpy"],
        "onnxruntime": packages["onnxruntime"],
    }
    return {
        **event,
        "target": reference,
        "emulates": emulates,
        "description": describe_machine(raw),
    }
