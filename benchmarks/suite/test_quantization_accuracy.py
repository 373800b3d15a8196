"""What int8 costs trained networks: README's table of test accuracy, float32 beside int8.

`pytest -s benchmarks/suite/test_quantization_accuracy.py --out trained/`: three families on all
60,000 images of Fashion-MNIST, three seeds each, by the command line; all 10,000 test images on the
ONNX files. `-k by_method` compares the ways to find ranges, `-k repair` has what is left of the
drop after a repair to `--max-drop 0.1` and to 0, on validation. Given again with the same --out it
trains and exports nothing anew.
"""

import pytest

from compress_export.calibration import list_methods
from suite.trained_families import FAMILIES, Exported, compare, table

# Points of test accuracy, mean of the seeds, that plain int8 may cost; the third is only reported.
LARGEST_DROPS = {"residual": 0.3, "depthwise": 0.5}
LARGEST_REPAIRED = 0.1  # after a repair to no loss at all on validation


@pytest.fixture(scope="module")
def kept(request, tmp_path_factory):
    """Where checkpoints, bundles and results go."""
    return request.config.getoption("--out") or tmp_path_factory.mktemp("trained")


@pytest.mark.parametrize("name", FAMILIES)
def test_what_int8_costs(name, kept, capsys):
    with capsys.disabled():
        found = compare(name, kept, Exported("auto", ("--repair", "none")))
        print("\n" + "\n".join(table({name: found})))
    limit = LARGEST_DROPS.get(name)
    assert limit is None or 100 * found["drop"]["value"] <= limit


@pytest.mark.parametrize("name", FAMILIES)
def test_what_it_costs_by_method(name, kept, capsys):
    with capsys.disabled():
        found = {
            f"{name}, {method}": compare(
                name, kept, Exported(method, ("--repair", "none", "--calibration", method))
            )
            for method in list_methods()
        }
        print("\n" + "\n".join(table(found)))
    assert min(result["drop"]["value"] for result in found.values()) < 0.01


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_left_after_repair(name, kept, capsys):
    with capsys.disabled():
        found = {
            f"{name}, --max-drop {budget}": compare(
                name, kept, Exported(f"max-drop-{budget}", ("--max-drop", budget))
            )
            for budget in ("0.1", "0")
        }
        print("\n" + "\n".join(table(found)))
    assert 100 * found[f"{name}, --max-drop 0"]["drop"]["value"] <= LARGEST_REPAIRED
