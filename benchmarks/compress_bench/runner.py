"""What runs on the measured device: one file, Python 3.8 or newer, numpy and onnxruntime.

A job comes as JSON on standard input; events go out as JSON Lines, each flushed at once, so that
whoever listens keeps the finished rounds when the link drops. All statistics are made by the
listener, from the raw samples. Job kinds: inspect, latency, memory, predict.
"""

from __future__ import annotations

import base64
import gc
import importlib.util
import json
import math
import os
import platform
import random
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

PROTOCOL = 1
MIN_WARM_UP_RUNS = 3
STEADY = 0.02  # the medians of two warm-up blocks in a row differ by this share at most
MAX_BLOCK = 200  # inferences; more make the report larger but hardly narrow an interval
MEMORY_RUNS = 10  # the arena has its final size after two
PREDICT_BATCH = 64
LINE_ROWS = 1024  # rows of logits in one event

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(uint8)": "uint8",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
}
_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "armv7l": 364}
# A Raspberry Pi's firmware; bits 0 to 3 say what happens now: under-voltage, capped, throttled,
# soft temperature limit.
_PI_THROTTLED = "/sys/devices/platform/soc/soc:firmware/get_throttled"

Json = Dict[str, Any]
Emit = Callable[[Json], None]


def main() -> int:
    """Read a job, do it, tell of it; 0 done, 1 failed (the last event says why)."""
    emit = open_output()
    try:
        job = json.loads(sys.stdin.read())
        emit(load_libraries())
        kinds = {"inspect": inspect, "latency": latency, "memory": memory, "predict": predict}
        kinds[job["kind"]](job, emit)
        emit({"event": "done"})
    except BrokenPipeError:  # nobody listens any more
        return 1
    except Exception as error:
        emit({"event": "error", "type": type(error).__name__, "message": str(error)})
        return 1
    return 0


def open_output() -> Emit:
    """Keep standard output for events: whatever a library prints goes to standard error."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def emit(event: Json) -> None:
        out.write(json.dumps(event) + "\n")
        out.flush()

    return emit


def load_libraries() -> Json:
    """Import numpy and onnxruntime, timed: the first part of a cold start."""
    # Linux wheels since 1.29 record telemetry with a thread of their own.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    started = time.perf_counter()
    import numpy as np

    between = time.perf_counter()
    import onnxruntime as ort

    return {
        "event": "hello",
        "protocol": PROTOCOL,
        "pid": os.getpid(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": ort.__version__,
        "import_numpy_seconds": between - started,
        "import_onnxruntime_seconds": time.perf_counter() - between,
    }


def open_session(model: Json, job: Json, emit: Emit) -> Any:
    """An onnxruntime session with threads set explicitly; says which settings it skipped."""
    import onnxruntime as ort

    emit({"event": "phase", "phase": "opening the model", "variant": model["variant"]})
    options = ort.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # Spin-waiting burns the CPU between inferences and, on a busy machine, doubles their time.
    wanted = {"session.intra_op.allow_spinning": "0"}
    wanted.update(job.get("session", {}))
    wanted.update(model.get("session", {}))
    skipped = [key for key, value in wanted.items() if not _set_option(options, key, value)]
    started = time.perf_counter()
    try:
        session = ort.InferenceSession(model["path"], options, providers=["CPUExecutionProvider"])
    except Exception as error:  # each fault has a type of its own there
        raise ValueError(
            "%s: expected an ONNX file, and onnxruntime %s cannot open it (%s); "
            "export it again" % (model["path"], ort.__version__, " ".join(str(error).split()))
        ) from error
    emit(
        {
            "event": "session",
            "variant": model["variant"],
            "seconds": time.perf_counter() - started,
            "applied": {key: value for key, value in wanted.items() if key not in skipped},
            "skipped": skipped,
        }
    )
    return session


def _set_option(options: Any, key: str, value: Any) -> bool:
    """Set a dotted session config entry or an attribute; False where this version has none."""
    try:
        if "." in key:
            options.add_session_config_entry(key, str(value))
        elif hasattr(options, key):
            setattr(options, key, value)
        else:
            return False
    except Exception:  # older versions refuse with types of their own
        return False
    return True


def make_feed(session: Any, model: Json, job: Json) -> Json:
    """Seeded random pixels in the model's shape and type."""
    import numpy as np

    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise ValueError("expected one input, found %d" % len(inputs))
    if inputs[0].type not in _DTYPES:
        raise ValueError("expected a float or uint8 input, found %s" % inputs[0].type)
    shape = list(inputs[0].shape)
    if isinstance(shape[0], int) and shape[0] != job["batch_size"]:
        raise ValueError(
            "its batch is fixed at %d, found batch size %d; export it with a dynamic batch "
            "or give --batch-size %d" % (shape[0], job["batch_size"], shape[0])
        )
    shape[0] = job["batch_size"]
    if model["shape"] is None and not all(isinstance(size, int) for size in shape):
        raise ValueError("expected an input of fixed size after the batch, found %s" % shape[1:])
    for i in range(1, len(shape)):
        if not isinstance(shape[i], int):
            shape[i] = model["shape"][i - 1]
    pixels = np.random.RandomState(job["seed"]).randint(0, 256, size=shape)
    dtype = _DTYPES[inputs[0].type]
    values = pixels if dtype == "uint8" else (pixels - 128) / 64
    return {inputs[0].name: np.ascontiguousarray(values, dtype=dtype)}


