"""Who teaches: one network or several, or answers that were kept."""

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from compress.errors import UsageError
from compress.settings.expect import expect


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Teachers:
    """Who teaches.

    Attributes:
        teacher: A checkpoint folder, a zoo name, torchvision:NAME, timm:NAME, file.py:factory, an
            .onnx file, a folder of kept logits, or an .npz of logits; several teach as their mean.
        teacher_shares: Weights of several teachers, in their order.
        teacher_weights: Weights of a teacher that is not a checkpoint folder.
        teacher_args: Arguments of the teacher's factory, as JSON.
        teacher_size: Input height and width of a teacher that is not a checkpoint folder.
        teacher_mean: Its normalisation's mean per channel, in 0 to 255; ImageNet's for torchvision.
        teacher_scale: Its normalisation's divisor per channel, in 0 to 255.
        teacher_output: What it gives: logits, or probabilities where it ends in a softmax.
        teacher_runtime: What a torch teacher answers by: torch, onnxruntime, or auto, which is
            onnxruntime for 50,000 answers or more on a CPU.
        teacher_classes: File with its class names in the order of its outputs, one a line.
        class_map: JSON or YAML file: class of the data -> name or number of the teacher's output.
    """

    teacher: tuple[str, ...] = ()
    teacher_shares: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=True)] = None
    teacher_weights: Path | None = None
    teacher_args: str = "{}"
    teacher_size: int | None = None
    teacher_mean: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=True)] = None
    teacher_scale: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=True)] = None
    teacher_output: Literal["logits", "probabilities"] = "logits"
    teacher_runtime: Literal["auto", "torch", "onnxruntime"] = "auto"
    teacher_classes: Path | None = None
    class_map: Path | None = None

    def check(self) -> None:
        """Refuse numbers that no teacher can use.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        for name in ("teacher_mean", "teacher_scale"):
            value = getattr(self, name)
            usable = value is None or (len(value) in (1, 3) and all(map(isfinite, value)))
            expect(name, value, usable, "one number or three")
        scale = self.teacher_scale
        expect("teacher_scale", scale, scale is None or min(scale) > 0, "numbers above 0")
        self._check_shares()

    def _check_shares(self) -> None:
        shares, count = self.teacher_shares, len(self.teacher)
        if shares is None:
            return
        if not count:
            raise UsageError(
                "--teacher-shares: expected --teacher as well, found no teacher to have a share; "
                "name the teachers, in the order of their shares"
            )
        fits = len(shares) == count and all(0 < share < float("inf") for share in shares)
        numbers = "1 number" if count == 1 else f"{count} numbers"
        expect("teacher_shares", shares, fits, f"{numbers} above 0, one a teacher")
