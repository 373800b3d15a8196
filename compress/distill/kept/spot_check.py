"""A share of what was kept before, held against the live teacher.

The key of the folder says that the logits should be right; this says that they are: it finds a
teacher, images or libraries that changed without any digest noticing.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.distill.kept.blocks import ViewFile
from compress.distill.kept.folder import KeptFolder
from compress.distill.kept.form import Form, Records, decode, log_sum_exp
from compress.distill.teachers.protocol import Teacher
from compress.errors import ArtifactError
from compress.progress import SILENT, Progress
from compress.training.views import ViewPlan, read_views

_FEWEST = 8  # entries of a view, however small the share
_ROUNDING = 2.0**-10  # float16 keeps 11 bits: twice its rounding, relative to the distance
# Other batches, threads and machines add in another order: up to this share of a row's spread.
_REORDERING = 1e-3
_SMALLEST = 1e-6  # a row of equal logits has no spread


@dataclass(frozen=True)
class Exactness:
    """How far kept answers are from the live teacher's.

    Attributes:
        entries: images of views that were compared.
        logits: largest difference of a logit.
        probabilities: largest difference of a probability.
    """

    entries: int = 0
    logits: float = 0.0
    probabilities: float = 0.0

    def add(self, kept: NDArray[np.float32], live: NDArray[np.float32]) -> "Exactness":
        """The same with the rows of logits `kept` and `live`, float32 [B, C], counted in."""
        apart = float(np.abs(kept - live).max(initial=0.0))
        unlike = float(np.abs(_softmax(kept) - _softmax(live)).max(initial=0.0))
        return Exactness(
            self.entries + len(kept), max(self.logits, apart), max(self.probabilities, unlike)
        )

    def sentence(self) -> str:
        """How exact the kept logits are, for the user."""
        return (
            f"{self.entries:,} kept entries against the live teacher: logits differ by at most "
            f"{self.logits:.2g}, probabilities by {self.probabilities:.2g}"
        )


def spot_check(
    teacher: Teacher,
    kept: KeptFolder,
    plan: ViewPlan,
    numbers: tuple[int, ...],
    share: float,
    progress: Progress = SILENT,
) -> Exactness:
    """Ask the live teacher again about some of the entries that are there.

    Single entries from all blocks of a view rather than whole blocks: the same number of images
    finds more, and a small set of images is not answered anew each time.

    Args:
        teacher: the live one.
        kept: what was kept.
        plan: its views.
        numbers: of the views to check.
        share: of the entries, 0 to 1; at least some of each view unless 0.
        progress: where it is shown.

    Returns:
        How exact they are; of no entries where none were there.

    Raises:
        ArtifactError: an entry differs by more than rounding: names view, image and both values.
    """
    exactness = Exactness()
    if not share:
        return exactness
    files = [kept.view(number) for number in numbers]
    places = [(file, part) for file in files for part in _chosen(file, plan.seed, share)]
    if not places:
        return exactness
    title = f"asking {teacher.name} again"
    with progress.task(title, total=sum(len(part) for _, part in places)) as advance:
        for file, indices in places:
            records = file.open()[indices]
            live = teacher.logits(read_views(plan, file.number, indices)).cpu().numpy()
            rows, asked = side_by_side(records, kept.form, live)
            _refuse_other(file, teacher, indices, rows, asked)
            exactness = exactness.add(rows, asked)
            advance(len(indices))
    return exactness


def _chosen(file: ViewFile, seed: int, share: float) -> Iterator[NDArray[np.int64]]:
    """Some of the images that are there, the same ones each time, in batches of a block."""
    there = [file.indices(block) for block in np.flatnonzero(file.done()).tolist()]
    if not there:
        return
    indices = np.concatenate(there)
    count = min(len(indices), max(_FEWEST, math.ceil(share * len(indices))))
    drawn = np.random.default_rng((seed, file.number)).choice(indices, count, replace=False)
    drawn.sort()
    for start in range(0, count, file.block):
        yield drawn[start : start + file.block]


def side_by_side(
    records: Records, form: Form, live: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kept rows and live ones, float32 [B, columns]: logits, and one column for the others' mass.

    That column is the log-sum-exp at temperature 1 of the classes that were not kept.
    """
    kept = decode(records, form, 1.0)
    if not form.top_k:
        return kept, live
    ids = records["ids"].astype(np.int64)
    columns = []
    for logits in (kept, live):
        others = logits.astype(np.float64)
        np.put_along_axis(others, ids, -np.inf, axis=1)
        columns.append(np.column_stack([np.take_along_axis(logits, ids, 1), log_sum_exp(others)]))
    return columns[0].astype(np.float32), columns[1].astype(np.float32)


def _refuse_other(
    file: ViewFile,
    teacher: Teacher,
    indices: NDArray[np.int64],
    kept: NDArray[np.float32],
    live: NDArray[np.float32],
) -> None:
    """Refuse rows that differ by more than rounding and the order of additions explain."""
    below = np.abs(live - live.max(axis=1, keepdims=True))
    allowed = _ROUNDING * below + _REORDERING * below.max(axis=1, keepdims=True) + _SMALLEST
    excess = np.abs(kept - live) - allowed
    if not (excess > 0).any():
        return
    row, column = np.unravel_index(int(np.argmax(excess)), excess.shape)
    raise ArtifactError(
        f"{file.path}: view {file.number}, image {indices[row]}: a logit is "
        f"{kept[row, column]:.5g} as kept, {live[row, column]:.5g} as {teacher.name} answers now; "
        "the teacher, the images or the libraries have changed: keep the logits in another folder"
    )


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    shares: NDArray[np.float64] = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares
