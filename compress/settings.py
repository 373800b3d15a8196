"""One typed settings class a topic: flags, recipe keys and defaults all come from here.

`--kd-weight` on the command line is `kd_weight` in a recipe, in the manifest and in JSON. A
command takes one or more of these classes; a recipe has a section per command with the same keys.
"""

import os
import re
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from cyclopts import Parameter

from compress.errors import UsageError

Resize = Literal["crop", "stretch"]


class Splitting(TypedDict):
    """How a source of images is cut into splits, as keyword arguments."""

    seed: int
    val_fraction: float
    test_fraction: float
    max_bad: float
    resize: Resize


def _expect(name: str, value: object, fits: bool, expected: str) -> None:
    if not fits:
        flag = name.replace("_", "-")
        raise UsageError(f"--{flag}: expected {expected}, found {value}")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Run:
    """What every stage shares.

    Attributes:
        out: Folder for the result.
        force: Replace a finished result, or one with other settings.
        data: Images: demo, fashion-mnist, an image folder, an .npz file, or torchvision:NAME.
        seed: Seed of weights, order and augmentation.
        split_seed: Seed of the splits that are cut from unsplit images.
        threads: CPU threads; if not given, all cores, and one for bench.
        device: Where torch computes: cpu, cuda or auto.
        resize: How images of other shapes meet a network's input: crop (centre) or stretch.
        val_fraction: Share of train that becomes validation where the data has none.
        test_fraction: Share of an unsplit image folder that becomes test.
        max_bad: Share of unreadable images up to which they are skipped, not refused.
    """

    out: Annotated[Path | None, Parameter(alias="-o")] = None
    force: Annotated[bool, Parameter(negative="")] = False
    data: str | None = None
    seed: int = 0
    split_seed: int = 0
    threads: int | None = None
    device: str = "cpu"
    resize: Resize = "crop"
    val_fraction: float = 0.1
    test_fraction: float = 0.2
    max_bad: float = 0.01

    def require_out(self) -> Path:
        """The output folder.

        Raises:
            UsageError: none was given.
        """
        if self.out is None:
            raise UsageError(
                "--out: expected a folder for the result, found nothing; give -o FOLDER"
            )
        return self.out

    def data_reference(self) -> str:
        """Where the images come from.

        Raises:
            UsageError: nothing was given.
        """
        if self.data is None:
            raise UsageError(
                "--data: expected demo, fashion-mnist, a folder, an .npz or torchvision:NAME, "
                "found nothing"
            )
        return self.data

    def check(self) -> None:
        """Refuse numbers that no stage can use.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        for name in ("seed", "split_seed"):
            value = getattr(self, name)
            _expect(name, value, 0 <= value < 2**32, "0 to 4294967295")
        known = self.device in ("cpu", "auto") or re.fullmatch(r"cuda(:\d+)?", self.device)
        _expect("device", self.device, bool(known), "cpu, cuda, cuda:N or auto")
        threads = self.threads
        _expect("threads", threads, threads is None or threads >= 1, "1 or more")
        for name in ("val_fraction", "test_fraction"):
            value = getattr(self, name)
            _expect(name, value, 0 < value < 1, "a share between 0 and 1")
        _expect("max_bad", self.max_bad, 0 <= self.max_bad <= 1, "a share from 0 to 1")

    def resolved(self) -> "Run":
        """The same with the number of threads that "all cores" means on this machine."""
        return self if self.threads else replace(self, threads=len(os.sched_getaffinity(0)))

    def splitting(self) -> "Splitting":
        """The arguments of open_dataset that decide its splits."""
        return Splitting(
            seed=self.split_seed,
            val_fraction=self.val_fraction,
            test_fraction=self.test_fraction,
            max_bad=self.max_bad,
            resize=self.resize,
        )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Network:
    """Which network is trained, and how it starts.

    Attributes:
        weights: File to start from (.safetensors, .pt, .pth).
        pretrained: Start from torchvision's or timm's own weights.
        model_args: Arguments of the network's factory, as JSON.
        input_size: Input height and width in pixels; the images' own, or 32 for mixed sizes.
        replace_head: Give the network a new last layer where its number of classes differs.
        freeze: Keep the first N child modules, counted from the input, as they are.
    """

    weights: Path | None = None
    pretrained: bool = False
    model_args: str = "{}"
    input_size: int | None = None
    replace_head: bool = False
    freeze: int = 0

    def check(self) -> None:
        """Refuse numbers that no network can use.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        size = self.input_size
        _expect("input_size", size, size is None or size >= 1, "1 or more")
        _expect("freeze", self.freeze, self.freeze >= 0, "0 or more")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Training:
    """The loop that train and distill share.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Images a step.
        lr: Peak learning rate.
        optimizer: sgd (Nesterov momentum 0.9) or adamw.
        weight_decay: Decay of weights; norms and biases have none.
        warmup: Share of the steps in which the learning rate rises; then it falls as a cosine.
        label_smoothing: Mass taken from the true class in the cross-entropy.
        clip_norm: Largest gradient norm; 0 switches clipping off.
        augment: crop+flip, crop, flip or none.
        views: Augmented views of each image, used in turn; 0 makes a new one every epoch.
        runs: Train seeds seed to seed + N - 1.
    """

    epochs: int = 30
    batch_size: int = 128
    lr: float = 0.05
    optimizer: Literal["sgd", "adamw"] = "sgd"
    weight_decay: float = 5e-4
    warmup: float = 0.15
    label_smoothing: float = 0.0
    clip_norm: float = 5.0
    augment: Literal["crop+flip", "crop", "flip", "none"] = "crop+flip"
    views: int = 0

    def check(self) -> None:
        """Refuse numbers that no training can use.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        for name in ("epochs", "batch_size", "runs"):
            value = getattr(self, name)
            _expect(name, value, value >= 1, "1 or more")
        _expect("lr", self.lr, 0 < self.lr < float("inf"), "a number above 0")
        for name in ("weight_decay", "clip_norm", "views"):
            value = getattr(self, name)
            _expect(name, value, 0 <= value < float("inf"), "0 or more")
        for name in ("warmup", "label_smoothing"):
            value = getattr(self, name)
            _expect(name, value, 0 <= value < 1, "a share from 0 to below 1")

    runs: int = 1


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Teaching:
    """Who teaches, and how.

    Attributes:
        teacher: A checkpoint folder, a zoo name, torchvision:NAME, timm:NAME or file.py:factory.
        teacher_weights: Weights of a teacher that is not a checkpoint folder.
        teacher_args: Arguments of the teacher's factory, as JSON.
        teacher_size: Input height and width of a teacher that is not a checkpoint folder.
        teacher_mean: Its normalisation's mean per channel, in 0 to 255; ImageNet's for torchvision.
        teacher_scale: Its normalisation's divisor per channel, in 0 to 255.
        method: Distillation loss.
        temperature: T, which softens both distributions.
        kd_weight: Weight of T^2 KL(teacher || student).
        ce_weight: Weight of the cross-entropy with the labels.
        labels: Use the labels of this many training images only; 0 uses all of them.
        with_baseline: Also train the same student without the teacher, under the same budget.
    """

    teacher: str | None = None
    teacher_weights: Path | None = None
    teacher_args: str = "{}"
    teacher_size: int | None = None
    teacher_mean: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=True)] = None
    teacher_scale: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=True)] = None
    method: str = "kd"
    temperature: float = 2.0
    kd_weight: float = 0.5
    ce_weight: float = 0.5
    labels: int = 0
    with_baseline: bool = False

    def check(self) -> None:
        """Refuse numbers that no loss can use.

        Raises:
            UsageError: a temperature or weight out of its range.
        """
        warm = 0 < self.temperature < float("inf")
        _expect("temperature", self.temperature, warm, "a number above 0")
        for name in ("kd_weight", "ce_weight"):
            value = getattr(self, name)
            _expect(name, value, 0 <= value < float("inf"), "0 or more")
        _expect("labels", self.labels, self.labels >= 0, "0 or more")
        for name in ("teacher_mean", "teacher_scale"):
            value = getattr(self, name)
            usable = value is None or (len(value) in (1, 3) and all(map(isfinite, value)))
            _expect(name, value, usable, "one number or three")
        scale = self.teacher_scale
        _expect("teacher_scale", scale, scale is None or min(scale) > 0, "numbers above 0")
        if self.kd_weight == self.ce_weight == 0:
            raise UsageError("--kd-weight and --ce-weight: both are 0, so nothing would be learnt")


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


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Bench:
    """What bench measures and against what.

    Attributes:
        reference: Variant that the others are compared with; teacher, or the first file.
        goals: TOML file with limits per variant.
        profile: quick, standard or strict: more rounds and processes give narrower intervals.
        processes: Fresh processes; each gives one mean to the interval.
        batch_size: Images an inference.
    """

    reference: str | None = None
    goals: Path | None = None
    profile: Literal["quick", "standard", "strict"] = "standard"
    processes: int | None = None
    batch_size: int = 1
