"""int8 of `compress export` beside onnxruntime's own quantiser and NNCF's, in one run.

`pytest -s benchmarks/suite/test_quantization_speed.py --rounds 5 --out peers/`: four torchvision
networks at 224 px with random weights, whose speed is that of trained ones (statistics of BatchNorm
are estimated first). All files of a network take turns in each of --rounds fresh processes, with a
copy of the float32 file that shows what the machine cannot tell apart. Given again with the same
--out it quantises nothing anew.
"""

import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.artifacts import BUNDLE, read_json, write_json
from compress.models.build import ModelSpec, build_model
from compress.preprocess import Preprocessing, preprocess
from compress_bench.evidence import COPY, Variant
from compress_bench.measure.bed import Bed, Clock
from compress_bench.measure.latency import measure_latency
from compress_bench.profiles import PROFILES
from compress_bench.statistics import geometric, log_ratios, ratio, resolution
from compress_bench.targets import local
from compress_export.proof.census import take_census
from suite.quantization_peers import PEERS, answer, decibel, export_plainly, sentence
from suite.untrained import structured_images, waken

NETWORKS = ("resnet18", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0")
OURS, FLOAT = "compress export --int8", "float32"
CLASSES, SIDE = 10, 256  # pixels before the crop to 224
SPLITS = {"train": 64, "val": 40, "test": 40}  # images; those of train calibrate
IMAGENET = Preprocessing(
    (224, 224), 3, mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375)
)
LEAST_RESNET18 = 3.0  # times faster than float32 where the CPU has VNNI
SLOWEST = 1.05  # of ours over the fastest peer's; below it is the noise of a busy machine


@pytest.fixture(scope="module")
def collected():
    """Results by network; README's table when all have been measured."""
    results = {}
    yield results
    if results:
        print("\n" + "\n".join(summary(results)))


@pytest.mark.parametrize("name", NETWORKS)
def test_int8_beside_the_peers(name, collected, request, tmp_path, capsys):
    threads, rounds, out = map(request.config.getoption, ("--threads", "--rounds", "--out"))
    threads = threads or 1
    folder = (out or tmp_path) / name
    folder.mkdir(parents=True, exist_ok=True)
    with capsys.disabled():
        spec = prepare(name, folder)
        files, results = quantise_all(name, folder, spec, threads)
        time_all(files, results, threads, rounds)
        print("\n" + "\n".join(table(name, results)))
        print("\n".join(advice(folder)))
    write_json(folder / "result.json", {"network": name, "threads": threads, "files": results})
    collected[name] = results
    ours = results[OURS]
    assert ours["integer"] == ours["convolutions"]
    if "over_fastest_peer" in ours:
        assert ours["over_fastest_peer"]["value"] <= SLOWEST
    high = ours["speedup"]["high"]
    bundle = read_json(folder / "bundle" / BUNDLE, kind="bundle")
    # slower than float32, and it says so
    assert high is None or high >= 1 or bundle["recommended"]["variant"] == "student"
    if name == "resnet18" and has_vnni():
        assert ours["speedup"]["value"] >= LEAST_RESNET18


# ------------------------------------------------------------------------------- the files


def prepare(name: str, folder: Path) -> Preprocessing:
    """Weights, images and a plain float32 file, where they are not there yet."""
    weights, data, plain = (folder / n for n in ("weights.pth", "images.npz", "float32.onnx"))
    if not weights.is_file():
        torch.manual_seed(0)
        module, _ = build(name, None)
        torch.save(waken(module, structured_images(64, SIDE, 1), IMAGENET).state_dict(), weights)
    module, spec = build(name, weights)
    if not data.is_file():
        np.savez(data, **three_splits())
    if not plain.is_file():
        export_plainly(module, spec, plain)
    return spec


