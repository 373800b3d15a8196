"""A teacher that is an ONNX file: its input is recognised, and it answers as its torch original."""

import json

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

import teachers_case as case
import tiny
from compress.distill.teachers.check import check_teacher
from compress.distill.teachers.onnx_network import choose_output, open_session, read_signature
from compress.distill.teachers.record import is_rebuildable, teacher_record, torch_model
from compress.errors import ModelError, UsageError
from compress.preprocess import Preprocessing
from compress.progress import SILENT
from compress_bench.metadata import DataOrigin, model_metadata

OURS = {"teacher_mean": (128.0,), "teacher_scale": (64.0,)}


def load(tmp_path, file: case.File = case.File(), *, flags=OURS, **settings):  # noqa: B008
    return case.load(file.write(tmp_path / "edges.onnx"), **flags, **settings)


def same(teacher, count: int = 10) -> bool:
    """Whether its answers are those of the torch original."""
    found, expected = teacher.logits(case.views(count)), case.reference_logits(count)
    return bool(torch.allclose(found, expected, atol=1e-4)) and found.dtype == torch.float32


# -------------------------------------------------------------------------------------- recognised


def test_an_nhwc_file_that_ends_in_softmax_teaches_as_its_torch_original(tmp_path):
    """What TensorFlow and Keras bring: channels last, probabilities, pixels from 0 to 255."""
    file = case.File(nhwc=True, softmax=True)
    teacher = load(tmp_path, file, teacher_output="probabilities")
    for temperature in (1.0, 2.0, 4.0):
        found = (teacher.logits(case.views(96)) / temperature).softmax(1)
        expected = (case.reference_logits(96) / temperature).softmax(1)
        assert torch.allclose(found, expected, atol=1e-5)
    assert check_teacher(teacher, case.DATA, SILENT) == 1.0


@pytest.mark.parametrize("nhwc", [False, True])
@pytest.mark.parametrize("batch", ["batch", 1, 4, 64])
def test_any_layout_and_any_fixed_batch_give_the_originals_logits(tmp_path, nhwc, batch):
    """Ten images: runs of 4, 4 and 2, the last filled up; or one of 64, mostly filling."""
    assert same(load(tmp_path, case.File(nhwc=nhwc, batch=batch)))


def test_a_batch_that_is_fixed_inside_the_graph_only_is_found(tmp_path):
    teacher = load(tmp_path, case.File(batch="any", fixed=1))
    assert same(teacher)
    assert teacher.network.signature.batch == 1


@pytest.mark.parametrize("nhwc", [False, True])
def test_a_uint8_input_gets_the_pixels_as_they_are(tmp_path, nhwc):
    teacher = load(tmp_path, case.File(kind=TensorProto.UINT8, nhwc=nhwc), flags={})
    assert same(teacher)
    assert check_teacher(teacher, case.DATA, SILENT) == 1.0


def test_a_uint8_input_takes_no_normalisation(tmp_path):
    with pytest.raises(UsageError, match=r"--teacher-mean: .* takes pixels as they are"):
        load(tmp_path, case.File(kind=TensorProto.UINT8))


def test_a_file_of_any_size_asks_for_the_size(tmp_path):
    with pytest.raises(UsageError, match="takes images of any size; give --teacher-size"):
        load(tmp_path, case.File(side=None))
    assert same(load(tmp_path, case.File(side=None), teacher_size=16))


def test_another_size_than_the_files_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"--teacher-size: expected 16 x 16.*found 32"):
        load(tmp_path, teacher_size=32)


def test_views_of_another_size_are_resized_to_the_files(tmp_path):
    teacher = load(tmp_path, case.File(side=8))
    assert teacher.inputs[0].size == (8, 8)
    assert teacher.logits(case.views(3)).shape == (3, 3)