# ------------------------------------------------------------------------------------- inspect


def inspect(job: Json, emit: Emit) -> None:
    """Tell what this machine is, and what each model file says of itself."""
    emit(machine_facts())
    for model in job["models"]:
        session = open_session(model, job, emit)
        emit(
            {
                "event": "model",
                "variant": model["variant"],
                "inputs": [_describe(value) for value in session.get_inputs()],
                "outputs": [_describe(value) for value in session.get_outputs()],
                "metadata": dict(session.get_modelmeta().custom_metadata_map),
            }
        )


def _describe(value: Any) -> Json:
    return {"name": value.name, "type": value.type, "shape": list(value.shape)}


def machine_facts() -> Json:
    """The raw facts; what they mean is for the listener to say."""
    return {
        "event": "machine",
        "machine": platform.machine(),
        "system": platform.system(),
        "kernel": platform.release(),
        "processor": platform.processor(),
        "cores": available_cores(),
        "cpuinfo": read_text("/proc/cpuinfo"),
        "meminfo": read_text("/proc/meminfo")[:512],
        "device_model": read_text("/proc/device-tree/model").strip("\0\n"),
        "governor": read_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip(),
        "perf_errno": perf_errno(),
        "perf_paranoid": Path("/proc/sys/kernel/perf_event_paranoid").exists(),
    }


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def perf_errno() -> Optional[int]:
    """Errno of a perf_event_open without arguments: emulators do not know the call at all."""
    import ctypes

    number = _PERF_EVENT_OPEN.get(platform.machine())
    if platform.system() != "Linux" or number is None:
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(ctypes.c_long(number), None, 0, -1, -1, ctypes.c_ulong(0))
    return ctypes.get_errno()


def read_text(path: str) -> str:
    """A small file of the kernel's, or nothing where this system has none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


# ------------------------------------------------------------------------------------- latency


class Stream:
    """One session with its input, timed in blocks.

    Attributes:
        variant: whose samples these are.
        count: inferences in one block.
    """

    def __init__(self, variant: str, session: Any, feed: Json) -> None:
        """Keep the session; nothing runs yet."""
        self.variant = variant
        self.count = MIN_WARM_UP_RUNS
        self._run = session.run
        self._feed = feed

    def run(self) -> List[Any]:
        """One inference; every output."""
        outputs: List[Any] = self._run(None, self._feed)
        return outputs

    def block(self) -> Json:
        """Time `count` inferences one by one; the process's CPU time and switches beside them."""
        run, feed, clock = self._run, self._feed, time.perf_counter_ns
        samples = [0] * self.count
        run(None, feed)  # not counted: it finds the caches full of another model's weights
        switches, cpu, wall = involuntary_switches(), time.process_time_ns(), clock()
        for i in range(self.count):
            started = clock()
            run(None, feed)
            samples[i] = clock() - started
        return {
            "variant": self.variant,
            "samples_ns": samples,
            "wall_ns": clock() - wall,
            "cpu_ns": time.process_time_ns() - cpu,
            "switches": involuntary_switches() - switches,
        }


