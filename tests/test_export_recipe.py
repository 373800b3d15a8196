"""`compress export` from checkpoints to a bundle, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from torch import nn

import exported
import tiny
from compress.artifacts import read_json, sha256_file
from compress.data.dataset import ArrayImages, Split
from compress.data.open import open_dataset
from compress.errors import ArtifactError, ExportError, ModelError, UsageError
from compress.models.checkpoint import load_checkpoint, save_checkpoint
from compress.models.reference import source_sha256
from compress.preprocess import Preprocessing, preprocess
from compress.progress import SILENT
from compress.settings import Export, Network, Run
from compress_export.evaluation import balanced_indices, choose_evaluation, reading_size
from compress_export.recipe import export

REFERENCE = f"{exported.SOURCE}:branched"
RUN = Run(threads=1)
INT8 = Export(int8=True, calibration_images=60)


def _save(folder: Path, module: nn.Module, width: int, data: Path, **fields) -> Path:
    """A checkpoint as train and distill write it."""
    dataset = open_dataset(str(data), **RUN.splitting())
    manifest = {
        "model": {
            "reference": REFERENCE,
            "args": {"width": width},
            "num_classes": 3,
            "channels": 1,
            "input_size": [16, 16],
            "source_sha256": source_sha256(REFERENCE),
        },
        "classes": list(dataset.classes),
        "preprocessing": exported.SPEC.to_dict(),
        "metrics": {},
        "history": [{"epoch": 1, "loss": 0.5}],
        "seed": 0,
        "data": {
            "reference": str(data),
            "fingerprint": dataset.fingerprint,
            **RUN.splitting(),
        },
        "teacher": None,
        "baseline": None,
        **fields,
    }
    save_checkpoint(folder, module, manifest)
    return folder


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> Path:
    """data.npz, teacher/, and student/ with its baseline/ inside."""
    root = tmp_path_factory.mktemp("stages")
    data = tiny.write_npz(root / "data.npz")
    teacher = _save(root / "teacher", exported.trained(32), 32, data)
    record = {
        "reference": REFERENCE,
        "sha256": load_checkpoint(teacher).sha256,
        "folder": str(teacher),
        "weights": None,
    }
    student = root / "student"
    _save(student / "baseline", exported.trained(16, seed=1), 16, data)
    _save(student, exported.trained(), 16, data, teacher=record, baseline="baseline")
    return root


def _export(subject: Path | str, out: Path, settings: Export = INT8, run: Run = RUN) -> Path:
    run = replace(run, out=out)
    return export(subject, settings=settings, network=Network(), run=run, progress=SILENT)


@pytest.fixture(scope="module")
def bundle(stages) -> Path:
    return _export(stages / "student", stages / "bundle")


def _content(bundle: Path) -> dict:
    return read_json(bundle / "bundle.json", kind="bundle")


def _answers(path: Path, images: np.ndarray) -> np.ndarray:
    return ort.InferenceSession(str(path)).run(None, {"input": images})[0]


# ----------------------------------------------------------------------------------- the bundle


def test_a_bundle_holds_these_files(bundle):
    assert sorted(path.name for path in bundle.iterdir()) == [
        "baseline.onnx",
        "bundle.json",
        "evaluation.npz",
        "golden.npz",
        "recipe.yaml",
        "student.int8.onnx",
        "student.onnx",
        "teacher.onnx",
    ]


def test_variants_stand_in_order_and_say_what_their_files_are(bundle):
    content = _content(bundle)
    assert list(content["variants"]) == ["teacher", "student", "baseline", "student_int8"]
    assert content["reference"] == "teacher"
    assert content["classes"] == list(tiny.CLASSES)
    for name, variant in content["variants"].items():
        path = bundle / variant["file"]
        assert variant["role"] == name
        assert variant["sha256"] == sha256_file(path)
        assert variant["size_bytes"] == path.stat().st_size
        assert variant["precision"] == ("int8" if name == "student_int8" else "float32")
        assert Preprocessing.from_dict(variant["preprocessing"]) == exported.SPEC
        assert variant["network"] == "exported.py:branched"
    assert content["variants"]["student_int8"]["parameters"] == sum(
        p.numel() for p in exported.trained().parameters()
    )


def test_int8_is_smaller(bundle):
    variants = _content(bundle)["variants"]
    assert variants["student_int8"]["size_bytes"] < variants["student"]["size_bytes"]


def test_accuracy_is_that_of_the_files_on_validation(bundle):
    pixels, labels = tiny.images(48, 2)
    for variant in _content(bundle)["variants"].values():
        logits = _answers(bundle / variant["file"], preprocess(pixels, exported.SPEC))
        expected = float((logits.argmax(1) == labels).mean())
        assert variant["metrics"] == {"validation": {"accuracy": expected, "n": 48}}
        assert expected > 0.9  # the networks were trained


def test_what_was_proven_is_written(bundle):
    checks = _content(bundle)["checks"]
    assert set(checks["parity"]) == {"teacher", "student", "baseline"}
    assert checks["parity"]["student"]["batches"] == [1, 2, 5]
    assert checks["rewrites"]["student"]["global_average_pool"] == 1
    int8 = checks["int8"]
    assert (int8["integer_convolutions"], int8["convolutions"]) == (4, 4)
    assert (int8["quantize_nodes"], int8["dequantize_nodes"]) == (1, 1)
    assert (int8["method"], int8["calibration_images"]) == ("minmax", 60)
    assert int8["saturating_pairs"] == 0
    assert int8["agreement"] > 0.95


def test_the_evaluation_set_is_the_test_split_before_preprocessing(bundle):
    pixels, labels = tiny.images(60, 3)
    with np.load(bundle / "evaluation.npz") as found:
        np.testing.assert_array_equal(found["images"], pixels)
        np.testing.assert_array_equal(found["labels"], labels)
        assert (found["images"].dtype, found["labels"].dtype) == (np.uint8, np.int64)
        expected = _answers(bundle / "teacher.onnx", preprocess(pixels, exported.SPEC))
        np.testing.assert_allclose(found["teacher_logits"], expected, atol=1e-5)
        assert found["teacher_logits"].dtype == np.float32
    assert _content(bundle)["evaluation"]["sha256"] == sha256_file(bundle / "evaluation.npz")


def test_golden_inputs_give_the_golden_logits(bundle):
    with np.load(bundle / "golden.npz") as golden:
        assert len(golden.files) == 2 * 4
        for name, variant in _content(bundle)["variants"].items():
            images, logits = golden[f"{name}.input"], golden[f"{name}.logits"]
            assert images.shape == (4, 1, 16, 16)
            np.testing.assert_allclose(
                _answers(bundle / variant["file"], images), logits, atol=1e-5
            )


def test_the_input_of_int8_is_the_camera_frame_itself(bundle):
    """(x - 128) / 64 has scale 1/64 and zero point 128: no image is rounded."""
    import onnx

    graph = onnx.load(bundle / "student.int8.onnx").graph
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    first = next(n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "input")
    assert tensors[first.input[1]] == 1 / 64
    assert tensors[first.input[2]] == 128


def test_no_path_of_this_machine_is_in_any_model(bundle, stages):
    for path in bundle.glob("*.onnx"):
        assert str(stages).encode() not in path.read_bytes()
        assert str(exported.SOURCE.parent).encode() not in path.read_bytes()


def test_no_path_of_the_settings_travels_with_the_bundle(bundle, stages):
    assert str(stages) not in json.dumps(_content(bundle)["provenance"])


def test_training_curves_travel_with_the_bundle(bundle):
    assert set(_content(bundle)["history"]) == {"teacher", "student", "baseline"}


# ------------------------------------------------------------------------------- once and again


def test_a_finished_bundle_is_returned_as_it_is(bundle, stages):
    before = {path: path.stat().st_mtime_ns for path in bundle.iterdir()}
    assert _export(stages / "student", bundle) == bundle
    assert {path: path.stat().st_mtime_ns for path in bundle.iterdir()} == before


def test_other_settings_than_the_folders_are_refused_with_the_difference(bundle, stages):
    with pytest.raises(ArtifactError, match="calibration_images: 60 there, 30 asked"):
        _export(stages / "student", bundle, replace(INT8, calibration_images=30))


def test_without_a_teacher_the_student_is_the_reference_and_its_files_are_the_same(
    bundle, stages, tmp_path
):
    settings = Export(int8=True, calibration_images=60, teacher="none")
    out = tmp_path / "bundle"
    _export(stages / "student", out, settings)
    assert not (out / "teacher.onnx").exists()
    content = _content(out)
    assert content["reference"] == "student"
    with np.load(out / "evaluation.npz") as found:
        assert set(found.files) == {"images", "labels"}
    for name in ("student.onnx", "student.int8.onnx"):
        assert sha256_file(out / name) == sha256_file(bundle / name)


def test_a_large_drop_is_advised_against_with_its_numbers(stages, tmp_path):
    strict = Export(int8=True, calibration_images=1, teacher="none", max_drop=-1.0)
    out = _export(stages / "student" / "baseline", tmp_path / "bundle", strict)
    content = _content(out)
    before, after = (
        content["variants"][name]["metrics"]["validation"]["accuracy"]
        for name in ("student", "student_int8")
    )
    (sentence,) = content["advice"]
    assert f"int8 loses {100 * (before - after):.2f} points" in sentence
    assert "deploy student.onnx (float32)" in sentence


# -------------------------------------------------------------------------------------- refusals


def _changed_manifest(stages: Path, out: Path, **fields) -> Path:
    """A copy of the student whose manifest says something else."""
    out.mkdir(parents=True)
    source = stages / "student"
    (out / "model.safetensors").write_bytes((source / "model.safetensors").read_bytes())
    manifest = json.loads((source / "manifest.json").read_text()) | {"baseline": None} | fields
    (out / "manifest.json").write_text(json.dumps(manifest))
    return out


def test_a_teacher_that_is_gone_is_named_with_two_ways_out(stages, tmp_path):
    record = {"reference": "net.py:big", "sha256": "0", "folder": str(tmp_path / "gone")}
    student = _changed_manifest(stages, tmp_path / "student", teacher=record)
    with pytest.raises(ExportError, match=r"net\.py:big .*--teacher FOLDER, or --teacher none"):
        _export(student, tmp_path / "bundle")


def test_a_teacher_that_was_trained_again_is_refused(stages, tmp_path):
    record = {"reference": "t", "sha256": "0" * 64, "folder": str(stages / "teacher")}
    student = _changed_manifest(stages, tmp_path / "student", teacher=record)
    with pytest.raises(ExportError, match="its weights have changed since it taught"):
        _export(student, tmp_path / "bundle")


def test_other_images_under_the_same_name_are_refused(stages, tmp_path):
    data = tiny.write_npz(tmp_path / "data.npz", train=93)
    record = {"reference": str(data), "fingerprint": "f" * 64, **RUN.splitting()}
    student = _changed_manifest(stages, tmp_path / "student", data=record)
    with pytest.raises(ArtifactError, match=r"expected the images .* was trained on"):
        _export(student, tmp_path / "bundle")


def test_images_of_other_classes_are_refused(stages, tmp_path):
    student = _changed_manifest(stages, tmp_path / "student", classes=["a", "b", "c"])
    with pytest.raises(ModelError, match=r"expected the classes of .* found 3: a, b, c"):
        _export(student, tmp_path / "bundle")


def test_a_network_without_weights_is_refused(stages, tmp_path):
    run = replace(RUN, data=str(stages / "data.npz"))
    with pytest.raises(UsageError, match="--weights FILE, or --pretrained"):
        _export(REFERENCE, tmp_path / "bundle", run=run)


def test_an_untrained_teacher_is_refused(stages, tmp_path):
    with pytest.raises(UsageError, match=r"--teacher resnet8: expected a checkpoint folder"):
        _export(stages / "student", tmp_path / "bundle", replace(INT8, teacher="resnet8"))


def test_a_foreign_onnx_file_is_refused_for_now(tmp_path):
    with pytest.raises(ExportError, match="not supported yet"):
        _export("net.onnx", tmp_path / "bundle")


def test_nothing_is_left_in_the_output_folder_by_a_refusal(stages, tmp_path):
    record = {"reference": "net.py:big", "sha256": "0", "folder": str(tmp_path / "gone")}
    student = _changed_manifest(stages, tmp_path / "student", teacher=record)
    with pytest.raises(ExportError):
        _export(student, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


# -------------------------------------------------------------------------------- choosing images


def test_chosen_images_are_class_balanced_and_seeded():
    labels = np.array([0] * 50 + [1] * 7 + [2] * 3)
    chosen = balanced_indices(labels, 12, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [5, 4, 3]  # class 2 has no more
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, balanced_indices(labels, 12, seed=0))
    assert (chosen != balanced_indices(labels, 12, seed=1)).any()


def test_all_images_are_chosen_where_they_fit():
    labels = np.array([0, 1, 1, 1])
    assert balanced_indices(labels, 10, seed=0).tolist() == [0, 1, 2, 3]


def test_images_of_mixed_sizes_are_read_large_enough_for_the_largest_crop():
    mixed = replace(tiny.dataset(), image_size=None)
    student = Preprocessing((32, 32), 3)
    teacher = Preprocessing((224, 224), 3, crop_fraction=0.875)
    assert reading_size(mixed, [student, teacher]) == (256, 256)
    assert reading_size(tiny.dataset(), [student, teacher]) == (16, 16)  # all alike: their own


def test_the_evaluation_set_is_capped_at_64_megabytes_of_pixels():
    split = Split(ArrayImages(np.zeros((0, 1, 1, 1), np.uint8)), np.arange(1000) % 4)
    chosen = choose_evaluation(split, bytes_an_image=640_000, seed=0)
    assert np.bincount(split.labels[chosen]).tolist() == [25, 25, 25, 25]
