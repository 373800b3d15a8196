"""What export writes."""

import re
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Literal

from cyclopts import Parameter

from compress.settings.expect import expect

InputKind = Literal["float", "uint8"]
OutputKind = Literal["logits", "scores", "label"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Export:
    """What export writes.

    Attributes:
        onnx: Write ONNX (the only format so far).
        int8: Also write a statically quantised file.
        teacher: Teacher to put beside the student; none for no teacher [the one in its manifest].
        calibration: How ranges of activations are found: auto tries all on validation; minmax,
            moving_average, percentile, mse or entropy.
        calibration_images: Training images that set the ranges of activations.
        max_drop: Points of validation accuracy that int8 may cost; what costs more is repaired.
        repair: How: all (in order of cost, until it is met), quick (without training), none, or
            some of range_method, bias_correction, equalization, float_layers, qat, apart by commas.
        qat_epochs: Passes over the training images of quantisation-aware training.
        qat_lr: Its peak learning rate [a hundredth of the student's own].
        qat_kd_weight: Weight of the teacher in it, from 0 (labels alone) to 1 (teacher alone).
        input: What the files take: float (normalised, NCHW) or uint8 (a camera's NHWC frame).
        output: What the files give: logits, scores (softmax), or label with its score.
        min_runtime: Oldest onnxruntime that is to load the files, as 1.16.
        opset: ONNX operator set [18, or the newest that --min-runtime reads].
        batch_size: Images an inference, fixed in the files; any number if not given.
        check_cpu: Core types on which the student's files are tried, emulated, as
            cortex-a53,cortex-a72,cortex-a76,haswell.
        latency: Time float32 and int8 in turns on one thread, and look what layers cost.
        mean: Normalisation's mean per channel of an ONNX file that does not say it, in 0 to 255.
        scale: Its divisor per channel, in 0 to 255.
    """

    onnx: bool = True
    int8: bool = False
    teacher: str | None = None
    calibration: str = "auto"
    calibration_images: int = 512
    max_drop: float = 1.0
    repair: str = "all"
    qat_epochs: int = 3
    qat_lr: float | None = None
    qat_kd_weight: float = 1.0
    input: InputKind = "float"
    output: OutputKind = "logits"
    min_runtime: str | None = None
    opset: int | None = None
    batch_size: int | None = None
    check_cpu: str | None = None
    latency: bool = True
    mean: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=True, negative="")] = None
    scale: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=True, negative="")] = None

    def cores(self) -> tuple[str, ...]:
        """The core types of `check_cpu`, each once."""
        named = (name.strip() for name in (self.check_cpu or "").split(","))
        return tuple(dict.fromkeys(name for name in named if name))

    def check(self) -> None:
        """Refuse numbers that no export can use, before anything is loaded.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        images, drop, batch = self.calibration_images, self.max_drop, self.batch_size
        expect("calibration_images", images, images >= 1, "1 or more")
        expect("max_drop", drop, isfinite(drop) and drop >= 0, "0 points or more")
        expect("batch_size", batch, batch is None or batch >= 1, "1 or more")
        expect("qat_epochs", self.qat_epochs, self.qat_epochs >= 1, "1 or more")
        lr, weight = self.qat_lr, self.qat_kd_weight
        expect("qat_lr", lr, lr is None or 0 < lr < float("inf"), "a number above 0")
        expect("qat_kd_weight", weight, 0 <= weight <= 1, "a share from 0 to 1")
        runtime = self.min_runtime
        known = runtime is None or re.fullmatch(r"1\.\d+(\.\d+)?", runtime)
        expect("min_runtime", runtime, bool(known), "a version of onnxruntime such as 1.16")
        asked = self.calibration
        expect("calibration", asked, self.int8 or asked == "auto", "--int8 as well")
        trains = self.repair == "all" or "qat" in self.repair
        for name in ("repair", "qat_epochs", "qat_lr", "qat_kd_weight"):
            value, default = getattr(self, name), type(self).__dataclass_fields__[name].default
            expect(name, value, self.int8 or value == default, "--int8 as well")
            used = trains or name == "repair" or value == default
            expect(name, value, used, "a --repair with qat as well")
        for name in ("mean", "scale"):
            value = getattr(self, name)
            usable = value is None or (len(value) in (1, 3) and all(map(isfinite, value)))
            expect(name, value, usable, "one number or three")
        asked_cores = self.check_cpu
        named = asked_cores is None or bool(self.cores())
        expect("check_cpu", asked_cores, named, "core types such as cortex-a53,cortex-a72")
        scale = self.scale
        expect("scale", scale, scale is None or min(scale) > 0, "numbers above 0")
