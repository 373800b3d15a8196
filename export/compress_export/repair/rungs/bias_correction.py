"""What rounding adds to the mean of each channel is taken off its bias; it costs nothing to run."""

from compress_export.repair.biases import correct_biases, correctable
from compress_export.repair.case import Attempt, Case, Looked

TITLE = "bias correction"
BY_ACCURACY = False


def why_not(case: Case, found: Looked) -> str:
    """A network of matrix products alone has no biases."""
    del case
    if correctable(found.attempt.core.graph):
        return ""
    return "no convolution or linear layer has a bias that could be corrected"


def repair(case: Case, found: Looked) -> tuple[Attempt, str]:
    """The same weights and ranges with other biases."""
    return correct_biases(case, found.attempt)
