"""`compress export` from checkpoints to a bundle, and what it refuses."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

import exported
import tiny
from compress.artifacts import read_json, sha256_file
from compress.data.dataset import Split
from compress.data.open import open_dataset
from compress.errors import ArtifactError, ExportError, ModelError, UsageError
from compress.models.checkpoint import load_checkpoint, save_checkpoint
from compress.models.reference import source_sha256
from compress.preprocess import Preprocessing, preprocess
from compress.progress import SILENT
from compress.settings import Export, Network, Run
from compress_bench.subjects import evaluation_set
from compress_export.calibration import list_methods
from compress_export.evaluation import View
from compress_export.recipe import check_settings, export

REFERENCE = f"{exported.SOURCE}:branched"
RUN = Run(threads=1)
CHECKPOINT = Network()  # none of its flags: the manifest says how it was built
INT8 = Export(int8=True, calibration_images=60, latency=False)
FLOAT = Export(latency=False)


def _data_record(reference: str, fingerprint: str) -> dict:
    """The manifest's "data" field."""
    splitting = {"val_fraction": 0.1, "test_fraction": 0.2, "max_bad": 0.01, "resize": "crop"}
    return {"reference": reference, "fingerprint": fingerprint, "split_seed": 0, **splitting}


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
        "data": _data_record(str(data), dataset.fingerprint),
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
        "preprocessing": exported.SPEC.to_dict(),
    }
    student = root / "student"
    _save(student / "baseline", exported.trained(16, seed=1), 16, data)
    _save(student, exported.trained(), 16, data, teacher=record, baseline="baseline")
    return root


def _export(
    subject: Path | str,
    out: Path,
    settings: Export = INT8,
    run: Run = RUN,
    network: Network = CHECKPOINT,
) -> Path:
    run = replace(run, out=out)
    return export(subject, settings=settings, network=network, run=run, progress=SILENT)


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
        "calibration.npz",
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
    assert int8["calibration_images"] == 60
    tried = int8["calibration"]["tried"]
    assert {found["method"] for found in tried} == set(list_methods())
    nearest = min(tried, key=lambda found: found["kl"])
    assert int8["method"] == tried[0]["method"] == nearest["method"]
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
    assert str(stages) not in json.dumps(_content(bundle))


def test_training_curves_travel_with_the_bundle(bundle):
    assert set(_content(bundle)["history"]) == {"teacher", "student", "baseline"}


# ------------------------------------------------------------------------ a camera's own format


@pytest.fixture(scope="module")
def camera(stages) -> Path:
    asked = replace(
        INT8, input="uint8", output="label", batch_size=2, min_runtime="1.12", calibration="mse"
    )
    return _export(stages / "student", stages / "camera", asked)


def test_each_file_takes_two_frames_and_gives_labels_and_their_scores(camera):
    for variant in _content(camera)["variants"].values():
        session = ort.InferenceSession(str(camera / variant["file"]))
        (only,) = session.get_inputs()
        assert (only.type, only.shape) == ("tensor(uint8)", [2, 16, 16, 1])
        found = [(value.name, value.type, value.shape) for value in session.get_outputs()]
        assert found == [("label", "tensor(int64)", [2]), ("score", "tensor(float)", [2])]


def test_labels_of_frames_are_those_of_the_plain_files(camera, bundle):
    pixels, _ = tiny.images(60, 3)
    logits = _answers(bundle / "student.onnx", preprocess(pixels, exported.SPEC))
    session = ort.InferenceSession(str(camera / "student.onnx"))
    found = [session.run(None, {"input": pixels[i : i + 2]}) for i in range(0, 60, 2)]
    labels, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
    np.testing.assert_array_equal(labels, logits.argmax(1))
    expected = torch.from_numpy(logits).softmax(1).max(1).values
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_a_frame_meets_no_arithmetic_before_the_first_convolution_in_integers(camera):
    assert _content(camera)["checks"]["int8"]["quantize_nodes"] == 0


