"""Small graphs that integers spoil, as cases for the ladder; labels are what float32 answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

import exported
import proof_case
import tiny
from compress.data.dataset import Dataset
from compress.progress import SILENT
from compress.settings import Export
from compress_export.bundle import Variant
from compress_export.portability import choose_portability
from compress_export.quantizers.pair_projection import safe_weights
from compress_export.ranges import find_network_ranges
from compress_export.repair.case import Attempt, Case
from compress_export.session import open_session, run_logits, session_options
from compress_export.sources import Source
from compress_export.work import Result, Work

NAMES = ("one/Conv", "one/Relu", "two/Conv", "two/Relu", "three/Conv", "three/Relu")
NAMES = (*NAMES, "pool/GlobalAveragePool", "flat/Flatten", "head/Gemm")


def network(spoiled: float = 1.0) -> onnx.ModelProto:
    """Plain, depthwise and pointwise convolutions, and a head.

    Args:
        spoiled: factor of the last of the channels between the first two; the others have roots
            of it, and all are taken back after it: the network stays what it is, but one range
            does not fit all channels.
    """
    first, second = proof_case.weight(8, 1, 3, 3), proof_case.weight(8, 1, 3, 3, seed=1)
    factors = (spoiled ** np.linspace(0, 1, 8)).astype(np.float32).reshape(8, 1, 1, 1)
    first, second = first * factors, second / factors
    return _centred(
        proof_case.graph(
            """(float[n, 1, 16, 16] input) => (float[n, 3] logits) {
            a = Conv <pads = [1, 1, 1, 1]> (input, w1)
            b = Relu (a)
            c = Conv <pads = [1, 1, 1, 1], group = 8> (b, w2, b2)
            d = Relu (c)
            e = Conv (d, w3, b3)
            f = Relu (e)
            g = GlobalAveragePool (f)
            h = Flatten (g)
            logits = Gemm <transB = 1> (h, w4, b4)
        }""",
            NAMES,
            w1=first,
            w2=second,
            b2=np.linspace(-0.1, 0.1, 8, dtype=np.float32),
            w3=proof_case.weight(8, 8, 1, 1, seed=2),
            b3=np.zeros(8, np.float32),
            w4=proof_case.weight(3, 8, seed=3) * 200,
            b4=np.zeros(3, np.float32),
        )
    )


def case(core: onnx.ModelProto, out: Path, **settings) -> Case:
    """A graph's case, with int8 asked for."""
    data = tiny.dataset()
    source = Source(
        name="net.onnx",
        preprocessing=exported.SPEC,
        classes=tiny.CLASSES,
        sha256="",
        parameters=0,
        graph=lambda opset: (core, {}),
        answer=lambda images: np.zeros((len(images), 3), np.float32),
    )
    work = Work(
        out=out,
        dataset=data,
        size=(16, 16),
        settings=Export(int8=True, latency=False, **settings),
        portability=choose_portability(None, None),
        seed=0,
        threads=1,
        progress=SILENT,
    )
    logits = work.logits("student", core, work.view(data.validation, exported.SPEC), "")
    work = replace(work, dataset=_labelled(data, logits))
    variant = Variant(
        role="student",
        file="student.onnx",
        precision="float32",
        source=source,
        validation={"accuracy": 1.0, "n": len(logits)},
    )
    result = Result(variant=variant, core=core, logits=logits, checks={})
    return Case(work=work, source=source, teacher=None, float32=result)


def _centred(core: onnx.ModelProto) -> onnx.ModelProto:
    """The bias of the head set, in place, so that answers differ from image to image."""
    means = answers(core, exported.inputs(48)).mean(axis=0)
    (bias,) = (tensor for tensor in core.graph.initializer if tensor.name == "b4")
    bias.CopyFrom(numpy_helper.from_array(-means, "b4"))
    return core


def answers(model: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray:
    """What a graph answers on ready inputs."""
    return run_logits(open_session(model, session_options(1), subject="net"), inputs)


def plain(found: Case) -> Attempt:
    """Plain int8, as export begins."""
    core = found.float32.core
    weights = safe_weights(core)
    ranges = find_network_ranges(found.work, found.source, core, found.float32, weights)
    return Attempt(core=core, weights=weights, found=ranges)


def _labelled(data: Dataset, logits: np.ndarray) -> Dataset:
    return replace(data, validation=replace(data.validation, labels=logits.argmax(axis=1)))
