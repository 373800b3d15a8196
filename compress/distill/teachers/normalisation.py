"""The mean and scale of a teacher's input: what the user says, and what others use."""

from dataclasses import replace

from compress.errors import UsageError
from compress.preprocess import Preprocessing
from compress.settings import Teachers

# Normalisations in use, as (mean, scale) of 0..255 pixels, to name the right one in an error.
IN_USE = {
    "(x - 128) / 64": ((128.0,), (64.0,)),
    "0 to 1": ((0.0,), (255.0,)),
    "-1 to 1": ((127.5,), (127.5,)),
    "0 to 255": ((0.0,), (1.0,)),
    "ImageNet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "ImageNet's mean alone": ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
    "CIFAR-10": ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
    "MNIST": ((33.32,), (78.57,)),
    "Fashion-MNIST": ((72.94,), (90.02,)),
}


def is_given(settings: Teachers) -> bool:
    """Whether the user states a normalisation.

    Raises:
        UsageError: only one half of it.
    """
    given = settings.teacher_mean is not None, settings.teacher_scale is not None
    if any(given) and not all(given):
        raise UsageError("--teacher-mean and --teacher-scale: expected both or neither")
    return all(given)


def override_normalisation(preprocessing: Preprocessing, settings: Teachers) -> Preprocessing:
    """Let --teacher-mean and --teacher-scale take the place of the assumed normalisation.

    Raises:
        UsageError: only one of them, or three numbers for a grey input.
    """
    if not is_given(settings):
        return preprocessing
    mean, scale = settings.teacher_mean, settings.teacher_scale
    assert mean is not None and scale is not None
    for flag, values in (("mean", mean), ("scale", scale)):
        if len(values) not in (1, preprocessing.channels):
            raise UsageError(
                f"--teacher-{flag}: expected one number for an input of one channel, "
                f"found {len(values)}"
            )
    return replace(preprocessing, mean=mean, scale=scale)


def alternatives(preprocessing: Preprocessing) -> dict[str, Preprocessing]:
    """The same input adapter with each normalisation in use, by its name."""
    return {
        name: replace(preprocessing, mean=mean, scale=scale)
        for name, (mean, scale) in IN_USE.items()
        if len(mean) in (1, preprocessing.channels)
    }


def flags(preprocessing: Preprocessing) -> str:
    """What the user types to state a normalisation."""
    mean, scale = (
        " ".join(f"{value:g}" for value in values)
        for values in (preprocessing.mean, preprocessing.scale)
    )
    return f"--teacher-mean {mean} --teacher-scale {scale}"
