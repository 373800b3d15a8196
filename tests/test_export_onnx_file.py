"""Any ONNX file in: one that came from elsewhere is quantised with the same proof."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import exported
import tiny
from compress.artifacts import read_json, sha256_file
from compress.errors import ExportError, ModelError, UsageError
from compress.preprocess import preprocess
from compress.progress import SILENT
from compress.settings import Export, Network, Run
from compress_export.recipe import export

OURS = exported.SPEC  # the normalisation that the network was trained with
SETTINGS = Export(
    int8=True,
    calibration="minmax",
    calibration_images=48,
    latency=False,
    mean=(128.0,),
    scale=(64.0,),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tiny.write_npz(tmp_path_factory.mktemp("data") / "data.npz")


def _file(graph: onnx.ModelProto, path: Path) -> Path:
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)
    return path


def _graph() -> onnx.ModelProto:
    """The float32 network without a word of ours."""
    graph = onnx.ModelProto()
    graph.CopyFrom(exported.float_graph())
    del graph.metadata_props[:]
    return graph


def _export(subject: Path, out: Path, data: Path, settings: Export = SETTINGS, **network) -> dict:
    run = Run(threads=1, data=str(data), out=out)
    export(subject, settings=settings, network=Network(**network), run=run, progress=SILENT)
    return read_json(out / "bundle.json", kind="bundle")


def _answers(path: Path, inputs: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(str(path))
    return session.run(None, {session.get_inputs()[0].name: inputs})[0]


def _channels_last() -> onnx.ModelProto:
    """The same network as converters from Keras write it: NHWC in, a Transpose first."""
    graph = _graph()
    only = graph.graph.input[0]
    inner = f"{only.name}_nchw"
    for node in graph.graph.node:
        for index, name in enumerate(node.input):
            if name == only.name:
                node.input[index] = inner
    transpose = helper.make_node("Transpose", ["images"], [inner], "to_nchw", perm=[0, 3, 1, 2])
    graph.graph.node.insert(0, transpose)
    shape = ["batch", 16, 16, 1]
    graph.graph.input[0].CopyFrom(helper.make_tensor_value_info("images", TensorProto.FLOAT, shape))
    return graph


def _fixed(graph: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del graph.graph.value_info[:]
    return graph


def _unfused_norm() -> onnx.ModelProto:
    """A convolution and the BatchNormalization after it, as older exporters leave them."""
    graph = _graph()
    rng = np.random.default_rng(0)
    first = next(node for node in graph.graph.node if node.op_type == "Conv")
    channels = next(
        numpy_helper.to_array(t).shape[0]
        for t in graph.graph.initializer
        if t.name == first.input[1]
    )
    names = ["gamma", "beta", "norm_mean", "variance"]
    for name, values in zip(names, rng.uniform(0.5, 1.5, (4, channels)), strict=True):
        tensor = numpy_helper.from_array(values.astype(np.float32), name)
        graph.graph.initializer.append(tensor)
    result = first.output[0]
    first.output[0] = "before_norm"
    norm = helper.make_node("BatchNormalization", ["before_norm", *names], [result], "norm")
    graph.graph.node.insert(list(graph.graph.node).index(first) + 1, norm)
    return graph


# -------------------------------------------------------------------------------- what it takes


def test_a_file_from_elsewhere_becomes_a_bundle_with_the_same_proof(data, tmp_path):
    path = _file(_graph(), tmp_path / "net.onnx")
    bundle = _export(path, tmp_path / "out", data)
    assert list(bundle["variants"]) == ["student", "student_int8"]
    assert bundle["provenance"]["student_sha256"] == sha256_file(path)
    proof = bundle["checks"]["int8"]
    assert proof["integer_convolutions"] == proof["convolutions"] == 4
    assert proof["saturating_pairs"] == 0
    images = exported.inputs(32)
    exact = _answers(path, images)
    np.testing.assert_allclose(
        _answers(tmp_path / "out" / "student.onnx", images), exact, atol=1e-4
    )
    int8 = _answers(tmp_path / "out" / "student.int8.onnx", images)
    assert (int8.argmax(1) == exact.argmax(1)).mean() >= 31 / 32


def test_a_channels_last_file_keeps_its_input(data, tmp_path):
    path = _file(_channels_last(), tmp_path / "keras.onnx")
    bundle = _export(path, tmp_path / "out", data)
    proof = bundle["checks"]["int8"]
    assert proof["integer_convolutions"] == proof["convolutions"] == 4
    session = ort.InferenceSession(str(tmp_path / "out" / "student.int8.onnx"))
    assert session.get_inputs()[0].shape[1:] == [16, 16, 1]
    pixels, labels = tiny.images(30, 3)
    inputs = preprocess(pixels, OURS).transpose(0, 2, 3, 1)
    found = _answers(tmp_path / "out" / "student.int8.onnx", np.ascontiguousarray(inputs))
    assert (found.argmax(1) == labels).mean() > 0.8


def test_a_fixed_batch_stays_fixed(data, tmp_path):
    path = _file(_fixed(_graph(), 1), tmp_path / "one.onnx")
    _export(path, tmp_path / "out", data)
    session = ort.InferenceSession(str(tmp_path / "out" / "student.int8.onnx"))
    assert session.get_inputs()[0].shape[0] == 1
    np.testing.assert_allclose(
        _answers(tmp_path / "out" / "student.onnx", exported.inputs(1)),
        _answers(path, exported.inputs(1)),
        atol=1e-4,
    )


def test_norms_that_the_exporter_left_are_folded(data, tmp_path):
    path = _file(_unfused_norm(), tmp_path / "norm.onnx")
    bundle = _export(path, tmp_path / "out", data)
    types = {node.op_type for node in onnx.load(tmp_path / "out" / "student.onnx").graph.node}
    assert "BatchNormalization" not in types
    assert bundle["checks"]["int8"]["float_operators"] == {}


def test_weights_beside_the_file_are_read_and_travel_inside(data, tmp_path):
    path = tmp_path / "large.onnx"
    onnx.save(_graph(), path, save_as_external_data=True, location="large.data", size_threshold=256)
    assert (tmp_path / "large.data").is_file()
    _export(path, tmp_path / "out", data)
    np.testing.assert_allclose(
        _answers(tmp_path / "out" / "student.onnx", exported.inputs(4)),
        _answers(path, exported.inputs(4)),
        atol=1e-4,
    )
    assert not list((tmp_path / "out").glob("*.data"))


def test_an_old_operator_set_is_made_new_enough(data, tmp_path):
    text = """
    <ir_version: 6, opset_import: ["" : 11]>
    main (float[batch, 1, 16, 16] image) => (float[batch, 3] answer)
    <float[8, 1, 3, 3] w, float[3, 8] v> {
        a = Conv <pads = [1, 1, 1, 1]> (image, w)
        b = Relu (a)
        c = ReduceMean <axes = [2, 3], keepdims = 0> (b)
        answer = Gemm <transB = 1> (c, v)
    }
    """
    graph = onnx.parser.parse_model(text)
    rng = np.random.default_rng(1)
    for name, shape in (("w", (8, 1, 3, 3)), ("v", (3, 8))):
        values = rng.normal(size=shape).astype(np.float32)
        graph.graph.initializer.append(numpy_helper.from_array(values, name))
    path = _file(graph, tmp_path / "old.onnx")
    bundle = _export(path, tmp_path / "out", data)
    proof = bundle["checks"]["int8"]
    assert (proof["integer_convolutions"], proof["integer_products"]) == (1, 1)
    assert proof["float_operators"] == {}


def test_weights_listed_among_the_inputs_are_no_images(data, tmp_path):
    graph = _graph()
    for tensor in graph.graph.initializer:
        value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        graph.graph.input.insert(0, value)  # before the image, as some exporters write them
    graph.ir_version = 3
    path = tmp_path / "old.onnx"
    onnx.save(graph, path)
    bundle = _export(path, tmp_path / "out", data)
    assert bundle["checks"]["int8"]["float_operators"] == {}
    assert len(onnx.load(tmp_path / "out" / "student.onnx").graph.input) == 1


def test_a_second_output_goes_with_all_that_led_to_it_alone(data, tmp_path):
    graph = _graph()
    pooled = next(n for n in graph.graph.node if n.op_type == "GlobalAveragePool")
    extra = helper.make_node("Exp", [pooled.output[0]], ["extra"], "extra")
    graph.graph.node.append(extra)
    shape = ["batch", "channels", 1, 1]
    graph.graph.output.append(helper.make_tensor_value_info("extra", TensorProto.FLOAT, shape))
    bundle = _export(_file(graph, tmp_path / "two.onnx"), tmp_path / "out", data)
    written = onnx.load(tmp_path / "out" / "student.onnx").graph
    assert [value.name for value in written.output] == ["logits"]
    assert "Exp" not in {node.op_type for node in written.node}
    assert bundle["checks"]["int8"]["float_operators"] == {}


def test_a_fixed_batch_larger_than_the_images_is_filled(data, tmp_path):
    path = _file(_fixed(_graph(), 64), tmp_path / "many.onnx")
    bundle = _export(path, tmp_path / "out", data)
    assert bundle["checks"]["int8"]["agreement"] > 0.9


@pytest.mark.parametrize("opset", [20, 22, 23])
def test_a_newer_operator_set_is_made_what_boards_read(data, tmp_path, opset):
    graph = _graph()
    graph.opset_import[0].version = opset
    graph.ir_version = 11
    path = tmp_path / "new.onnx"
    onnx.save(graph, path)
    _export(path, tmp_path / "out", data)
    for name in ("student.onnx", "student.int8.onnx"):
        written = onnx.load(tmp_path / "out" / name)
        assert (written.opset_import[0].version, written.ir_version) == (18, 8)


def test_a_file_that_takes_bytes_keeps_them(data, tmp_path):
    graph = _graph()
    only = graph.graph.input[0].name
    nodes = [
        helper.make_node("Transpose", ["frame"], ["frame_nchw"], "to_nchw", perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["frame_nchw"], ["pixels"], "to_float", to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels", "middle"], ["centred"], "centre"),
        helper.make_node("Div", ["centred", "spread"], [only], "scale_down"),
    ]
    for index, node in enumerate(nodes):
        graph.graph.node.insert(index, node)
    for name, value in (("middle", 128.0), ("spread", 64.0)):
        graph.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    shape = ["batch", 16, 16, 1]
    graph.graph.input[0].CopyFrom(helper.make_tensor_value_info("frame", TensorProto.UINT8, shape))
    path = _file(graph, tmp_path / "camera.onnx")
    settings = Export(int8=True, calibration="minmax", calibration_images=48, latency=False)
    bundle = _export(path, tmp_path / "out", data, settings)
    assert bundle["variants"]["student_int8"]["metrics"]["validation"]["accuracy"] > 0.8
    pixels, _ = tiny.images(16, 3)
    exact, found = _answers(path, pixels), _answers(tmp_path / "out" / "student.int8.onnx", pixels)
    assert (exact.argmax(1) == found.argmax(1)).mean() > 0.9


def test_what_the_file_does_not_say_is_assumed_aloud(data, tmp_path):
    path = _file(_graph(), tmp_path / "net.onnx")
    settings = Export(int8=True, calibration="minmax", calibration_images=48, latency=False)
    bundle = _export(path, tmp_path / "out", data, settings)
    assert any("--mean 128 --scale 64 was assumed" in sentence for sentence in bundle["advice"])


def test_a_camera_file_of_ours_says_how_its_frames_are_cut(data, tmp_path):
    first = _file(_graph(), tmp_path / "net.onnx")
    run = Run(threads=1, data=str(data), out=tmp_path / "first", resize="stretch")
    settings = replace(SETTINGS, int8=False, calibration="auto", input="uint8")
    export(first, settings=settings, network=Network(), run=run, progress=SILENT)
    settings = Export(int8=True, calibration="minmax", calibration_images=48, latency=False)
    again = tmp_path / "first" / "student.onnx"
    bundle = _export(again, tmp_path / "second", data, settings)
    spec = bundle["variants"]["student"]["preprocessing"]
    assert (spec["resize"], spec["mean"], spec["scale"]) == ("stretch", [0.0], [1.0])
    said = onnx.load(tmp_path / "second" / "student.int8.onnx").metadata_props
    assert {p.key: p.value for p in said}["compress.input"] == "uint8"
    assert bundle["checks"]["ends"]["student_int8"]["input"] == "uint8"


def test_a_file_of_ours_says_its_preprocessing_itself(data, tmp_path):
    first = _file(_graph(), tmp_path / "net.onnx")
    _export(first, tmp_path / "first", data)
    again = tmp_path / "first" / "student.onnx"
    settings = Export(int8=True, calibration="minmax", calibration_images=48, latency=False)
    bundle = _export(again, tmp_path / "second", data, settings)
    assert not any("assumed" in sentence for sentence in bundle["advice"])
    spec = bundle["variants"]["student"]["preprocessing"]
    assert (spec["mean"], spec["scale"]) == ([128.0], [64.0])


def test_an_onnx_teacher_stands_beside_the_student(data, tmp_path):
    path = _file(_graph(), tmp_path / "net.onnx")
    settings = Export(
        calibration_images=48, mean=(128.0,), scale=(64.0,), teacher=str(path), latency=False
    )
    bundle = _export(path, tmp_path / "out", data, settings)
    assert list(bundle["variants"]) == ["teacher", "student"]
    assert bundle["reference"] == "teacher"
    assert any("teacher net.onnx: the file does not say" in said for said in bundle["advice"])


def _with_softmax() -> onnx.ModelProto:
    graph = _graph()
    graph.graph.node.append(helper.make_node("Softmax", ["logits"], ["scores"], "softmax", axis=1))
    graph.graph.output[0].name = "scores"
    return graph


@pytest.mark.parametrize("output", ["logits", "scores", "label"])
def test_a_file_that_ends_in_a_softmax_gets_no_second_one(data, tmp_path, output):
    path = _file(_with_softmax(), tmp_path / "soft.onnx")
    bundle = _export(path, tmp_path / "out", data, replace(SETTINGS, output=output))
    exact = _answers(path, exported.inputs(8))
    found = _answers(tmp_path / "out" / "student.onnx", exported.inputs(8))
    if output == "label":
        np.testing.assert_array_equal(found, exact.argmax(1))
    else:
        np.testing.assert_allclose(found, exact, atol=1e-5)
    assert bundle["checks"]["ends"]["student"]["output"] == {"logits": "scores"}.get(output, output)
    logits = _answers(_file(_graph(), tmp_path / "net.onnx"), exported.inputs(8))
    assert not np.allclose(exact, logits, atol=0.1)


# ------------------------------------------------------------------------------ what it refuses


def test_a_quantised_file_is_refused(data, tmp_path):
    with pytest.raises(
        ExportError, match="found DequantizeLinear, QuantizeLinear: it is quantised"
    ):
        _export(exported.int8_file(), tmp_path / "out", data)


def test_half_precision_is_refused_with_its_tensor(data, tmp_path):
    text = """
    <ir_version: 8, opset_import: ["" : 18]>
    main (float16[batch, 1, 16, 16] image) => (float16[batch, 3] answer)
    <float16[256, 3] w> { a = Flatten (image)
        answer = MatMul (a, w) }
    """
    graph = onnx.parser.parse_model(text)
    values = np.ones((256, 3), dtype=np.float16)
    graph.graph.initializer.append(numpy_helper.from_array(values, "w"))
    with pytest.raises(ExportError, match="expected float32 weights, found another precision in w"):
        _export(_file(graph, tmp_path / "half.onnx"), tmp_path / "out", data)


def test_other_classes_than_the_images_are_refused_with_both_numbers(data, tmp_path):
    graph = _graph()
    other = tmp_path / "two.npz"
    pixels, labels = tiny.images(60, 1)
    keep = labels < 2
    arrays = {
        f"{x}_{part}": v
        for part in ("train", "test")
        for x, v in (("x", pixels[keep, ..., 0]), ("y", labels[keep]))
    }
    np.savez(other, **arrays)
    path = _file(graph, tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=r"classes of .*two.npz \(2: .*found 3"):
        _export(path, tmp_path / "out", other)


def test_a_missing_file_is_named(data, tmp_path):
    with pytest.raises(ModelError, match=r"gone.onnx: .*no such file"):
        _export(tmp_path / "gone.onnx", tmp_path / "out", data)


def test_a_file_that_is_no_onnx_is_refused(data, tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("not a network")
    with pytest.raises(ModelError, match=r"text.onnx: expected an ONNX file"):
        _export(path, tmp_path / "out", data)


def test_flags_of_torch_networks_are_refused(data, tmp_path):
    path = _file(_graph(), tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="--pretrained: expected a torch network"):
        _export(path, tmp_path / "out", data, pretrained=True)


def test_a_normalisation_for_a_torch_network_is_refused(data, tmp_path):
    settings = Export(mean=(128.0,), scale=(64.0,))
    with pytest.raises(UsageError, match="--mean: expected an ONNX file"):
        _export(Path("lenet5"), tmp_path / "out", data, settings)


def test_three_means_for_one_channel_are_refused(data, tmp_path):
    path = _file(_graph(), tmp_path / "net.onnx")
    settings = Export(mean=(1.0, 2.0, 3.0), scale=(1.0, 1.0, 1.0))
    with pytest.raises(UsageError, match="--mean: expected one number for the one channel"):
        _export(path, tmp_path / "out", data, settings)


def test_a_network_that_is_still_learning_is_refused(data, tmp_path):
    graph = _unfused_norm()
    norm = next(node for node in graph.graph.node if node.op_type == "BatchNormalization")
    norm.attribute.append(helper.make_attribute("training_mode", 1))
    norm.output.extend(["mean_now", "variance_now"])
    onnx.save(graph, tmp_path / "learning.onnx")
    with pytest.raises(ExportError, match="expected a network in eval mode, found norm"):
        _export(tmp_path / "learning.onnx", tmp_path / "out", data)


def test_half_a_normalisation_is_refused(data, tmp_path):
    path = _file(_graph(), tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="--mean and --scale: expected both or neither"):
        _export(path, tmp_path / "out", data, Export(mean=(128.0,)))