def build(name: str, weights: Path | None) -> tuple[torch.nn.Module, Preprocessing]:
    """The network and the preprocessing that `compress export` takes it to have."""
    built = build_model(
        ModelSpec(
            reference=f"torchvision:{name}",
            num_classes=CLASSES,
            channels=3,
            input_size=(SIDE, SIDE),
            args={},
            weights=weights,
        )
    )
    return built.module.eval(), built.preprocessing


def three_splits() -> dict[str, np.ndarray]:
    """Three splits of images, named in turn: what they show is of no account here."""
    arrays = {}
    for seed, (split, count) in enumerate(SPLITS.items(), start=10):
        arrays[f"x_{split}"] = structured_images(count, SIDE, seed)
        arrays[f"y_{split}"] = np.arange(count) % CLASSES
    return arrays


def quantise_all(
    name: str, folder: Path, spec: Preprocessing, threads: int
) -> tuple[dict[str, Path], dict[str, dict[str, Any]]]:
    """Every contender's file that can be run, and what is known of each contender."""
    with np.load(folder / "images.npz") as arrays:
        calibration, held_out = arrays["x_train"], arrays["x_test"]
    plain = folder / "float32.onnx"
    bundle, seconds = export_ours(name, folder, threads)
    files = {FLOAT: bundle / "student.onnx", OURS: bundle / "student.int8.onnx"}
    results: dict[str, dict[str, Any]] = {FLOAT: {}, OURS: {"seconds": seconds}}
    for peer, quantise in PEERS.items():
        if peer.startswith("NNCF") and find_spec("nncf") is None:
            results[peer] = {"failed": "not installed: pip install nncf"}
            continue
        files[peer] = folder / f"{peer.split(',')[0]}-{quantise.__name__}.onnx"
        started = time.perf_counter()
        try:
            if not files[peer].is_file():
                quantise(plain, files[peer], preprocess(calibration, spec))
            results[peer] = {"seconds": time.perf_counter() - started}
        except Exception as error:  # whatever the peer raises is its result
            results[peer] = {"failed": f"cannot quantise: {sentence(error)}"}
            del files[peer]
    exact = answer(plain, held_out, spec, threads)
    for contender in list(files):
        try:
            results[contender] |= describe(files[contender], exact, held_out, spec, threads)
        except Exception as error:
            results[contender] = {"failed": f"onnxruntime cannot run it: {sentence(error)}"}
            del files[contender]
    return files, results


def export_ours(name: str, folder: Path, threads: int) -> tuple[Path, float]:
    """The bundle that the command line writes, and the seconds of the whole command."""
    bundle, started = folder / "bundle", time.perf_counter()
    command = ["export", f"torchvision:{name}", "--int8", "--weights", folder / "weights.pth"]
    command += ["--data", folder / "images.npz", "--calibration-images", SPLITS["train"]]
    command += ["--threads", threads, "--quiet", "-o", bundle]
    subprocess.run([sys.executable, "-m", "compress", *map(str, command)], check=True)
    return bundle, time.perf_counter() - started


def describe(
    path: Path, exact: np.ndarray, pixels: np.ndarray, spec: Preprocessing, threads: int
) -> dict[str, Any]:
    """Size, closeness to float32 on held-out images, and what is computed in integers."""
    census = take_census(path)
    found = answer(path, pixels, spec, threads)
    return {
        "bytes": path.stat().st_size,
        "decibel": decibel(exact, found),
        "agreement": float((exact.argmax(1) == found.argmax(1)).mean()),
        "integer": census.integer_convolutions,
        "convolutions": census.convolutions,
        "crossings": census.quantize_nodes + census.dequantize_nodes,
    }


# ------------------------------------------------------------------------------------- time


