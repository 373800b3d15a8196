"""What runs on the measured device: one file, Python 3.8 or newer, numpy and onnxruntime.

A job comes as JSON on standard input; events go out as JSON Lines, each flushed at once, so that
whoever listens keeps the finished rounds when the link drops. All statistics are made by the
listener, from the raw samples. Job kinds: inspect, latency, paced, sustained, memory, counts,
layers, predict, outputs, examine, and several of them in one process.
"""

from __future__ import annotations

import base64
import errno
import gc
import importlib.util
import json
import math
import os
import platform
import random
import re
import shutil
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

PROTOCOL = 2
MIN_WARM_UP_RUNS = 3
STEADY = 0.02  # the medians of two warm-up blocks in a row differ by this share at most
MAX_BLOCK = 200  # inferences; more make the report larger but hardly narrow an interval
SPIN_SECONDS = 0.05  # measured: threads that spin go on for 30 ms, on the next model's cores
MEMORY_RUNS = 10  # the arena has its final size after two
PREDICT_BATCH = 64
LINE_ROWS = 1024  # rows of logits in one event
PROFILE_WARM_UP = 3  # profiled inferences left out: they allocate, and find cold caches
PROFILE_LEAST = 5
FIRMWARE_SECONDS = 5  # after which a firmware that does not answer is left alone

# What can be fed, by onnxruntime's name of it.
DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(uint16)": "uint16",
    "tensor(int32)": "int32",
    "tensor(uint32)": "uint32",
    "tensor(int64)": "int64",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}
_NEWER = "install a newer onnxruntime, or export for this one"
# What onnxruntime says in its own words; in ours; what to do.
_REFUSALS = (
    (
        r"model IR version: (\d+), max supported IR version: (\d+)",
        "its IR version is %s, this one reads up to %s",
        _NEWER,
    ),
    (
        r"Opset (\d+) is under development.* domain (\S+) is till opset (\d+)",
        "its operators are of opset %s, of domain %s this one knows up to %s",
        _NEWER,
    ),
    (
        r"External data path does not exist: (\S+)",
        "its weights are missing: %s",
        "copy that file too",
    ),
)
_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "armv7l": 364}
_THERMAL = "/sys/class/thermal"
_FREQUENCY = "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq"
# A Raspberry Pi's firmware; bits 0 to 3 say what happens now: under-voltage, capped, throttled,
# soft temperature limit; bits 16 to 19 the same of the time since it was switched on.
# Source: https://www.raspberrypi.com/documentation/computers/os.html#get_throttled; the kernel's
# file: https://github.com/raspberrypi/linux/pull/2397. A model can have an address after "soc".
_PI_THROTTLED = "sys/devices/platform/soc*/soc*:firmware/get_throttled"

Json = Dict[str, Any]
Emit = Callable[[Json], None]


def main() -> int:
    """Read a job, do it, tell of it; 0 done, 1 failed (the last event says why)."""
    python_seconds = process_age()
    emit = open_output()
    try:
        job = json.loads(sys.stdin.read())
        emit(dict(load_libraries(job), python_seconds=python_seconds))
        do(job, emit)
        emit({"event": "done"})
    except BrokenPipeError:  # nobody listens any more
        return 1
    except Exception as error:
        emit({"event": "error", "type": type(error).__name__, "message": str(error)})
        return 1
    return 0


def do(job: Json, emit: Emit) -> None:
    """Do a job of any kind."""
    kinds = {
        "inspect": inspect,
        "latency": latency,
        "paced": paced,
        "sustained": sustained,
        "memory": memory,
        "counts": counts,
        "layers": layers,
        "predict": predict,
        "outputs": outputs,
        "examine": examine,
        "several": several,
    }
    kinds[job["kind"]](job, emit)


def several(job: Json, emit: Emit) -> None:
    """Jobs in turn, where starting a process takes longer than they do; one's failure is told.

    What a part does not say is the whole job's.
    """
    for index, part in enumerate(job["jobs"]):
        emit({"event": "part", "part": index, "kind": part["kind"]})
        try:
            do(dict(job, **part), emit)
        except BrokenPipeError:
            raise
        except Exception as error:
            said = {"type": type(error).__name__, "message": str(error)}
            emit(dict(said, event="failed", part=index))


def process_age() -> Optional[float]:
    """Seconds since this process was started, in steps of 10 ms; None off Linux."""
    fields = read_text("/proc/self/stat").rpartition(")")[2].split()
    if not fields or not hasattr(time, "CLOCK_BOOTTIME"):
        return None
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # field 22 of proc(5), after the name's 2
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)


