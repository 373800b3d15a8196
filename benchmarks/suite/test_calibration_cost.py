"""Time and memory of calibrating MobileNetV2 at 224 px, beside onnxruntime's own calibrators.

Each contender runs in a process of its own, in turns, on the same images and tensors and on all
cores; its images come from a generator. Ours reads every range method off one pass.
"""

import json
import statistics
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="pip install 'edge-compress[train]'")
models = pytest.importorskip("torchvision", reason="pip install 'edge-compress[train]'").models

FEW, MANY = 64, 4096
LARGEST_GROWTH = 1.3  # of our peak for MANY images over that for FEW
LARGEST_SHARE = 0.1  # of our peak in the library's entropy method's, both for FEW
SMALLEST_SPEEDUP = {"minmax": 1.0, "entropy": 3.0, "percentile": 3.0}

SCRIPT = """
import json, sys, tempfile, time
from pathlib import Path
import numpy as np
import onnx
import onnxruntime
onnxruntime.set_default_logger_severity(3)
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import CalibraterBase, create_calibrator
from compress_export.calibration import find_ranges
from compress_export.calibration._observe import observe
from compress_export.quantizers.static_qdq import OPERATORS

contender, method, path, count = sys.argv[1:4] + [int(sys.argv[4])]

def images():
    rng = np.random.default_rng(0)
    some = rng.standard_normal((8, 3, 28, 28)).repeat(8, axis=2).repeat(8, axis=3)
    some = (some + 0.5 * rng.standard_normal(some.shape)).astype(np.float32)
    for index in range(count):
        yield some[index % 8, None] * np.float32(1 + 0.2 * np.sin(index))

class Reader(CalibrationDataReader):
    def __init__(self):
        self.images = images()
    def get_next(self):
        image = next(self.images, None)
        return None if image is None else {"input": image}

def ours():
    model = onnx.load(path)
    base = CalibraterBase(Path(path), list(OPERATORS))
    tensors = sorted(base.select_tensors_to_calibrate(base.model)[0])  # more than we should watch
    began = time.perf_counter()
    observed = observe(model, tensors, images(), None, histograms=method != "minmax")
    seen = time.perf_counter() - began
    found = {}
    for name in ("minmax",) if method == "minmax" else ("entropy", "percentile", "mse"):
        began = time.perf_counter()
        find_ranges(observed, name)
        found[name] = seen + time.perf_counter() - began
    return found, len(observed)

def library():
    known = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        calibrator = create_calibrator(
            Path(path),
            list(OPERATORS),
            str(Path(folder) / "augmented.onnx"),
            CalibrationMethod[known[method]],
        )
        calibrator.collect_data(Reader())
        ranges = calibrator.compute_data()
        return {method: time.perf_counter() - began}, len(ranges.data)

seconds, tensors = ours() if contender == "ours" else library()
lines = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
print(json.dumps({"seconds": seconds, "tensors": tensors, "peak": peak}))
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """MobileNetV2 whose BatchNorm knows its inputs: untrained statistics let activations fade."""
    torch.manual_seed(0)
    module = models.mobilenet_v2(weights=None).train()
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the plain mean of the batches below
    with torch.no_grad():
        for _ in range(4):
            coarse = torch.nn.functional.interpolate(torch.randn(16, 3, 28, 28), scale_factor=8)
            module(coarse + 0.5 * torch.randn_like(coarse))
    path = tmp_path_factory.mktemp("calibration") / "mobilenet_v2.onnx"
    program = torch.onnx.export(
        module.eval(),
        (torch.zeros(2, 3, 224, 224),),
        input_names=["input"],
        output_names=["logits"],
        dynamic_shapes=({0: "batch"},),
        opset_version=18,
        dynamo=True,
        verbose=False,
    )
    program.save(path, external_data=False)
    return path


def calibrate(contender, method, path, count):
    """What the script prints: seconds of each method, tensors watched, largest memory in bytes."""
    command = [sys.executable, "-c", SCRIPT, contender, method, str(path), str(count)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(said.splitlines()[-1])  # the library's own notes come before


def show(capsys, title, rows):
    with capsys.disabled():
        sys.stdout.write(f"\n{title}\n" + "\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def turns(network, request):
    """Every contender in turns, as often as --rounds says."""
    contenders = [
        ("ours", "minmax"),
        ("library", "minmax"),
        ("ours", "histograms"),
        ("library", "entropy"),
        ("library", "percentile"),
    ]
    rounds = request.config.getoption("--rounds")
    found = {contender: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            found[contender].append(calibrate(*contender, network, FEW))
    return found


def test_calibration_is_faster_than_the_library(turns, capsys):
    def seconds(contender, group, method):
        return statistics.median(run["seconds"][method] for run in turns[contender, group])

    ratios, rows = {}, []
    for method in SMALLEST_SPEEDUP:
        ours = seconds("ours", "minmax" if method == "minmax" else "histograms", method) / FEW
        theirs = seconds("library", method, method) / FEW
        ratios[method] = theirs / ours
        rows.append(f"{method:12}{ours * 1e3:10.1f}{theirs * 1e3:13.1f}{theirs / ours:9.2f} x")
    mse = seconds("ours", "histograms", "mse") / FEW
    rows.append(f"{'mse':12}{mse * 1e3:10.1f}{'none':>13}")
    show(capsys, "milliseconds an image\nmethod            ours  onnxruntime    ratio", rows)
    assert len({run["tensors"] for runs in turns.values() for run in runs}) == 1
    assert all(ratios[method] >= least for method, least in SMALLEST_SPEEDUP.items()), ratios


def test_calibration_takes_a_tenth_of_the_library_s_memory(turns, capsys):
    peaks = {key: max(run["peak"] for run in runs) for key, runs in turns.items()}
    rows = [f"{who:9}{method:12}{peak / 2**20:8.0f} MB" for (who, method), peak in peaks.items()]
    show(capsys, f"largest memory, {FEW} images", rows)
    assert peaks["ours", "histograms"] <= LARGEST_SHARE * peaks["library", "entropy"]


def test_memory_is_flat_in_the_number_of_images(network, capsys, request):
    many = min(MANY, request.config.getoption("--images"))
    few_peak, many_peak = (
        calibrate("ours", "histograms", network, count)["peak"] for count in (FEW, many)
    )
    rows = [
        f"{FEW:6,} images {few_peak / 2**20:8.0f} MB",
        f"{many:6,} images {many_peak / 2**20:8.0f} MB",
        f"ratio {many_peak / few_peak:.3f}",
    ]
    show(capsys, "largest memory of ours, all histograms", rows)
    assert many_peak <= LARGEST_GROWTH * few_peak
