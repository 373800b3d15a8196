"""`compress export` on networks of sixteen families: each answers, and computes in integers.

Of torchvision's networks, in the short forms of families.py. COMPRESS_NETWORKS=few takes eight that
have no step in common but the plainest; COMPRESS_NETWORKS=whole leaves nothing out, which takes
minutes.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import families
from compress.artifacts import BUNDLE, read_json
from compress.preprocess import Preprocessing, preprocess
from compress.progress import SILENT
from compress.settings import Export, Network, Run
from compress_export.recipe import export
from compress_export.session import open_session, session_options
from suite.untrained import structured_images, waken

ASKED = os.environ.get("COMPRESS_NETWORKS", "short")
ARGUMENTS = {"whole": ASKED == "whole"}
CLASSES = tuple("0123456789")
IMAGES = {"train": 16, "val": 8, "test": 8}
FILES = {"student": "student.onnx", "student_int8": "student.int8.onnx"}
INT8 = Export(int8=True, calibration="minmax", calibration_images=16, latency=False)
# What transformers keep in float: normalisation over channels, and Gelu in its parts.
TRANSFORMER = ("Erf", "LayerNormalization", "Pad", "QuantizeLinear", "Shape")


@dataclass(frozen=True)
class Family:
    """One network, and what it is known to keep in float.

    Attributes:
        network: torchvision's name, and that of its factory.
        side: height and width in pixels, the smallest that leave it something to see.
        islands: operator types that stay float; empty where all is computed in integers.
    """

    network: str
    side: int = 64
    islands: tuple[str, ...] = ()

    @property
    def spec(self) -> Preprocessing:
        """How a user's own network is fed."""
        return Preprocessing((self.side, self.side), 3)


FEW = (
    Family("resnet18"),
    Family("mobilenet_v3_small"),
    Family("shufflenet_v2_x0_5"),
    Family("squeezenet1_1"),
    Family("densenet121", 32),
    Family("regnet_y_400mf"),
    Family("convnext_tiny", 32, TRANSFORMER),
    Family("vit_b_16", families.PATCHED_SIDE, TRANSFORMER),
)
REST = (
    Family("mobilenet_v2"),
    Family("efficientnet_b0"),
    Family("mnasnet0_5"),
    Family("googlenet"),
    Family("inception_v3", 75),
    Family("swin_t", 64, TRANSFORMER),
    Family("vgg11_bn", 224),  # at any other size it pools to 7 x 7 unevenly
    Family("alexnet", 224),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", FEW if ASKED == "few" else FEW + REST, ids=lambda family: family.network
)
def test_a_network_of_each_family_becomes_integers(family, tmp_path):
    module = awake(family)
    bundle = export_family(family, module, tmp_path)
    checks = read_json(bundle / BUNDLE, kind="bundle")["checks"]
    assert checks["parity"]["student"]["batches"] == [1, 2, 5]
    check_integers(checks["int8"], family)
    check_golden(bundle)
    check_answers(module, bundle, family)


def awake(family: Family) -> nn.Module:
    """The network with random weights that behave like trained ones."""
    torch.manual_seed(0)
    module = getattr(families, family.network)(len(CLASSES), **ARGUMENTS)
    return waken(module, structured_images(32, family.side, seed=3), family.spec)


def export_family(family: Family, module: nn.Module, folder: Path) -> Path:
    """`compress export families.py:NETWORK --weights awake.pth --data images.npz --int8`."""
    torch.save(module.state_dict(), folder / "awake.pth")
    return export(
        f"{families.SOURCE}:{family.network}",
        settings=INT8,
        network=Network(
            weights=folder / "awake.pth",
            input_size=family.side,
            model_args=json.dumps(ARGUMENTS),
        ),
        run=Run(
            data=str(write_images(folder / "images.npz", family.side)),
            out=folder / "bundle",
            threads=1,
        ),
        progress=SILENT,
    )


def write_images(path: Path, side: int) -> Path:
    """Structured images, with labels that no network has learnt."""
    arrays = {"classes": np.array(CLASSES)}
    for seed, (split, count) in enumerate(IMAGES.items()):
        arrays[f"x_{split}"] = structured_images(count, side, seed)
        arrays[f"y_{split}"] = np.arange(count) % len(CLASSES)
    np.savez(path, **arrays)
    return path


def check_integers(int8: dict, family: Family) -> None:
    """All convolutions and products in integers, and in float only what is known to be."""
    assert int8["integer_convolutions"] == int8["convolutions"] > 0
    assert int8["integer_products"] == int8["products"]
    assert {island["operator"] for island in int8["islands"]} <= set(family.islands)
    assert all(island["module"] and island["reason"] for island in int8["islands"])
    assert int8["saturating_pairs"] == 0
    assert int8["quality"]["sqnr_db"] > 12


def check_golden(bundle: Path) -> None:
    """Both files load, and answer what whoever writes the board's side compares with."""
    with np.load(bundle / "golden.npz") as golden:
        for role in FILES:
            found = answers(bundle, role, golden[f"{role}.input"])
            np.testing.assert_allclose(found, golden[f"{role}.logits"], atol=1e-5)


def check_answers(module: nn.Module, bundle: Path, family: Family) -> None:
    """On the test images float32 answers as torch does, each its own, and int8 nearly so."""
    with np.load(bundle / "evaluation.npz") as evaluation:
        assert evaluation["labels"].tolist() == list(range(IMAGES["test"]))
        inputs = preprocess(evaluation["images"], family.spec)
    with torch.no_grad():
        expected = module(torch.from_numpy(inputs)).numpy()
    largest = np.abs(expected).max()
    assert np.ptp(expected, axis=0).max() > 0.05 * largest
    exact, found = (answers(bundle, role, inputs) for role in FILES)
    np.testing.assert_allclose(exact, expected, rtol=0, atol=1e-4 * largest)
    decibel = 10 * np.log10(np.square(exact).sum() / np.square(exact - found).sum())
    assert decibel > 12  # found: 19 to 47


def answers(bundle: Path, role: str, inputs: np.ndarray) -> np.ndarray:
    session = open_session(bundle / FILES[role], session_options(1), subject=role)
    return session.run(None, {"input": inputs})[0]