def open_output() -> Emit:
    """Keep standard output for events: whatever a library prints goes to standard error."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def emit(event: Json) -> None:
        out.write(json.dumps(event) + "\n")
        out.flush()

    return emit


def load_libraries(job: Json) -> Json:
    """Import numpy and the runtimes that the job needs, timed: the first part of a cold start."""
    # Linux wheels since 1.29 record telemetry with a thread of their own.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    if job["kind"] == "examine":  # it works where nothing is installed
        return {"event": "hello", "protocol": PROTOCOL, "python": platform.python_version()}
    started = time.perf_counter()
    import numpy as np

    between = time.perf_counter()
    needed = {model.get("runtime", "onnxruntime") for model in job["models"]}
    versions = {name: load_runtime(name, job) for name in sorted(needed | set(job["runtimes"]))}
    return {
        "event": "hello",
        "protocol": PROTOCOL,
        "pid": os.getpid(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": versions.get("onnxruntime"),
        "runtimes": versions,
        "import_numpy_seconds": between - started,
        "import_runtime_seconds": time.perf_counter() - between,
    }


def load_runtime(name: str, job: Json) -> str:
    """Import a runtime; its version."""
    if name != "onnxruntime":
        return str(load_module(job["runtimes"][name]).version())
    import onnxruntime as ort

    return str(ort.__version__)


def open_session(
    model: Json, job: Json, emit: Emit, prepare: Optional[Callable[[Any], None]] = None
) -> Any:
    """A session with threads set explicitly; says which settings it skipped.

    Args:
        model: path, variant, and what is its own: runtime, threads, session settings.
        job: what holds for all models.
        emit: told of the session.
        prepare: changes onnxruntime's options further.
    """
    emit({"event": "phase", "phase": "opening the model", "variant": model["variant"]})
    threads = model.get("threads") or job["threads"]
    # Spin-waiting burns the CPU between inferences and, on a busy machine, doubles their time.
    wanted = {"session.intra_op.allow_spinning": "0"}
    wanted.update(job.get("session", {}))
    wanted.update(model.get("session", {}))
    started = time.perf_counter()
    runtime = model.get("runtime", "onnxruntime")
    if runtime == "onnxruntime":
        session, skipped = _open_onnxruntime(model["path"], threads, wanted, prepare)
        applied = {key: value for key, value in wanted.items() if key not in skipped}
    else:
        # Predictions take batches of any size; all else has one shape, which may be faster.
        shapes = {} if job["kind"] == "predict" else model.get("shapes")
        settings = dict(wanted, shapes=shapes)
        foreign = load_module(job["runtimes"][runtime])
        session, skipped = foreign.open_session(model["path"], threads, settings), []
        applied = session.applied
    emit(
        {
            "event": "session",
            "variant": model["variant"],
            "seconds": time.perf_counter() - started,
            "applied": applied,
            "skipped": skipped,
        }
    )
    return session


def _open_onnxruntime(
    path: str, threads: int, wanted: Json, prepare: Optional[Callable[[Any], None]]
) -> Any:
    """The session, and which of the wanted settings this version does not know."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    skipped = [key for key, value in wanted.items() if not _set_option(options, key, value)]
    if prepare is not None:
        prepare(options)
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # each fault has a type of its own there
        raise ValueError(explain_refusal(path, ort.__version__, str(error))) from error
    return session, skipped


def explain_refusal(path: str, version: str, message: str) -> str:
    """Why onnxruntime does not open a file, and what to do, in one sentence."""
    subject = "%s: expected an ONNX file, and onnxruntime %s cannot open it" % (path, version)
    for pattern, found, remedy in _REFUSALS:
        match = re.search(pattern, message)
        if match:
            return "%s (%s); %s" % (subject, found % match.groups(), remedy)
    words = re.sub(r"^\[ONNXRuntimeError\].*?failed: ?", "", " ".join(message.split()))
    return "%s (%s); export it again" % (subject, words)


def _set_option(options: Any, key: str, value: Any) -> bool:
    """Set a dotted session config entry or an attribute; False where this version has none.

    onnxruntime takes every dotted entry and heeds those it knows; only attributes can be missed.
    """
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
    """Seeded values for each input: pixels, numbers from -2 to 2, or ones."""
    import numpy as np

    random_values = np.random.RandomState(job["seed"])
    feed = {}
    for value in session.get_inputs():
        if value.type not in DTYPES:
            raise ValueError("input %s: cannot feed a %s" % (value.name, value.type))
        dtype, shape = DTYPES[value.type], feed_shape(value, model, job)
        if is_fed_ones(dtype, len(shape)):
            feed[value.name] = np.ones(shape, dtype=dtype)
            continue
        pixels = random_values.randint(0, 256, size=shape)
        values = {"uint8": pixels, "int8": pixels - 128}.get(dtype, (pixels - 128) / 64)
        feed[value.name] = np.array(values, dtype=dtype, order="C")
    return feed


def is_fed_ones(dtype: str, axes: int) -> bool:
    """Whether an input gets ones: an id of any table, a mask that hides nothing, a length."""
    is_image = dtype in ("uint8", "int8") and axes >= 3
    return not dtype.startswith("float") and not is_image


def feed_shape(value: Any, model: Json, job: Json) -> List[int]:
    """The sizes that the listener chose; else the file's own, with the batch where it is open."""
    chosen = (model.get("shapes") or {}).get(value.name)
    if chosen is not None:
        return list(chosen)
    shape = list(value.shape)
    if shape and not isinstance(shape[0], int):
        shape[0] = job["batch_size"]
    if not all(isinstance(size, int) for size in shape):
        raise ValueError("input %s: the sizes of %s are open" % (value.name, shape))
    return shape


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


# ------------------------------------------------------------------------------------- examine


def examine(job: Json, emit: Emit) -> None:
    """Tell what the doctor asks of this machine; neither numpy nor onnxruntime is needed."""
    emit({"event": "phase", "phase": "looking at the machine", "variant": "examine"})
    state = system_state()
    counter, counter_reason = open_counter(PERF_HARDWARE, PERF_INSTRUCTIONS)
    if counter is not None:
        os.close(counter)
    meter, meter_reason = find_meter("/sys")
    firmware = {
        "throttled": firmware_throttled(),
        "celsius": firmware_celsius(),
        "khz": firmware_khz(),
    }
    emit(
        dict(
            machine_facts(),
            event="examined",
            state=state,
            firmware=firmware,
            counter_reason=counter_reason,
            meter=meter.source if meter else "",
            meter_reason=meter_reason,
            **load_module(job["examiner"]).look(job.get("busy_seconds", 0.5)),
        )
    )


