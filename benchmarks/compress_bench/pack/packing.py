"""`compress pack`: one file from a bundle, that measures and checks itself on a board."""

import base64
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import compress.preprocess
from compress.artifacts import BUNDLE, header, read_json, sha256_file
from compress.errors import ArtifactError, BenchError, UsageError
from compress.progress import SILENT, Progress
from compress.settings import Bench, Run
from compress_bench import runner
from compress_bench.evidence import Variant
from compress_bench.graph.layers import profile_job, read_layers
from compress_bench.graph.onnx_wire import external_files, read_graph
from compress_bench.jobs.files import put_elsewhere
from compress_bench.measure.bed import Bed, Clock, job, model
from compress_bench.measure.predictions import predict
from compress_bench.metrics.answers import images_digest
from compress_bench.pack.archive import check_out, write_archive
from compress_bench.pack.plan import make_plan
from compress_bench.portability.coverage import Coverage, count_coverage
from compress_bench.portability.judging import step_of
from compress_bench.portability.steps import output_step
from compress_bench.profiles import choose_profile
from compress_bench.subjects.bundle import Subjects
from compress_bench.subjects.opening import open_subjects, say_other_machine
from compress_bench.targets import LOCAL, Place, local

_RUNNER, _PREPROCESS = "runner.py", "preprocess.py"


def pack(
    folder: Path, out: Path, *, settings: Bench, run: Run, progress: Progress = SILENT
) -> dict[str, Any]:
    """Pack a bundle.

    Args:
        folder: the bundle.
        out: the packed file.
        settings: profile, fps and time cap of what is measured there.
        run: threads, seed.
        progress: where progress is shown.

    Returns:
        file, size_bytes, sha256, variants, profile, images.

    Raises:
        UsageError: a flag that cannot be.
        ArtifactError: the bundle is damaged, or --out holds something else.
        BenchError: a model cannot be opened or run here.
    """
    run.check()
    choose_profile(settings)
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: expected a bundle folder of compress export, found "
            f"{'a file' if folder.exists() else 'nothing'}; export first"
        )
    check_out(out)
    place = Place(LOCAL, local.stream)
    with tempfile.TemporaryDirectory(prefix="compress-pack-") as scratch:
        found, machine = open_subjects(
            [folder],
            place=place,
            settings=settings,
            run=replace(run, data=None),
            limits=(),
            scratch=Path(scratch),
            progress=progress,
        )
    here = say_other_machine(found, machine, run.threads)
    found = replace(found, notes=tuple(note for note in found.notes if note not in here))
    bundle = read_json(folder / BUNDLE, kind="bundle")
    golden_file = folder / bundle["golden"]["file"]
    files = _files(found, golden_file)
    golden = _golden(found.variants, golden_file)
    content = header("pack") | {
        "name": out.stem,
        "profile": settings.profile,
        "bundle": bundle,
        "subjects": _subjects(found),
        "graphs": {variant.name: _graph(variant.path) for variant in found.variants},
        "golden": golden,
        "golden_file": golden_file.name,
        "evaluation": _evaluation(found),
        "packed_on": _packed_on(_bed(settings, run), found, machine, progress),
        "run": {"threads": run.threads, "seed": run.seed},
        "plans": {
            chosen.profile: _plan(chosen, run, found, golden_file, list(golden))
            for chosen in (settings, replace(settings, profile="quick"))
        },
    }
    write_archive(out, content, files)
    return {
        "file": str(out),
        "size_bytes": out.stat().st_size,
        "sha256": sha256_file(out),
        "variants": [variant.name for variant in found.variants],
        "profile": settings.profile,
        "images": 0 if found.images is None else len(found.images.labels),
    }


def _bed(settings: Bench, run: Run) -> Bed:
    profile = choose_profile(settings)
    return Bed(
        target=local.stream,
        threads=run.threads or 1,
        batch_size=settings.batch_size,
        seed=run.seed,
        profile=profile,
        clock=Clock(profile.time_cap_seconds),
    )


def _plan(
    settings: Bench, run: Run, found: Subjects, golden: Path, checked: Sequence[str]
) -> dict[str, Any]:
    """One profile's steps, with the plain names that files have in the packed one."""
    bed = _bed(settings, run)
    steps = make_plan(bed, found, fps=settings.fps, golden=golden, checked=checked)
    names = {path.resolve(): name for name, path in _files(found, golden).items()}
    for step in steps:
        step["job"] = put_elsewhere(step["job"], lambda path: names[path.resolve()])
    return {
        "settings": {
            "profile": settings.profile,
            "fps": settings.fps,
            "time_cap": settings.time_cap,
        },
        "profile": asdict(bed.profile),
        "steps": steps,
    }


