"""Memory of training from an image folder: flat in the number of its images.

Opens folders of a thousand and of a hundred thousand small images, reads batches through the loader
and trains on some of them, each in a process of its own; the largest memory it ever held counts.
"""

import io
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="pip install 'edge-compress[train]'")

COUNTS = (1_000, 100_000)
CLASSES = 10
LARGEST_GROWTH = 1.05  # of the larger folder's process over the smaller one's

SCRIPT = """
import sys
from functools import partial
from pathlib import Path
import torch
from compress.data.open import open_dataset
from compress.models.build import build_model
from compress.models.spec import ModelSpec
from compress.settings import Augmenting
from compress.training.batches import BatchPlan, read_batch
from compress.training.evaluate import to_input
from compress.training.loader import ahead
from compress.training.views import ViewPlan

def peak_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

dataset = open_dataset(sys.argv[1])
opened = peak_mb()
spec = ModelSpec(
    reference="lenet5",
    num_classes=len(dataset.classes),
    channels=dataset.channels,
    input_size=dataset.image_size,
    args={},
)
built = build_model(spec)
optimizer = torch.optim.SGD(built.module.parameters(), lr=0.01)
views = ViewPlan(
    split=dataset.train,
    source=dataset.fingerprint,
    size=dataset.image_size,
    augmenting=Augmenting(),
    seed=0,
)
plan = BatchPlan(views=views, batch_size=64, order_seed=0)
for step, batch in enumerate(ahead(partial(read_batch, plan, 0), range(8), workers=0)):
    if step < 4:
        inputs = to_input(batch.views.pixels, built.preprocessing, torch.device("cpu"))
        loss = torch.nn.functional.cross_entropy(built.module(inputs), torch.tensor(batch.labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(opened, peak_mb())
"""


def fill(root, count):
    """`count` different images of 32 x 32 in ten classes, as JPEG files."""
    rng = np.random.default_rng(0)
    for label in range(CLASSES):
        (root / f"class-{label}").mkdir(parents=True)
    for i in range(count):
        content = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(content, "JPEG")
        (root / f"class-{i % CLASSES}" / f"image-{i:06}.jpg").write_bytes(content.getvalue())
    return root


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("flat")
    yield {count: fill(root / str(count), count) for count in COUNTS}
    shutil.rmtree(root)  # pytest would keep some hundred thousand files for a while


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def measure(folder, cache):
    """The process's peak in MB when the folder was open, and at the end."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [float(number) for number in run.stdout.split()]


@pytest.mark.parametrize("scan", ["scanned", "recalled"])  # in this order: the first fills a cache
def test_memory_is_flat_in_the_number_of_images(folders, cache, capsys, scan):
    (_, few), (_, many) = peaks = [measure(folders[count], cache) for count in COUNTS]
    lines = [
        f"{count:9,} {o:6.1f} MB {t:6.1f} MB" for count, (o, t) in zip(COUNTS, peaks, strict=True)
    ]
    growth = (many - few) * 2**20 / (COUNTS[1] - COUNTS[0])
    with capsys.disabled():
        sys.stdout.write(
            f"\nlargest memory, folder {scan}\n   images    opened   trained\n"
            + "\n".join(lines)
            + f"\nratio {many / few:.3f}, {growth:.0f} bytes an image\n"
        )
    assert many <= LARGEST_GROWTH * few