# ------------------------------------------------------------------------------------- latency


class Stream:
    """One session with its input, timed in blocks.

    Attributes:
        variant: whose samples these are.
        count: inferences in one block.
        pace: seconds of one inference, as far as known.
    """

    def __init__(self, variant: str, session: Any, feed: Json, rest: float = 0.0) -> None:
        """Keep the session; nothing runs yet. `rest`: seconds of pause after each block."""
        self.variant = variant
        self._rest = rest
        self.count = MIN_WARM_UP_RUNS
        self.pace = 0.0
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
        told = {
            "variant": self.variant,
            "samples_ns": samples,
            "wall_ns": clock() - wall,
            "cpu_ns": time.process_time_ns() - cpu,
            "switches": involuntary_switches() - switches,
        }
        if self._rest:
            time.sleep(self._rest)
        return told


def latency(job: Json, emit: Emit) -> None:
    """Rounds of one block per model, in an order shuffled anew by the seed each round."""
    deadline = Deadline(job.get("budget_seconds"))
    order = random.Random(job["seed"])  # noqa: S311
    models = list(job["models"])
    order.shuffle(models)  # who is opened first lies better in memory
    streams = [open_stream(model, job, emit) for model in models]
    gc.collect()
    gc.disable()
    for stream in streams:
        emit({"event": "phase", "phase": "warming up", "variant": stream.variant})
        emit(warm_up(stream, job))
    shorten_blocks(streams, job["rounds"], deadline.left())
    emit({"event": "state", "state": system_state()})
    for index in range(job["rounds"]):
        started = time.perf_counter()
        order.shuffle(streams)
        blocks = []
        for stream in streams:
            emit({"event": "phase", "phase": "timing inferences", "variant": stream.variant})
            blocks.append(stream.block())
        # The state comes with each round: whoever loses the link still knows what it was.
        emit({"event": "round", "round": index, "blocks": blocks, "state": system_state()})
        if index + 1 < job["rounds"] and deadline.left() < time.perf_counter() - started:
            emit({"event": "capped", "rounds": index + 1})
            break
    gc.enable()


def open_stream(model: Json, job: Json, emit: Emit) -> Stream:
    """A model's session with its input."""
    session = open_session(model, job, emit)
    spins = str(model.get("session", {}).get("session.intra_op.allow_spinning", "0")) == "1"
    rest = SPIN_SECONDS if spins else 0.0
    return Stream(model["variant"], session, make_feed(session, model, job), rest)


class Deadline:
    """When a job's time is up; never, where it has no budget."""

    def __init__(self, budget_seconds: Optional[float]) -> None:
        """The clock runs from here."""
        self._end = time.perf_counter() + (math.inf if budget_seconds is None else budget_seconds)

    def left(self) -> float:
        """Seconds that are left, below zero when it has passed."""
        return self._end - time.perf_counter()


def shorten_blocks(streams: List[Stream], rounds: int, seconds: float) -> None:
    """Let blocks of slow models have fewer inferences, down to one, so that all rounds fit."""
    wanted = rounds * sum((stream.count + 1) * stream.pace for stream in streams)
    if wanted > seconds:
        for stream in streams:
            stream.count = max(1, int((stream.count + 1) * max(seconds, 0.0) / wanted) - 1)


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
    stream.pace = medians[-1] * 1e-9
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
    firmware = firmware_throttled()
    return {
        "seconds": time.perf_counter(),
        "own_cpu_seconds": time.process_time(),
        "busy_cpu_seconds": (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK") if ticks else None,
        "stolen_cpu_seconds": ticks[7] / os.sysconf("SC_CLK_TCK") if len(ticks) > 7 else None,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "throttle_count": throttle_count(),
        "firmware_throttled": None if firmware is None else firmware & 0xF,
        "khz": frequency_khz(),
        "celsius": hottest_celsius(),
    }


def throttle_count(root: str = "/") -> Optional[int]:
    """How often Intel's cores were slowed for their warmth; None where nothing counts it."""
    files = Path(root).glob("sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count")
    counts = [text for text in (read_text(str(path)).strip() for path in files) if text]
    return sum(map(int, counts)) if counts else None


def frequency_khz() -> Optional[float]:
    """Clock of the fastest core that this process may use: the one that works; None if unsaid."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    found = [int(text) for text in (read_text(_FREQUENCY % core) for core in cores) if text]
    return float(max(found)) if found else None


def hottest_celsius() -> Optional[float]:
    """Temperature of the hottest thermal zone; None where there is none."""
    zones = sorted(Path(_THERMAL).glob("thermal_zone*/temp"))
    found = [read_text(str(zone)).strip() for zone in zones]
    known = [int(text) / 1000 for text in found if text.lstrip("-").isdigit()]
    return max(known) if known else firmware_celsius()


# ------------------------------------------------------------------------ a Raspberry Pi's firmware


def vcgencmd(*words: str) -> str:
    """What the firmware of a Raspberry Pi answers; nothing where there is none, or no permission.

    Source: https://www.raspberrypi.com/documentation/computers/os.html#vcgencmd
    """
    import subprocess

    program = shutil.which("vcgencmd")
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=FIRMWARE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def firmware_throttled(root: str = "/") -> Optional[int]:
    """The bits of `_PI_THROTTLED`, from the kernel's file under `root` or from vcgencmd."""
    files = sorted(Path(root).glob(_PI_THROTTLED))
    said = read_text(str(files[0])) if files else vcgencmd("get_throttled")  # throttled=0x50005
    match = re.match(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]+)\s*$", said)
    return int(match.group(1), 16) if match else None


