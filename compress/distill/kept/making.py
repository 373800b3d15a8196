"""The live teacher answers what is not kept yet, block by block."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from compress.data.wording import duration_text
from compress.distill.kept.folder import (
    HEADER,
    KeptFolder,
    begin_folder,
    drop_folder,
    look_at_folder,
    read_folder,
)
from compress.distill.kept.forecast import (
    break_even,
    cost_sentence,
    require_space,
)
from compress.distill.kept.form import Form, choose_form, encode, unkeepable
from compress.distill.kept.spot_check import Exactness, side_by_side, spot_check
from compress.distill.kept.teacher import KeptTeacher
from compress.distill.teachers.protocol import Teacher
from compress.errors import ArtifactError, ModelError
from compress.progress import Progress
from compress.settings import Keeping
from compress.training.views import ViewPlan, Views, read_views

_MOST_IMAGES = 256  # of a block
_MOST_PIXELS = 2**22  # of a block: near 16 MB of float32 input a channel
_MOST_LOGITS = 2**22  # of a block, where the classes are many
_TIMED = 2  # blocks: the first warms up, the second is timed


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which logits are to be kept.

    Attributes:
        plan: the views.
        numbers: which of them.
        keeping: in which form.
        temperature: at which they will be used.
        passes: of a live teacher that one trial would cost: epochs times runs.
        part: k and n, k from 0: this process makes every n-th block from the k-th.
    """

    plan: ViewPlan
    numbers: tuple[int, ...]
    keeping: Keeping
    temperature: float
    passes: int
    part: tuple[int, int] = (0, 1)


class _Place(NamedTuple):
    """A block of a view."""

    number: int
    block: int


class _Asked(NamedTuple):
    """The images of a block."""

    place: _Place
    views: Views


def keep_logits(teacher: Teacher, wanted: Wanted, folder: Path, progress: Progress) -> KeptTeacher:
    """The kept logits of all wanted views; the live teacher answers what is missing.

    Args:
        teacher: the live one.
        wanted: what is needed; with a part, the other processes must be done by now.
        folder: where they are, or will be.
        progress: told the cost before it is spent.

    Returns:
        A teacher that answers from the folder.

    Raises:
        ArtifactError: the folder holds other logits, the disk is full, an entry is not the live
            teacher's, or parts are missing.
        ModelError: the teacher gave a logit that cannot be kept.
    """
    kept = ask_teacher(teacher, wanted, folder, progress)
    return KeptTeacher(kept).bind(wanted.plan, wanted.temperature, wanted.numbers)


def ask_teacher(teacher: Teacher, wanted: Wanted, folder: Path, progress: Progress) -> KeptFolder:
    """Make what is missing of this process's part; see `keep_logits`.

    Returns:
        The folder, which other processes may still be filling.
    """
    teacher = teacher.bind(wanted.plan, wanted.temperature)
    _look(teacher, wanted, folder)
    kept = begin_folder(_as_begun(teacher, wanted, folder), any_form=wanted.keeping.top_k is None)
    _forget_damaged(kept, wanted, progress)
    share = wanted.keeping.spot_check
    checked = spot_check(teacher, kept, wanted.plan, wanted.numbers, share, progress)
    if checked.entries:
        progress.say(checked.sentence())
    _make(teacher, kept, wanted, progress)
    return kept


def look_at_kept(teacher: Teacher, wanted: Wanted, folder: Path) -> Form:
    """Refuse a folder that cannot serve; nothing is changed, so ask before anything is removed.

    Args:
        teacher: the live one.
        wanted: what is needed.
        folder: where the logits are, or will be.

    Returns:
        In which form they are there, or will be.

    Raises:
        ArtifactError: other logits are there, ones for other temperatures, or something else.
        UsageError: more logits are to be kept than there are classes.
    """
    return _look(teacher.bind(wanted.plan, wanted.temperature), wanted, folder)


def drop_unfit(teacher: Teacher, wanted: Wanted, folder: Path, progress: Progress) -> None:
    """Remove kept logits that cannot serve, as --force does; those that can are spared.

    Args:
        teacher: the live one.
        wanted: what is needed.
        folder: of a run of our own, not one that several share.
        progress: told what is removed.

    Raises:
        ArtifactError: the folder holds other files too.
        UsageError: more logits are to be kept than there are classes.
    """
    # Some of its answers may be kept ones; what those refuse has nothing to do with this folder.
    bound = teacher.bind(wanted.plan, wanted.temperature)
    try:
        _look(bound, wanted, folder)
    except ArtifactError as error:
        drop_folder(folder)
        progress.say(f"{folder}: emptied, since --force was given and its logits do not serve")
        progress.detail(str(error))


def _look(bound: Teacher, wanted: Wanted, folder: Path) -> Form:
    """See `look_at_kept`.

    Bound, since a mean with the K largest logits of a teacher is what it is at one temperature.
    """
    begun = _as_begun(bound, wanted, folder)
    form = (look_at_folder(begun, any_form=wanted.keeping.top_k is None) or begun).form
    if form.top_k:
        form.place_of(wanted.temperature)  # refused now, not when the teacher has answered all
    return form


def missing_images(wanted: Wanted, folder: Path) -> int:
    """Images of all wanted views that are not kept yet; a damaged block counts as kept.

    Raises:
        ArtifactError: logits.json is damaged.
    """
    if not (folder / HEADER).is_file():
        return len(wanted.numbers) * len(wanted.plan.split)
    kept = read_folder(folder)
    missing = 0
    for number in kept.missing(wanted.numbers):
        file = kept.view(number)
        missing += sum(len(file.indices(b)) for b in np.flatnonzero(~file.done()).tolist())
    return missing