def latency(job: Json, emit: Emit) -> None:
    """Rounds of one block per model, in an order shuffled anew by the seed each round."""
    order = random.Random(job["seed"])  # noqa: S311
    models = list(job["models"])
    order.shuffle(models)  # who is opened first lies better in memory
    streams = []
    for model in models:
        session = open_session(model, job, emit)
        streams.append(Stream(model["variant"], session, make_feed(session, model, job)))
    gc.collect()
    gc.disable()
    for stream in streams:
        emit({"event": "phase", "phase": "warming up", "variant": stream.variant})
        emit(warm_up(stream, job))
    before = system_state()
    for index in range(job["rounds"]):
        order.shuffle(streams)
        blocks = []
        for stream in streams:
            emit({"event": "phase", "phase": "timing inferences", "variant": stream.variant})
            blocks.append(stream.block())
        emit({"event": "round", "round": index, "blocks": blocks})
    gc.enable()
    emit({"event": "system", "before": before, "after": system_state()})


def warm_up(stream: Stream, job: Json) -> Json:
    """Run until two blocks in a row agree or the time is up, then set the size of a block."""
    first, second = timed(stream.run), timed(stream.run)
    deadline = time.perf_counter() + job["warm_up_seconds"]
    medians = [_median(stream.block()["samples_ns"])]
    runs = 2 + stream.count + 1
    steady = False
    while not steady and time.perf_counter() < deadline:
        stream.count = _block_size(medians[-1], job["block_seconds"] / 2, MIN_WARM_UP_RUNS)
        medians.append(_median(stream.block()["samples_ns"]))
        runs += stream.count + 1
        steady = abs(medians[-1] - medians[-2]) <= STEADY * medians[-2]
    stream.count = _block_size(medians[-1], job["block_seconds"], job["block_inferences"])
    return {
        "event": "warm_up",
        "variant": stream.variant,
        "first_seconds": first,
        "second_seconds": second,
        "runs": runs,
        "steady": steady,
        "block_inferences": stream.count,
    }


