"""`--check-cpu`: do the student's files run on other types of core, and answer alike there?

The check is bench's own; nothing here knows how a core is played.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from compress.errors import UsageError
from compress_bench.emulation.cores import find_core
from compress_bench.evidence import TestImages, Variant
from compress_bench.measure.files import inspect
from compress_bench.portability.check import check_cores
from compress_bench.portability.judging import FAIL, SKIPPED
from compress_bench.portability.questions import prepare
from compress_bench.portability.workload import count_work
from compress_bench.subjects.bare_files import open_files
from compress_bench.subjects.feeds import choose_shapes
from compress_bench.targets import local
from compress_export.bundle import STUDENT, STUDENT_INT8
from compress_export.evaluation import EVALUATION
from compress_export.work import FILES, Work

Check = Mapping[str, Any]


def check_names(cores: Iterable[str]) -> None:
    """Refuse what is no core type.

    Raises:
        UsageError: names it, and the one that was probably meant.
    """
    for core in cores:
        try:
            find_core(core)
        except UsageError as error:
            said = str(error).removeprefix("emulate:")
            raise UsageError(f"--check-cpu {said}") from error


def check_cpu(work: Work, roles: Iterable[str]) -> list[dict[str, Any]]:
    """Check what may be deployed on each core type of --check-cpu.

    Args:
        work: its folder holds the files and evaluation.npz already.
        roles: that were written; of them the student's count, float32 and int8.

    Returns:
        A check a core, as bundle.json holds it.
    """
    files = {role: work.path(role) for role in roles if role in (STUDENT, STUDENT_INT8)}
    _, described = inspect(local.stream, files, {})
    found = open_files(files, described, {}, None).variants
    variants = count_work([_shaped(variant, described[variant.name]) for variant in found])
    with TemporaryDirectory(prefix="compress-check-") as folder:
        questions = prepare(variants, _images(work), Path(folder), work.seed)
        checks = check_cores(questions, work.settings.cores(), work.progress)
    return [check.to_dict() for check in checks]


def advise_cores(checks: Sequence[Check]) -> list[str]:
    """A sentence for each fault that was found, and for each core that could not be tried."""
    advice = []
    for check in checks:
        core = check["core"]
        if check["status"] == SKIPPED:
            advice.append(f"{core} was not checked: {check['reason']}")
        elif check["reason"]:
            advice.append(f"{core}: {check['reason'].removeprefix(check['target'] + ': ')}")
        for role, file in check["variants"].items():
            if file["status"] == FAIL:
                advice.append(f"{core}: {FILES[role]}: {'; '.join(file['problems'])}")
    return advice


def _shaped(variant: Variant, model: Mapping[str, Any]) -> Variant:
    """With the shape of an inference of one image, or of as many as the file is fixed at."""
    batches = (value["shape"][0] for value in model["inputs"] if value["shape"])
    batch = next((size for size in batches if isinstance(size, int)), 1)
    return replace(variant, input_shapes=choose_shapes(variant, model, {}, batch))


def _images(work: Work) -> TestImages:
    path = work.out / EVALUATION
    with np.load(path, allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    dataset = work.dataset
    return TestImages(dataset.name, path, images, labels, dataset.classes)
