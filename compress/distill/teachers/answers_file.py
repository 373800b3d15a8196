"""An .npz of the user's own: what some teacher said about the plain training images.

`logits` or `probabilities`, float [N, C]; perhaps `classes`, [C] names; and `names`, [N] files of
an image folder, relative to it, where rows are not in the order of the training images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compress.artifacts import sha256_file
from compress.data.dataset import ChosenImages, Dataset, Images
from compress.data.files import FileImages
from compress.data.npz import read_arrays
from compress.data.wording import some
from compress.distill.teachers.interpret import (
    Interpreter,
    Output,
    check_outputs,
    refuse_softmax,
)
from compress.distill.teachers.mapping import find_map, given_labels
from compress.distill.teachers.request import Request
from compress.errors import DataError, UsageError
from compress.preprocess import Preprocessing
from compress.training.evaluate import are_probabilities
from compress.training.views import ViewPlan, Views

_KINDS: dict[str, Output] = {"logits": "logits", "probabilities": "probabilities"}
_FORM = "logits (or probabilities) [N, C], with or without classes [C] and names [N]"
_BLOCK = 8192  # rows looked at together


@dataclass(frozen=True, kw_only=True)
class AnswersFile:
    """See `Teacher`.

    Attributes:
        name: the file, as the user gave it.
        dataset: whose training images the answers are for.
        table: float [N, C], as the file has them.
        rows: int64 [M], the row of each training image.
        interpreter: makes logits of the data's classes from rows.
        sha256: of the file.
        place: where it lies.
        bound: whether the views that it will be asked about are known to be the plain images.
    """

    name: str
    dataset: Dataset
    table: NDArray[np.floating[Any]]
    rows: NDArray[np.int64]
    interpreter: Interpreter
    sha256: str
    place: str
    bound: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """See `Teacher.classes`."""
        return self.dataset.classes

    @property
    def inputs(self) -> tuple[Preprocessing, ...]:
        """It looks at nothing."""
        return ()

    def identity(self) -> dict[str, Any]:
        """See `Teacher.identity`."""
        return {
            "kind": "answers",
            "sha256": self.sha256,
            "images": self.dataset.fingerprint,
            "output": self.interpreter.output,
            "width": self.interpreter.mapping.width,
            "class_map": self.interpreter.mapping.identity(),
            "classes": list(self.classes),
        }

    def record(self) -> dict[str, Any]:
        """See `Teacher.record`."""
        return {**self.identity(), "reference": self.place, "folder": None, "weights": None}

    def bind(
        self, plan: ViewPlan, temperature: float, numbers: Sequence[int] = ()
    ) -> "AnswersFile":
        """See `Teacher.bind`.

        Raises:
            UsageError: the images of the plan are changed at random, or are others.
        """
        del temperature, numbers  # all logits are there, and plain views are all alike
        why = f"the answers in {self.name} are for the images as they are"
        plan.augmenting.refuse_random(why)
        if plan.split.images is not self.dataset.train.images:
            raise UsageError(
                f"--teacher {self.name}: expected the training images of {self.dataset.name}, "
                "which its answers are for, found others; leave --transfer out, "
                "or give a teacher that can look at them"
            )
        return replace(self, bound=True)

    def logits(self, views: Views) -> torch.Tensor:
        """See `Teacher.logits`."""
        if not self.bound:
            raise RuntimeError("answers of a file: bind them to a plan of views first")
        answers = self.table[self.rows[views.indices]].astype(np.float32)
        logits: torch.Tensor = self.interpreter(torch.from_numpy(answers))
        return logits


def claims(reference: str) -> bool:
    """A name that ends in .npz, whether the file is there or not."""
    return Path(reference).suffix == ".npz"


def load(request: Request) -> AnswersFile:
    """Read the file, and find the row of each training image.

    Raises:
        UsageError: a flag that no such file takes.
        DataError: no such file, or arrays of another form, or not for these images.
        ModelError: NaN, probabilities called logits, or other classes.
    """
    flags = ("teacher_classes", "class_map")
    request.refuse_flags(flags, "a teacher that is a network", "a file of answers")
    reference, path = request.reference, Path(request.reference)
    subject = f"--teacher {reference}"
    arrays = read_arrays(path, subject)
    output, table = _table(subject, arrays)
    _check_rows(subject, table, output)
    labels = given_labels(request, table.shape[1], _names(subject, arrays, "classes"))
    names = _names(subject, arrays, "names")
    return AnswersFile(
        name=reference,
        dataset=request.dataset,
        table=table,
        rows=_rows(subject, request.dataset, len(table), names),
        interpreter=Interpreter(output, find_map(request, labels)),
        sha256=sha256_file(path),
        place=str(path.resolve()),
    )


def _table(
    subject: str, arrays: dict[str, NDArray[np.generic]]
) -> tuple[Output, NDArray[np.floating[Any]]]:
    """The one array of answers, and what it is."""
    found = [key for key in _KINDS if key in arrays]
    if len(found) != 1:
        raise DataError(
            f"{subject}: expected {_FORM}, found {some(sorted(arrays), 8) or 'no array'}; "
            "write it with numpy.savez(file, logits=...)"
        )
    table = arrays[found[0]]
    if table.ndim != 2 or table.dtype.kind != "f":
        raise DataError(
            f"{subject}: {found[0]}: expected floats [N, C], found {table.dtype} "
            f"{list(table.shape)}; a row belongs to an image, a column to a class"
        )
    return _KINDS[found[0]], table  # type: ignore[return-value]


def _names(subject: str, arrays: dict[str, NDArray[np.generic]], key: str) -> tuple[str, ...]:
    """A list of text of the file; empty where it has none."""
    if key not in arrays:
        return ()
    names = arrays[key]
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise DataError(
            f"{subject}: {key}: expected a list of names, found {names.dtype} "
            f"{list(names.shape)}; save numpy.array([...names...])"
        )
    return tuple(str(name) for name in names.astype(str))


def _check_rows(subject: str, table: NDArray[np.floating[Any]], output: Output) -> None:
    """Refuse rows that nothing can be learnt from; NaN with the row."""
    softmax = len(table) > 0
    for start in range(0, len(table), _BLOCK):
        block = np.asarray(table[start : start + _BLOCK], dtype=np.float32)
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            raise DataError(
                f"{subject}: expected finite {output}, found NaN or infinity in row "
                f"{start + int(np.argmin(finite))}; compute that row again"
            )
        rows = torch.from_numpy(block)
        check_outputs(subject, rows, output)
        softmax = softmax and are_probabilities(rows)
    if softmax and output == "logits":
        raise refuse_softmax(subject, "save them as probabilities=... in place of logits=...")


def _rows(subject: str, dataset: Dataset, count: int, names: tuple[str, ...]) -> NDArray[np.int64]:
    """The row of each training image, int64 [M]."""
    train = dataset.train.images
    source, positions = _unwrapped(train)
    if names:
        if len(names) != count:
            raise DataError(
                f"{subject}: expected a name for each of {count:,} rows, found {len(names):,}"
            )
        return _rows_by_name(subject, dataset, names)
    if count == len(train):
        return np.arange(count)
    if count == len(source):
        return positions
    cut = len(source) != len(train)
    whole = f" or {len(source):,} before others were cut from them" if cut else ""
    raise DataError(
        f"{subject}: expected a row for each of the {len(train):,} training images of "
        f"{dataset.name}{whole}, in their order, found {count:,} rows; make them for these images"
    )


def _unwrapped(images: Images) -> tuple[Images, NDArray[np.int64]]:
    """The images of the source that a split was cut from, and its positions in them."""
    positions = np.arange(len(images))
    while isinstance(images, ChosenImages):
        positions = images.chosen[positions]
        images = images.images
    return images, positions


def _rows_by_name(subject: str, dataset: Dataset, names: tuple[str, ...]) -> NDArray[np.int64]:
    source, positions = _unwrapped(dataset.train.images)
    if not isinstance(source, FileImages):
        raise DataError(
            f"{subject}: names: expected data that are an image folder, found {dataset.name}, "
            "whose images have no names; leave names out and give a row for each image in order"
        )
    where = {str(PurePosixPath(name)): row for row, name in enumerate(names)}
    if len(where) < len(names):
        raise DataError(f"{subject}: names: expected each image once, found one twice; remove it")
    wanted = [source.names[i] for i in positions]
    missing = [name for name in wanted if name not in where]
    if missing:
        raise DataError(
            f"{subject}: names: expected every training image of {dataset.name}, relative to that "
            f"folder, found none called {some(missing)}; add their rows"
        )
    return np.array([where[name] for name in wanted], dtype=np.int64)
