"""What the teacher adds to quantisation-aware training: README's table, three seeds.

`pytest -s benchmarks/suite/test_quantization_training.py --out trained/`: a depthwise network of 16
maps, distilled on all 60,000 images of Fashion-MNIST, is trained as int8 on the same images, for
the same steps, at the same learning rate, once by its teacher's answers and once by the labels
alone; all 10,000 test images, paired by image and seed.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compress.intervals import paired_difference
from compress.progress import SILENT
from compress.settings import Export, Network, Run
from compress.training.runs import run_folder
from compress_bench.subjects.evaluation_set import reading_size
from compress_export.bundle import STUDENT, STUDENT_INT8, TEACHER
from compress_export.float32 import export_float32
from compress_export.int8 import plain_attempt
from compress_export.portability import choose_portability
from compress_export.repair import load_rung
from compress_export.repair.case import Case
from compress_export.subjects import find_subjects
from compress_export.work import Work
from suite.trained_families import DATA, SEEDS, percents, points, trained

FAMILY = "tiny"


@dataclass(frozen=True)
class Rights:
    """One seed's files on every test image: 1 where an answer is right, [images] each."""

    float32: NDArray[np.float64]
    plain: NDArray[np.float64]
    labels: NDArray[np.float64]
    teacher: NDArray[np.float64]


@pytest.fixture(scope="module")
def kept(request, tmp_path_factory):
    """Where checkpoints and results go."""
    return request.config.getoption("--out") or tmp_path_factory.mktemp("trained")


def test_what_the_teacher_adds(kept, capsys):
    checkpoint = trained(FAMILY, kept)
    with capsys.disabled():
        tested = [answers(run_folder(checkpoint, k), kept / f"qat/seed-{k}") for k in range(SEEDS)]
        rights = {
            name: np.stack([getattr(one, name) for one in tested])
            for name in Rights.__dataclass_fields__
        }
        print("\n" + "\n".join(table(rights)))
        added = paired_difference(rights["teacher"], rights["labels"])
        print(f"\nthe teacher adds {points(added.to_dict())} points to the same training")
    # Training must not spoil what it repairs, whoever teaches.
    for name in ("labels", "teacher"):
        assert rights[name].mean() > rights["plain"].mean() - 0.003


def answers(checkpoint: Path, out: Path) -> Rights:
    """Train one seed's int8 network in both ways, whatever plain int8 loses."""
    case = case_of(checkpoint, out)
    found = case.look(plain_attempt(case)[0])
    rung = load_rung("qat")
    assert not rung.why_not(case, found)
    graphs = {"plain": found.graph}
    for name, weight in (("labels", 0.0), ("teacher", 1.0)):
        settings = replace(case.work.settings, qat_kd_weight=weight)
        taught = replace(case, work=replace(case.work, settings=settings))
        attempt, said = rung.repair(taught, found)
        print(f"{checkpoint.name}: {said}")
        graphs[name] = attempt.graph()
    view = case.work.view(case.work.dataset.test, case.source.preprocessing)
    labels = view.split.labels

    def right(role: str, graph: object) -> NDArray[np.float64]:
        logits = case.work.logits(role, graph, view, role)
        return (logits.argmax(axis=1) == labels).astype(np.float64)

    return Rights(
        float32=right(STUDENT, case.float32.core),
        **{name: right(STUDENT_INT8, graph) for name, graph in graphs.items()},
    )


def case_of(checkpoint: Path, out: Path) -> Case:
    """A checkpoint as `compress export` would take it up."""
    run, settings = Run(out=out, data=DATA, threads=1), Export(int8=True, latency=False)
    subjects = find_subjects(str(checkpoint), settings, Network(), run, SILENT)
    sources, dataset = subjects.sources, subjects.dataset
    work = Work(
        out=out,
        dataset=dataset,
        size=reading_size(dataset, [source.preprocessing for source in sources.values()]),
        settings=settings,
        portability=choose_portability(None, None),
        seed=run.seed,
        threads=run.threads,
        progress=SILENT,
    )
    return Case(
        work=work,
        source=sources[STUDENT],
        teacher=sources[TEACHER],
        float32=export_float32(work, STUDENT, sources[STUDENT]),
    )


def table(rights: dict[str, NDArray[np.float64]]) -> list[str]:
    """A row a way, in Markdown."""
    lines = ["| | test accuracy | against float32 in points, 95 % |", "|---|---|---|"]
    for name, rows in rights.items():
        apart = points(paired_difference(rows, rights["float32"]).to_dict())
        against = "" if name == "float32" else apart
        lines.append(f"| {name} | {percents(rows.mean(axis=1))} | {against} |")
    return lines
