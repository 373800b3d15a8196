"""The teacher that candidates are compared with before it has learned anything."""

import copy

import numpy as np
import onnx
import pytest
from safetensors.torch import save_file

import exported
import tiny
from compress.errors import CompressError, ModelError
from compress.models.checkpoint import save_checkpoint
from compress.search.families import Place, count
from compress.search.reference import find_teacher
from compress.settings import Export, Network, Run, Teachers

DATASET = tiny.dataset(12)
PLACE = Place(dataset=DATASET, network=Network(), run=Run(threads=1))


def _find(*teacher, model="", **settings):
    return find_teacher(Teachers(teacher=teacher, **settings), model, Network(), PLACE)


def test_the_network_that_the_recipe_trains_is_the_teacher(tmp_path):
    found = find_teacher(Teachers(), "ds_cnn", Network(model_args='{"width": 0.25}'), PLACE)
    assert (found.name, found.reference) == ("ds_cnn-w25", "ds_cnn")
    assert found.built is not None
    assert found.parameters == count(found.built)
    path = found.write(PLACE, tmp_path, Export(int8=True))
    assert [file.name for file in tmp_path.iterdir()] == ["teacher.onnx"]  # no int8 file of it
    before = path.stat().st_mtime_ns
    assert found.write(PLACE, tmp_path, Export(int8=True)).stat().st_mtime_ns == before


def test_a_network_that_is_to_be_trained_must_be_one():
    with pytest.raises(ModelError, match="did you mean resnet8"):
        _find(model="resnet9")


def test_a_checkpoint_is_taken_as_it_is(tmp_path):
    manifest = {
        "model": {
            "reference": f"{exported.SOURCE}:branched",
            "args": {"width": 16},
            "num_classes": 3,
            "channels": 1,
            "input_size": [16, 16],
        },
        "classes": list(tiny.CLASSES),
        "preprocessing": exported.SPEC.to_dict(),
    }
    save_checkpoint(tmp_path, exported.trained(), manifest)
    found = _find(str(tmp_path))
    assert found.name == "branched-w1600"
    assert found.digest


def test_an_onnx_file_is_measured_itself(tmp_path):
    path = tmp_path / "mine.onnx"
    onnx.save(exported.float_graph(), path)
    found = _find(str(path))
    assert found.name == "mine"
    assert found.parameters
    copied = found.write(PLACE, tmp_path / "files", Export())
    assert copied.read_bytes() == path.read_bytes()


def test_weights_beside_an_onnx_file_go_with_it(tmp_path):
    path = tmp_path / "mine.onnx"
    external = {"save_as_external_data": True, "size_threshold": 0}
    onnx.save(copy.deepcopy(exported.float_graph()), path, location="mine.onnx.data", **external)
    copied = _find(str(path)).write(PLACE, tmp_path / "files", Export())
    onnx.checker.check_model(str(copied))  # reads them
    assert (copied.parent / "mine.onnx.data").read_bytes() == (
        tmp_path / "mine.onnx.data"
    ).read_bytes()


def test_files_are_written_on_the_cpu_whatever_trains(tmp_path):
    place = Place(dataset=DATASET, network=Network(), run=Run(threads=1, device="cuda"))
    found = find_teacher(Teachers(), "ds_cnn", Network(model_args='{"width": 0.25}'), place)
    assert found.write(place, tmp_path, Export()).is_file()


def test_kept_answers_are_no_network_to_compare_with(tmp_path):
    np.savez(tmp_path / "answers.npz", logits=np.zeros((12, 3), np.float32))
    found = _find(str(tmp_path / "answers.npz"))
    assert not found.has_file
    assert "holds answers" in found.note


def test_a_named_network_is_as_it_would_teach(tmp_path):
    args = '{"width": 0.25}'
    made = find_teacher(Teachers(), "ds_cnn", Network(model_args=args), PLACE)
    assert made.built is not None
    save_file(made.built.module.state_dict(), tmp_path / "w.safetensors")
    found = _find(
        "ds_cnn", teacher_args=args, teacher_weights=tmp_path / "w.safetensors", teacher_size=20
    )
    assert (found.name, found.parameters) == ("ds_cnn-w25", made.parameters)
    assert found.built is not None
    assert found.built.preprocessing.size == (20, 20)


def test_a_teacher_that_cannot_teach_yet_is_told_and_not_fatal():
    found = _find("ds_cnn")
    assert not found.has_file
    assert "weights" in found.note


def test_a_teacher_that_there_is_not_and_will_not_be_is_refused(tmp_path):
    for reference in ("nosuch.onnx", str(tmp_path / "nosuch")):
        with pytest.raises(CompressError, match="nosuch"):
            _find(reference)
    with pytest.raises(CompressError, match="nosuch"):
        _find("nosuch.onnx", model="ds_cnn")
    to_come = _find(str(tmp_path / "teacher"), model="ds_cnn")  # the folder that it is trained to
    assert not to_come.has_file


def test_a_recipe_may_name_nobody():
    assert not _find().has_file
