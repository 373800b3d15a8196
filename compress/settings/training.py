"""The loop that train and distill share."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from compress.settings.expect import expect


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Training:
    """The loop that train and distill share.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Images a step, over all processes.
        lr: Peak learning rate.
        optimizer: sgd (Nesterov momentum 0.9) or adamw.
        schedule: cosine (linear warm-up, half a cosine) or one-cycle (momentum moves against it).
        weight_decay: Decay of weights; norms and biases have none.
        warmup: Share of the steps in which the learning rate rises.
        label_smoothing: Mass taken from the true class in the cross-entropy.
        clip_norm: Largest gradient norm; 0 switches clipping off.
        ema: Decay of a moving average of the weights, which is then what is kept; 0 for none.
        accumulate: Parts that a step's images are computed in, one after the other, to save memory.
        precision: Of the forward pass; losses and weights are float32 in any case.
        channels_last: Memory layout of images and convolutions: faster on most CPUs and GPUs.
        compile: Compile the network with torch.compile.
        select: Keep the last epoch's weights, or those that were best on validation.
        workers: Processes that read images ahead; 0 for a thread of this one.
        checkpoint_every: Steps between saved states; 0 for each epoch's end and each minute.
        runs: Train seeds seed to seed + N - 1.
    """

    epochs: int = 30
    batch_size: int = 128
    lr: float = 0.05
    optimizer: Literal["sgd", "adamw"] = "sgd"
    schedule: Literal["cosine", "one-cycle"] = "cosine"
    weight_decay: float = 5e-4
    warmup: float = 0.15
    label_smoothing: float = 0.0
    clip_norm: float = 5.0
    ema: float = 0.0
    accumulate: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = True
    compile: Annotated[bool, Parameter(negative="")] = False
    select: Literal["last", "best"] = "last"
    workers: int = 0
    checkpoint_every: int = 0
    runs: int = 1

    def check(self) -> None:
        """Refuse numbers that no training can use.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        for name in ("epochs", "batch_size", "accumulate", "runs"):
            value = getattr(self, name)
            expect(name, value, value >= 1, "1 or more")
        expect("lr", self.lr, 0 < self.lr < float("inf"), "a number above 0")
        for name in ("weight_decay", "clip_norm", "workers", "checkpoint_every"):
            value = getattr(self, name)
            expect(name, value, 0 <= value < float("inf"), "0 or more")
        for name in ("warmup", "label_smoothing", "ema"):
            value = getattr(self, name)
            expect(name, value, 0 <= value < 1, "a share from 0 to below 1")
