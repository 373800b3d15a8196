"""What is kept of an image's logits: all of them, or the K largest and the mass of the rest.

Each record holds the largest logit in float32 and the others as float16 distances below it. So the
probabilities that matter have the smallest errors, and logits of any level fit.

Of the classes beyond the K largest, the log-sum-exp at each declared temperature is kept. The one
over all classes says the same in theory; but where the teacher is sure, the rest would be the
difference of two nearly equal numbers of which one was rounded to float16, and be lost.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.errors import ArtifactError, UsageError
from compress.settings import Keeping

_DENSE_CLASSES = 512  # up to here all logits are kept, unless the user says otherwise
_TOP_K = 32  # beyond it, this many
_LOWEST = float(np.finfo(np.float16).min)

Records = NDArray[np.void]


@dataclass(frozen=True, kw_only=True)
class Form:
    """How the logits of an image are kept.

    Attributes:
        classes: C, length of a row of logits.
        top_k: K, the largest logits that are kept; 0 for all.
        temperatures: at which the mass of the others is kept, rising; empty where all are kept.
    """

    classes: int
    top_k: int = 0
    temperatures: tuple[float, ...] = ()

    def record(self) -> np.dtype[np.void]:
        """The fields of one image, little-endian on every machine."""
        if not self.top_k:
            return np.dtype([("top", "<f4"), ("below", "<f2", (self.classes,))])
        number = "<u2" if self.classes <= 2**16 else "<u4"
        return np.dtype(
            [
                ("top", "<f4"),
                ("rest", "<f4", (len(self.temperatures),)),
                ("ids", number, (self.top_k,)),
                ("below", "<f2", (self.top_k,)),
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The form as JSON holds it."""
        kind = "top-k" if self.top_k else "dense"
        return {
            "logits": f"{kind} float16",
            "top_k": self.top_k,
            "temperatures": list(self.temperatures),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any], classes: int) -> "Form":
        """Read `to_dict`'s form back."""
        return cls(
            classes=classes,
            top_k=int(fields["top_k"]),
            temperatures=tuple(float(t) for t in fields["temperatures"]),
        )

    def place_of(self, temperature: float) -> int:
        """Which of the declared temperatures this is.

        Raises:
            ArtifactError: it is none of them: the mass of the classes that were not kept is not
                known there.
        """
        if temperature in self.temperatures:
            return self.temperatures.index(temperature)
        declared = " ".join(f"{t:g}" for t in self.temperatures)
        raise ArtifactError(
            f"kept logits: expected one of the temperatures {declared}, found {temperature:g}; "
            f"the {self.top_k} largest logits do not say how much the other classes weigh there: "
            f"make them again with compress logits --temperatures {declared} {temperature:g}, "
            "or keep all with --top-k 0"
        )


def choose_form(classes: int, keeping: Keeping, temperature: float = 1.0) -> Form:
    """The form that the settings ask for, usable at 1, `temperature` and the declared ones.

    Raises:
        UsageError: more logits than there are classes.
    """
    top_k = keeping.top_k
    if top_k is None:
        top_k = 0 if classes <= _DENSE_CLASSES else _TOP_K
    if top_k > classes:
        raise UsageError(
            f"--top-k {top_k}: expected at most {classes}, the number of classes; 0 keeps all"
        )
    if top_k in (0, classes):
        return Form(classes=classes)
    declared = sorted({1.0, float(temperature), *map(float, keeping.temperatures)})
    return Form(classes=classes, top_k=top_k, temperatures=tuple(declared))


def unkeepable(logits: NDArray[np.float32]) -> tuple[int, str] | None:
    """The first row of float32 [B, C] that no record can hold, and why; None if all can."""
    finite = np.isfinite(logits).all(axis=1)
    if not finite.all():
        return int(np.argmin(finite)), "NaN or infinity"
    spread = logits.min(axis=1).astype(np.float64) - logits.max(axis=1)
    if (spread < _LOWEST).any():
        row = int(np.argmin(spread))
        return row, f"logits {-spread[row]:.4g} apart, of which float16 holds {-_LOWEST:.0f}"
    return None


def encode(logits: NDArray[np.float32], form: Form) -> Records:
    """Rows of logits as records.

    Args:
        logits: float32 [B, C] that `unkeepable` has nothing against.
        form: what is kept of them.

    Returns:
        Records, [B] of `form.record()`.
    """
    records = np.zeros(len(logits), dtype=form.record())
    records["top"] = logits.max(axis=1)
    below = logits - records["top"][:, None]
    if not form.top_k:
        records["below"] = below
        return records
    ids = np.argpartition(-below, form.top_k - 1, axis=1)[:, : form.top_k]
    ids.sort(axis=1)
    records["ids"] = ids
    records["below"] = np.take_along_axis(below, ids, axis=1)
    rest = below.astype(np.float64)
    np.put_along_axis(rest, ids, -np.inf, axis=1)
    for place, temperature in enumerate(form.temperatures):
        records["rest"][:, place] = log_sum_exp(rest / temperature)
    return records


def decode(records: Records, form: Form, temperature: float) -> NDArray[np.float32]:
    """Rows of logits from records.

    With K logits kept, all other classes get one logit c, so that they have their exact mass
    together: (C - K) exp(c / T) = sum over them of exp(z / T). At `temperature` the softmax then
    has the kept classes' probabilities and the rest spread evenly.

    Args:
        records: [B] of `form.record()`.
        form: what was kept.
        temperature: T, at which the logits will be used; any, where all are kept.

    Returns:
        Logits, float32 [B, C].

    Raises:
        ArtifactError: a temperature that was not declared.
    """
    top = records["top"][:, None]
    if not form.top_k:
        return np.asarray(records["below"] + top, dtype=np.float32)
    rest = records["rest"][:, form.place_of(temperature)]
    level = temperature * (rest - np.log(form.classes - form.top_k))
    logits = np.repeat(level[:, None].astype(np.float32), form.classes, axis=1)
    np.put_along_axis(
        logits, records["ids"].astype(np.int64), records["below"].astype(np.float32), axis=1
    )
    logits += top
    return logits


def log_sum_exp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis of float64 [B, C], each row with a finite value."""
    largest = values.max(axis=1)
    total: NDArray[np.float64] = largest + np.log(np.exp(values - largest[:, None]).sum(axis=1))
    return total
