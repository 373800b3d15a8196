"""Everything but time on an emulated core: answers, integer coverage and instructions.

Nothing here is timed: how long an emulator takes says nothing of the core that it plays.
"""

import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import BenchError
from compress.progress import Progress
from compress.settings import Bench
from compress_bench.answers import Answers, join
from compress_bench.evidence import Counted, Evidence, TestImages
from compress_bench.jobs.listening import Event
from compress_bench.measure.bed import Bed
from compress_bench.measure.predictions import read_answers
from compress_bench.portability.check import CoreCheck, check_places
from compress_bench.portability.questions import BUDGET_SECONDS, Questions, prepare
from compress_bench.portability.workload import count_work
from compress_bench.subjects.bundle import Subjects
from compress_bench.targets import Place, Stream

Checks = list[dict[str, Any]]

_FEW = 32  # answers below which nothing is said of accuracy
_NOT_COUNTED = "instructions were not asked for; leave --instructions off out"


def untimed(core: str) -> str:
    """Why an emulated core has neither times nor memory nor energy, and where to have them."""
    return (
        f"emulated: {core} is played by another processor, whose times, memory and energy mean "
        "nothing; give --target ssh://user@host to measure on a board"
    )


def measure_emulated(
    bed: Bed, place: Place, found: Subjects, settings: Bench, progress: Progress
) -> tuple[Evidence, tuple[str, ...], Checks]:
    """Ask an emulated core all that does not take time, and hold it against this machine.

    Args:
        bed: of which the seed counts.
        place: the core.
        found: files and images.
        settings: whether instructions are wanted.
        progress: where it is shown.

    Returns:
        The evidence without times, notes for the user, and the check as reports hold it.
    """
    assert place.emulates is not None
    kept = _Kept(place.stream)
    with tempfile.TemporaryDirectory(prefix="compress-emulated-") as folder:
        variants = count_work(found.variants, bed.batch_size)
        questions = prepare(variants, found.images, Path(folder), bed.seed)
        questions = replace(questions, budget_seconds=_budget(settings, len(variants)))
        listening = replace(place, stream=kept.listen)
        (check,) = check_places(questions, [listening], progress)
        images, answers = _answers(questions, kept.answers, found.images)
    counted = {v.name: _counted(check, v.name, settings, place.emulates) for v in found.variants}
    evidence = Evidence(
        reference=found.reference,
        variants={v.name: v for v in questions.variants},
        batch_size=bed.batch_size,
        latency=(),
        fresh={},
        images=images,
        answers=answers,
        counted=counted,
        untimed=untimed(place.emulates),
    )
    notes = (*_unused(bed, settings), *_notes(found.images, images))
    return evidence, notes, [_told(check, counted)]


def _budget(settings: Bench, files: int) -> float:
    """Seconds of a kind of question about one file, of three kinds, so that --time-cap holds."""
    if settings.time_cap is None:
        return BUDGET_SECONDS
    return min(BUDGET_SECONDS, settings.time_cap / (3 * max(files, 1)))


def _unused(bed: Bed, settings: Bench) -> tuple[str, ...]:
    """Flags that recipes share with real machines, and that mean nothing here."""
    given = {
        f"--profile {settings.profile}": settings.profile != Bench().profile,
        f"--threads {bed.threads}": bed.threads != 1,
    }
    flags = " and ".join(flag for flag, used in given.items() if used)
    said = f"{flags} made no difference: an emulated core is not timed, and runs on one thread"
    return (said,) if flags else ()


@dataclass
class _Kept:
    """A stream that keeps the answers to images that pass through it, by variant."""

    stream: Stream
    answers: dict[str, list[Event]] = field(default_factory=dict)

    def listen(self, job: Mapping[str, Any]) -> Generator[Event, None, None]:
        """Put a job to the runner; its events."""
        with closing(self.stream(job)) as events:
            for event in events:
                if event["event"] in ("logits", "labels"):
                    self.answers.setdefault(event["variant"], []).append(event)
                yield event


def _answers(
    questions: Questions, heard: Mapping[str, Sequence[Event]], images: TestImages | None
) -> tuple[TestImages | None, dict[str, Answers]]:
    """The images that every file answered, and its answers; files of a few answers are left out."""
    if images is None or questions.evaluation is None or not heard:
        return None, {}
    with np.load(questions.evaluation, allow_pickle=False) as file:
        chosen = replace(images, images=file["images"], labels=file["labels"])
    named = {variant.name: variant for variant in questions.variants}
    found = {}
    for name, events in heard.items():
        with suppress(BenchError):  # NaN, on this core alone: the check says so of the file
            found[name] = join([read_answers(event, named[name], chosen) for event in events])
    enough = min(_FEW, len(chosen.labels))
    found = {name: said for name, said in found.items() if len(said.labels) >= enough}
    if not found:
        return None, {}
    least = min(len(said.labels) for said in found.values())
    kept = replace(chosen, images=chosen.images[:least], labels=chosen.labels[:least])
    cut = {n: Answers(a.labels[:least], a.confidence[:least]) for n, a in found.items()}
    return kept, cut


def _counted(check: CoreCheck, name: str, settings: Bench, core: str) -> Counted:
    """The check's instructions as evidence."""
    own = check.variants.get(name)
    counted = own.instructions if own is not None and settings.instructions != "off" else None
    if counted is not None:
        return Counted(
            instructions=(counted["value"],),
            source=counted["source"],
            energy_reason=untimed(core),
        )
    reason = check.reason if own is None else own.instructions_reason
    return Counted(reason=reason or _NOT_COUNTED, energy_reason=untimed(core))


def _notes(all_images: TestImages | None, images: TestImages | None) -> tuple[str, ...]:
    """How few images the answers are of."""
    if all_images is None:
        return ()
    if images is None:
        return (f"no accuracy: an emulated core answers fewer than {_FEW} images of such networks",)
    few, every = len(images.labels), len(all_images.labels)
    if few == every:
        return ()
    return (
        f"accuracy and agreement are of {few} of {every:,} test images, which is few: an emulated "
        "core takes hundreds of times as long for each; without --target all are answered here",
    )


def _told(check: CoreCheck, counted: Mapping[str, Counted]) -> dict[str, Any]:
    """The check as reports hold it, without what was not asked for."""
    told = check.to_dict()
    for name, fields in told["variants"].items():
        if not counted[name].instructions and fields["instructions"] is not None:
            fields.update(instructions=None, instructions_reason=counted[name].reason)
    return told
