"""Which range method serves a network best: each is tried on validation images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.errors import UsageError
from compress.suggest import did_you_mean
from compress_export.calibration import Observed, Ranges, find_ranges, list_methods
from compress_export.proof.quality import mean_kl

AUTO = "auto"
IMAGES = 512  # of validation, class-balanced; KL is far less noisy than accuracy

# uint8 ranges -> logits of the network quantised with them, float32 [N, classes].
Trial = Callable[[Ranges], NDArray[np.float32]]


@dataclass(frozen=True)
class Tried:
    """One method on validation.

    Attributes:
        method: name.
        kl: mean over the images of KL(float32 ‖ int8), in nats.
        agreement: share of images with the same first choice.
    """

    method: str
    kl: float
    agreement: float


def check_method(setting: str) -> None:
    """Refuse a `--calibration` that is neither a method nor auto.

    Raises:
        UsageError: names those that there are.
    """
    known = (AUTO, *list_methods())
    if setting not in known:
        raise UsageError(
            f"--calibration {setting}: no such range method; {did_you_mean(setting, known)}"
        )


def methods_for(setting: str) -> tuple[str, ...]:
    """The methods that `--calibration` means."""
    return list_methods() if setting == AUTO else (setting,)


def choose_ranges(
    observed: Mapping[str, Observed],
    methods: Sequence[str],
    float_logits: NDArray[np.float32],
    trial: Trial,
) -> tuple[Ranges, tuple[Tried, ...]]:
    """Take the method whose int8 network is nearest to float32 on validation.

    By KL and not by accuracy: a few hundred images cannot tell accuracies apart that differ by
    less than a point, and labels are not needed.

    Args:
        observed: of each activation, on calibration images.
        methods: names; a single one is not tried.
        float_logits: float32 [N, classes] of the images that `trial` answers.
        trial: quantises with ranges and answers.

    Returns:
        The ranges, and the methods with what they gave, the best first.
    """
    if len(methods) == 1:
        return find_ranges(observed, methods[0]), ()
    ranges = {method: find_ranges(observed, method) for method in methods}
    tried = [_try(method, float_logits, trial(ranges[method])) for method in methods]
    ordered = sorted(tried, key=lambda found: (found.kl, -found.agreement))
    return ranges[ordered[0].method], tuple(ordered)


def _try(method: str, float_logits: NDArray[np.float32], int8_logits: NDArray[np.float32]) -> Tried:
    same = float_logits.argmax(axis=1) == int8_logits.argmax(axis=1)
    return Tried(method, mean_kl(float_logits, int8_logits), float(same.mean()))
