"""The teacher beside an exported student: found as the student's manifest says, or left out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

import exported
import teachers_case as case
import tiny
from compress.data.open import open_dataset
from compress.distill.teachers.record import rebuild_network, teacher_record
from compress.errors import ExportError, ModelError
from compress.models.checkpoint import save_checkpoint
from compress.models.reference import source_sha256
from compress.preprocess import preprocess
from compress.progress import SILENT
from compress.settings import Export, Network, Run
from compress_export.convert import convert
from compress_export.subjects import find_subjects

REFERENCE = f"{exported.SOURCE}:branched"
RUN = Run(threads=1)


@pytest.fixture
def data(tmp_path):
    return open_dataset(str(tiny.write_npz(tmp_path / "data.npz")), **RUN.splitting())


def _student(folder: Path, data, teacher) -> Path:
    """A checkpoint of a student that `teacher` taught."""
    manifest = {
        "model": {
            "reference": REFERENCE,
            "args": {"width": 16},
            "num_classes": 3,
            "channels": 1,
            "input_size": [16, 16],
            "source_sha256": source_sha256(REFERENCE),
        },
        "classes": list(data.classes),
        "preprocessing": exported.SPEC.to_dict(),
        "data": {
            "reference": data.name,
            "fingerprint": data.fingerprint,
            "split_seed": 0,
            "val_fraction": 0.1,
            "test_fraction": 0.2,
            "max_bad": 0.01,
            "resize": "crop",
        },
        "teacher": teacher_record(teacher),
        "baseline": None,
    }
    save_checkpoint(folder, exported.trained(), manifest)
    return folder


def _found(tmp_path: Path, data, teacher):
    student = _student(tmp_path / "student", data, teacher)
    return find_subjects(str(student), Export(), Network(), RUN, SILENT)


def _answers(source) -> torch.Tensor:
    return torch.from_numpy(source.answer(case.views().pixels))


def test_a_teacher_of_another_order_is_exported_in_the_datas_order(tmp_path, data):
    folder = case.checkpoint(tmp_path / "teacher", data, classes=("blank", "bars", "columns"))
    subjects = _found(tmp_path, data, case.load(folder, data=data))
    model = subjects.sources["teacher"]
    assert model.classes == tiny.CLASSES
    assert torch.allclose(_answers(model), case.reference_logits(), atol=1e-4)
    assert subjects.notes == ()


def test_a_teacher_with_a_softmax_and_merged_classes_is_one_onnx_file(tmp_path, data):
    names, mapped = tmp_path / "names.txt", tmp_path / "map.json"
    names.write_text("bars\ncolumns\nnoise\n")
    mapped.write_text('{"striped": ["bars", "columns"], "blank": "noise"}')
    two = replace(data, classes=("striped", "blank"))
    teacher = case.load(
        f"{case.SOURCE}:soft",
        data=two,
        teacher_weights=case.weights(tmp_path / "soft.pth", case.soft()),
        teacher_output="probabilities",
        teacher_classes=names,
        class_map=mapped,
    )
    model = rebuild_network(teacher_record(teacher), two)
    graph, _ = convert(model, opset=18)
    session = ort.InferenceSession(graph.SerializeToString())
    inputs = preprocess(case.views(5).pixels, model.preprocessing)
    (found,) = session.run(None, {"input": inputs})
    soft = case.reference_logits(5).softmax(1)
    expected = torch.stack([soft[:, 0] + soft[:, 1], soft[:, 2]], 1)
    assert np.allclose(torch.from_numpy(found).softmax(1), expected, atol=1e-5)


def test_a_foreign_teacher_is_rebuilt_with_its_own_number_of_classes(tmp_path, data):
    names = tmp_path / "names.txt"
    names.write_text("bars\ncolumns\nblank\nsmoke\n")
    teacher = case.load(
        f"{case.SOURCE}:wide",
        data=data,
        teacher_weights=case.weights(tmp_path / "w.pth", case.wide(4)),
        teacher_classes=names,
    )
    names.unlink()  # the manifest knows it
    model = _found(tmp_path, data, teacher).sources["teacher"]
    assert torch.allclose(_answers(model), case.reference_logits(), atol=1e-4)


def test_of_several_teachers_none_is_exported_and_that_is_said(tmp_path, data):
    pair = [case.checkpoint(tmp_path / name, data) for name in ("first", "second")]
    subjects = _found(tmp_path, data, case.load(*pair, data=data))
    assert list(subjects.sources) == ["student"]
    assert "give --teacher FOLDER to put one beside it" in subjects.notes[0]


def test_a_note_is_left_to_the_advice_and_not_said_twice(tmp_path, data):
    pair = [case.checkpoint(tmp_path / name, data) for name in ("first", "second")]
    student, said = _student(tmp_path / "student", data, case.load(*pair, data=data)), case.Said()
    subjects = find_subjects(str(student), Export(), Network(), RUN, said)
    assert len(subjects.notes) == 1
    assert said.sentences == []


def test_an_onnx_teacher_stands_beside_its_student(tmp_path, data):
    file = case.File().write(tmp_path / "edges.onnx")
    taught = case.load(file, data=data)
    source = _found(tmp_path, data, taught).sources["teacher"]
    assert source.name == "edges.onnx"
    expected = taught.network.outputs(case.views().pixels)
    assert torch.allclose(_answers(source), expected, atol=1e-5)


def test_an_onnx_teacher_that_changed_or_went_is_refused(tmp_path, data):
    file = case.File().write(tmp_path / "edges.onnx")
    student = _student(tmp_path / "student", data, case.load(file, data=data))
    graph = onnx.load(file)
    graph.doc_string = "another one"
    onnx.save(graph, file)
    with pytest.raises(ExportError, match="the file has changed since it taught"):
        find_subjects(str(student), Export(), Network(), RUN, SILENT)
    file.unlink()
    with pytest.raises(ExportError, match="expected it where it was when it taught"):
        find_subjects(str(student), Export(), Network(), RUN, SILENT)


def test_weights_that_changed_since_are_refused(tmp_path, data):
    weights = case.weights(tmp_path / "w.pth")
    teacher = case.load(case.EDGES, data=data, teacher_weights=weights)
    module = case.Edges()
    with torch.no_grad():
        module.head.bias[0] += 1
    case.weights(weights, module)
    with pytest.raises(ExportError, match="its weights have changed since it taught"):
        _found(tmp_path, data, teacher)


def test_a_teacher_of_other_classes_cannot_be_put_beside_the_student(tmp_path, data):
    folder = case.checkpoint(tmp_path / "teacher", data, classes=("cat", "dog", "cow"))
    taught_by = case.load(case.checkpoint(tmp_path / "own", data), data=data)
    student = _student(tmp_path / "student", data, taught_by)
    with pytest.raises(ModelError, match="expected the classes of"):
        find_subjects(str(student), Export(teacher=str(folder)), Network(), RUN, SILENT)
