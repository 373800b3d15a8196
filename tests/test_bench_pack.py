"""compress pack: one file that measures and checks itself, and its record as a report."""

import ast
import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import bench_models
from compress.cli import main
from compress.errors import ArtifactError, BenchError, UsageError
from compress.settings import Bench, Run
from compress_bench.pack.board.measuring import Measurement
from compress_bench.pack.board.record import untimed
from compress_bench.pack.board.selfcheck import check_board
from compress_bench.pack.packing import pack
from compress_bench.pack.recorded import record_folders, report_of_record
from compress_bench.remote import lock
from compress_bench.report import write_report

SMALL = Bench(profile="quick", processes=2)
NAMES = ["teacher", "student_int8"]


def write_bundle(folder: Path) -> Path:
    """Two variants, with golden outputs of them."""
    bench_models.write_bundle(folder)
    content = json.loads((folder / "bundle.json").read_text())
    content["variants"] = {name: content["variants"][name] for name in NAMES}
    golden = {}
    for name, entry in content["variants"].items():
        session = ort.InferenceSession(folder / entry["file"])
        fed = np.random.default_rng(0).normal(size=(4, 1, 6, 6)).astype(np.float32)
        golden |= {f"{name}.input": fed, f"{name}.logits": session.run(None, {"input": fed})[0]}
    np.savez(folder / "golden.npz", **golden)
    content["golden"]["sha256"] = bench_models.digest(folder / "golden.npz")
    (folder / "bundle.json").write_text(json.dumps(content))
    return folder


