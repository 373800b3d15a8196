"""A network without training, as the files that it would be deployed as."""

import copy
from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

import exported
import tiny
from compress.models.build import BuiltModel
from compress.settings import Export
from compress_export.untrained import Untrained, export_untrained

DATASET = tiny.dataset()


def _export(module: nn.Module, folder, **settings) -> Untrained:
    return export_untrained(
        BuiltModel(module, exported.SPEC),
        tiny.CLASSES,
        folder,
        "net",
        settings=Export(int8=True, **settings),
        dataset=DATASET,
        threads=1,
    )


@pytest.fixture(scope="module")
def fresh():
    torch.manual_seed(7)
    return exported.branched(len(tiny.CLASSES))


@pytest.fixture(scope="module")
def files(fresh, tmp_path_factory):
    return _export(fresh, tmp_path_factory.mktemp("untrained"), input="uint8")


def _operators(model: onnx.ModelProto) -> Counter:
    return Counter(node.op_type for node in model.graph.node)


def test_random_weights_make_the_operators_of_trained_ones(files, tmp_path):
    trained = _export(exported.trained(), tmp_path, input="uint8")
    assert trained.int8 is not None and files.int8 is not None
    assert _operators(onnx.load(files.int8)) == _operators(onnx.load(trained.int8))
    assert _operators(onnx.load(files.float32)) == _operators(onnx.load(trained.float32))
    assert files.int8.stat().st_size == pytest.approx(trained.int8.stat().st_size, abs=50)


def test_their_files_are_as_large_as_trained_ones(files):
    trained = exported.float_graph().ByteSize()
    assert files.float32.stat().st_size == pytest.approx(trained, abs=1500)  # ends and metadata
    weights = sum(len(t.raw_data) for t in onnx.load(files.float32).graph.initializer)
    assert weights >= sum(len(t.raw_data) for t in exported.float_graph().graph.initializer)


def test_the_files_say_what_they_are(files):
    said = {p.key: p.value for p in onnx.load(files.int8).metadata_props}
    assert said["compress.precision"] == "int8"
    assert said["compress.input"] == "uint8"
    assert int(said["compress.parameters"]) == files.parameters


def test_a_camera_s_frames_get_answers_that_differ(files):
    session = ort.InferenceSession(str(files.int8), providers=["CPUExecutionProvider"])
    frames = tiny.images(12, 5)[0]
    (logits,) = session.run(None, {session.get_inputs()[0].name: frames})
    assert logits.shape == (12, len(tiny.CLASSES))
    assert len(np.unique(logits.round(6), axis=0)) > 6


def test_the_network_itself_stays_as_it_is(tmp_path):
    module = nn.Sequential(nn.Flatten(), nn.Linear(256, len(tiny.CLASSES)))
    nn.init.zeros_(module[1].bias)
    before = copy.deepcopy(module.state_dict())
    _export(module.train(), tmp_path)
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_bias_of_zero_takes_its_place_in_the_file(tmp_path):
    module = nn.Sequential(nn.Flatten(), nn.Linear(256, len(tiny.CLASSES)))
    nn.init.zeros_(module[1].weight)
    nn.init.zeros_(module[1].bias)
    graph = onnx.load(_export(module, tmp_path, batch_size=4).float32).graph
    assert (len(tiny.CLASSES),) in [tuple(tensor.dims) for tensor in graph.initializer]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4
