"""What each operator of a network costs, from onnxruntime's own profile.

The graph is the one that runs: optimised for this machine, so its nodes may bear other names than
those of the file. Neither torch nor onnx is needed.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from compress.errors import BenchError

_KERNEL = "_kernel_time"
_LEFT_OUT = 3  # first runs: they allocate, and find cold caches
_LEAST_RUNS = 5
_MICROSECOND = 1e-6


@dataclass(frozen=True)
class LayerTime:
    """One operator of the graph that runs.

    Attributes:
        operator: its type.
        seconds: per inference; the profiler itself adds some microseconds to each operator.
        output_shapes: of its outputs.
    """

    operator: str
    seconds: float
    output_shapes: tuple[tuple[int, ...], ...]


def layer_seconds(
    path: Path,
    feed: Mapping[str, NDArray[Any]],
    threads: int | None,
    runs: int = 40,
    budget_seconds: float = 1.0,
) -> dict[str, LayerTime]:
    """Run a file under onnxruntime's profiler.

    Args:
        path: ONNX file.
        feed: its inputs, by name.
        threads: onnxruntime's; all cores if None.
        runs: inferences that count, at most.
        budget_seconds: after which no further inference is begun, once five count.

    Returns:
        By node name, in the order of execution. Times are interquartile means over the runs: the
        profile counts whole microseconds, so a median would show nothing smaller.

    Raises:
        BenchError: the file cannot be opened or run.
    """
    with TemporaryDirectory(prefix="compress-layers-") as folder:
        events = _profile(path, feed, _options(threads, folder), runs, budget_seconds)
    kept = list(_per_run(events))[_LEFT_OUT:]
    if not kept or not kept[0]:
        raise BenchError(
            f"{path.name}: expected operators in onnxruntime {ort.__version__}'s profile, "
            "found none; take a version that can profile"
        )
    return {name: _layer([run[name] for run in kept]) for name in kept[0]}


def _options(threads: int | None, folder: str) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_profiling = True
    options.profile_file_prefix = str(Path(folder) / "profile")
    return options


def _profile(
    path: Path,
    feed: Mapping[str, NDArray[Any]],
    options: ort.SessionOptions,
    runs: int,
    budget_seconds: float,
) -> list[dict[str, Any]]:
    """The profile's events, in the order in which they ended."""
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        deadline = time.perf_counter() + budget_seconds
        for index in range(_LEFT_OUT + runs):
            if index >= _LEFT_OUT + _LEAST_RUNS and time.perf_counter() > deadline:
                break
            session.run(None, dict(feed))
        events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_bytes())
    # onnxruntime's exceptions share no base class but Exception.
    except Exception as error:
        raise BenchError(
            f"{path.name}: onnxruntime {ort.__version__} cannot profile it "
            f"({' '.join(str(error).split())[:300]}); look at the file and its input"
        ) from error
    return events


def _per_run(events: Sequence[dict[str, Any]]) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """The operators' events of each inference, by node name; names of foreign files can repeat."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            found[event["name"].removesuffix(_KERNEL)].append(event)
        elif event["name"] == "model_run":
            yield dict(found)
            found.clear()


def _layer(per_run: Sequence[list[dict[str, Any]]]) -> LayerTime:
    """One name's events, of each run, as one operator."""
    totals = [sum(event["dur"] for event in events) for events in per_run]
    arguments = per_run[0][0]["args"]
    return LayerTime(
        operator=str(arguments["op_name"]),
        seconds=_interquartile_mean(totals) * _MICROSECOND,
        output_shapes=tuple(
            tuple(shape)
            for output in arguments.get("output_type_shape", ())
            for shape in output.values()
        ),
    )


def _interquartile_mean(values: Sequence[float]) -> float:
    """Mean of the middle half."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())
