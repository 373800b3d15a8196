"""How well int8 answers: against the labels, against float32, and against the teacher."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from compress.intervals import Interval, paired_difference, wilson


@dataclass(frozen=True)
class WorstClass:
    """The class that int8 costs most.

    Attributes:
        name: of the class.
        drop: accuracy of float32 less that of int8 on it, a fraction.
        n: its images.
    """

    name: str
    drop: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Both files on the same images.

    Attributes:
        n: images.
        float32: accuracy.
        int8: accuracy.
        drop: float32's accuracy less int8's, paired.
        agreement: share of images that both answer alike.
        teacher_agreement: share that int8 answers as the teacher; None without one.
        float32_teacher_agreement: the same of float32.
        float32_flips: images that float32 has right and int8 wrong.
        teacher_flips: images that the teacher has right and int8 wrong; None without one.
        worst_class: the one with the largest drop.
        sqnr_db: signal to noise of the logits in decibels; None where they are equal.
        mean_kl: Kullback-Leibler divergence of int8's from float32's probabilities, nats.
    """

    n: int
    float32: Interval
    int8: Interval
    drop: Interval
    agreement: Interval
    teacher_agreement: Interval | None
    float32_teacher_agreement: Interval | None
    float32_flips: int
    teacher_flips: int | None
    worst_class: WorstClass
    sqnr_db: float | None
    mean_kl: float

    def to_dict(self) -> dict[str, Any]:
        """The form that bundle.json holds."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        intervals = {k: v.to_dict() for k, v in found.items() if isinstance(v, Interval)}
        return found | intervals | {"worst_class": asdict(self.worst_class)}


def compare_quality(
    float32_logits: NDArray[np.float32],
    int8_logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    teacher_logits: NDArray[np.float32] | None = None,
    classes: Sequence[str] = (),
) -> Quality:
    """Compare the answers of both files.

    Args:
        float32_logits: [N, C].
        int8_logits: [N, C], of the same images.
        labels: int64 [N].
        teacher_logits: [N, C]; None without a teacher.
        classes: their names; their numbers stand for them where there are none.
    """
    before, after = float32_logits.argmax(axis=1), int8_logits.argmax(axis=1)
    right, still_right = before == labels, after == labels
    teacher = None if teacher_logits is None else teacher_logits.argmax(axis=1)
    taught = None if teacher is None else teacher == labels
    return Quality(
        n=len(labels),
        float32=_share(right),
        int8=_share(still_right),
        drop=paired_difference(right, still_right),
        agreement=_share(before == after),
        teacher_agreement=None if teacher is None else _share(after == teacher),
        float32_teacher_agreement=None if teacher is None else _share(before == teacher),
        float32_flips=int((right & ~still_right).sum()),
        teacher_flips=None if taught is None else int((taught & ~still_right).sum()),
        worst_class=_worst_class(right, still_right, labels, classes),
        sqnr_db=sqnr_db(float32_logits, int8_logits),
        mean_kl=mean_kl(float32_logits, int8_logits),
    )


def sqnr_db(exact: NDArray[np.float32], found: NDArray[np.float32]) -> float | None:
    """10 log10 of the sum of exact^2 over that of (exact - found)^2.

    Args:
        exact: any shape.
        found: the same shape.

    Returns:
        Decibels; None where both are equal, or `exact` is 0 throughout.
    """
    signal = float(np.square(exact.astype(np.float64)).sum())
    noise = float(np.square(exact.astype(np.float64) - found).sum())
    return 10 * float(np.log10(signal / noise)) if noise and signal else None


def mean_kl(exact: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Mean over images of sum p log(p / q) in nats; p and q are softmax of logits [N, C]."""
    p, q = (log_softmax(logits.astype(np.float64), axis=1) for logits in (exact, found))
    # never negative but by rounding
    return max(0.0, float((np.exp(p) * (p - q)).sum(axis=1).mean()))


def _share(holds: NDArray[np.bool_]) -> Interval:
    return wilson(int(holds.sum()), len(holds))


def _worst_class(
    right: NDArray[np.bool_],
    still_right: NDArray[np.bool_],
    labels: NDArray[np.int64],
    classes: Sequence[str],
) -> WorstClass:
    """The largest drop among classes that have images; of several, the one with most images."""
    present, counts = np.unique(labels, return_counts=True)
    lost = [int(right[labels == k].sum()) - int(still_right[labels == k].sum()) for k in present]
    drops = np.array(lost) / counts
    worst = max(range(len(present)), key=lambda i: (drops[i], counts[i]))
    index = int(present[worst])
    name = classes[index] if index < len(classes) else str(index)
    return WorstClass(name, float(drops[worst]), int(counts[worst]))