def timed(call: Callable[[], Any]) -> float:
    """Seconds that one call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _block_size(median_ns: float, seconds: float, least: int) -> int:
    return max(least, min(MAX_BLOCK, math.ceil(seconds * 1e9 / max(median_ns, 1.0))))


def _median(samples: List[int]) -> float:
    ordered = sorted(samples)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return float(ordered[middle])
    return (ordered[middle - 1] + ordered[middle]) / 2


def involuntary_switches() -> int:
    """How often the kernel took the CPU from this process; 0 where it does not say."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def system_state() -> Json:
    """Counters whose change tells of other work, a hypervisor's theft and throttling."""
    # user, nice, system, idle, iowait, irq, softirq, steal; all cores together
    ticks = [int(field) for field in read_text("/proc/stat").split("\n")[0].split()[1:9]]
    idle = sum(ticks[3:5])
    throttled = 0
    for core in range(os.cpu_count() or 1):
        folder = "/sys/devices/system/cpu/cpu%d/thermal_throttle/" % core
        throttled += int(read_text(folder + "core_throttle_count").strip() or 0)
    firmware = read_text(_PI_THROTTLED).strip()
    return {
        "seconds": time.perf_counter(),
        "own_cpu_seconds": time.process_time(),
        "busy_cpu_seconds": (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK") if ticks else None,
        "stolen_cpu_seconds": ticks[7] / os.sysconf("SC_CLK_TCK") if len(ticks) > 7 else None,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "throttle_count": throttled,
        "firmware_throttled": int(firmware, 16) & 0xF if firmware else 0,
    }


# -------------------------------------------------------------------------------------- memory


def memory(job: Json, emit: Emit) -> None:
    """One model in this fresh process: what it adds to memory, and its cold start."""
    (model,) = job["models"]
    baseline = status_bytes("VmRSS")
    reset = reset_peak()
    session = open_session(model, job, emit)
    emit({"event": "phase", "phase": "the first inferences", "variant": model["variant"]})
    stream = Stream(model["variant"], session, make_feed(session, model, job))
    first, second = timed(stream.run), timed(stream.run)
    for _ in range(MEMORY_RUNS - 3):
        stream.run()
    outputs = stream.run()
    peak = status_bytes("VmHWM") if reset else None
    emit(
        {
            "event": "memory",
            "variant": model["variant"],
            "first_seconds": first,
            "second_seconds": second,
            "baseline_bytes": baseline,
            "peak_bytes": peak,
            "model_bytes": None if peak is None or baseline is None else peak - baseline,
            "finite": all_finite(outputs),
        }
    )


def status_bytes(field: str) -> Optional[int]:
    """VmRSS or VmHWM of this process; None off Linux."""
    for line in read_text("/proc/self/status").split("\n"):
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return None


def reset_peak() -> bool:
    """Let VmHWM start anew from the present VmRSS; False where the kernel does not allow it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def all_finite(outputs: List[Any]) -> bool:
    """Whether no output holds NaN or infinity."""
    import numpy as np

    return all(bool(np.isfinite(output).all()) for output in outputs)


# ------------------------------------------------------------------------------------- predict


def predict(job: Json, emit: Emit) -> None:
    """What each model says of each image of an .npz, as it gives it: logits, scores or labels."""
    import numpy as np

    shared = load_module(job["preprocess"])
    with np.load(job["evaluation"], allow_pickle=False) as file:
        images = file["images"]
    for model in job["models"]:
        session = open_session(model, job, emit)
        emit({"event": "phase", "phase": "predicting", "variant": model["variant"]})
        spec = shared.Preprocessing.from_dict(model["preprocessing"])
        (only,) = session.get_inputs()

        def prepare(rows: Any, spec: Any = spec, only: Any = only) -> Any:
            return shared.to_input(rows, spec, only.type, only.shape)

        for start in range(0, len(images), LINE_ROWS):
            outputs = predict_rows(session, images[start : start + LINE_ROWS], prepare)
            emit(dict(answer_event(outputs), variant=model["variant"], start=start))


def predict_rows(session: Any, images: Any, prepare: Callable[[Any], Any]) -> List[Any]:
    """Outputs for uint8 images [N, H, W, C]; a fixed batch is padded and cut.

    Returns [logits or scores [N, classes]], or [labels [N], their scores [N]].
    """
    import numpy as np

    (only,) = session.get_inputs()
    outputs = session.get_outputs()
    names = [value.name for value in outputs[: 2 if outputs[0].type == "tensor(int64)" else 1]]
    fixed = only.shape[0] if isinstance(only.shape[0], int) else None
    size = fixed or PREDICT_BATCH
    parts = []
    for start in range(0, len(images), size):
        batch = prepare(images[start : start + size])
        count = len(batch)
        if fixed and count < fixed:
            batch = np.concatenate([batch, np.repeat(batch[:1], fixed - count, axis=0)])
        parts.append([output[:count] for output in session.run(names, {only.name: batch})])
    return [np.concatenate([part[i] for part in parts]) for i in range(len(names))]


def answer_event(outputs: List[Any]) -> Json:
    """Rows of logits or scores, or labels with scores; base64 of little-endian float32."""
    axes = [output.ndim for output in outputs]
    if axes not in ([2], [1, 1]):
        raise ValueError(
            "expected output [batch, classes], or label and score of [batch] each, found %s"
            % [list(output.shape) for output in outputs]
        )
    values = base64.b64encode(outputs[-1].astype("<f4").tobytes()).decode("ascii")
    if axes == [2]:
        return {"event": "logits", "shape": list(outputs[0].shape), "float32": values}
    return {"event": "labels", "labels": outputs[0].tolist(), "float32": values}


def load_module(path: str) -> Any:
    """Import the file that turns images into inputs; it lies beside this one or elsewhere."""
    spec = importlib.util.spec_from_file_location("compress_preprocess", path)
    if spec is None or spec.loader is None:
        raise ImportError("%s: cannot be imported; expected preprocess.py" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