def time_all(
    files: dict[str, Path], results: dict[str, dict[str, Any]], threads: int, processes: int
) -> None:
    """Let all files take turns, and write medians and ratios into the results."""
    variants = [variant(name, path, threads) for name, path in files.items()]
    profile = replace(PROFILES["standard"], processes=processes)
    bed = Bed(
        target=local.stream,
        threads=threads,
        batch_size=1,
        seed=0,
        profile=profile,
        clock=Clock(profile.time_cap_seconds),
    )
    heard = measure_latency(bed, variants, FLOAT, lambda _: None)
    assert not heard.capped, "the time cap left rounds out; give fewer networks"
    rounds = [process.rounds for process in heard.processes]
    for name in files:
        medians = [float(np.median(np.concatenate([r[name] for r in part]))) for part in rounds]
        results[name]["median"] = geometric(medians).to_dict()
        results[name]["speedup"] = ratio(log_ratios(rounds, FLOAT, name)).to_dict()
    control = resolution(log_ratios(rounds, FLOAT, COPY))
    results[FLOAT]["speedup"] = control.ratio.to_dict()
    peers = [name for name in PEERS if name in files]
    if peers:
        fastest = min(peers, key=lambda name: results[name]["median"]["value"])
        over = ratio(log_ratios(rounds, OURS, fastest)).to_dict()
        results[OURS] |= {"fastest_peer": fastest, "over_fastest_peer": over}


def variant(name: str, path: Path, threads: int) -> Variant:
    """A file as the bench's runner wants it described; only its path matters here."""
    return Variant(
        name=name,
        path=path,
        role=name,
        network=path.name,
        precision=None,
        sha256="",
        size_bytes=path.stat().st_size,
        parameters=None,
        preprocessing=None,
        threads=threads,
    )


def has_vnni() -> bool:
    """Whether Linux names a dot product of bytes among this CPU's features."""
    facts = Path("/proc/cpuinfo")
    return facts.is_file() and "vnni" in facts.read_text()


# ------------------------------------------------------------------------------------- table


def table(name: str, results: dict[str, dict[str, Any]]) -> list[str]:
    """A row a contender, in Markdown."""
    lines = [
        f"**{name}**, 224 px, batch 1; speed-up over float32 paired by round, 95 %",
        "",
        "| | ms | speed-up | integer convolutions | Q + DQ | SQNR dB | MB | made in s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {contender} | {row(found)} |" for contender, found in results.items()]
    ours = results[OURS]
    if "fastest_peer" in ours:
        over = spread(ours["over_fastest_peer"])
        lines += ["", f"time of ours over the fastest peer's ({ours['fastest_peer']}): {over}"]
    return lines


def summary(collected: dict[str, dict[str, Any]]) -> list[str]:
    """A row a network: how many times faster than float32 each contender is."""
    contenders = [OURS, *PEERS]
    lines = ["| network | float32 ms | " + " | ".join(contenders) + " |", "|---" * 6 + "|"]
    for name, results in collected.items():
        cells = [
            spread(results[c]["speedup"]) if "speedup" in results[c] else "fails"
            for c in contenders
        ]
        milliseconds = 1e3 * results[FLOAT]["median"]["value"]
        lines.append(f"| {name} | {milliseconds:.2f} | {' | '.join(cells)} |")
    return lines


def advice(folder: Path) -> list[str]:
    """What the command itself says of its int8 file."""
    return [f"- {line}" for line in read_json(folder / "bundle" / BUNDLE, kind="bundle")["advice"]]


def row(found: dict[str, Any]) -> str:
    if "failed" in found:
        return f"{found['failed']} | | | | | |"
    close = f"{found['decibel']:.1f}" if found["crossings"] else ""  # none: it is float32
    made = f"{found['seconds']:.0f}" if found.get("seconds", 0) >= 1 else ""  # else kept
    return (
        f"{1e3 * found['median']['value']:.2f} | {spread(found['speedup'])} | "
        f"{found['integer']} of {found['convolutions']} | {found['crossings']} | {close} | "
        f"{found['bytes'] / 1e6:.1f} | {made}"
    )


def spread(found: dict[str, Any]) -> str:
    """A ratio with its interval, where there are processes enough for one."""
    if found["value"] is None or found["low"] is None:
        return f"{found['value'] or 1:.2f}"
    return f"{found['value']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
