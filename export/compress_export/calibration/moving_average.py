"""The average of each image's extremes: one odd image does not stretch the range."""

from compress_export.calibration import Observed, Range

NEEDS_HISTOGRAM = False


def find_range(observed: Observed) -> Range:
    """The extremes averaged over images; `_observe` has the average's constant.

    Source: Jacob et al. 2018, arXiv 1712.05877, section 3.1.
    """
    return observed.average_low, observed.average_high