def test_an_old_runtime_gets_an_old_operator_set_in_every_file(camera):
    import onnx

    content = _content(camera)
    assert (content["provenance"]["opset"], content["provenance"]["ir_version"]) == (17, 7)
    for variant in content["variants"].values():
        graph = onnx.load(camera / variant["file"])
        assert {item.domain: item.version for item in graph.opset_import}[""] == 17
        assert graph.ir_version == 7
        said = {p.key: p.value for p in graph.metadata_props}
        assert said["compress.min_runtime"] == content["provenance"]["runtime"]
        assert (said["compress.input"], said["compress.output"]) == ("uint8", "label")


def test_golden_frames_give_the_golden_labels(camera):
    with np.load(camera / "golden.npz") as golden:
        assert golden["student_int8.input"].shape == (4, 16, 16, 1)
        session = ort.InferenceSession(str(camera / "student.int8.onnx"))
        label, score = session.run(None, {"input": golden["student_int8.input"][2:]})
        np.testing.assert_array_equal(label, golden["student_int8.label"][2:])
        np.testing.assert_allclose(score, golden["student_int8.score"][2:], atol=1e-6)


# ------------------------------------------------------------------------------- once and again


def test_what_was_observed_is_kept_and_found_again(bundle, stages, tmp_path):
    """Another method needs no new pass: the kept observation answers, and is not written anew."""
    copy = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    before = (copy / "calibration.npz").stat().st_mtime_ns
    run = replace(RUN, force=True)
    _export(stages / "student", copy, replace(INT8, calibration="mse"), run)
    assert _content(copy)["checks"]["int8"]["method"] == "mse"
    assert (copy / "calibration.npz").stat().st_mtime_ns == before
    _export(stages / "student", copy, replace(INT8, calibration_images=30), run)
    assert (copy / "calibration.npz").stat().st_mtime_ns > before


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
    settings = replace(INT8, teacher="none")
    out = tmp_path / "bundle"
    _export(stages / "student", out, settings)
    assert not (out / "teacher.onnx").exists()
    content = _content(out)
    assert content["reference"] == "student"
    with np.load(out / "evaluation.npz") as found:
        assert set(found.files) == {"images", "labels"}
    for name in ("student.onnx", "student.int8.onnx"):
        assert sha256_file(out / name) == sha256_file(bundle / name)


def test_a_finished_bundle_that_was_damaged_is_not_called_finished(bundle, stages, tmp_path):
    for name in ("student.int8.onnx", "evaluation.npz", "golden.npz"):
        copy = Path(shutil.copytree(bundle, tmp_path / name))
        with (copy / name).open("ab") as file:
            file.write(b"x")
        with pytest.raises(ArtifactError, match=f"{name}: .* give --force to export again"):
            _export(stages / "student", copy)


def test_the_teacher_keeps_the_preprocessing_it_taught_with(stages, tmp_path):
    """--teacher-mean and --teacher-scale go above what the teacher's own manifest says."""
    taught = replace(exported.SPEC, mean=(120.0,), scale=(60.0,))
    record = json.loads((stages / "student/manifest.json").read_text())["teacher"]
    record["preprocessing"] = taught.to_dict()
    student = _changed_manifest(stages, tmp_path / "student", teacher=record)
    out = _export(student, tmp_path / "bundle", Export())
    teacher = _content(out)["variants"]["teacher"]
    assert Preprocessing.from_dict(teacher["preprocessing"]) == taught
    (inputs,) = (v for k, v in np.load(out / "golden.npz").items() if k == "teacher.input")
    assert inputs.min() == pytest.approx(-2.0)  # a black pixel: (0 - 120) / 60


def test_a_file_says_which_images_it_was_exported_with(bundle, stages):
    expected = {
        "reference": "data.npz",
        "fingerprint": open_dataset(str(stages / "data.npz")).fingerprint,
    }
    for variant in _content(bundle)["variants"].values():
        session = ort.InferenceSession(str(bundle / variant["file"]))
        found = session.get_modelmeta().custom_metadata_map["compress.data"]
        assert json.loads(found) == expected