class _Input:
    """A session's word on its input."""

    def __init__(self, *inputs: tuple[str, str, list]) -> None:
        self.inputs = inputs

    def get_inputs(self):
        fields = ("name", "type", "shape")
        return [type("Value", (), dict(zip(fields, one, strict=True))) for one in self.inputs]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (["n", "c", "h", "w"], "found neither in image"),
        (["n", 3, 32, 3], "found both in image"),
        (["n", 4, 32, 32], "found neither in image"),
        (["n", 784], "expected one input of float or uint8 images"),
    ],
)
def test_a_layout_that_is_not_clear_is_refused_with_the_shape(shape, message):
    with pytest.raises(ModelError, match=message):
        read_signature(_Input(("image", "tensor(float)", shape)), "--teacher t")


def test_two_inputs_and_unknown_types_are_refused_by_name():
    images = ("image", "tensor(float)", ["n", 3, 8, 8])
    with pytest.raises(ModelError, match=r"found image .*, length tensor\(int64\)"):
        read_signature(_Input(images, ("length", "tensor(int64)", ["n"])), "--teacher t")
    with pytest.raises(ModelError, match=r"found image tensor\(int8\)"):
        read_signature(_Input(("image", "tensor(int8)", ["n", 3, 8, 8])), "--teacher t")


# ----------------------------------------------------------------------------------------- outputs


def test_of_several_outputs_the_one_as_wide_as_the_classes_is_read(tmp_path):
    assert same(load(tmp_path, case.File(outputs=("features", "pooled"))))


def test_several_outputs_of_that_width_are_refused_by_name(tmp_path):
    message = r"expected one output \[images, classes\] of 3 classes, found again .*, answer "
    with pytest.raises(ModelError, match=message):
        load(tmp_path, case.File(outputs=("again",)))


def test_an_output_of_another_width_is_refused_with_both_numbers(tmp_path):
    with pytest.raises(ModelError, match=r"expected 2 outputs.*found 3 without names"):
        load(tmp_path, data=case.renamed(("bars", "columns")))


def test_names_in_a_file_choose_among_its_classes(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(tiny.CLASSES))
    teacher = load(tmp_path, data=case.renamed(("blank", "bars")), teacher_classes=names)
    assert teacher.identity()["class_map"] == [[2], [0]]
    expected = case.reference_logits()[:, [2, 0]]
    assert torch.allclose(teacher.logits(case.views()), expected, atol=1e-4)


# ----------------------------------------------------------------------------------- normalisation


def test_without_any_word_ours_is_assumed_and_that_is_said(tmp_path):
    said = case.Said()
    teacher = load(tmp_path, flags={}, said=said)
    assert same(teacher)
    assert "--teacher-mean 128 --teacher-scale 64 was assumed" in said.sentences[0]


def test_a_wrong_normalisation_is_refused_with_the_flags_of_the_right_one(tmp_path):
    wrong = {"teacher_mean": (0.0,), "teacher_scale": (255.0,)}
    with pytest.raises(ModelError, match=r"100 % with \(x - 128\) / 64; give --teacher-mean 128"):
        check_teacher(load(tmp_path, flags=wrong), case.DATA, SILENT)


def _metadata(classes=tiny.CLASSES, fingerprint: str = "tiny", **spec) -> dict[str, str]:
    return model_metadata(
        preprocessing=Preprocessing((16, 16), 1, **spec),
        classes=classes,
        parameters=1,
        network="edges",
        data=DataOrigin("tiny", fingerprint),
    )


def test_a_file_of_ours_says_its_preprocessing_and_classes(tmp_path):
    file = case.File(metadata=_metadata(("columns", "bars", "blank"), mean=(7.0,)))
    teacher = load(tmp_path, file, flags={})
    assert teacher.inputs[0].mean == (7.0,)
    assert teacher.normalisation_known
    assert teacher.identity()["class_map"] == [[1], [0], [2]]


def test_a_file_of_ours_that_was_exported_with_other_images_is_named(tmp_path):
    said = case.Said()
    load(tmp_path, case.File(metadata=_metadata(fingerprint="other")), flags={}, said=said)
    assert any("was exported with tiny" in sentence for sentence in said.sentences)


# ----------------------------------------------------------------------------------------- refused


