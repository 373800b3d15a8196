"""A board's record as a report: its raw events take the place of the runner.

Everything after the runner is bench's own: statistics, flags, goals, views.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifacts import BUNDLE, read_json
from compress.errors import ArtifactError, BenchError
from compress.preprocess import Preprocessing
from compress.progress import SILENT
from compress.settings import Bench, Run
from compress_bench.answers import Answers
from compress_bench.content import recipe_content, report_content
from compress_bench.evidence import Counted, Evidence, FreshProcess, TestImages, Variant
from compress_bench.graph.onnx_wire import Graph, Node, Tensor
from compress_bench.measure.bed import Bed
from compress_bench.measure.everything import measure_everything
from compress_bench.measure.fresh import measure_fresh
from compress_bench.measure.predictions import predict
from compress_bench.pack.remedies import say_whose_flags
from compress_bench.pack.replay import BoardClock, Replay
from compress_bench.profiles import Profile
from compress_bench.subjects.bundle import Subjects, open_bundle_images
from compress_bench.subjects.opening import say_other_machine
from compress_bench.verdict.goals import check_goals, parse_goals, read_goals
from compress_bench.verdict.judging import judge_goals

KIND = "record"

_EMULATED = (
    "emulated: the board's processor was played by another one, whose times, memory and energy "
    "mean nothing; run the packed file on the board itself"
)

_STOPPED = "interrupted before any time was taken on the board; run the packed file there again"

Record = Mapping[str, Any]


@dataclass(frozen=True)
class _Opened:
    """A record in bench's own terms."""

    found: Subjects
    settings: Bench
    run: Run
    profile: Profile


