"""Files that take frames or floats and give logits, scores or labels, judged side by side."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

import bench_models
from compress.errors import ArtifactError, BenchError
from compress.settings import Bench, Run
from compress_bench.answers import output_kind, read_rows
from compress_bench.evidence import Variant
from compress_bench.measure.files import inspect
from compress_bench.metadata import model_metadata, read_metadata
from compress_bench.predict import predict
from compress_bench.recipe import bench
from compress_bench.subjects.bundle import check_fit, takes_channels_last
from compress_bench.targets.local import stream

KINDS = {
    "reference": ("float", "logits"),
    "frames": ("uint8", "logits"),
    "scores": ("uint8", "scores"),
    "label": ("uint8", "label"),
}
CALM = 1 / 20  # logits of some units, so that scores stay below 1


def write_kinds(folder, **changes):
    return [
        bench_models.write_model(folder / f"{name}.onnx", ends=ends, **changes)
        for name, ends in KINDS.items()
    ]


def described(path, spec=bench_models.SPEC):
    _, found = inspect(stream, {"a": path}, {})
    variant = Variant(
        name="a",
        path=path,
        role="a",
        network="a",
        precision=None,
        sha256="",
        size_bytes=1,
        parameters=None,
        preprocessing=spec,
        channels_last=takes_channels_last(spec, found["a"]),
        output=output_kind(found["a"], "a"),
    )
    return variant, found["a"]


def test_files_of_every_kind_agree_in_one_bench(tmp_path):
    images, labels = bench_models.images(90)
    labels[60] = (labels[60] + 1) % 3  # a label that is wrong: accuracy is not just 1
    data = tmp_path / "images.npz"
    np.savez(data, x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])
    odd = bench_models.write_model(tmp_path / "odd.onnx", wrong=3.0, ends=("uint8", "label"))
    found = bench(
        [*write_kinds(tmp_path), odd],
        settings=Bench(profile="quick", processes=1),
        run=Run(threads=1, data=str(data)),
    )
    json.dumps(found, allow_nan=False)
    for name in KINDS:
        fields = found["variants"][name]
        assert fields["accuracy"]["value"] == pytest.approx(29 / 30)
        assert name == "reference" or fields["agreement"]["value"] == 1.0
        assert fields["memory"] is not None and fields["latency"]["p50"] is not None
    assert found["variants"]["odd"]["agreement"]["value"] < 0.9
    apart = found["disagreements"][0]
    sure = [apart["confidence"][name] for name in KINDS]
    assert sure == pytest.approx([sure[0]] * len(KINDS), abs=1e-6)
    assert any("pixels as they are at 6 x 6 px was assumed" in note for note in found["notes"])


def test_a_bundle_of_files_that_take_frames_is_measured(tmp_path):
    folder = bench_models.write_bundle(tmp_path / "bundle", ends=("uint8", "scores"))
    found = bench([folder], settings=Bench(profile="quick", processes=1), run=Run(threads=1))
    accuracy = {name: fields["accuracy"]["value"] for name, fields in found["variants"].items()}
    assert accuracy["teacher"] == accuracy["student"] == 1.0 > accuracy["student_int8"]


def test_frames_of_any_size_are_measured_at_that_of_the_preprocessing(tmp_path):
    path = bench_models.write_model(tmp_path / "m.onnx", ends=("uint8", "label"), metadata=ours())
    model = onnx.load(path)
    for axis, name in ((1, "height"), (2, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    onnx.save(model, path)
    found = bench([path], settings=Bench(profile="quick", processes=1), run=Run(threads=1))
    assert found["variants"]["m"]["latency"]["n"] > 0


def test_confidence_is_the_softmax_of_logits_and_scores_as_they_are():
    logits = np.array([[0.0, np.log(3.0)], [5.0, 5.0]], np.float32)
    scores = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    for rows, output in ((logits, "logits"), (scores, "scores"), (logits, None), (scores, None)):
        found = read_rows(rows, output)
        assert found.labels.tolist() == [1, 0]  # of equal ones the first
        assert found.confidence.tolist() == pytest.approx([0.75, 0.5])


def test_a_kind_of_output_that_does_not_exist_is_refused(tmp_path):
    path = bench_models.write_model(tmp_path / "m.onnx", metadata={"compress.output": "answers"})
    with pytest.raises(ArtifactError, match="one of logits, scores, label, found 'answers'"):
        described(path)


@pytest.mark.parametrize("ends", KINDS.values(), ids=KINDS)
def test_sizes_are_held_against_the_layout_of_the_input(tmp_path, ends):
    path = bench_models.write_model(tmp_path / "m.onnx", ends=ends)
    variant, model = described(path)
    check_fit(variant, model, bench_models.CLASSES, "bundle.json")
    wide = replace(bench_models.SPEC, size=(6, 7))
    other = replace(variant, preprocessing=wide)
    expected = r"\[6, 7, 1\]" if ends[0] == "uint8" else r"\[1, 6, 7\]"
    with pytest.raises(BenchError, match=f"a: expected input {expected} from its preprocessing"):
        check_fit(other, model, bench_models.CLASSES, "bundle.json")


def test_labels_beyond_the_classes_are_refused(tmp_path):
    images, labels = bench_models.images(90)
    data = tmp_path / "two.npz"
    labels = np.minimum(labels, 1)
    np.savez(data, x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])
    model = bench_models.write_model(tmp_path / "three.onnx", ends=("uint8", "label"))
    with pytest.raises(BenchError, match=r"three: expected 2 classes .* found labels from 0 to 2"):
        bench([model], settings=Bench(profile="quick"), run=Run(threads=1, data=str(data)))


# -------------------------------------------------------------------- metadata and predict


def ours(**changes):
    fields = {
        "preprocessing": bench_models.SPEC,
        "classes": bench_models.CLASSES,
        "parameters": 108,
        "network": "/home/someone/net.py:thirds",
        "data": None,
    }
    return model_metadata(**fields | changes)


def test_a_file_says_what_it_takes_and_gives_and_how_it_was_made():
    found = ours(
        input="uint8",
        output="label",
        metrics={"validation": {"accuracy": 0.5, "n": 4}},
        weights_sha256="ab" * 32,
        min_runtime="1.16",
    )
    assert (found["compress.input"], found["compress.output"]) == ("uint8", "label")
    assert json.loads(found["compress.metrics"]) == {"validation": {"accuracy": 0.5, "n": 4}}
    assert json.loads(found["compress.versions"])["numpy"] == np.__version__
    assert found["compress.weights_sha256"] == "ab" * 32
    assert found["compress.min_runtime"] == "1.16"
    assert not any("/" in value for value in found.values())


def test_what_is_not_known_of_a_file_is_left_out():
    assert not {"compress.metrics", "compress.weights_sha256", "compress.min_runtime"} & set(ours())


def test_a_file_of_before_ends_could_be_chosen_takes_floats_and_gives_logits(tmp_path):
    said = {k: v for k, v in ours().items() if k not in ("compress.input", "compress.output")}
    path = bench_models.write_model(tmp_path / "old.onnx", metadata=said)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = read_metadata(session, subject="old.onnx")
    assert (found.input, found.output) == ("float", "logits")


@pytest.mark.parametrize("batch", ["batch", 2])
def test_every_kind_of_file_names_a_picture_alike(tmp_path, batch):
    pixels, labels = bench_models.images(3)
    picture = tmp_path / "picture.png"
    Image.fromarray(pixels[2][..., 0]).save(picture)
    found = {}
    for name, (taken, given) in KINDS.items():
        path = bench_models.write_model(
            tmp_path / f"{name}.onnx",
            batch=batch,
            scale=CALM,
            ends=(taken, given),
            metadata=ours(input=taken, output=given),
        )
        (answer,) = predict(path, [picture], top=3)
        found[name] = answer["predictions"]
    assert [len(predictions) for predictions in found.values()] == [3, 3, 3, 1]
    expected = found["reference"]
    assert expected[0]["label"] == bench_models.CLASSES[labels[2]]
    assert 0.4 < expected[0]["score"] < 0.999
    for predictions in found.values():
        for item, reference in zip(predictions, expected, strict=False):
            assert item["label"] == reference["label"]
            assert item["score"] == pytest.approx(reference["score"], abs=1e-6)


@pytest.mark.parametrize("output", ["logits", "label"])
def test_a_class_that_the_metadata_does_not_name_is_refused(tmp_path, output):
    Image.fromarray(bench_models.images(3)[0][2][..., 0]).save(tmp_path / "picture.png")
    path = bench_models.write_model(
        tmp_path / "m.onnx",
        ends=("float", output),
        metadata=ours(classes=("top", "middle"), output=output),
    )
    message = "expected one of 2 classes as in its metadata, found (3 logits|label 2)"
    with pytest.raises(BenchError, match=message):
        predict(path, [tmp_path / "picture.png"])