# ---------------------------------------------------------------------------- a foreign student


@pytest.fixture
def foreign(stages, tmp_path) -> dict:
    """A network of the user's own file, with its weights in another."""
    (tmp_path / "net.py").write_text(exported.SOURCE.read_text())
    torch.save(exported.trained().state_dict(), tmp_path / "net.pth")
    return {
        "subject": f"{tmp_path}/net.py:branched",
        "out": tmp_path / "bundle",
        "settings": Export(),
        "run": replace(RUN, data=str(stages / "data.npz")),
        "network": Network(weights=tmp_path / "net.pth"),
    }


def test_a_foreign_student_is_known_by_its_weights_and_source(foreign, tmp_path):
    provenance = _content(_export(**foreign))["provenance"]
    assert provenance["student_sha256"] == sha256_file(tmp_path / "net.pth")
    assert provenance["student_source_sha256"] == sha256_file(tmp_path / "net.py")
    _export(**foreign)  # finished already


def test_no_path_of_the_users_file_or_weights_travels_with_the_bundle(foreign, tmp_path):
    content = _content(_export(**foreign))
    assert any("assumed that net.pth was trained" in sentence for sentence in content["advice"])
    assert str(tmp_path) not in json.dumps(content)


def test_edited_source_or_weights_are_another_export(foreign, tmp_path):
    _export(**foreign)
    with (tmp_path / "net.py").open("a") as file:
        file.write("# edited\n")
    with pytest.raises(ArtifactError, match=r"other settings .*student_source_sha256"):
        _export(**foreign)
    (tmp_path / "net.py").write_text(exported.SOURCE.read_text())
    torch.save(exported.trained(seed=1).state_dict(), tmp_path / "net.pth")
    with pytest.raises(ArtifactError, match=r"other settings .*student_sha256"):
        _export(**foreign)


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
    record["preprocessing"] = exported.SPEC.to_dict()
    student = _changed_manifest(stages, tmp_path / "student", teacher=record)
    with pytest.raises(ExportError, match=r"net\.py:big .*--teacher FOLDER, or --teacher none"):
        _export(student, tmp_path / "bundle")


def test_a_teacher_that_was_trained_again_is_refused(stages, tmp_path):
    record = {"reference": "t", "sha256": "0" * 64, "folder": str(stages / "teacher")}
    record["preprocessing"] = exported.SPEC.to_dict()
    student = _changed_manifest(stages, tmp_path / "student", teacher=record)
    with pytest.raises(ExportError, match="its weights have changed since it taught"):
        _export(student, tmp_path / "bundle")


def test_other_images_under_the_same_name_are_refused(stages, tmp_path):
    data = tiny.write_npz(tmp_path / "data.npz", train=93)
    record = _data_record(str(data), "f" * 64)
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


def test_nothing_is_left_in_the_output_folder_by_a_refusal(stages, tmp_path):
    record = {"reference": "net.py:big", "sha256": "0", "folder": str(tmp_path / "gone")}
    record["preprocessing"] = exported.SPEC.to_dict()
    student = _changed_manifest(stages, tmp_path / "student", teacher=record)
    with pytest.raises(ExportError):
        _export(student, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Export(calibration_images=-5), "--calibration-images: expected 1 or more, found -5"),
        (Export(max_drop=-0.1), "--max-drop: expected 0 points or more, found -0.1"),
        (Export(max_drop=float("nan")), "--max-drop: expected 0 points or more, found nan"),
        (Export(max_drop=float("inf")), "--max-drop: expected 0 points or more, found inf"),
        (Export(opset=23), "--opset.* 23"),
        (Export(batch_size=0), "--batch-size: expected 1 or more, found 0"),
        (Export(min_runtime="new"), "--min-runtime: expected a version .*found new"),
        (Export(mean=(1.0, 2.0)), "--mean: expected one number or three"),
        (Export(scale=(0.0,)), "--scale: expected numbers above 0"),
        (Export(int8=True, calibration="median"), "--calibration median: no such range method"),
        (Export(calibration="mse"), "--calibration: expected --int8 as well, found mse"),
        (Export(onnx=False), "--no-onnx: ONNX is the only format so far"),
    ],
)
def test_a_setting_out_of_its_range_is_refused_before_anything_is_loaded(
    tmp_path, settings, message
):
    with pytest.raises(UsageError, match=message):
        _export(tmp_path / "absent", tmp_path / "bundle", settings)
    assert not (tmp_path / "bundle").exists()