# --------------------------------------------------------------------------------------- files


def _files(found: Subjects, golden: Path) -> dict[str, Path]:
    """What jobs name, by plain name: models and their weights, images, runner, preprocessing."""
    files = {_RUNNER: Path(runner.__file__), _PREPROCESS: Path(compress.preprocess.__file__)}
    files |= {golden.name: golden}
    if found.images is not None:
        files |= {found.images.path.name: found.images.path}
    for variant in found.variants:
        files |= {path.name: path for path in (variant.path, *_weights(variant.path))}
    return files


def _weights(path: Path) -> list[Path]:
    """Files beside a model that hold its weights.

    Raises:
        ArtifactError: they lie elsewhere.
    """
    found = external_files(path)
    for file in found:
        if file.parent != path.parent or not file.is_file():
            raise ArtifactError(
                f"{path}: expected its weights in it or in files beside it, found {file}; "
                "export it again"
            )
    return found


def _golden(variants: Sequence[Variant], path: Path) -> dict[str, dict[str, Any]]:
    """Which outputs golden.npz holds of each variant, the values last, and how fine they are."""
    found = {}
    with np.load(path, allow_pickle=False) as file:
        for variant in variants:
            prefix = f"{variant.name}."
            names = [key.removeprefix(prefix) for key in file if key.startswith(prefix)]
            outputs = [name for name in names if name != "input"]
            # Of a file that gives labels, what can be held against each other are the scores.
            outputs.sort(key=lambda name: name != "label")
            if "input" in names and outputs:
                step = output_step(variant.path)
                found[variant.name] = {
                    "names": outputs,
                    "step": step_of(step, file[prefix + outputs[-1]]),
                    "scores": step.softmax and step.step is not None,
                    "quantised": step.quantised,
                }
    return found


# ------------------------------------------------------------------------------------- content


def _subjects(found: Subjects) -> dict[str, Any]:
    """What is measured, as the host needs it again for the report."""
    variants = []
    for variant in found.variants:
        spec = variant.preprocessing
        fields = {key: value for key, value in vars(variant).items() if key != "path"}
        fields |= {"file": variant.path.name, "session": dict(variant.session)}
        fields |= {"input_shapes": {k: list(v) for k, v in variant.input_shapes.items()}}
        variants.append(fields | {"preprocessing": None if spec is None else spec.to_dict()})
    return {"variants": variants, "reference": found.reference, "notes": list(found.notes)}


def _graph(path: Path) -> dict[str, Any] | None:
    """A file's operators without its weights; None of a format of onnxruntime's own."""
    try:
        return asdict(read_graph(path))
    except ArtifactError:
        return None


def _evaluation(found: Subjects) -> dict[str, Any] | None:
    """The labels of the test images, and which images they are."""
    images = found.images
    if images is None:
        return None
    return {
        "reference": images.reference,
        "labels": _encode(images.labels),
        "shape": list(images.images.shape[1:]),
        "digest": images_digest(images),
    }


def _packed_on(
    bed: Bed, found: Subjects, machine: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """What this machine makes of the files: classes of all test images, integer operators."""
    labels: dict[str, str] = {}
    if found.images is not None:
        answering = [variant for variant in found.variants if not variant.no_answers]
        total = len(answering) * len(found.images.labels)
        with progress.task("predicting test images", total=total) as advance:
            answers = predict(bed, answering, found.images, advance)
        labels = {name: _encode(answer.labels) for name, answer in answers.items()}
    return {
        "words": f"{machine['cpu']}, onnxruntime {machine['onnxruntime']}",
        "labels": labels,
        "coverage": {v.name: _coverage(bed, v) for v in found.variants},
    }


def _coverage(bed: Bed, variant: Variant) -> Coverage | None:
    """None where this onnxruntime cannot profile the file."""
    wanted = profile_job(job("layers", bed, [model(variant)]), runs=1)
    try:
        with closing(bed.target(wanted)) as events:
            (found,) = (event for event in events if event["event"] == "layers")
    except BenchError:
        return None
    return count_coverage(read_layers(found).nodes)


def _encode(labels: NDArray[np.int64]) -> str:
    """Base64 of little-endian int32: [N]."""
    return base64.b64encode(labels.astype("<i4").tobytes()).decode("ascii")