def planned_bytes(classes: int, wanted: Wanted) -> int:
    """Bytes of all wanted views on disk, for logits of so many classes."""
    form = choose_form(classes, wanted.keeping, wanted.temperature)
    return len(wanted.numbers) * len(wanted.plan.split) * form.record().itemsize


def block_size(teacher: Teacher, plan: ViewPlan) -> int:
    """Images that are answered as one batch: a power of two that memory and caches hold."""
    sizes = [plan.size, *(spec.size for spec in teacher.inputs)]
    pixels = max(height * width for height, width in sizes)
    most = min(_MOST_IMAGES, _MOST_PIXELS // pixels, _MOST_LOGITS // len(teacher.classes))
    return 1 << (max(most, 1).bit_length() - 1)


def _as_begun(teacher: Teacher, wanted: Wanted, folder: Path) -> KeptFolder:
    return KeptFolder(
        path=folder,
        teacher_name=teacher.name,
        teacher=teacher.identity(),
        teacher_record=teacher.record(),
        views=wanted.plan.identity(),
        classes=teacher.classes,
        form=choose_form(len(teacher.classes), wanted.keeping, wanted.temperature),
        block=block_size(teacher, wanted.plan),
    )


def _forget_damaged(kept: KeptFolder, wanted: Wanted, progress: Progress) -> None:
    """Have blocks whose bytes are not those that were written made again."""
    with progress.task("looking for damage in kept logits", total=len(wanted.numbers)) as advance:
        for number in wanted.numbers:
            file = kept.view(number)
            if damaged := file.forget_damaged():
                progress.say(f"{file.path}: {damaged} of {file.blocks} blocks damaged; made again")
            advance(1)


def _make(teacher: Teacher, kept: KeptFolder, wanted: Wanted, progress: Progress) -> None:
    """Say what it costs, then ask."""
    views, lacking = len(wanted.numbers), kept.missing(wanted.numbers)
    most = sum(lacking.values()) * kept.block * kept.form.record().itemsize
    require_space(kept.path, min(most, kept.size_bytes(views)))
    images = len(wanted.plan.split)
    cost = cost_sentence(views, images, len(kept.classes), kept.size_bytes(views))
    places = _places(kept, lacking, wanted.part)
    if not places:
        progress.say(f"{cost}; {'the rest is for other parts' if lacking else 'all there'}")
        return
    progress.say(f"{cost}; {break_even(views, wanted.passes)}")
    exactness = Exactness()
    total = sum(len(kept.view(p.number).indices(p.block)) for p in places)
    clock = _Clock(total)
    with progress.task(f"asking {teacher.name}", total=total) as advance:
        for asked in _read_ahead(kept, wanted.plan, places):
            exactness = _answer(teacher, kept, asked, exactness)
            advance(len(asked.views))
            clock.count(len(asked.views), progress)
    for number in {place.number for place in places}:
        kept.view(number).sync()
    if exactness.entries:
        progress.say(exactness.sentence())


def _places(kept: KeptFolder, lacking: Mapping[int, int], part: tuple[int, int]) -> list[_Place]:
    """What this process makes, in order: of all blocks of all views every n-th from the k-th."""
    mine, parts = part
    places = []
    for number in lacking:
        file = kept.view(number)
        first = number * file.blocks
        blocks = np.flatnonzero(~file.done()).tolist()
        places += [_Place(number, b) for b in blocks if (first + b) % parts == mine]
    return places


def _read_ahead(kept: KeptFolder, plan: ViewPlan, places: Sequence[_Place]) -> Iterator[_Asked]:
    """The images of each place, read while the teacher computes those before."""

    def read(place: _Place) -> _Asked:
        indices = kept.view(place.number).indices(place.block)
        return _Asked(place, read_views(plan, place.number, indices))

    with ThreadPoolExecutor(1) as reader:
        ahead = [reader.submit(read, place) for place in places[:1]]
        for following in [*places[1:], None]:
            asked = ahead.pop().result()
            if following is not None:
                ahead.append(reader.submit(read, following))
            yield asked


def _answer(teacher: Teacher, kept: KeptFolder, asked: _Asked, exactness: Exactness) -> Exactness:
    """Let the teacher answer a block and keep it; the error that keeping adds is counted in."""
    file, block = kept.view(asked.place.number), asked.place.block
    if file.done()[block]:
        return exactness  # another process was faster
    logits = teacher.logits(asked.views).float().cpu().numpy()
    if problem := unkeepable(logits):
        row, reason = problem
        raise ModelError(
            f"teacher {teacher.name}: expected finite logits that float16 can hold, found "
            f"{reason} for image {asked.views.indices[row]} of view {file.number}; "
            "check its weights and its normalisation"
        )
    records = encode(logits, kept.form)
    file.write(block, records)
    return exactness.add(*side_by_side(records, kept.form, logits))


class _Clock:
    """Says how long it will take as soon as that can be told."""

    def __init__(self, total: int) -> None:
        """Expect `total` images."""
        self.total = total
        self.done = self.blocks = 0
        self.last = time.perf_counter()

    def count(self, images: int, progress: Progress) -> None:
        """Another block of so many images is done."""
        now = time.perf_counter()
        seconds, self.last = now - self.last, now
        self.done += images
        self.blocks += 1
        if self.blocks == _TIMED and self.done < self.total:
            progress.say(
                f"about {duration_text(seconds / images * self.total)} "
                f"(estimated from the first {self.done} images)"
            )
