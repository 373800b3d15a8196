"""The same files on many types of core: do they run, answer alike, and compute in integers there?

Each core type is asked in a process of its own, all are asked the same, and this machine's own
answers are what theirs are held against.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from compress.errors import BenchError
from compress_bench.emulation.described import played
from compress_bench.portability.answers import DeviceAnswers, hear
from compress_bench.portability.judging import (
    FAIL,
    PASS,
    SKIPPED,
    FileCheck,
    judge_file,
    may_overflow,
)
from compress_bench.portability.questions import EXACT, Questions
from compress_bench.targets import Place, Stream, local, open_place

if TYPE_CHECKING:
    from compress.progress import Progress

EMULATE = "emulate"
_AT_ONCE = 2  # emulated processes: each takes a core and some 200 MB


@dataclass(frozen=True, kw_only=True)
class CoreCheck:
    """All files on one type of core.

    Attributes:
        core: its name; of a real machine its target.
        target: as `--target` names it.
        emulated: whether another processor played it.
        status: pass, fail, or skipped where it cannot be played here.
        reason: why it is not a pass, in a sentence; empty where files say it.
        machine: as reports hold it; None where the runner never spoke.
        onnxruntime: its version there.
        reference: what the answers are held against.
        variants: by name.
    """

    core: str
    target: str
    emulated: bool
    status: str
    reason: str = ""
    machine: Mapping[str, Any] | None = None
    onnxruntime: str | None = None
    reference: str = ""
    variants: Mapping[str, FileCheck] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The form that report.json and bundle.json hold."""
        files = {name: check.to_dict() for name, check in self.variants.items()}
        return asdict(self) | {"variants": files}


def check_cores(
    questions: Questions, cores: Sequence[str], progress: "Progress"
) -> list[CoreCheck]:
    """Play each type of core on this machine and ask it.

    Args:
        questions: from `questions.prepare`.
        cores: names as in `--target emulate:NAME`.
        progress: where it is shown.

    Returns:
        One check a core, in their order; one that cannot be played is skipped and says why.

    Raises:
        UsageError: there is no such core type.
    """
    checks: dict[str, CoreCheck] = {}
    places = []
    with ExitStack() as stack:
        for core in dict.fromkeys(cores):
            reference = f"{EMULATE}:{core}"
            try:
                places.append(stack.enter_context(open_place(reference, progress)))
            except BenchError as error:
                checks[reference] = _skipped(reference, error)
        asked = check_places(questions, places, progress) if places else []
        checks |= {check.target: check for check in asked}
    return [checks[f"{EMULATE}:{core}"] for core in dict.fromkeys(cores)]


def check_places(
    questions: Questions, places: Sequence[Place], progress: "Progress", here: Stream = local.stream
) -> list[CoreCheck]:
    """Ask places that are ready, two at a time.

    Args:
        questions: from `questions.prepare`.
        places: where the runner runs.
        progress: where it is shown.
        here: gives the answers that theirs are held against.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            own = pool.submit(hear, here, questions, hurry=False, exact=True, stopped=stop.is_set)
            waited = [own, *(pool.submit(_ask, questions, place, stop) for place in places)]
            _wait(waited, progress)
        except BaseException:  # Ctrl-C too: the pool waits for its threads, and they for processes
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    reference, *found = [future.result() for future in waited]
    return [
        _judge(questions, place, answers, reference)
        for place, answers in zip(places, found, strict=True)
    ]


def _ask(questions: Questions, place: Place, stop: threading.Event) -> DeviceAnswers:
    hurry = place.emulates is not None
    return hear(place.stream, questions, hurry=hurry, stopped=stop.is_set)


def _wait(waited: Sequence["Future[DeviceAnswers]"], progress: "Progress") -> None:
    with progress.task("core types", total=len(waited)) as advance:
        for future in as_completed(waited):
            future.result()
            advance(1)


def _skipped(reference: str, error: BenchError) -> CoreCheck:
    """A core that cannot be played here: no fault of the files."""
    return CoreCheck(
        core=reference.partition(":")[2],
        target=reference,
        emulated=True,
        status=SKIPPED,
        reason=str(error),
    )


def _judge(
    questions: Questions, place: Place, found: DeviceAnswers, reference: DeviceAnswers
) -> CoreCheck:
    """One core's check from its answers."""
    core = place.emulates or place.reference
    died = found.died or reference.died
    files = {} if died else _files(questions, found, reference, core)
    failed = died or any(check.status == FAIL for check in files.values())
    described = found.described
    if described is not None and place.emulates is not None:
        described = played(described, place.emulates)
    return CoreCheck(
        core=core,
        target=place.reference,
        emulated=place.emulates is not None,
        status=FAIL if failed else PASS,
        reason=died,
        machine=described,
        onnxruntime=found.machine.get("onnxruntime"),
        reference=_describe(reference),
        variants=files,
    )


def _files(
    questions: Questions, found: DeviceAnswers, reference: DeviceAnswers, core: str
) -> dict[str, FileCheck]:
    return {
        variant.name: judge_file(questions, variant, found, reference, core)
        for variant in questions.variants
    }


def _describe(reference: DeviceAnswers) -> str:
    machine = reference.described
    if machine is None:
        return "this machine"
    said = f"this machine: {machine['cpu']}, onnxruntime {machine['onnxruntime']}"
    return f"{said}, made to add int8 in 32 bits by {EXACT}" if may_overflow(machine) else said
