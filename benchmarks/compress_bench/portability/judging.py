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
from compress_bench.portability.questions import Questions
from compress_bench.portability.steps import OutputStep, output_step

PASS, FAIL, SKIPPED = "pass", "fail", "skipped"
_LEVELS = 255  # of 8 bits: the step where no quantiser stands at the output
_VNNI = {"avx512_vnni", "avx_vnni"}
_OVERFLOW = (
    "{where} has AVX2 without VNNI and adds two int8 products in 16 bits, where they can overflow: "
    "export the file with compress export --int8, whose weights leave room for that"
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
    parity, reason = _parity(questions, variant, own, other)
    step = output_step(variant.path)
    if parity is not None:
        problems += judge(parity)
        if judge(parity) and step.quantised:
            sides = {core: found.described, "the reference's machine": reference.described}
            problems += _overflow(sides)
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
) -> tuple[Parity | None, str]:
    """The comparison, or None and why there is none."""
    for side, where in ((other, "where the reference was to be made"), (own, "here")):
        if not side.rows and not side.outputs:
            failed = side.failed.get("predict") or side.failed.get("outputs") or side.died
            return None, f"it gave no answers {where}" + (f": {failed}" if failed else "")
    if questions.takes_images(variant):
        return _compare_images(variant, own, other), ""
    return _compare_outputs(variant, own, other)


def _compare_images(variant: Variant, own: FileAnswers, other: FileAnswers) -> Parity:
    found = np.concatenate(own.rows)
    expected = np.concatenate(other.rows)[: len(found)]
    step = output_step(variant.path)
    scores = step.softmax and step.step is not None
    fineness = step_of(step, expected)
    if not own.labels:
        return _relaxed(compare(expected, found, fineness, scores=scores), step)
    labels = np.concatenate(own.labels)
    wanted = np.concatenate(other.labels)[: len(found)]
    return _relaxed(compare(expected, found, fineness, wanted, labels), step)


def _compare_outputs(
    variant: Variant, own: FileAnswers, other: FileAnswers
) -> tuple[Parity | None, str]:
    """The worst of all outputs; they are no classes, so that nothing has to agree."""
    compared = []
    for name, parts in own.outputs.items():
        found = np.stack([part.ravel() for part in parts])
        expected = np.stack([part.ravel() for part in other.outputs[name]])[: len(found)]
        if found.size:
            step = output_step(variant.path, name)
            fineness = step_of(step, expected)
            parity = _relaxed(compare(expected, found, fineness), step)
            compared.append(parity | {"agreement": None})
    if not compared:
        return None, "its outputs are empty"
    return max(compared, key=lambda parity: len(judge(parity))), ""


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


def _overflow(machines: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """Which of the machines may be the one whose sums overflow."""
    return [
        _OVERFLOW.format(where=where)
        for where, machine in machines.items()
        if machine is not None and "avx2" in machine["isa"] and not _VNNI & set(machine["isa"])
    ]


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
    }, ""