def start(pyz: Path, *arguments: str, path: str | None = None) -> "subprocess.Popen[str]":
    """The packed file beside its record, as its own folder's user would start it."""
    env = {"PATH": os.environ["PATH"], "OMP_WAIT_POLICY": "PASSIVE"}
    env[lock.VARIABLE] = os.environ[lock.VARIABLE]
    return subprocess.Popen(
        [sys.executable, pyz.name, *arguments],
        cwd=pyz.parent,
        env=env | ({} if path is None else {"PYTHONPATH": path}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("pack") / "bundle")


@pytest.fixture(scope="module")
def packed(bundle, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("board") / "student.pyz"
    pack(bundle, out, settings=SMALL, run=Run(threads=1))
    return out


@pytest.fixture(scope="module")
def said(packed) -> tuple[int, str, str]:
    process = start(packed, "-o", "record.json")
    out, err = process.communicate()
    return process.returncode, out, err


@pytest.fixture
def record(packed, said, tmp_path) -> Path:
    return Path(shutil.copy(packed.parent / "record.json", tmp_path / "record.json"))


def rewrite(record: Path, change) -> dict:
    content = json.loads(record.read_text())
    change(content)
    record.write_text(json.dumps(content))
    return content


def content_of(packed: Path) -> dict:
    with zipfile.ZipFile(packed) as file:
        return json.loads(file.read("pack.json"))


# --------------------------------------------------------------------------------- on the board


def test_the_packed_file_measures_and_checks_itself(said, packed):
    status, out, err = said
    assert status == 0, err
    assert "Self-check against" in out and ": pass" in out
    assert "same class for 60 of 60 images" in out
    assert "100.0 % of 60" in out  # the teacher is always right
    assert "free memory: " in out and "; no illegal instruction was met" in out
    assert "[1/" in err and "left" in err
    assert (packed.parent / "record.json").is_file()


@pytest.mark.parametrize("own", ["student.pyz", "model.onnx", "link"])
def test_nothing_but_an_older_record_is_replaced_on_the_board(packed, tmp_path, own):
    for name in ("student.pyz", "model.onnx"):
        shutil.copy(packed, tmp_path / name)
    (tmp_path / "link").symlink_to("student.pyz")
    process = start(tmp_path / "student.pyz", "-o", own)
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.startswith(f"{own}: expected nothing or an older record, found something else")
    assert (tmp_path / own).read_bytes() == packed.read_bytes()


def test_all_that_it_needs_beside_python_are_numpy_and_onnxruntime(packed):
    # -S: no site-packages, so that neither numpy nor compress can be imported
    code = "import sys; sys.path.insert(0, sys.argv[1]); import compress_bench.pack.board.main"
    subprocess.run([sys.executable, "-S", "-c", code, str(packed)], check=True)
    lacking = subprocess.run(
        [sys.executable, "-S", str(packed)], capture_output=True, text=True, check=False
    )
    assert lacking.returncode == 1
    assert "found no numpy and no onnxruntime; install it with:" in lacking.stderr
    assert len(lacking.stderr.splitlines()) == 1


def test_every_module_in_it_is_of_python_3_8_and_the_first_of_older_ones(packed):
    with zipfile.ZipFile(packed) as file:
        modules = [name for name in file.namelist() if name.endswith(".py")]
        for name in modules:
            oldest = (3, 4) if name == "__main__.py" else (3, 8)
            ast.parse(file.read(name), feature_version=oldest)
    assert {"__main__.py", "files/runner.py", "files/preprocess.py"} <= set(modules)


def test_a_damaged_file_is_refused_in_one_sentence(packed, tmp_path):
    damaged = bytearray(packed.read_bytes())
    with zipfile.ZipFile(packed) as file:
        member = file.getinfo("files/teacher.onnx")
    damaged[member.header_offset + 200] ^= 0xFF
    (tmp_path / "student.pyz").write_bytes(damaged)
    process = start(tmp_path / "student.pyz")
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.startswith("student.pyz: it is damaged (") and len(err.splitlines()) == 1


def test_an_illegal_instruction_is_told_and_kept_in_the_record(packed, tmp_path):
    broken = tmp_path / "site" / "onnxruntime"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    process = start(packed, "-o", str(tmp_path / "ill.json"), path=str(broken.parent))
    out, _ = process.communicate()
    assert process.returncode == 1
    assert "illegal instruction" in out and "install another version" in out
    with pytest.raises(BenchError, match=r"ill\.json: nothing was measured: .*illegal instruction"):
        report_of_record(tmp_path / "ill.json")


def stop_at(packed: Path, record: Path, step: str, times: int) -> None:
    """Ctrl-C as soon as a step has begun so many times."""
    process = start(packed, "-o", str(record))
    assert process.stderr is not None
    begun = 0
    for line in process.stderr:
        begun += step in line
        if begun == times:
            process.send_signal(signal.SIGINT)
            break
    process.communicate()
    assert process.returncode == 130


def test_ctrl_c_keeps_what_was_measured(packed, tmp_path):
    stop_at(packed, tmp_path / "half.json", "latency", times=2)  # the first one is whole
    report = report_of_record(tmp_path / "half.json")
    assert any(note.startswith("interrupted: ") for note in report["notes"])
    assert len(report["variants"]["teacher"]["samples_seconds"]) in (1, 2)
    assert report["variants"]["teacher"]["layers"] is None
    assert "interrupted on the board" in report["variants"]["teacher"]["layers_reason"]


def test_what_was_stopped_before_any_time_was_taken_gives_a_report_of_the_answers(packed, tmp_path):
    stop_at(packed, tmp_path / "early.json", "memory", times=1)
    report = report_of_record(tmp_path / "early.json")
    teacher = report["variants"]["teacher"]
    assert teacher["accuracy"]["value"] == 1.0 and report["portability"][0]["status"] == "pass"
    assert teacher["latency"] is None
    assert teacher["latency_reason"].startswith("interrupted before any time was taken")
    write_report(report, tmp_path / "report")


# ------------------------------------------------------------------------------- the self-check


@pytest.fixture
def check(packed, record, tmp_path):
    """The self-check once more, of a record and of what was packed, each changed."""
    content = content_of(packed)
    with zipfile.ZipFile(packed) as file:
        (tmp_path / "golden.npz").write_bytes(file.read("files/golden.npz"))
    found = json.loads(record.read_text())

    def run(change=lambda content: None, free=10**12) -> dict:
        change(content)
        measurement = Measurement(content["plans"]["quick"], tmp_path, lambda sentence: None)
        measurement.entries, measurement.machine = found["jobs"], found["machine"]
        return check_board(content, measurement, tmp_path, {"free_bytes": free})

    return run


def test_the_self_check_holds_golden_outputs_and_classes_against_the_packed_ones(check):
    found = check()["variants"]["teacher"]
    assert (found["status"], found["problems"]) == ("pass", [])
    assert found["parity"]["n"] == 4 and found["parity"]["max_abs"] < 1e-5
    assert found["agreement"] == {"n": 60, "same": 60, "share": 1.0}
    assert found["coverage"]["products"] == [0, 4]


def test_golden_outputs_that_differ_are_a_problem(check, tmp_path):
    with np.load(tmp_path / "golden.npz") as file:
        arrays = dict(file)
    arrays["teacher.logits"][0, 0] += 100
    np.savez(tmp_path / "golden.npz", **arrays)
    found = check()
    assert found["status"] == "fail"
    assert found["variants"]["teacher"]["problems"][0].startswith("golden outputs: values differ")
    assert found["variants"]["student_int8"]["problems"] == []


def test_classes_that_differ_from_the_packing_machines_are_a_problem(check):
    def change(content):
        other = np.zeros(60, "<i4")  # a third of the images are of class 0
        content["packed_on"]["labels"]["teacher"] = base64.b64encode(other.tobytes()).decode()

    (problem,) = check(change)["variants"]["teacher"]["problems"]
    assert problem.startswith("40 of 60 test images are given another class")
    assert problem.endswith("(at least 99 % wanted, as near ties may fall on either side)")


def test_less_in_integers_than_on_the_packing_machine_is_a_problem(check):
    def change(content):
        content["packed_on"]["coverage"]["teacher"]["products"] = [3, 4]

    (problem,) = check(change)["variants"]["teacher"]["problems"]
    assert problem.startswith("0 of 4 matrix products are computed in integers, 3 of 4")


def test_a_peak_above_the_free_memory_is_a_problem(check):
    (problem,) = check(free=10**6)["variants"]["teacher"]["problems"]
    assert problem.endswith("and 1 MB were free")


# ------------------------------------------------------------------------------ the way back


def test_a_record_becomes_a_report_with_all_that_bench_says(record):
    report = report_of_record(record)
    assert list(report["variants"]) == NAMES
    teacher = report["variants"]["teacher"]
    assert teacher["accuracy"]["value"] == 1.0 and teacher["accuracy"]["n"] == 60
    assert teacher["latency"]["n"] > 0 and teacher["memory"] is not None
    assert teacher["macs"] > 0 and teacher["layers"]
    assert report["machine"]["target"].startswith("student on ")
    assert [check["status"] for check in report["portability"]] == ["pass"]
    assert report["settings"]["processes"] == 2 and report["settings"]["threads"] == 1
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_the_reports_samples_are_the_boards_own(record):
    jobs = json.loads(record.read_text())["jobs"]
    (first, _) = [job for job in jobs if job["key"]["kind"] == "latency"]
    expected = [
        sample * 1e-9
        for event in first["events"]
        if event["event"] == "round"
        for block in event["blocks"]
        if block["variant"] == "teacher"
        for sample in block["samples_ns"]
    ]
    samples = report_of_record(record)["variants"]["teacher"]["samples_seconds"]
    assert samples[0] == pytest.approx(expected, abs=1e-9)


def test_what_the_boards_time_cap_left_out_is_told(record):
    def cut(content):
        jobs = content["jobs"]
        second = [job for job in jobs if job["key"]["kind"] == "latency"][1]
        for job in jobs[jobs.index(second) :]:
            if job["key"]["kind"] != "counts":
                job.update(status="skipped", reason="the time cap left no time for it", events=[])

    rewrite(record, cut)
    report = report_of_record(record)
    assert any(note.startswith("time_cap: ") for note in report["notes"])
    assert len(report["variants"]["teacher"]["samples_seconds"]) == 1
    assert report["variants"]["teacher"]["layers"] is None


def test_a_record_of_an_emulated_processor_has_answers_and_no_times(record):
    def emulate(content):
        content["machine"].update(emulated=True)
        content["jobs"] = [j for j in content["jobs"] if j["key"]["kind"] in ("inspect", "predict")]

    rewrite(record, emulate)
    teacher = report_of_record(record)["variants"]["teacher"]
    assert teacher["accuracy"]["value"] == 1.0
    assert teacher["latency"] is None and "emulated" in teacher["latency_reason"]


def test_events_of_an_emulated_processor_lose_its_times_and_the_hosts_memory():
    events = [{"import_numpy_seconds": 1.73, "nodes": [{"microseconds": 2.5, "operator": "Add"}]}]
    kept = [{"import_numpy_seconds": None, "nodes": [{"microseconds": None, "operator": "Add"}]}]
    assert untimed([{"events": [*events, {"meminfo": "MemTotal: 1 kB", "cores": 2}]}]) == [
        {"events": [*kept, {"meminfo": "", "cores": 2}]}
    ]


def test_pictures_come_from_the_bundle_that_was_packed_and_no_other(record, bundle, tmp_path):
    assert report_of_record(record)["disagreements"] == []
    pictures = report_of_record(record, bundle=bundle)["disagreements"]
    assert pictures and all(picture["png"] for picture in pictures)
    other = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    content = json.loads((other / "bundle.json").read_text())
    content["evaluation"]["sha256"] = hashlib.sha256().hexdigest()
    (other / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="found one with other test images"):
        report_of_record(record, bundle=other)


def test_a_record_with_damaged_labels_is_refused_in_one_sentence(record):
    rewrite(record, lambda content: content["evaluation"].update(labels="!!!x"))
    with pytest.raises(ArtifactError, match=r"record\.json: is not in this version's form \(Error"):
        report_of_record(record)


def test_records_of_the_same_name_have_folders_of_their_own(record, tmp_path):
    boards = [tmp_path / name / "rec.json" for name in ("a", "b", "c")]
    for board, host in zip(boards, ("pi", "pi", "nano"), strict=True):
        board.parent.mkdir()
        board.write_text(json.dumps({"schema": 1, "kind": "record", "host": host}))
    folders = record_folders([*boards, record])
    assert list(folders.values()) == ["rec-pi", "rec-pi-2", "rec-nano", "record"]


def test_a_remedy_says_whose_flags_it_names(record, tmp_path):
    (tmp_path / "goals.toml").write_text('[teacher]\n"memory" = { max = "1 GB" }\n')
    (goal,) = report_of_record(record, goals=tmp_path / "goals.toml")["verdict"]["goals"]
    assert goal["status"] == "inconclusive" and "--profile standard" in goal["remedy"]
    assert goal["remedy"].endswith("(of compress pack: pack again, and run that on the board)")


def test_a_record_without_its_fields_is_refused(record):
    rewrite(record, lambda content: content.pop("subjects"))
    with pytest.raises(ArtifactError, match=r"record\.json: is not in this version's form"):
        report_of_record(record)


def test_the_report_command_judges_a_record_by_goals(record, tmp_path, capsys):
    (tmp_path / "goals.toml").write_text('[student_int8]\n"size" = { max = "1 B" }\n')
    goals = ["--goals", str(tmp_path / "goals.toml"), "-o", str(tmp_path / "out"), "-q"]
    assert main(["report", str(record), *goals]) == 3
    assert (tmp_path / "out" / "report.json").is_file()
    again = ["report", str(tmp_path / "out" / "report.json"), str(record), "-q"]
    assert main([*again, "-o", str(tmp_path / "both")]) == 0
    assert (tmp_path / "both" / "comparison.md").is_file()
    assert (tmp_path / "both" / "record" / "report.json").is_file()
    assert main([*again, *goals]) == 2


# ------------------------------------------------------------------------------------- packing


def test_pack_replaces_packed_files_and_nothing_else(bundle, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="expected nothing or a file of compress pack"):
        pack(bundle, tmp_path / "notes.txt", settings=SMALL, run=Run())
    with pytest.raises(UsageError, match="expected a bundle folder"):
        pack(tmp_path / "notes.txt", tmp_path / "new.pyz", settings=SMALL, run=Run())
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_recipe_s_section_says_how_a_bundle_is_packed(bundle, tmp_path):
    (tmp_path / "recipe.yaml").write_text("pack:\n  profile: quick\n  threads: 1\n")
    out = tmp_path / "student.pyz"
    recipe = str(tmp_path / "recipe.yaml")
    assert main(["pack", str(bundle), "-o", str(out), "--recipe", recipe, "-q"]) == 0
    with zipfile.ZipFile(out) as file:
        held = json.loads(file.read("pack.json"))
    assert held["profile"] == "quick"
