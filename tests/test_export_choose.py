"""Which range method is taken: the one whose int8 network is nearest to float32."""

import numpy as np
import pytest

from compress.errors import UsageError
from compress_export.calibration import Observed, find_ranges, list_methods
from compress_export.choose import check_method, choose_ranges, methods_for

OBSERVED = {
    "x": Observed(low=-1.0, high=3.0, average_low=-0.5, average_high=2.0, histogram=None, count=4)
}


def test_auto_means_every_method_and_a_name_itself():
    assert methods_for("auto") == list_methods()
    assert methods_for("minmax") == ("minmax",)


def test_the_method_nearest_to_float32_is_taken():
    """The trial answers wrongly by how far the range is from (-0.5, 2)."""
    exact = np.array([[2.0, 0.0], [0.0, 2.0]], dtype=np.float32)

    def trial(ranges):
        error = abs(ranges["x"][0] + 0.5) + abs(ranges["x"][1] - 2.0)
        return exact + np.float32(error) * np.array([[1.0, 0.0]], dtype=np.float32)

    ranges, tried = choose_ranges(OBSERVED, ("minmax", "moving_average"), exact, trial)
    assert [found.method for found in tried] == ["moving_average", "minmax"]
    assert ranges == find_ranges(OBSERVED, "moving_average")
    assert tried[0].kl == pytest.approx(0.0, abs=1e-9)
    assert tried[1].kl > 0


def test_a_single_method_is_not_tried():
    def trial(ranges):
        raise AssertionError("tried")

    ranges, tried = choose_ranges(OBSERVED, ("minmax",), np.zeros((1, 2), np.float32), trial)
    assert ranges == {"x": (-1.0, 3.0)}
    assert tried == ()


def test_an_unknown_method_is_refused_with_what_was_meant():
    with pytest.raises(UsageError, match=r'--calibration entrpy: .*did you mean "entropy"'):
        check_method("entrpy")
    for known in ("auto", *list_methods()):
        check_method(known)
