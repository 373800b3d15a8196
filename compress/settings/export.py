"""What export writes."""

from dataclasses import dataclass

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Export:
    """What export writes.

    Attributes:
        onnx: Write ONNX (the only format so far).
        int8: Also write a statically quantised file.
        teacher: Teacher to put beside the student; none for no teacher [the one in its manifest].
        calibration_images: Training images that set the ranges of activations.
        opset: ONNX operator set.
        max_drop: Points of validation accuracy that int8 may cost before it is advised against.
    """

    onnx: bool = True
    int8: bool = False
    teacher: str | None = None
    calibration_images: int = 512
    opset: int = 18
    max_drop: float = 1.0