def is_record(path: Path) -> bool:
    """Whether a file is what a packed file wrote, of any schema."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def record_folders(paths: Iterable[Path]) -> dict[Path, str]:
    """A folder's name for each record's report: the file's, with the board's where two are alike.

    Raises:
        ArtifactError: a record is damaged.
    """
    found = {path: path.stem for path in paths}
    alike = [path for path, name in found.items() if list(found.values()).count(name) > 1]
    for path in alike:
        host = re.sub(r"[^A-Za-z0-9_-]+", "_", str(read_json(path, kind=KIND).get("host")))
        found[path] = f"{path.stem}-{host}"
    for number, path in reversed(list(enumerate(alike, start=1))):  # the first keeps its name
        if list(found.values()).count(found[path]) > 1:
            found[path] += f"-{number}"
    return found


def report_of_record(
    path: Path, *, goals: Path | None = None, bundle: Path | None = None
) -> dict[str, Any]:
    """A full report of what a board measured.

    Args:
        path: the record.
        goals: TOML file with limits.
        bundle: what was packed, for pictures of single images; None: there are none.

    Raises:
        ArtifactError: it is damaged, or the bundle is another one.
        UsageError: a goal that cannot be.
        BenchError: it was interrupted too early, or a model could not be measured there.
    """
    record = read_json(path, kind=KIND)
    try:
        return _report(path, record, goals, bundle)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise ArtifactError(
            f"{path}: is not in this version's form ({type(error).__name__}: {error}); "
            "run the packed file again, packed with this version"
        ) from error


def _report(path: Path, record: Record, goals: Path | None, bundle: Path | None) -> dict[str, Any]:
    machine = record["machine"]
    (check,) = record["portability"]
    if machine is None or not check["variants"]:
        raise BenchError(f"{path}: nothing was measured: {check['reason']}")
    machine = dict(machine) | {"target": f"{record['name']} on {record['host']}"}
    opened = _open(path, record, machine, bundle)
    limits = read_goals(goals) if goals is not None else parse_goals({}, "goals")
    names = [variant.name for variant in opened.found.variants]
    has_images = opened.found.images is not None
    check_goals(limits, names, opened.found.reference, has_images=has_images)
    replay = Replay(record["jobs"], interrupted=record["interrupted"])
    bed = Bed(
        target=replay.stream,
        threads=opened.run.threads or 1,
        batch_size=opened.settings.batch_size,
        seed=opened.run.seed,
        profile=opened.profile,
        clock=BoardClock(replay),
    )
    why_untimed = _why_untimed(record, replay, names)
    if why_untimed:
        evidence = _untimed(bed, replay, opened.found, machine["cores"], why_untimed)
        notes: tuple[str, ...] = ()
    else:
        evidence, notes = measure_everything(
            bed, opened.found, machine["cores"], opened.settings, SILENT
        )
    evidence = _with_graphs(_with_reasons(evidence, record), record["graphs"])
    found = replace(opened.found, notes=(*opened.found.notes, *notes, *_said(path, record)))
    verdict = say_whose_flags(judge_goals(limits, evidence))
    report = report_content(
        settings=opened.settings,
        bed=bed,
        found=found,
        machine=machine,
        evidence=evidence,
        verdict=verdict,
    )
    report |= {"sweep": None, "baseline": None, "portability": [check]}
    report |= {"created_utc": record["created_utc"]}  # the board's clock, as it was
    return report | {"recipe": recipe_content(opened.settings, opened.run, bed, limits)}


def _why_untimed(record: Record, replay: Replay, names: Sequence[str]) -> str:
    """Why a record has no times; empty where it has."""
    if record["machine"]["emulated"]:
        return _EMULATED
    timed = replay.has("latency") and all(replay.has("memory", name) for name in names)
    return _STOPPED if record["interrupted"] and not timed else ""


def _untimed(bed: Bed, replay: Replay, found: Subjects, cores: int, why: str) -> Evidence:
    """The answers, and memory where it was measured."""
    variants = found.variants
    answering = [variant for variant in variants if not variant.no_answers]
    images, answers = found.images if replay.has("predict") else None, dict[str, Answers]()
    if images is not None:
        answers = predict(bed, answering, images, lambda images: None)
        least = min(len(answer.labels) for answer in answers.values())
        if least < len(images.labels):  # an emulated processor is asked about a few
            images = replace(
                images,
                images=images.images[:least],
                labels=images.labels[:least],
                digest=f"the first {least} of {images.digest}",
            )
        answers = {n: Answers(a.labels[:least], a.confidence[:least]) for n, a in answers.items()}
    fresh: dict[str, tuple[FreshProcess, ...]] = {}
    if all(replay.has("memory", variant.name) for variant in variants):
        fresh, _ = measure_fresh(bed, variants, lambda processes: None)
    not_counted = Counted(reason=why, energy_reason=why)
    return Evidence(
        reference=found.reference,
        variants={variant.name: variant for variant in variants},
        batch_size=bed.batch_size,
        latency=(),
        fresh=fresh,
        images=images,
        answers=answers,
        cores=cores,
        counted={variant.name: not_counted for variant in variants},
        untimed=why,
    )


def _open(path: Path, record: Record, machine: Mapping[str, Any], bundle: Path | None) -> _Opened:
    settings = Bench(**record["settings"])
    run = Run(threads=record["run"]["threads"], seed=record["run"]["seed"])
    said = record["subjects"]
    found = Subjects(
        variants=tuple(_variant(fields) for fields in said["variants"]),
        reference=said["reference"],
        images=_images(path, record, bundle),
        history=record["bundle"].get("history", {}),
        swept=record["bundle"].get("sweep", {}),
        notes=tuple(said["notes"]),
    )
    notes = (*found.notes, *say_other_machine(found, machine, run.threads))
    profile = Profile(**record["profile"])
    return _Opened(replace(found, notes=notes), settings, run, profile)


def _variant(fields: Mapping[str, Any]) -> Variant:
    spec = fields["preprocessing"]
    own = {key: value for key, value in fields.items() if key != "file"}
    own |= {"path": Path(fields["file"])}
    own |= {"preprocessing": None if spec is None else Preprocessing.from_dict(spec)}
    own |= {"input_shapes": {name: tuple(s) for name, s in fields["input_shapes"].items()}}
    return Variant(**own)


def _images(path: Path, record: Record, bundle: Path | None) -> TestImages | None:
    """The test images: labels and classes; their pixels where the bundle is at hand."""
    said = record["evaluation"]
    if said is None:
        return None
    labels = np.frombuffer(base64.b64decode(said["labels"]), dtype="<i4").astype(np.int64)
    pixels: NDArray[np.uint8] = np.zeros((0, *said["shape"]), np.uint8)
    if bundle is not None:
        content = read_json(bundle / BUNDLE, kind="bundle")
        if content["evaluation"] != record["bundle"]["evaluation"]:
            raise ArtifactError(
                f"{bundle}: expected the bundle that was packed for {path}, found one with other "
                "test images; give that one, or leave --bundle out"
            )
        pixels = open_bundle_images(bundle).images
    classes = tuple(record["bundle"]["classes"])
    evaluation = Path(record["bundle"]["evaluation"]["file"])
    return TestImages(said["reference"], evaluation, pixels, labels, classes, said["digest"])


def _with_reasons(evidence: Evidence, record: Record) -> Evidence:
    """Gaps that an interruption left, not the time cap."""
    if not record["interrupted"]:
        return evidence
    reason = "it was interrupted on the board; run the packed file again"
    gaps = tuple(
        replace(gap, reason=reason) if gap.flag == "time_cap" else gap for gap in evidence.gaps
    )
    return replace(evidence, gaps=gaps)


def _with_graphs(evidence: Evidence, graphs: Mapping[str, Any]) -> Evidence:
    """Profiles with the files' own operators, as they were when it was packed."""
    profiles = {
        name: replace(profile, graph=_graph(graphs.get(name)))
        for name, profile in evidence.profiles.items()
    }
    return replace(evidence, profiles=profiles)


def _graph(said: Mapping[str, Any] | None) -> Graph:
    if said is None:
        return Graph()
    return Graph(
        nodes=tuple(Node(**_tuples(node)) for node in said["nodes"]),
        tensors=tuple(Tensor(**_tuples(tensor)) for tensor in said["tensors"]),
        outputs=tuple(said["outputs"]),
    )


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}


def _said(path: Path, record: Record) -> tuple[str, ...]:
    """What a reader must know of where this comes from."""
    notes = [
        f"measured on {record['host']} by a packed file (packed {record['packed_utc']}); its "
        f"events are in {path.name}"
    ]
    if record["interrupted"]:
        notes.append("interrupted: the measurement was stopped on the board before its end")
    return tuple(notes)
