"""`compress predict`: labels and scores from the ONNX file alone."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import exported
import tiny
from compress.artifacts import header, sha256_file
from compress.errors import ArtifactError, DataError, UsageError
from compress.preprocess import preprocess
from compress_bench.predict import predict


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """One PNG a class, larger than the network's input."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels, _ = tiny.images(3, 7)
    for name, image in zip(tiny.CLASSES, pixels, strict=True):
        Image.fromarray(image[..., 0]).resize((32, 32), Image.Resampling.NEAREST).save(
            folder / f"{name}.png"
        )
    return [folder / f"{name}.png" for name in tiny.CLASSES]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """As much of a bundle as predict reads."""
    folder = tmp_path_factory.mktemp("bundle")
    files = {"student": exported.float_file(), "student_int8": exported.int8_file()}
    variants = {}
    for name, path in files.items():
        (folder / path.name).write_bytes(path.read_bytes())
        variants[name] = {"file": path.name, "sha256": sha256_file(path)}
    (folder / "bundle.json").write_text(json.dumps({**header("bundle"), "variants": variants}))
    return folder


def test_images_are_named_by_the_file_alone(pictures):
    found = predict(exported.float_file(), pictures, top=3)
    assert [item["predictions"][0]["label"] for item in found] == list(tiny.CLASSES)
    assert [item["image"] for item in found] == [str(path) for path in pictures]


def test_scores_are_the_softmax_of_the_logits(pictures):
    pixels = np.asarray(Image.open(pictures[0]))[None, ..., None]
    with torch.no_grad():
        logits = exported.trained()(torch.from_numpy(preprocess(pixels, exported.SPEC)))
    expected = dict(zip(tiny.CLASSES, torch.softmax(logits, 1)[0].tolist(), strict=True))
    (found,) = predict(exported.float_file(), pictures[:1], top=3)
    for item in found["predictions"]:
        assert item["score"] == pytest.approx(expected[item["label"]], abs=1e-5)
    scores = [item["score"] for item in found["predictions"]]
    assert scores == sorted(scores, reverse=True)


def test_of_a_bundle_the_int8_student_answers_unless_another_is_asked(bundle, pictures):
    assert predict(bundle, pictures[:1])[0]["variant"] == "student_int8"
    assert predict(bundle, pictures[:1], variant="student")[0]["variant"] == "student"


def test_top_limits_the_list(bundle, pictures):
    assert len(predict(bundle, pictures[:1], top=2)[0]["predictions"]) == 2
    with pytest.raises(UsageError, match="--top 0"):
        predict(bundle, pictures[:1], top=0)


def test_no_threads_are_refused(bundle, pictures):
    with pytest.raises(UsageError, match="--threads 0: expected at least 1"):
        predict(bundle, pictures[:1], threads=0)


def test_an_unknown_variant_is_refused_with_the_nearest(bundle, pictures):
    with pytest.raises(UsageError, match=r"--variant students: no such variant.*student"):
        predict(bundle, pictures[:1], variant="students")


def test_a_corrupt_image_is_named(bundle, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    with pytest.raises(DataError, match=r"broken\.png"):
        predict(bundle, [broken])


def test_a_damaged_model_is_refused_before_it_answers(bundle, pictures, tmp_path):
    for path in bundle.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "student.int8.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match="sha256 differs"):
        predict(tmp_path, pictures[:1])


def test_an_onnx_file_that_is_not_ours_is_refused(pictures, tmp_path):
    import onnx

    graph = onnx.ModelProto()
    graph.CopyFrom(exported.float_graph())
    del graph.metadata_props[:]
    onnx.save(graph, tmp_path / "foreign.onnx")
    with pytest.raises(ArtifactError, match="use a file that compress export wrote"):
        predict(tmp_path / "foreign.onnx", pictures[:1])


def test_a_missing_file_is_refused(pictures, tmp_path):
    with pytest.raises(ArtifactError, match="no such file"):
        predict(tmp_path / "none.onnx", pictures[:1])


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (None, "field variants is missing"),
        ({}, "expected at least one variant"),
        ({"student": {}}, "field file is missing"),
        ({"student": {"file": "student.onnx"}}, "field sha256 is missing"),
        ({"student": {"file": "../x.onnx", "sha256": "0"}}, "expected a plain file name"),
        ({"student": "student.onnx"}, "field file is missing"),
    ],
)
def test_a_bundle_that_lacks_a_field_is_refused_in_one_sentence(
    pictures, tmp_path, variants, message
):
    fields = {} if variants is None else {"variants": variants}
    (tmp_path / "student.onnx").write_bytes(exported.float_file().read_bytes())
    (tmp_path / "bundle.json").write_text(json.dumps({**header("bundle"), **fields}))
    with pytest.raises(ArtifactError, match=f"{message}.*run compress export again with --force"):
        predict(tmp_path, pictures[:1])
