"""Files that others made: whatever they take and give, bench measures or says in a sentence why."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

import bench_models
import foreign_files
from compress.errors import ArtifactError, BenchError, DataError, UsageError
from compress.settings import Bench, Run
from compress_bench.evidence import Variant
from compress_bench.jobs.listening import without_signatures
from compress_bench.recipe import bench
from compress_bench.runner import explain_refusal, feed_shape, make_feed
from compress_bench.subjects.feeds import choose_shapes, parse_input_shapes
from compress_bench.targets.local import stream


def measured(*paths, data=None, goals=None, **settings):
    """The report of one process; what is measured is enough here, intervals are not looked at."""
    wanted = Bench(profile="quick", processes=1, layers=False, instructions="off", **settings)
    return bench(list(paths), settings=wanted, run=Run(threads=1, data=data), goals=goals)


def data_file(tmp_path):
    """Grey images of three classes, in splits."""
    images, labels = bench_models.images(90)
    path = tmp_path / "images.npz"
    np.savez(path, x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])
    return str(path)


class Input:
    def __init__(self, name, kind, shape):
        self.name, self.type, self.shape = name, kind, shape


class Inputs:
    """As much of a session as a feed is made from."""

    def __init__(self, **inputs):
        self.inputs = [Input(name, *value) for name, value in inputs.items()]

    def get_inputs(self):
        return self.inputs


def fed(**inputs):
    shapes = {name: shape for name, (_, shape) in inputs.items()}
    return make_feed(Inputs(**inputs), {"shapes": shapes}, {"seed": 3, "batch_size": 1})


def shapes(model_inputs, given=(), batch_size=1):
    variant = Variant(
        name="net",
        path=None,
        role="net",
        network="net",
        precision=None,
        sha256="",
        size_bytes=1,
        parameters=None,
        preprocessing=None,
    )
    described = {
        "inputs": [
            {"name": name, "type": "tensor(float)", "shape": list(shape)}
            for name, shape in model_inputs.items()
        ]
    }
    return choose_shapes(variant, described, parse_input_shapes(given), batch_size)


# ---------------------------------------------------------------------------- what is fed


@pytest.mark.parametrize(
    ("kind", "dtype", "low", "high"),
    [
        ("tensor(float)", np.float32, -2, 2),
        ("tensor(float16)", np.float16, -2, 2),
        ("tensor(double)", np.float64, -2, 2),
        ("tensor(uint8)", np.uint8, 0, 255),
        ("tensor(int8)", np.int8, -128, 127),
    ],
)
def test_images_get_random_pixels_of_the_input_s_type(kind, dtype, low, high):
    values = fed(x=(kind, [2, 3, 8, 8]))["x"]
    assert values.dtype == dtype and values.shape == (2, 3, 8, 8) and values.flags.c_contiguous
    assert low <= values.min() < values.max() <= high and len(np.unique(values)) > 50


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint16", "bool", "uint8", "int8"])
def test_ids_masks_and_lengths_get_ones(dtype):
    values = fed(ids=(f"tensor({dtype})", [2, 5]))["ids"]
    assert values.dtype == np.dtype(dtype) and (values == 1).all() and values.shape == (2, 5)


def test_a_scalar_stays_one():
    assert fed(factor=("tensor(float)", []))["factor"].shape == ()
    assert fed(k=("tensor(int64)", []))["k"].shape == ()


def test_the_same_seed_feeds_the_same_values_to_each_input():
    inputs = {"a": ("tensor(float)", [1, 4]), "b": ("tensor(float)", [1, 4])}
    first, again = fed(**inputs), fed(**inputs)
    assert all((first[name] == again[name]).all() for name in inputs)
    assert (first["a"] != first["b"]).any()


def test_without_chosen_shapes_only_the_batch_may_be_open():
    job = {"batch_size": 3}
    assert feed_shape(Input("x", "tensor(float)", ["n", 4]), {}, job) == [3, 4]
    with pytest.raises(ValueError, match=r"input x: the sizes of .* are open"):
        feed_shape(Input("x", "tensor(float)", ["n", "length"]), {}, job)


# ---------------------------------------------------------------------------- open axes


def test_the_batch_goes_to_every_open_first_axis():
    found = shapes({"a": ["n", 3], "b": ["m", 2, 2], "c": []}, batch_size=4)
    assert found == {"a": (4, 3), "b": (4, 2, 2), "c": ()}


def test_axes_of_one_name_have_one_size():
    inputs = {"ids": ["batch", "length"], "mask": ["batch", "length"]}
    assert shapes(inputs, ["mask=1,16"]) == {"ids": (1, 16), "mask": (1, 16)}


def test_an_open_axis_that_nothing_decides_is_named_with_the_flag():
    with pytest.raises(
        BenchError,
        match=r"net: its input ids leaves the size of axis 1 \(length\) open; give it, as in "
        r"--input-shape ids=1,128$",
    ):
        shapes({"ids": ["batch", "length"]})
    with pytest.raises(BenchError, match=r"of axis 2 open; .* --input-shape x=1,3,224,32$"):
        shapes({"x": [None, 3, None, 32]})


def test_a_fixed_batch_that_differs_is_refused_with_both_numbers():
    with pytest.raises(BenchError, match=r"fixed at 4, found batch size 1; .*--batch-size 4"):
        shapes({"x": [4, 3, 8, 8]})


def test_a_fixed_first_axis_of_a_sequence_is_no_batch():
    assert shapes({"frames": [10, 1, 8]}) == {"frames": (10, 1, 8)}


def test_a_given_first_size_is_the_batch():
    with pytest.raises(UsageError, match=r"--input-shape x=8,4: .*give --batch-size 8 too"):
        shapes({"x": ["n", 4]}, ["x=8,4"])
    assert shapes({"x": ["n", 4]}, ["x=8,4"], batch_size=8) == {"x": (8, 4)}


@pytest.mark.parametrize("written", ["1,3,4", "x=", "x=1,a", "=1,2", "x=0,3", "x=1,-3"])
def test_a_shape_that_is_none_is_refused(written):
    with pytest.raises(UsageError, match=r"--input-shape: expected NAME=1,3,224,224, found '"):
        parse_input_shapes([written])


def test_a_shape_given_twice_is_refused():
    with pytest.raises(UsageError, match="x is given twice"):
        parse_input_shapes(["x=1,2", "x=1,3"])


# ---------------------------------------------------------------------------- whole benches


def test_several_inputs_of_several_types_are_measured_and_the_feed_is_said(tmp_path):
    path = foreign_files.tokens(tmp_path / "net.onnx")
    found = measured(path, input_shape=("ids=1,16",))
    fields = found["variants"]["net"]
    assert fields["latency"]["n"] > 0 and fields["memory"] is not None
    assert fields["accuracy"] is None and fields["size_bytes"] == path.stat().st_size
    assert (
        "net: measured by feeding ones to ids (int64 [1, 16]), ones to mask (bool [1, 16]), "
        "random numbers to factor (float32 [])"
    ) in found["notes"]


def test_an_open_length_is_refused_before_measuring(tmp_path):
    path = foreign_files.tokens(tmp_path / "net.onnx")
    with pytest.raises(BenchError, match=r"net: its input ids .* axis 1 \(length\) open"):
        measured(path)


def test_a_shape_of_no_input_and_one_that_no_file_can_take_are_refused(tmp_path):
    path = foreign_files.image_net(tmp_path / "net.onnx")
    with pytest.raises(UsageError, match=r'--input-shape images: .*did you mean "image"'):
        measured(path, input_shape=("images=1,3,8,8",))
    with pytest.raises(UsageError, match=r"image=1,4,8,8: the input is \[n, 3, height, width\]"):
        measured(path, input_shape=("image=1,4,8,8",))


def test_images_of_a_given_size_are_judged_too(tmp_path):
    net = foreign_files.image_net(tmp_path / "net.onnx")
    found = measured(net, data=data_file(tmp_path), input_shape=("image=1,3,6,6",))
    assert found["variants"]["net"]["accuracy"]["n"] == 30
    assert any("at 6 x 6 px was assumed" in note for note in found["notes"])


def test_a_file_that_gives_no_classes_is_measured_without_accuracy_beside_one_that_does(tmp_path):
    classes = bench_models.write_model(tmp_path / "classes.onnx")
    masks = foreign_files.image_net(
        tmp_path / "masks.onnx", shape=("n", 3, 8, 8), ends=("mask", "logits")
    )
    data = data_file(tmp_path)
    found = measured(masks, classes, data=data)  # the first is the reference
    assert found["variants"]["classes"]["accuracy"]["value"] == 1.0
    assert found["variants"]["classes"]["agreement"] is None
    assert found["variants"]["masks"]["accuracy"] is None
    assert found["variants"]["masks"]["latency"]["n"] > 0
    assert any(
        note.startswith("masks: no accuracy: expected output [batch, classes]")
        for note in found["notes"]
    )
    goals = {"masks": {"accuracy": {"min": "50 %"}}}
    with pytest.raises(UsageError, match="goal masks accuracy: masks cannot be judged by images"):
        measured(masks, classes, data=data, goals=goals)


def test_data_for_files_that_take_no_images_is_remarked(tmp_path):
    found = measured(foreign_files.relu(tmp_path / "net.onnx"), data=data_file(tmp_path))
    assert found["data"]["n"] == 0
    assert any(note.startswith("net: no accuracy: expected one input") for note in found["notes"])


def test_data_that_cannot_be_is_refused_for_files_that_take_no_images_too(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        measured(foreign_files.relu(tmp_path / "net.onnx"), data=str(tmp_path / "nowhere.npz"))


def test_sequences_of_maps_are_left_out_of_accuracy_and_of_the_look_for_nan(tmp_path):
    found = measured(foreign_files.zip_map(tmp_path / "forest.onnx"), data=data_file(tmp_path))
    fields = found["variants"]["forest"]
    assert fields["latency"]["n"] > 0 and fields["memory"] is not None
    assert fields["accuracy"] is None


def test_numbers_that_a_file_cannot_take_are_remarked_not_refused(tmp_path):
    shape = (TensorProto.FLOAT, ("n", 4))
    nodes = [("Log", ["x"], ["y"], {})]  # of what is below zero there is none
    path = foreign_files.save(tmp_path / "net.onnx", nodes, {"x": shape}, {"y": shape})
    found = measured(path)
    assert found["variants"]["net"]["latency"]["n"] > 0
    assert any(n.startswith("net: its outputs held NaN or infinity") for n in found["notes"])


def test_every_type_of_number_is_fed(tmp_path):
    models = []
    for name in ("FLOAT16", "DOUBLE", "UINT8", "INT8", "INT32", "INT64", "BOOL"):
        element = getattr(TensorProto, name)
        path = foreign_files.relu(tmp_path / f"{name}.onnx", element, ("batch", 2, 3))
        models.append({"variant": name, "path": str(path), "shapes": {"x": [2, 2, 3]}})
    job = {
        "kind": "latency",
        "threads": 1,
        "batch_size": 2,
        "seed": 0,
        "rounds": 1,
        "block_seconds": 0.0,
        "block_inferences": 1,
        "warm_up_seconds": 0.0,
        "runtimes": {},
        "models": models,
    }
    (found,) = (event for event in stream(job) if event["event"] == "round")
    assert {block["variant"] for block in found["blocks"]} == {m["variant"] for m in models}


def test_text_cannot_be_fed(tmp_path):
    save = foreign_files.save
    text = (TensorProto.STRING, ("n",))
    path = save(tmp_path / "net.onnx", [("Identity", ["x"], ["y"], {})], {"x": text}, {"y": text})
    with pytest.raises(BenchError, match=r"net: its input x is of type tensor\(string\)"):
        measured(path)


# ---------------------------------------------------------------------------- files that are none


def with_weights_beside(tmp_path):
    path = bench_models.write_model(tmp_path / "whole.onnx", extra=64)
    split = tmp_path / "split.onnx"
    onnx.save_model(
        onnx.load(path),
        split,
        save_as_external_data=True,
        location="split.data",
        size_threshold=0,
    )
    return split


def test_weights_beside_count_and_are_missed_in_one_sentence(tmp_path):
    path = with_weights_beside(tmp_path)
    beside = tmp_path / "split.data"
    found = measured(path)
    size = path.stat().st_size + beside.stat().st_size
    assert found["variants"]["split"]["size_bytes"] == size
    beside.unlink()
    with pytest.raises(ArtifactError, match=r"split\.onnx: its weights are in split\.data, which"):
        measured(path)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "net.onnx").touch()
    with pytest.raises(ArtifactError, match=r"net\.onnx: expected an ONNX file, found an empty"):
        measured(tmp_path / "net.onnx")


def test_text_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "net.onnx").write_text("no graph at all\n")
    with pytest.raises(BenchError, match=r"expected an ONNX file, and onnxruntime .* cannot open"):
        measured(tmp_path / "net.onnx")


def test_a_folder_among_files_is_refused(tmp_path):
    path = foreign_files.relu(tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="expected one bundle folder, or one or more ONNX files"):
        measured(path, tmp_path)


def test_a_file_that_is_too_new_is_refused_with_both_versions(tmp_path):
    path = foreign_files.relu(tmp_path / "net.onnx", ir=99)
    with pytest.raises(BenchError, match=r"\(its IR version is 99, this one reads up to \d+\);"):
        measured(path)
    path = foreign_files.relu(tmp_path / "net.onnx", opset=99)
    with pytest.raises(
        BenchError, match=r"\(its operators are of opset 99, of domain ai\.onnx this one knows up"
    ):
        measured(path)


def test_other_words_of_onnxruntime_are_kept_without_where_it_says_them():
    said = explain_refusal(
        "a.onnx",
        "1.2",
        "[ONNXRuntimeError] : 1 : FAIL : Load model from a.onnx failed:Fatal error: my:Magic(-1) "
        "is not a registered\n function/op",
    )
    assert said == (
        "a.onnx: expected an ONNX file, and onnxruntime 1.2 cannot open it (Fatal error: "
        "my:Magic(-1) is not a registered function/op); export it again"
    )


# --------------------------------------------------------------------------- what cannot be run


def test_a_batch_fixed_at_none_is_not_answered_with_a_flag():
    variant = Variant(
        name="empty",
        path=Path("empty.onnx"),
        role="other",
        network="empty",
        precision=None,
        sha256="",
        size_bytes=1,
        parameters=None,
        preprocessing=None,
        channels_last=False,
        output="logits",
    )
    model = {"inputs": [{"name": "x", "type": "tensor(float)", "shape": [0, 3, 8, 8]}]}
    with pytest.raises(BenchError) as raised:
        choose_shapes(variant, model, {}, 1)
    assert str(raised.value) == (
        "empty: its batch is fixed at 0, so that there is nothing to measure"
    )


def test_a_file_without_inputs_is_measured_and_named_as_such(tmp_path):
    path = tmp_path / "constant.onnx"
    ones = onnx.numpy_helper.from_array(np.ones((1, 4), np.float32), "ones")
    made = onnx.helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    node = onnx.helper.make_node("Exp", ["ones"], ["y"])
    graph = onnx.helper.make_graph([node], "constant", [], [made], initializer=[ones])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    report = measured(path)
    said = "constant: it has no input, so that every inference is the same"
    assert said in report["notes"]
    assert report["variants"]["constant"]["latency"]["n"] > 0


@pytest.mark.parametrize(
    ("message", "left"),
    [
        (
            "[ONNXRuntimeError] : 1 : FAIL : while running Add node. Status Message: /src/core/"
            "element_wise_ops.h:563 void onnxruntime::BroadcastIterator::Init(ptrdiff_t, "
            "ptrdiff_t) axis == 1 || axis == largest was false. Attempting to broadcast. 3 by 4",
            "while running Add node. Status Message: Attempting to broadcast. 3 by 4",
        ),
        (
            "[ONNXRuntimeError] : 1 : FAIL : while running MatMul node. Status Message: "
            "matmul_helper.h:59 Compute MatMul dimension mismatch",
            "while running MatMul node. Status Message: MatMul dimension mismatch",
        ),
        ("input x: cannot feed a tensor(string)", "input x: cannot feed a tensor(string)"),
    ],
)
def test_no_function_of_a_runtime_is_named_to_the_user(message, left):
    assert without_signatures(message) == left
