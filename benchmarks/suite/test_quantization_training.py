"""What the teacher adds to quantisation-aware training: README's table, three seeds.

`pytest -s benchmarks/suite/test_quantization_training.py --out trained/`: the depthwise network of
test_quantization_accuracy.py is trained as int8 on the same images, for the same steps, at the same
learning rate, once by a larger network's soft answers and once by the labels alone; all 10,000 test
images, paired by image and seed.
"""

import pytest

from compress.intervals import paired_difference
from suite.trained_families import Exported, export_seeds, percents, points, rights, teacher

NAME = "depthwise"
# A budget that plain int8 does not meet, so that training takes place.
TRAINED = ("--max-drop", "0", "--repair", "qat")


@pytest.fixture(scope="module")
def kept(request, tmp_path_factory):
    """Where checkpoints, bundles and results go."""
    return request.config.getoption("--out") or tmp_path_factory.mktemp("trained")


def test_what_the_teacher_adds(kept, capsys):
    with capsys.disabled():
        named = ("--teacher", str(teacher(kept)))
        ways = {
            "plain int8": ("--repair", "none"),
            "trained by the labels": (*TRAINED, "--qat-kd-weight", "0"),
            "trained by the teacher": TRAINED,
        }
        bundles = {
            way: export_seeds(NAME, kept, Exported(way.replace(" ", "-"), (*flags, *named)))
            for way, flags in ways.items()
        }
        right = {way: rights(found, "student_int8") for way, found in bundles.items()}
        float32 = rights(bundles["plain int8"], "student")
        print("\n| int8 | test accuracy | against float32, 95 % |\n|---|---|---|")
        print(f"| float32 | {percents(float32.mean(axis=1))} | |")
        for way, rows in right.items():
            gain = points(paired_difference(rows, float32).to_dict())
            print(f"| {way} | {percents(rows.mean(axis=1))} | {gain} |")
        taught, alone = right["trained by the teacher"], right["trained by the labels"]
        added = paired_difference(taught, alone)
        print(f"\nthe teacher adds {points(added.to_dict())} points to the same training")
    assert taught.mean() > float32.mean() - 0.01  # training must not spoil what it repairs
