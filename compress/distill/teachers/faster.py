"""A torch teacher that answers many images does so by onnxruntime, which is faster on a CPU.

Measured on two cores (AVX-512, torch 2.14, onnxruntime 1.31), resnet56 at 32 x 32, images a second
in batches of 32 to 256: torch 300 to 550, channels-last 430 to 670, with folded BatchNorm 490 to
790, compiled 560 to 880, bfloat16 360 to 450, onnxruntime 880 to 1030. Logits of up to 340 differ
by 2e-4 between any two of these, but by 3 in bfloat16, which is therefore no choice.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from compress.distill.teachers.live import LiveTeacher
from compress.distill.teachers.mean import MeanTeacher
from compress.distill.teachers.onnx_network import (
    OnnxNetwork,
    choose_output,
    open_session,
    read_signature,
)
from compress.distill.teachers.protocol import Teacher
from compress.distill.teachers.torch_network import TorchNetwork
from compress.errors import CompressError, UsageError
from compress.models.tracing import trace
from compress.progress import Progress
from compress.training.views import ViewPlan, read_views

Runtime = Literal["torch", "onnxruntime"]
Asked = Literal["auto", "torch", "onnxruntime"]

# Converting takes seconds, which so many images give back. A fixed number, not a measured one: a
# run that was stopped must go on with the same numbers.
_WORTH_IT = 50_000
_TRIED = 32  # images on which both must agree
_OPSET = 18
# Of the largest logit; a float16 that is kept is 250 times as coarse.
_TOLERANCE = 1e-5


def choose_runtime(teacher: Teacher, images: int, asked: Asked) -> Runtime:
    """What torch networks among the teachers answer by; part of what decides a result.

    Args:
        teacher: any.
        images: how many it will be asked about.
        asked: --teacher-runtime.
    """
    if asked != "auto":
        return asked
    fits = images >= _WORTH_IT and _any_on_cpu(teacher) and not _lacking()
    return "onnxruntime" if fits else "torch"


def _any_on_cpu(teacher: Teacher) -> bool:
    """Whether a torch network on the CPU is among the teachers."""
    if isinstance(teacher, MeanTeacher):
        return any(_any_on_cpu(member) for member in teacher.teachers)
    network = teacher.network if isinstance(teacher, LiveTeacher) else None
    return isinstance(network, TorchNetwork) and network.device.type == "cpu"


def _lacking() -> list[str]:
    """Packages that a conversion needs and that are not installed."""
    return [name for name in ("onnx", "onnxscript") if find_spec(name) is None]


def hasten(
    teacher: Teacher, plan: ViewPlan, runtime: Runtime, asked: Asked, progress: Progress
) -> Teacher:
    """The same teacher, answering by onnxruntime where that was chosen and gives the same answers.

    Args:
        teacher: any; only torch networks on the CPU change.
        plan: views on which both are compared.
        runtime: from `choose_runtime`.
        asked: --teacher-runtime; "auto" goes on by torch what cannot be converted.
        progress: told which it is, and how far the answers differ.

    Raises:
        UsageError: onnxruntime was asked for and cannot take torch's place.
    """
    if runtime == "torch":
        return teacher
    if isinstance(teacher, MeanTeacher):
        members = [hasten(t, plan, runtime, asked, progress) for t in teacher.teachers]
        return replace(teacher, teachers=tuple(members))
    if not isinstance(teacher, LiveTeacher) or not isinstance(teacher.network, TorchNetwork):
        return teacher
    try:
        return _converted(teacher, teacher.network, plan, progress)
    # torch's exporter and onnxruntime refuse in many ways what torch can run
    except Exception as error:
        if asked == "onnxruntime":
            raise _refused(teacher, error) from error
        progress.detail(f"teacher {teacher.name} answers by torch: {_line(error)}")
        return teacher


def _converted(
    teacher: LiveTeacher, network: TorchNetwork, plan: ViewPlan, progress: Progress
) -> LiveTeacher:
    """The teacher by onnxruntime, held against itself by torch.

    Raises:
        CompressError: it cannot be converted, or answers otherwise.
    """
    lacking = _lacking()
    if lacking or network.device.type != "cpu":
        found = f"{lacking[0]} is not installed" if lacking else f"it is on {network.device}"
        raise CompressError(found)
    spec = network.preprocessing
    example = torch.zeros(2, spec.channels, *spec.size)
    with progress.timed(f"converting teacher {teacher.name}"):
        graph = trace(network.model.module, example, _OPSET)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "teacher.onnx"
        path.write_bytes(graph.SerializeToString())
        session = open_session(path, torch.get_num_threads(), str(path))
    signature = read_signature(session, teacher.subject)
    signature = choose_output(session, signature, spec.size, None, teacher.subject)
    fast = replace(teacher, network=OnnxNetwork(session, signature, spec, "cpu"))
    indices = np.arange(min(_TRIED, len(plan.split)))
    difference = _difference([t.logits(read_views(plan, 0, indices)) for t in (teacher, fast)])
    if difference > _TOLERANCE:
        raise CompressError(f"its logits differ by {difference:.1e} of the largest one")
    progress.say(
        f"teacher {teacher.name} answers by onnxruntime: logits differ from torch's by at most "
        f"{difference:.1e} of the largest one"
    )
    return fast


def _difference(answers: Sequence[torch.Tensor]) -> float:
    """The largest difference as a share of the largest logit."""
    one, other = answers
    return float((one - other).abs().max() / one.abs().max().clamp_min(1e-12))


def _refused(teacher: LiveTeacher, error: Exception) -> UsageError:
    return UsageError(
        f"--teacher-runtime onnxruntime: expected {teacher.name} to give the same answers there, "
        f"found that it does not ({_line(error)}); use --teacher-runtime torch"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
