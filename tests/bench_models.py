"""ONNX files, bundles and measurements of a known outcome, for the tests of compress_bench."""

import functools
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compress.artifacts import header
from compress.preprocess import Preprocessing
from compress.settings.export import InputKind, OutputKind
from compress_bench.answers import read_rows
from compress_bench.evidence import (
    COPY,
    Evidence,
    FreshProcess,
    LatencyProcess,
    TestImages,
    Variant,
)
from compress_export.ends import attach_ends

SIDE = 6
CLASSES = ("top", "middle", "bottom")
SPEC = Preprocessing(size=(SIDE, SIDE), channels=1)


def write_model(
    path: Path,
    *,
    classes: int = 3,
    wrong: float = 0.0,
    extra: int = 0,
    scale: float = 1.0,
    batch: int | str = "batch",
    metadata: dict[str, str] | None = None,
    ends: tuple[InputKind, OutputKind] = ("float", "logits"),
) -> Path:
    """A network whose logit k is the brightness of the k-th third of the rows.

    Args:
        path: where it goes.
        classes: number of logits.
        wrong: weight with which the last third also counts for the first class; NaN breaks it.
        extra: width of a matrix product that costs time and changes nothing.
        scale: factor of the logits.
        batch: dynamic, or a number.
        metadata: what the file says of itself; of an output of scores at least that.
        ends: what it takes and gives.
    """
    thirds = np.zeros((classes, SIDE, SIDE), np.float32)
    for k in range(classes):
        thirds[k, k * SIDE // classes : (k + 1) * SIDE // classes] = 1
    weights = thirds.reshape(classes, -1).T.copy()
    weights[:, 0] += wrong * weights[:, -1]
    weights *= scale
    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["sums"]),
    ]
    tensors = [numpy_helper.from_array(weights, "weights")]
    last = "sums"
    if extra:
        rng = np.random.default_rng(0)
        shapes = {"in": (SIDE * SIDE, extra), "mid": (extra, extra), "out": (extra, classes)}
        for name, shape in shapes.items():
            values = rng.normal(size=shape) if name != "out" else np.zeros(shape)
            tensors.append(numpy_helper.from_array(values.astype(np.float32), name))
        nodes += [
            helper.make_node("MatMul", ["flat", "in"], ["a"]),
            helper.make_node("MatMul", ["a", "mid"], ["b"]),
            helper.make_node("MatMul", ["b", "out"], ["nothing"]),
            helper.make_node("Add", ["sums", "nothing"], ["total"]),
        ]
        last = "total"
    nodes.append(helper.make_node("Identity", [last], ["logits"]))
    shape = [batch, 1, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "thirds",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    said = {"compress.output": "scores"} if ends[1] == "scores" else {}
    model = attach_ends(model, SPEC, *ends)
    helper.set_model_props(model, said | (metadata or {}))
    onnx.save(model, path)
    return path


def images(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [count, SIDE, SIDE, 1] with one bright third, and which one it is."""
    labels = np.arange(count) % 3
    pixels = np.random.default_rng(0).integers(0, 60, (count, SIDE, SIDE, 1), dtype=np.uint8)
    for i, label in enumerate(labels):
        pixels[i, label * 2 : label * 2 + 2] += 150
    return pixels, labels.astype(np.int64)


def write_bundle(
    folder: Path,
    *,
    broken: bool = False,
    classes: int = 3,
    ends: tuple[InputKind, OutputKind] = ("float", "logits"),
) -> Path:
    """A bundle of a slow teacher, a student, its baseline, and a wrong int8 student."""
    folder.mkdir(parents=True)
    write = functools.partial(write_model, ends=ends)
    files = {
        "teacher": write(folder / "teacher.onnx", extra=512, classes=classes),
        "student": write(folder / "student.onnx", wrong=np.nan if broken else 0.0),
        "baseline": write(folder / "baseline.onnx", wrong=3.0),
        "student_int8": write(folder / "student.int8.onnx", wrong=3.0),
    }
    pixels, labels = images()
    np.savez(folder / "evaluation.npz", images=pixels, labels=labels)
    np.savez(folder / "golden.npz", nothing=np.zeros(1))
    bundle = header("bundle") | {
        "classes": list(CLASSES),
        "data": {"reference": "thirds", "fingerprint": "0"},
        "reference": "teacher",
        "variants": {
            name: {
                "file": path.name,
                "role": name,
                "precision": "int8" if "int8" in name else "float32",
                "sha256": digest(path),
                "size_bytes": path.stat().st_size,
                "parameters": 108,
                "network": "thirds",
                "preprocessing": SPEC.to_dict(),
                "metrics": {},
                "session": {},
            }
            for name, path in files.items()
        },
        "evaluation": {"file": "evaluation.npz", "sha256": digest(folder / "evaluation.npz")},
        "golden": {"file": "golden.npz", "sha256": digest(folder / "golden.npz")},
        "history": {"student": [{"epoch": 1, "loss": 0.5}]},
        "advice": ["an advice of export"],
    }
    (folder / "bundle.json").write_text(json.dumps(bundle))
    return folder


def digest(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def evidence(
    *, slowdown: float = 4.0, model_bytes: int | None = 1_000_000, wrong: int = 2
) -> Evidence:
    """A teacher that takes `slowdown` ms and is always right; a student: 1 ms, `wrong` of 100.

    Processes differ by a few per mille; memory differs between them by 10 kB.
    """
    labels = np.arange(100) % 3
    answers = labels.copy()
    answers[:wrong] = (labels[:wrong] + 1) % 3
    pixels = np.zeros((100, 2, 2, 1), np.uint8)
    fresh = tuple(
        FreshProcess(
            baseline_bytes=40_000_000,
            peak_bytes=None if model_bytes is None else 40_000_000 + model_bytes + extra,
            model_bytes=None if model_bytes is None else model_bytes + extra,
            python_seconds=0.03,
            import_numpy_seconds=0.06,
            import_runtime_seconds=0.04,
            session_seconds=0.02,
            first_seconds=0.002,
            second_seconds=0.001,
        )
        for extra in (0, 10_000, 5_000, 2_500, 7_500)
    )
    return Evidence(
        reference="teacher",
        variants={name: variant(name) for name in ("teacher", "student")},
        batch_size=1,
        cores=2,
        planned=(5, 10),
        latency=tuple(_process(slowdown, drift) for drift in (1.0, 1.002, 0.999, 1.001, 0.998)),
        fresh={"teacher": fresh, "student": fresh},
        images=TestImages("hundred", Path("evaluation.npz"), pixels, labels, CLASSES),
        answers={
            "teacher": read_rows(np.eye(3, dtype=np.float32)[labels], "logits"),
            "student": read_rows(np.eye(3, dtype=np.float32)[answers], "logits"),
        },
    )


def variant(name: str) -> Variant:
    """A file of 100 kB with 5,000 parameters."""
    return Variant(
        name=name,
        path=Path(f"{name}.onnx"),
        role=name,
        network="thirds",
        precision="float32",
        sha256="0",
        size_bytes=100_000,
        parameters=5_000,
        preprocessing=SPEC,
    )


def _process(slowdown: float, drift: float) -> LatencyProcess:
    block = 1e-3 * np.array([0.99, 1.0, 1.0, 1.0, 1.01])
    rounds = [
        {
            "teacher": slowdown * block * pace,
            COPY: slowdown * block * pace * drift,
            "student": block * pace * drift,
        }
        for pace in np.linspace(1.0, 1.5, 10)  # the machine slows down; pairing cancels it
    ]
    return LatencyProcess(
        rounds=tuple(rounds),
        wall_over_cpu=1.0,
        switches_per_second=1.0,
        others=0.1,
        stolen=0.0,
        load=0.1,
        throttled=False,
        unsteady=(),
        cpu_seconds={"teacher": slowdown * 1e-3, COPY: slowdown * 1e-3, "student": 1e-3 * drift},
    )
