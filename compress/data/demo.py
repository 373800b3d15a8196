"""The embedded images: a class-balanced cut of Fashion-MNIST's training split.

9,000 train, 1,000 validation and 2,000 test images of 28 x 28 grey pixels, ten classes, MIT licence
(Copyright 2017 Zalando SE; see `demo/LICENSE`). Nothing of its official test split is in here.
`compress.data.build_demo` made the file and makes it again.
"""

from pathlib import Path

from compress.data.dataset import Dataset
from compress.data.npz import open_npz
from compress.data.reading import Reading
from compress.errors import DataError

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FILE = Path(__file__).parent / "demo" / "fashion_mnist.npz"
FINGERPRINT = "0d8388ea7d0878d69a243e19190f81628f71bfa003ba84be9dd094c1f189afb4"


def open_demo(reading: Reading) -> Dataset:
    """The embedded images in their fixed splits; seed and fractions change nothing.

    Raises:
        DataError: the file in the installed package is damaged.
    """
    dataset = open_npz(FILE, "demo", reading)
    if dataset.fingerprint != FINGERPRINT:
        raise DataError(
            f"{FILE}: expected the images with fingerprint {FINGERPRINT[:12]}…, found "
            f"{dataset.fingerprint[:12]}…; install edge-compress again"
        )
    return dataset
