"""One core's answers held against the reference's: what differs, and what is wrong with it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_bench.evidence import Variant
from compress_bench.portability.answers import DeviceAnswers, FileAnswers
from compress_bench.portability.coverage import Coverage, count_coverage, less_in_integers
from compress_bench.portability.parity import HALF_TIMES, Parity, compare, judge
from compress_bench.portability.questions import EXACT, Questions
from compress_bench.portability.steps import OutputStep, output_step

PASS, FAIL, SKIPPED = "pass", "fail", "skipped"
_VNNI = {"avx512_vnni", "avx_vnni"}
_LEVELS = 255  # of 8 bits: the step where no quantiser stands at the output
_OVERFLOW = (
    "{where} has AVX2 without VNNI and adds two int8 products in 16 bits, where they can overflow: "
    "export the file with compress export --int8, whose weights leave room for that, or open it "
    f"there with {EXACT}=1, which is slower"
)

Rows = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    """One file on one core.

    Attributes:
        status: pass or fail.
        problems: a sentence each.
        parity: see `parity.compare`; None where there was nothing to compare.
        parity_reason: why; empty where there is a parity.
        coverage: see `coverage.count_coverage`; None where it was not profiled.
        coverage_reason: why.
        instructions: value, source and inferences; None where nothing counted them.
        instructions_reason: why.
    """

    status: str
    problems: tuple[str, ...] = ()
    parity: Parity | None = None
    parity_reason: str = ""
    coverage: Coverage | None = None
    coverage_reason: str = ""
    instructions: Mapping[str, Any] | None = None
    instructions_reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The form that JSON holds."""
        return asdict(self) | {"problems": list(self.problems)}


def judge_file(
    questions: Questions,
    variant: Variant,
    found: DeviceAnswers,
    reference: DeviceAnswers,
    core: str,
) -> FileCheck:
    """What one core makes of one file.

    Args:
        questions: what both were asked.
        variant: the file.
        found: the core's answers.
        reference: what they are held against.
        core: its name, for sentences.
    """
    own, other = (side.files.get(variant.name, FileAnswers()) for side in (found, reference))
    problems = [own.died] if own.died else []
    problems += [said for kind, said in own.failed.items() if kind in ("predict", "outputs")]
    parity, reason, unlike = _parity(questions, variant, own, other)
    problems += unlike
    step = output_step(variant.path)
    if parity is not None:
        problems += judge(parity)
        if judge(parity) and step.quantised and may_overflow(found.described):
            problems.append(_OVERFLOW.format(where=core))
    elif not problems:
        problems.append(reason)
    coverage = None if own.nodes is None else count_coverage(own.nodes)
    if coverage is not None and other.nodes is not None:
        problems += less_in_integers(coverage, count_coverage(other.nodes))
    counted, why = _instructions(own)
    return FileCheck(
        status=FAIL if problems else PASS,
        problems=tuple(problems),
        parity=parity,
        parity_reason=reason,
        coverage=coverage,
        coverage_reason="" if coverage else own.failed.get("layers") or own.died or "not profiled",
        instructions=counted,
        instructions_reason=why,
    )


def _parity(
    questions: Questions, variant: Variant, own: FileAnswers, other: FileAnswers
) -> tuple[Parity | None, str, list[str]]:
    """The comparison, or None and why there is none; and what could not be compared at all."""
    for side, where in ((other, "where the reference was to be made"), (own, "here")):
        if not side.rows and not side.outputs:
            failed = side.failed.get("predict") or side.failed.get("outputs") or side.died
            return None, f"it gave no answers {where}" + (f": {failed}" if failed else ""), []
    if questions.takes_images(variant):
        return _compare_images(variant, own, other), "", []
    return _compare_outputs(variant, own, other)


def _compare_images(variant: Variant, own: FileAnswers, other: FileAnswers) -> Parity:
    both = min(sum(map(len, side.rows)) for side in (own, other))  # a process may die in between
    found, expected = (np.concatenate(side.rows)[:both] for side in (own, other))
    step = output_step(variant.path)
    scores = step.softmax and step.step is not None
    fineness = step_of(step, expected)
    if not own.labels:
        return _relaxed(compare(expected, found, fineness, scores=scores), step)
    labels, wanted = (np.concatenate(side.labels)[:both] for side in (own, other))
    return _relaxed(compare(expected, found, fineness, wanted, labels), step)


def _compare_outputs(
    variant: Variant, own: FileAnswers, other: FileAnswers
) -> tuple[Parity | None, str, list[str]]:
    """The worst of all outputs; they are no classes, so that nothing has to agree.

    How many values an output has may depend on what is fed, as where boxes are found.
    """
    compared, unlike = [], []
    for name, parts in own.outputs.items():
        pairs = list(zip(parts, other.outputs.get(name, ()), strict=False))
        shapes = [(a.shape, b.shape) for a, b in pairs if a.shape != b.shape]
        if shapes:
            here, there = shapes[0]
            unlike.append(
                f"output {name} has shape {list(here)}, and {list(there)} where the reference was "
                "made, for the same input"
            )
        elif any(part.size for part in parts[: len(pairs)]):
            found, expected = (  # all feeds in one row
                np.concatenate([side.ravel() for side in sides])[None]
                for sides in zip(*pairs, strict=True)
            )
            step = output_step(variant.path, name)
            parity = _relaxed(compare(expected, found, step_of(step, expected)), step)
            compared.append(parity | {"n": len(pairs), "agreement": None})
    if not compared:
        return None, "its outputs cannot be compared" if unlike else "its outputs are empty", unlike
    return max(compared, key=lambda parity: len(judge(parity))), "", unlike


def _relaxed(parity: Parity, step: OutputStep) -> Parity:
    """With the limit of a file that computes in float16."""
    if parity["limit"] is None or not step.half or step.quantised:
        return parity
    return parity | {"limit": HALF_TIMES * parity["limit"]}


def step_of(step: OutputStep, expected: Rows) -> float | None:
    """The step that values are compared in; None: as floats."""
    if step.step is not None or not step.quantised:
        return step.step
    return float(np.ptp(expected)) / _LEVELS or None


def may_overflow(machine: Mapping[str, Any] | None) -> bool:
    """Whether a machine adds two products of int8 in 16 bits."""
    known = set() if machine is None else set(machine["isa"])
    return "avx2" in known and not _VNNI & known


def _instructions(own: FileAnswers) -> tuple[dict[str, Any] | None, str]:
    """How many an inference takes on that core type, or None and why that is not known."""
    counted = own.counted
    if counted is None:
        return None, own.failed.get("counts") or own.died or "they are counted under emulation only"
    if counted["instructions"] is None:
        return None, counted["reason"]
    return {
        "value": counted["instructions"],
        "source": counted["source"],
        "inferences": counted.get("inferences"),
        "estimate": True,  # of the work on that core type
    }, ""