def firmware_celsius() -> Optional[float]:
    """The chip's temperature, as in temp=48.3'C."""
    return _firmware_number(r"temp=([\d.]+)'C", vcgencmd("measure_temp"))


def firmware_khz() -> Optional[float]:
    """The ARM cores' clock as it is, not as it was asked for, as in frequency(0)=1500398464."""
    hertz = _firmware_number(r"frequency\(\d+\)=(\d+)", vcgencmd("measure_clock", "arm"))
    return None if hertz is None else hertz / 1000


def _firmware_number(pattern: str, said: str) -> Optional[float]:
    match = re.match(pattern, said)
    return float(match.group(1)) if match else None


def pmic_watts(said: str) -> Optional[float]:
    """Power of the rails whose volts and amperes are both known, from vcgencmd's pmic_read_adc.

    Its lines are ` VDD_CORE_A current(7)=1.12518000A` and ` VDD_CORE_V volt(15)=0.89316150V`; the
    input, EXT5V, and the clock's battery have no current and do not count.

    Source: the command is in https://www.raspberrypi.com/documentation/computers/os.html#vcgencmd,
    which does not describe its output; lines of a Raspberry Pi 5 are in
    https://github.com/jfikar/RPi5-power
    """
    found = re.findall(r"(\S+)_([AV]) +(?:current|volt)\(\d+\)=([\d.]+)[AV]", said)
    amperes = {rail: float(value) for rail, unit, value in found if unit == "A"}
    volts = {rail: float(value) for rail, unit, value in found if unit == "V"}
    both = [rail for rail in amperes if rail in volts]
    return sum(amperes[rail] * volts[rail] for rail in both) if both else None


# ----------------------------------------------------------------------------- paced, sustained


def paced(job: Json, emit: Emit) -> None:
    """One model fed like a camera: a frame each period, dropped if the next one has come."""
    (model,) = job["models"]
    stream = open_stream(model, job, emit)
    gc.collect()
    gc.disable()
    emit(warm_up(stream, job))
    emit({"event": "phase", "phase": "taking frames", "variant": stream.variant})
    emit(dict(pace_frames(stream, 1.0 / job["fps"], job["frames"]), variant=stream.variant))
    gc.enable()


def pace_frames(stream: Stream, period: float, frames: int) -> Json:
    """Nanoseconds from a frame's arrival to its answer, None for a dropped one; CPU time beside."""
    taken: List[Optional[int]] = []
    clock, cpu = time.perf_counter_ns, time.process_time_ns()
    started = clock() + int(period * 1e9)
    for index in range(frames):
        arrival = started + int(index * period * 1e9)
        late = clock() - arrival
        if late > period * 1e9:
            taken.append(None)  # the next frame is there: a camera has overwritten this one
            continue
        if late < 0:
            time.sleep(-late * 1e-9)
        stream.run()
        taken.append(clock() - arrival)
    return {
        "event": "paced",
        "period_seconds": period,
        "frames_ns": taken,
        "cpu_ns": time.process_time_ns() - cpu,
    }


def sustained(job: Json, emit: Emit) -> None:
    """One model, from idle, without a pause: a window's median after another's."""
    (model,) = job["models"]
    stream = open_stream(model, job, emit)
    stream.run()
    emit({"event": "phase", "phase": "resting", "variant": stream.variant})
    time.sleep(job["idle_seconds"])
    emit({"event": "phase", "phase": "running on and on", "variant": stream.variant})
    gc.collect()
    gc.disable()
    deadline = Deadline(job["seconds"])
    emit(run_window(stream, job["window_seconds"]))
    while deadline.left() > 0:
        emit(run_window(stream, job["window_seconds"]))
    gc.enable()