def test_a_softmax_at_the_end_is_refused_with_the_flag(tmp_path):
    teacher = load(tmp_path, case.File(softmax=True))
    with pytest.raises(ModelError, match="give --teacher-output probabilities"):
        check_teacher(teacher, case.DATA, SILENT)


def test_nan_is_refused(tmp_path):
    module = case.Edges()
    with torch.no_grad():
        module.head.bias[0] = float("nan")
    teacher = load(tmp_path, case.File(module=module.requires_grad_(requires_grad=False)))
    with pytest.raises(ModelError, match="expected finite logits, found NaN"):
        teacher.logits(case.views())


def test_a_missing_file_and_one_that_is_no_onnx_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"absent\.onnx: expected an ONNX file, found no such"):
        case.load(tmp_path / "absent.onnx")
    (tmp_path / "net.onnx").write_text("no network")
    with pytest.raises(ModelError, match=r"net\.onnx: expected an ONNX file, and onnxruntime"):
        case.load(tmp_path / "net.onnx")


def test_flags_for_torch_networks_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"--teacher-weights: .*an ONNX file; leave the flag out"):
        load(tmp_path, teacher_weights="w.pth")


def test_a_file_that_cannot_run_at_its_own_size_is_named(tmp_path):
    """Images of 2 x 2 are smaller than the first kernel."""
    with pytest.raises(ModelError, match="images of 2 x 2 pixels, found that onnxruntime cannot"):
        load(tmp_path, case.File(side=None), teacher_size=2)


# ---------------------------------------------------------------------------------------- identity


def test_the_identity_holds_no_path_and_changes_with_the_file(tmp_path):
    first = load(tmp_path)
    assert str(tmp_path) not in json.dumps(first.identity())
    again = load(tmp_path)
    assert first.identity() == again.identity()
    module = case.Edges().requires_grad_(requires_grad=False)
    module.head.bias[0] += 1
    assert load(tmp_path, case.File(module=module)).identity() != first.identity()


def test_weights_beside_the_file_are_part_of_its_identity(tmp_path):
    import onnx

    path = case.File().write(tmp_path / "inside.onnx")
    outside = tmp_path / "edges.onnx"
    onnx.save(
        onnx.load(path),
        outside,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=70,
    )
    teacher = case.load(outside, **OURS)
    assert same(teacher)
    before = teacher.identity()["sha256"]
    with (tmp_path / "weights.bin").open("ab") as file:
        file.write(b"x")
    assert case.load(outside, **OURS).identity()["sha256"] != before


def test_the_record_leads_to_the_file_and_export_leaves_it_out(tmp_path):
    teacher = load(tmp_path)
    record = teacher_record(teacher)
    assert record["reference"] == str(tmp_path / "edges.onnx")
    assert not is_rebuildable(record)
    with pytest.raises(ModelError, match="expected a checkpoint folder or a torch network"):
        torch_model(teacher)


def test_half_precision_files_are_run_as_they_are(tmp_path):
    """float16 in, float16 out; the answers become float32."""
    shape = ("n", 1, 16, 16)
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Concat", ["flat", "flat", "flat"], ["answer"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "half",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT16, shape)],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT16, ("n", 3))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = tmp_path / "half.onnx"
    path.write_bytes(model.SerializeToString())
    found = case.load(path, **OURS).logits(case.views())
    expected = ((case.views().pixels.astype(np.float64) - 128) / 64).mean((1, 2, 3))
    assert found.dtype == torch.float32
    assert np.allclose(found, np.repeat(expected[:, None], 3, axis=1), atol=0.02)


def test_a_known_width_is_not_needed_where_one_output_has_classes(tmp_path):
    session = open_session(case.File(outputs=("features",)).write(tmp_path / "e.onnx"), 1, "e.onnx")
    signature = read_signature(session, "--teacher t")
    chosen = choose_output(session, signature, (16, 16), None, "--teacher t")
    assert (chosen.output, chosen.width, chosen.batch) == ("answer", 3, 0)