def test_settings_at_the_ends_of_their_ranges_are_taken():
    check_settings(Export(calibration_images=1, max_drop=0.0, opset=18))
    check_settings(Export(opset=22))


@pytest.mark.parametrize(
    ("flag", "network"),
    [
        ("--weights", Network(weights=Path("w.pth"))),
        ("--pretrained", Network(pretrained=True)),
        ("--model-args", Network(model_args='{"width": 8}')),
        ("--input-size", Network(input_size=32)),
        ("--replace-head", Network(replace_head=True)),
        ("--freeze", Network(freeze=1)),
    ],
)
def test_flags_that_a_checkpoint_would_ignore_are_refused(stages, tmp_path, flag, network):
    with pytest.raises(UsageError, match=f"{flag}: expected a network that is no checkpoint"):
        _export(stages / "student", tmp_path / "bundle", network=network)


def test_a_subject_that_is_nothing_is_refused_first(tmp_path):
    message = "^nothing: expected a checkpoint folder or a network, found no such folder$"
    with pytest.raises(ModelError, match=message):
        _export("nothing", tmp_path / "bundle")


def test_a_misspelt_network_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(ModelError, match=r"found no such folder; did you mean lenet5\?"):
        _export("lennet5", tmp_path / "bundle")


def test_a_file_of_the_users_that_is_missing_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"absent\.py:net: no such file"):
        _export("absent.py:net", tmp_path / "bundle")


def test_a_folder_whose_training_is_not_finished_is_refused(tmp_path):
    (tmp_path / "student").mkdir()
    with pytest.raises(ArtifactError, match=r"without manifest\.json; its training may not be"):
        _export(tmp_path / "student", tmp_path / "bundle")


# ---------------------------------------------------------------------------------- large images


def test_test_images_that_do_not_fit_are_resized_then_cut_and_that_is_said(
    stages, tmp_path, monkeypatch
):
    """With 10,240 bytes, 60 images of 32 x 32 do not fit; 40 of them do at the input's 16 x 16."""
    monkeypatch.setattr(evaluation_set, "EVALUATION_BYTES", 40 * 16 * 16)
    data = tiny.write_npz(tmp_path / "large.npz", size=32)
    student = _changed_manifest(stages, tmp_path / "student")
    run = replace(RUN, data=str(data))
    out = _export(student, tmp_path / "bundle", Export(teacher="none"), run)
    with np.load(out / "evaluation.npz") as found:
        assert found["images"].shape == (40, 16, 16, 1)
        assert np.bincount(found["labels"]).tolist() in ([14, 13, 13], [13, 14, 13], [13, 13, 14])
    assert (
        "measured on 40 of 60 test images, class-balanced, to keep evaluation.npz under 64 MB"
        in _content(out)["advice"]
    )


def test_large_photos_are_read_one_at_a_time():
    asked = []

    class Photos:
        def __len__(self):
            return 3

        def batch(self, indices, size):
            asked.append(len(indices))
            return np.zeros((len(indices), *size, 1), np.uint8)

    split = Split(Photos(), np.zeros(3, np.int64))
    view = View(split, (1024, 2048), exported.SPEC)
    assert view.pixels(np.arange(3)).shape == (3, 1024, 2048, 1)
    assert asked == [1, 1, 1]
