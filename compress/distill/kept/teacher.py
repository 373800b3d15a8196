"""A teacher that answers from disk: the live one is not needed any more."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from compress.data.dataset import Dataset
from compress.distill.entropy import answer_entropy
from compress.distill.kept.folder import KeptFolder, read_folder
from compress.distill.kept.form import Records, decode
from compress.distill.teachers.class_map import ClassMap, Labels, match_classes, same_order
from compress.distill.teachers.interpret import Interpreter
from compress.distill.teachers.mean import MeanTeacher
from compress.distill.teachers.protocol import Teacher
from compress.errors import ArtifactError
from compress.preprocess import Preprocessing
from compress.training.views import ViewPlan, Views


class KeptTeacher:
    """Kept logits as a teacher.

    Attributes:
        name: what messages call it.
        classes: of its answers: the data's.
        inputs: it looks at no pixels.
        folder: where its answers are.
    """

    inputs: tuple[Preprocessing, ...] = ()

    def __init__(
        self,
        folder: KeptFolder,
        classes: tuple[str, ...] | None = None,
        mapping: ClassMap | None = None,
    ) -> None:
        """Answer from `folder`, once it is bound to views; `mapping` finds `classes` in it."""
        self.folder = folder
        self.name = f"{folder.path} (kept logits of {folder.teacher_name})"
        self.classes = classes or folder.classes
        self._mapping = mapping or same_order(len(folder.classes))
        self._interpret = Interpreter("logits", self._mapping)
        self._temperature: float | None = None
        self._verified: set[int] = set()
        self._open: tuple[int, Records] | None = None  # the view in use, mapped

    def bind(
        self, plan: ViewPlan, temperature: float, numbers: Sequence[int] = ()
    ) -> "KeptTeacher":
        """The same teacher, ready to answer.

        Args:
            plan: the views that it will be asked about.
            temperature: at which its logits will be used.
            numbers: of the views that must be there now; each is looked at again when first used.

        Raises:
            ArtifactError: other views were kept, some are missing, or not for this temperature.
        """
        self.folder.require(views=plan.identity())
        if self.folder.form.top_k:
            self.folder.form.place_of(temperature)
        self._refuse_other_temperature(temperature)
        if lacking := self.folder.missing(numbers):
            first = min(lacking)
            raise ArtifactError(
                f"{self.folder.path}: expected {len(numbers)} views, found "
                f"{len(numbers) - len(lacking)} (view {first} lacks {lacking[first]} blocks); "
                "add them with compress logits, the settings that it was made with, and "
                f"--views {max(numbers) + 1}"
            )
        bound = KeptTeacher(self.folder, self.classes, self._mapping)
        bound._temperature = float(temperature)
        return bound

    def _refuse_other_temperature(self, temperature: float) -> None:
        """A mean with the K largest logits of a teacher was taken at one temperature."""
        for member in self.folder.teacher.get("teachers", ()):
            if member.get("temperature", temperature) != temperature:
                raise ArtifactError(
                    f"{self.folder.path}: expected to be used at temperature "
                    f"{member['temperature']:g}, at which the {member['form']['top_k']} largest "
                    f"logits of one of its teachers were read, found {temperature:g}; give "
                    "compress distill those teachers: it keeps their mean at its own --temperature"
                )

    def identity(self) -> dict[str, Any]:
        """Whose answers these are, to which views, in which form; no path.

        Once bound, of the K largest logits also at which temperature: what the other classes get
        depends on it.
        """
        answers_at = {"temperature": self._temperature} if self._softens() else {}
        return {
            "kind": "kept logits",
            "teacher": dict(self.folder.teacher),
            "views": dict(self.folder.views),
            "form": self.folder.form.to_dict(),
            "class_map": self._mapping.identity(),
            "classes": list(self.classes),
            **answers_at,
        }

    def _softens(self) -> bool:
        return self._temperature is not None and bool(self.folder.form.top_k)

    def record(self) -> dict[str, Any]:
        """Where the network is that gave the answers, and where they are kept.

        Answers whose classes were mapped since are not that network's any more.
        """
        place = str(self.folder.path.resolve())
        if self._mapping.in_place():
            return {**self.folder.teacher_record, "kept": place}
        return {**self.identity(), "reference": place, "folder": place, "weights": None}

    def logits(self, views: Views) -> torch.Tensor:
        """The kept answers.

        Args:
            views: found by number and indices; their pixels are not looked at.

        Returns:
            Logits, float32 [B, classes], on the CPU.

        Raises:
            ArtifactError: the view is missing or damaged; looked at when it is first used.
        """
        if self._temperature is None:
            raise RuntimeError("kept logits: bind them to a plan of views first")
        records = self._records(views.number)[views.indices]
        logits = torch.from_numpy(decode(records, self.folder.form, self._temperature))
        answers: torch.Tensor = self._interpret(logits)
        return answers

    def _records(self, number: int) -> Records:
        if self._open is None or self._open[0] != number:
            file = self.folder.view(number)
            if number not in self._verified:
                _verify(self.folder, number)
                self._verified.add(number)
            self._open = (number, file.open())
        return self._open[1]


def open_kept_teacher(path: Path, dataset: Dataset, mapping: ClassMap | None = None) -> KeptTeacher:
    """The kept logits in a folder, not yet bound to views.

    Args:
        path: a folder with logits.json.
        dataset: whose classes it is to answer; found by name, in any order, among others.
        mapping: says which class is which instead.

    Raises:
        ArtifactError: no kept logits, or damaged.
        ModelError: other classes than the data's.
    """
    folder = read_folder(path)
    labels = Labels(len(folder.classes), folder.classes)
    mapping = mapping or match_classes(str(path), dataset.name, dataset.classes, labels)
    return KeptTeacher(folder, dataset.classes, mapping)


def kept_view_size(teacher: Teacher) -> tuple[int, int] | None:
    """Height and width of the views that kept logits answer, alone or among several teachers.

    Returns:
        None for teachers that all look at the views themselves.

    Raises:
        ArtifactError: several folders, of views of different sizes: nothing can be shown to both.
    """
    members = teacher.teachers if isinstance(teacher, MeanTeacher) else (teacher,)
    folders = [member.folder for member in members if isinstance(member, KeptTeacher)]
    sizes = [(int(folder.views["size"][0]), int(folder.views["size"][1])) for folder in folders]
    for folder, size in zip(folders, sizes, strict=True):
        if size != sizes[0]:
            (height, width), (other_height, other_width) = sizes[0], size
            raise ArtifactError(
                f"{folder.path}: expected logits of views of {height} x {width} pixels as in "
                f"{folders[0].path}, found {other_height} x {other_width}; keep both with the same "
                "--view-size"
            )
    return sizes[0] if sizes else None


def mean_entropy(folder: KeptFolder, number: int) -> float:
    """How unsure the teacher is over a view: mean entropy at temperature 1, in nats.

    Of logits beyond the K largest only the mass is known: it counts as spread evenly.
    """
    file = folder.view(number)
    records, total = file.open(), 0.0
    for block in range(file.blocks):
        logits = decode(records[file.indices(block)], folder.form, 1.0)
        total += len(logits) * answer_entropy(logits)
    return total / file.count


def _verify(folder: KeptFolder, number: int) -> None:
    """Refuse a view that is not whole."""
    file = folder.view(number)
    lacking = np.flatnonzero(~file.done()).tolist()
    if broken := lacking or file.damaged():
        what = "missing" if lacking else "damaged: their crc32 differs"
        listed = ", ".join(str(block) for block in broken[:5]) + (", …" if broken[5:] else "")
        raise ArtifactError(
            f"{file.path}: expected {file.blocks} whole blocks, found {len(broken)} of them {what} "
            f"(block {listed}); give the command that made them again"
        )