def run_window(stream: Stream, seconds: float) -> Json:
    """Inferences for that long, one at least: a slow model's window takes longer than planned."""
    started = time.perf_counter()
    samples = [int(timed(stream.run) * 1e9)]
    while time.perf_counter() - started < seconds:
        samples.append(int(timed(stream.run) * 1e9))
    return {
        "event": "window",
        "variant": stream.variant,
        "median_ns": _median(samples),
        "inferences": len(samples),
        "seconds": time.perf_counter() - started,
        "state": system_state(),
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
    rollup = read_text("/proc/self/smaps_rollup")
    emit(
        {
            "event": "memory",
            "variant": model["variant"],
            "first_seconds": first,
            "second_seconds": second,
            "baseline_bytes": baseline,
            "peak_bytes": peak,
            "model_bytes": None if peak is None or baseline is None else peak - baseline,
            "pss_bytes": field_bytes(rollup, "Pss"),
            "private_dirty_bytes": field_bytes(rollup, "Private_Dirty"),
            "finite": all_finite(outputs),
        }
    )


def status_bytes(field: str) -> Optional[int]:
    """VmRSS or VmHWM of this process; None off Linux."""
    return field_bytes(read_text("/proc/self/status"), field)


def field_bytes(text: str, field: str) -> Optional[int]:
    """A "Field:   12 kB" of the kernel's, in bytes; None where it is not there."""
    for line in text.split("\n"):
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
    """Whether no output of floats holds NaN or infinity; sequences and maps are not looked at."""
    import numpy as np

    arrays = [output for output in outputs if isinstance(output, np.ndarray)]
    return all(bool(np.isfinite(array).all()) for array in arrays if array.dtype.kind == "f")


# -------------------------------------------------------------------------------------- counts

COUNT_WARM_UP = 3  # inferences that allocate what later ones use again
COUNT_SECONDS = 1.0  # of counted inferences, but between these numbers of them
COUNT_LEAST, COUNT_MOST = 3, 25
CALLGRIND_RUNS = 10  # of a small model: Python's own instructions vary by some hundreds
CALLGRIND_SMALL = 0.1  # seconds of an inference on the emulated processor; larger ones run once
MARK_CALL = 5001  # a system call that Linux does not have, and that the emulator's counter sees
PLAYED_SMALL = 2_000_000  # instructions of an inference; Python's own some thousands show in it
PLAYED_WARM_UP, PLAYED_RUNS = 15, 11  # of a small one; Python 3.11 adapts its code as it goes
CALLGRIND_SLOWER = 2.0  # than inferences on the emulated processor that are not counted
METER_SECONDS = 1.0  # RAPL moves once a millisecond
METER_PERIOD = 0.05  # a meter on a slow bus takes a millisecond to read

# linux/perf_event.h
PERF_HARDWARE = 0
PERF_INSTRUCTIONS = 1
_PERF_TIMES = 1 | 2  # read_format: time enabled and time running after the count
_PERF_FLAGS = 1 << 1 | 1 << 5 | 1 << 6  # inherit, exclude_kernel, exclude_hv
_PERF_REASONS = {
    errno.ENOENT: "this machine shows no hardware counter, as most virtual machines do not",
    errno.EOPNOTSUPP: "this processor cannot count that",
    errno.EACCES: "the kernel refuses; sysctl kernel.perf_event_paranoid=2 allows it",
    errno.EPERM: "the kernel or the container refuses; perf_event_paranoid=2 allows it",
    errno.ENOSYS: "this kernel has no such call, and emulators have none",
}
# The rails that a whole Jetson is fed by; others are parts of it. Source: NVIDIA's developer
# guides, and the device trees of L4T for the Nano's name.
_INPUT_RAILS = ("VDD_IN", "POM_5V_IN")


def counts(job: Json, emit: Emit) -> None:
    """Instructions and energy of an inference, where this machine counts them."""
    (model,) = job["models"]
    event = {
        "event": "counts",
        "variant": model["variant"],
        "instructions": None,
        "source": "",
        "reason": "not asked for",
        "joules": None,
        "energy_source": "",
        "energy_reason": "not measured on valgrind's emulated processor",
    }
    if job["instructions"] == "valgrind":
        event.update(count_emulated(model, job, emit))
    elif job["instructions"] == "emulator":
        event.update(count_played(model, job, emit))
    else:
        event.update(count_here(model, job, emit))
    emit(event)


def counted_stream(model: Json, job: Json, emit: Emit) -> Stream:
    """A model's session, with nothing beside it that would come and go."""
    stream = open_stream(model, job, emit)
    emit({"event": "phase", "phase": "counting", "variant": model["variant"]})
    gc.collect()
    gc.disable()
    return stream


def count_here(model: Json, job: Json, emit: Emit) -> Json:
    """What this machine's own counters say; no model is opened where it has none."""
    found: Json = {}
    counter, meter = None, None
    if job["instructions"] != "off":
        # Before the session: threads that start later are counted, those before are not.
        counter, found["reason"] = open_counter(PERF_HARDWARE, PERF_INSTRUCTIONS)
        if counter is None and job["instructions"] == "auto":
            found["reason"] += "; --instructions valgrind counts on an emulated processor"
    meter, found["energy_reason"] = find_meter("/sys")
    if counter is None and meter is None:
        return found
    run = counted_stream(model, job, emit).run
    seconds = [timed(run) for _ in range(COUNT_WARM_UP)][-1]
    if counter is not None:
        runs = max(COUNT_LEAST, min(COUNT_MOST, int(COUNT_SECONDS / seconds)))
        found["source"], found["inferences"] = "perf_event", runs
        found["instructions"], found["reason"] = count(run, counter, runs)
        os.close(counter)
    if meter is not None:
        found["energy_source"] = meter.source
        found["joules"], found["energy_reason"] = measure_joules(run, meter, METER_SECONDS)
    return found


def open_counter(kind: int, config: int) -> Tuple[Optional[int], str]:
    """A counter of what this process and its later threads do outside the kernel.

    Args:
        kind: of event: PERF_HARDWARE, or another type of linux/perf_event.h.
        config: which event of that kind.

    Returns:
        Its file descriptor, or None and the reason.
    """
    import ctypes

    number = _PERF_EVENT_OPEN.get(platform.machine())
    if platform.system() != "Linux" or number is None:
        return None, "only Linux on x86-64, ARM and RISC-V can be asked for its counters"
    # type, size, config, period, sample_type, read_format, flags, wakeup, bp_type, config1
    fields = struct.pack("=2I5Q2IQ", kind, 64, config, 0, 0, _PERF_TIMES, _PERF_FLAGS, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    own, any_core, no_group = 0, -1, -1
    found = libc.syscall(ctypes.c_long(number), fields, own, any_core, no_group, ctypes.c_ulong(0))
    if found >= 0:
        return int(found), ""
    code = ctypes.get_errno()
    why = _PERF_REASONS.get(code, os.strerror(code))
    return None, "perf_event_open: %s (%s)" % (why, errno.errorcode.get(code, code))


def count(run: Callable[[], Any], counter: int, runs: int) -> Tuple[Optional[float], str]:
    """Events of one run, from `runs` of them; None and the reason where some were missed."""
    before = read_counter(counter)
    for _ in range(runs):
        run()
    events, enabled, running = (b - a for a, b in zip(before, read_counter(counter)))  # noqa: B905
    if running < enabled:
        return None, (
            "perf_event_open: the counter ran for %.1f %% of the time only: another program used "
            "it, or the cores are of two kinds" % (100.0 * running / enabled)
        )
    return events / runs, ""


def read_counter(counter: int) -> Tuple[int, int, int]:
    """Events so far, and the nanoseconds that they were to be counted and were counted."""
    events, enabled, running = struct.unpack("=3Q", os.read(counter, 24))
    return events, enabled, running


def count_emulated(model: Json, job: Json, emit: Emit) -> Json:
    """Let callgrind, under which this runs, write what it counts, if the time suffices for it.

    It was told to count nothing at first, and to write its numbers when getsid() is called, which
    nothing else does: the second of its files is that of the counted inferences.
    """
    deadline = Deadline(job["budget_seconds"])
    run = counted_stream(model, job, emit).run
    seconds = timed(run)
    if deadline.left() < seconds * (2 + 2 * CALLGRIND_SLOWER):
        reason = "one inference takes %.0f s under valgrind, and %.0f s are left; give a longer "
        return {"reason": (reason + "--time-cap") % (seconds, max(deadline.left(), 0.0))}
    run()
    runs = CALLGRIND_RUNS if timed(run) < CALLGRIND_SMALL else 1
    count_from_here()
    run()
    os.getsid(0)
    for _ in range(runs):
        run()
    os.getsid(0)
    return {"source": "valgrind", "reason": "", "inferences": runs}


def count_played(model: Json, job: Json, emit: Emit) -> Json:
    """Let the emulator that this runs on write how many instructions it has executed at each mark.

    The listener names the file, or the reason why there is none. One thread: how several wait for
    each other is chance.
    """
    found: Json = {"energy_reason": "not measured on an emulated processor"}
    if not job.get("marks"):
        return dict(found, reason=job.get("marks_reason") or "this machine is not emulated")
    deadline, marks = Deadline(job.get("budget_seconds")), Path(job["marks"])
    run = counted_stream(dict(model, threads=1), job, emit).run
    run()
    seconds = timed(run)
    # How often it runs must not depend on how fast this machine is.
    small = executed(run, 1, marks)[0] < PLAYED_SMALL
    more, runs = (PLAYED_WARM_UP, PLAYED_RUNS) if small else (0, 1)
    if deadline.left() < seconds * (more + runs):
        return dict(found, reason="its inferences are too long to be emulated within the check")
    executed(run, more, marks)
    # The middle one: now and then Python or the allocator does something of its own.
    middle = float(sorted(executed(run, runs, marks))[runs // 2])
    return dict(found, instructions=middle, source="qemu plugin", reason="", inferences=runs)


def executed(run: Callable[[], Any], runs: int, marks: Path) -> List[int]:
    """Instructions of each of some runs, from the emulator's marks before, between and after."""
    import ctypes

    mark = ctypes.CDLL(None).syscall
    for _ in range(runs):
        mark(MARK_CALL)
        run()
    mark(MARK_CALL)
    counts = [int(word) for word in marks.read_text().split()][-runs - 1 :]
    return [after - before for before, after in zip(counts, counts[1:])]  # noqa: B905, RUF007


def count_from_here() -> None:
    """Tell valgrind, under which this runs, to count."""
    import subprocess

    command = ["vgdb", "--pid=%d" % os.getpid(), "instrumentation", "on"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as switch:
        while switch.poll() is None:  # valgrind only listens while the program computes
            pass
    if switch.returncode != 0:
        raise ValueError("vgdb cannot reach valgrind; its status is %d" % switch.returncode)


# ------------------------------------------------------------------------------------- energy


class Rapl:
    """Intel's and AMD's running count of a processor's energy; graphics and caches included.

    Attributes:
        source: which counter this is.
    """

    source = "RAPL, the whole processor package"
    period = METER_PERIOD

    def __init__(self, domains: List[Path]) -> None:
        """Of the packages in these folders of powercap's."""
        self._domains = domains
        self._before = [0] * len(domains)

    def begin(self) -> None:
        """Count from here."""
        self._before = self._read("energy_uj")

    def sample(self) -> None:
        """Nothing: it counts by itself."""

    def end(self) -> None:
        """Nothing is under way."""

    def joules(self, seconds: float) -> float:
        """Of all packages since `begin`; a count that has reached its end began anew at 0."""
        microjoules = 0
        ranges = self._read("max_energy_range_uj")
        for before, after, most in zip(self._before, self._read("energy_uj"), ranges):  # noqa: B905
            microjoules += after - before if after >= before else after + most - before
        return microjoules * 1e-6

    def _read(self, name: str) -> List[int]:
        return [int((domain / name).read_text()) for domain in self._domains]


class Rail:
    """The power that a board draws, as its INA chip samples it.

    Attributes:
        source: which rail this is.
    """

    period = METER_PERIOD

    def __init__(self, chip: Path, channel: str, label: str) -> None:
        """Of one channel of a chip's folder in hwmon."""
        self.source = "%s, the board's input %s" % (read_text(str(chip / "name")).strip(), label)
        self._chip = chip
        self._channel = channel
        self._watts: List[float] = []

    def begin(self) -> None:
        """Forget what was sampled."""
        self._watts = []

    def sample(self) -> None:
        """Keep the power of now."""
        power = read_text(str(self._chip / ("power%s_input" % self._channel)))
        if power:
            self._watts.append(int(power) * 1e-6)
        else:  # millivolts, milliamperes
            volts = int((self._chip / ("in%s_input" % self._channel)).read_text())
            amperes = int((self._chip / ("curr%s_input" % self._channel)).read_text())
            self._watts.append(volts * amperes * 1e-6)

    def joules(self, seconds: float) -> float:
        """Mean power over that many seconds."""
        return sum(self._watts) / len(self._watts) * seconds

    def end(self) -> None:
        """Nothing is under way."""


class Pmic:
    """The power chip of a Raspberry Pi 5, whose rails feed the whole board but USB and 5 V pins.

    A reading is a process of its own, which works while inferences run: a reading between them
    would see the processor idle.

    Attributes:
        source: what is summed.
    """

    source = "PMIC, the sum of the board's rails; USB and the 5 V pins are not among them"
    period = 0.1  # seconds; a process each

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._watts: List[float] = []
        self._reading: Any = None

    def begin(self) -> None:
        """Forget what was sampled, and begin a reading."""
        self.end()
        self._watts = []
        self._start()

    def sample(self) -> None:
        """Keep the reading that was begun before, and begin the next."""
        watts = pmic_watts(self._finish())
        if watts is None:
            raise ValueError("vcgencmd pmic_read_adc names no rail with volts and amperes")
        self._watts.append(watts)
        self._start()

    def joules(self, seconds: float) -> float:
        """Mean power over that many seconds; the last reading may have seen no inference."""
        return sum(self._watts) / len(self._watts) * seconds

    def end(self) -> None:
        """Leave no reading behind, finished or not."""
        reading, self._reading = self._reading, None
        if reading is None:
            return
        reading.kill()
        reading.stdout.close()
        reading.wait()

    def _start(self) -> None:
        import subprocess

        command = [shutil.which("vcgencmd") or "vcgencmd", "pmic_read_adc"]
        self._reading = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def _finish(self) -> str:
        """What the reading says; nothing from a firmware that hangs, as a stuck mailbox does."""
        import subprocess

        if self._reading is None:
            return ""
        try:
            said, _ = self._reading.communicate(timeout=FIRMWARE_SECONDS)
        except subprocess.TimeoutExpired:
            return ""
        finally:
            self.end()
        return str(said.decode(errors="replace"))


def find_meter(root: str) -> Tuple[Any, str]:
    """A meter of energy under `root` (/sys), begun and read once; or None and the reason."""
    domains = [
        folder
        for folder in sorted(Path(root).glob("class/powercap/intel-rapl:*"))
        if read_text(str(folder / "name")).startswith("package-")
    ]
    found: Any = Rapl(domains) if domains else None
    rails = {} if domains else board_rails(root)
    for label in _INPUT_RAILS:
        if label in rails and found is None:
            found = Rail(*rails[label], label)
    if found is None and pmic_watts(vcgencmd("pmic_read_adc")) is not None:
        found = Pmic()
    if found is None and rails:
        return None, "none of the rails %s feeds the whole board" % ", ".join(sorted(rails))
    if found is None:
        return None, "this machine shows neither RAPL nor a power rail of a board"
    try:
        found.begin()
        found.sample()
    except OSError as error:
        return None, "%s: %s; root may read it" % (found.source, error)
    except ValueError as error:
        return None, "%s: %s" % (found.source, error)
    finally:
        found.end()
    return found, ""


def board_rails(root: str) -> Dict[str, Tuple[Path, str]]:
    """Chip and channel of each labelled rail of the INA chips under `root`."""
    found = {}
    for chip in sorted(Path(root).glob("class/hwmon/hwmon*")):
        if read_text(str(chip / "name")).startswith("ina"):
            for path in sorted(chip.glob("*_label")):
                channel = path.name[: -len("_label")].lstrip("abcdefghijklmnopqrstuvwxyz")
                if any((chip / (n + channel + "_input")).exists() for n in ("power", "curr")):
                    found[read_text(str(path)).strip()] = (chip, channel)
    return found


def measure_joules(
    run: Callable[[], Any], meter: Any, seconds: float
) -> Tuple[Optional[float], str]:
    """Energy of one run, from runs for that many seconds; None and the reason if none was seen.

    All that the meter covers is counted, idle cores and other programs too: nothing is subtracted.
    """
    busy, runs, due = 0.0, 0, 0.0
    try:
        meter.begin()
        while busy < seconds:
            busy += timed(run)
            runs += 1
            if busy >= due:
                meter.sample()
                due = busy + meter.period
        joules = meter.joules(busy)
    except (OSError, ValueError) as error:  # it was read before, and now it cannot be
        return None, "%s: %s" % (meter.source, error)
    finally:
        meter.end()
    if joules <= 0:
        return None, "%s: it did not move within %.1f s" % (meter.source, busy)
    return joules / runs, ""


# -------------------------------------------------------------------------------------- layers


def layers(job: Json, emit: Emit) -> None:
    """Each operator's time in each of many inferences, from onnxruntime's own profile."""
    import onnxruntime as ort

    levels = {
        "disabled": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
        "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
        "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    }
    for model in job["models"]:
        with tempfile.TemporaryDirectory(prefix="compress-layers-") as folder:

            def prepare(options: Any, folder: str = folder) -> None:
                options.enable_profiling = True
                options.profile_file_prefix = str(Path(folder) / "profile")
                options.graph_optimization_level = levels[job["optimization"]]

            session = open_session(model, job, emit, prepare)
            emit({"event": "phase", "phase": "timing layers", "variant": model["variant"]})
            feed = make_feed(session, model, job)
            deadline = Deadline(job["budget_seconds"])
            warm_up = job.get("warm_up_runs", PROFILE_WARM_UP)
            for index in range(warm_up + job["runs"]):
                if index >= warm_up + PROFILE_LEAST and deadline.left() < 0:
                    break
                session.run(None, feed)
            # onnxruntime writes local characters of node names as they are
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        runs = profiled_runs(events)[warm_up:]
        nodes = [profiled_node(key, runs) for key in (runs[0] if runs else {})]
        emit(
            {
                "event": "layers",
                "variant": model["variant"],
                "runs": len(runs),
                "nodes": nodes,
            }
        )


def profiled_runs(events: List[Json]) -> List[Dict[Any, List[Json]]]:
    """The operators' events of each inference; names of foreign files can repeat, places cannot."""
    runs: List[Dict[Any, List[Json]]] = []
    found: Dict[Any, List[Json]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            key = (event["name"][: -len("_kernel_time")], event["args"].get("node_index"))
            found.setdefault(key, []).append(event)
        elif event["name"] == "model_run":
            runs.append(found)
            found = {}
    return runs


def profiled_node(key: Any, runs: List[Dict[Any, List[Json]]]) -> Json:
    """One operator's events, of each run; those within a loop's body are many."""
    said = runs[0][key][0]["args"]
    return {
        "name": key[0],
        "operator": said["op_name"],
        "executions": len(runs[0][key]),
        "microseconds": [sum(event["dur"] for event in run.get(key, ())) for run in runs],
        "inputs": _typed_shapes(said.get("input_type_shape", ())),
        "outputs": _typed_shapes(said.get("output_type_shape", ())),
    }


def _typed_shapes(values: Any) -> List[Any]:
    return [[name, shape] for value in values for name, shape in value.items()]


# ------------------------------------------------------------------------------------- predict


def predict(job: Json, emit: Emit) -> None:
    """What each model says of each image of an .npz, as it gives it: logits, scores or labels."""
    import numpy as np

    shared = load_module(job["preprocess"])
    with np.load(job["evaluation"], allow_pickle=False) as file:
        images = file["images"]
    images = images[: job.get("images", len(images))]
    rows = job.get("rows", LINE_ROWS)
    for model in job["models"]:
        session = open_session(model, job, emit)
        emit({"event": "phase", "phase": "predicting", "variant": model["variant"]})
        spec = shared.Preprocessing.from_dict(model["preprocessing"])
        (only,) = session.get_inputs()

        def prepare(rows: Any, spec: Any = spec, only: Any = only) -> Any:
            return shared.to_input(rows, spec, only.type, only.shape)

        deadline = Deadline(job.get("budget_seconds"))
        for start in range(0, len(images), rows):
            found = predict_rows(session, images[start : start + rows], prepare)
            emit(dict(answer_event(found), variant=model["variant"], start=start))
            if deadline.left() < 0:
                break


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
    values = _encode(outputs[-1])
    if axes == [2]:
        return {"event": "logits", "shape": list(outputs[0].shape), "float32": values}
    return {"event": "labels", "labels": outputs[0].tolist(), "float32": values}


def outputs(job: Json, emit: Emit) -> None:
    """All outputs of each model, for golden inputs of an .npz or for seeded values."""
    import numpy as np

    for model in job["models"]:
        session = open_session(model, job, emit)
        emit({"event": "phase", "phase": "computing outputs", "variant": model["variant"]})
        deadline = Deadline(job.get("budget_seconds"))
        for index, fed in enumerate(_feeds(session, model, job)):
            named = zip(session.get_outputs(), session.run(None, fed))  # noqa: B905
            values = [
                {"name": value.name, "shape": list(found.shape), "float32": _encode(found)}
                for value, found in named
                if isinstance(found, np.ndarray)
            ]
            told = {"variant": model["variant"], "index": index, "outputs": values}
            emit(dict(told, event="outputs"))
            if deadline.left() < 0:
                break


def _feeds(session: Any, model: Json, job: Json) -> Iterator[Json]:
    """One feed after another: golden inputs, a batch of the file's at a time, or of each seed."""
    import numpy as np

    if "golden" not in job:
        for seed in job["seeds"]:
            yield make_feed(session, model, dict(job, seed=seed))
        return
    with np.load(job["golden"], allow_pickle=False) as file:
        golden = file[model["variant"] + ".input"]
    (only,) = session.get_inputs()
    step = only.shape[0] if isinstance(only.shape[0], int) else 1
    for start in range(0, len(golden), step):
        yield {only.name: golden[start : start + step]}


def _encode(values: Any) -> str:
    """Base64 of little-endian float32."""
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def load_module(path: str) -> Any:
    """Import a file by its path, once: preprocessing, or another runtime."""
    name = "compress_" + Path(path).stem
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("%s: cannot be imported; expected a Python file" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
