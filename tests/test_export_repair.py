"""The ladder: order, statuses, what is delivered, and how it is told."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from rich.console import Console

import exported
import repair_case
import tiny
from compress.artifacts import read_json
from compress.errors import UsageError
from compress.progress import SILENT
from compress.settings import Export, Network, Run
from compress.show_export import render_bundle
from compress_bench.metadata import model_metadata
from compress_export.advice import advise_int8, recommend
from compress_export.bundle import Variant
from compress_export.recipe import export
from compress_export.repair import RUNGS, choose_rungs, load_rung
from compress_export.repair.ladder import Climb, climb

CENSUS = {"convolutions": 0, "integer_convolutions": 0, "products": 0, "integer_products": 0}
SPOILED = 1e5  # one channel this much larger than another: no range fits both


def climbed(out: Path, spoiled: float, **settings) -> tuple[Climb, dict]:
    case = repair_case.case(repair_case.network(spoiled), out, calibration="minmax", **settings)
    found = climb(case, repair_case.plain(case))
    return found, found.record(case)


def statuses(record: dict) -> list[tuple[str, str]]:
    return [(step["name"], step["status"]) for step in record["steps"]]


# -------------------------------------------------------------------------------- which and when


@pytest.mark.parametrize(
    ("asked", "rungs"),
    [
        ("all", RUNGS),
        ("quick", RUNGS[:-1]),
        ("none", ()),
        ("qat", ("qat",)),
        ("float-layers, range_method", ("range_method", "float_layers")),
    ],
)
def test_rungs_are_climbed_in_order_of_cost_however_they_are_named(asked, rungs):
    assert choose_rungs(asked) == rungs


def test_a_rung_that_does_not_exist_is_refused_with_the_one_that_was_meant():
    with pytest.raises(UsageError, match=r"--repair equalisation: no such step.*equalization"):
        choose_rungs("equalisation")


@pytest.mark.parametrize("asked", ["all,qat", "equalization, none"])
def test_a_set_of_rungs_beside_others_is_refused(asked):
    with pytest.raises(UsageError, match=r"(all|none) stands alone; .*float_layers, qat"):
        choose_rungs(asked)


@pytest.mark.parametrize("name", RUNGS)
def test_every_rung_says_what_it_is_called(name):
    rung = load_rung(name)
    assert rung.TITLE
    assert isinstance(rung.BY_ACCURACY, bool)


@pytest.mark.parametrize(
    "setting", [{"repair": "none"}, {"qat_epochs": 9}, {"qat_lr": 0.1}, {"qat_kd_weight": 0.5}]
)
def test_a_repair_without_int8_is_refused(setting):
    (name,) = setting
    with pytest.raises(UsageError, match=f"{name.replace('_', '-')}.*--int8"):
        Export(**setting).check()
    Export(int8=True, **setting).check()


@pytest.mark.parametrize("repair", ["none", "quick", "range_method,float-layers"])
def test_settings_of_a_training_that_no_step_does_are_refused(repair):
    with pytest.raises(UsageError, match=r"qat-epochs.*--repair with qat"):
        Export(int8=True, repair=repair, qat_epochs=9).check()
    Export(int8=True, repair=repair).check()
    Export(int8=True, repair="bias_correction,qat", qat_epochs=9).check()


# ------------------------------------------------------------------------------------- the climb


def test_within_the_budget_nothing_is_done(tmp_path):
    found, record = climbed(tmp_path, 1.0, max_drop=0.0)
    assert found.met
    assert statuses(record) == [("plain", "kept")]
    assert record["steps"][0]["delivered"]


def test_the_ladder_ends_at_the_step_that_meets_the_budget(tmp_path):
    found, record = climbed(tmp_path, SPOILED, max_drop=0.0, repair="quick")
    assert record["met"]
    assert [name for name, _ in statuses(record)] == ["plain", *RUNGS[:3]]
    last = record["steps"][-1]
    assert (last["name"], last["status"], last["delivered"]) == ("equalization", "kept", True)
    assert last["drop"]["value"] == 0.0
    assert [step["delivered"] for step in record["steps"]] == [False] * 3 + [True]
    assert found.best.drop.value == 0.0


def test_without_repair_the_plain_file_is_delivered_and_the_budget_said_to_be_missed(tmp_path):
    found, record = climbed(tmp_path, SPOILED, max_drop=0.0, repair="none")
    assert statuses(record) == [("plain", "kept")]
    assert not record["met"]
    assert found.best.drop.value > 0.5


def test_where_the_budget_is_never_met_the_smallest_drop_is_delivered(tmp_path):
    found, record = climbed(tmp_path, SPOILED, max_drop=0.0, repair="range_method,bias_correction")
    assert not record["met"]
    tried = [step for step in record["steps"] if step["drop"]]
    (delivered,) = (step for step in record["steps"] if step["delivered"])
    assert delivered["drop"]["value"] == min(step["drop"]["value"] for step in tried)
    assert found.best.drop.value == delivered["drop"]["value"]


def test_layers_in_float_that_do_not_suffice_are_not_carried_on(tmp_path):
    core = repair_case.network(SPOILED)
    case = repair_case.case(core, tmp_path, calibration="minmax", max_drop=0.0, repair="quick")
    first = repair_case.plain(case)
    unreached = case.float32.logits.copy()
    unreached[0] = np.roll(unreached[0], 1)  # an image that the graph answers otherwise, always
    case.work.dataset.validation.labels[0] = unreached[0].argmax()
    case = replace(case, float32=replace(case.float32, logits=unreached))
    record = climb(case, first).record(case)
    last = record["steps"][-1]
    assert not record["met"]
    assert (last["name"], last["status"]) == ("float_layers", "dropped")
    assert last["said"].endswith("; not enough, and what is in float costs time")
    assert last["kl"] < min(step["kl"] for step in record["steps"][:-1])


def test_the_record_is_json_with_a_fraction_as_budget(tmp_path):
    _, record = climbed(tmp_path, SPOILED, max_drop=0.5, repair="none")
    again = json.loads(json.dumps(record))
    assert again == record
    assert (record["max_drop"], record["images"], record["asked"]) == (0.005, 48, "none")
    keys = {"name", "title", "status", "said", "drop", "kl", "size_bytes", "seconds", "delivered"}
    assert set(record["steps"][0]) == keys


def test_a_changed_graph_does_not_take_the_place_of_the_kept_calibration(tmp_path):
    core = repair_case.network(SPOILED)
    case = repair_case.case(core, tmp_path, calibration="minmax")
    first = repair_case.plain(case)
    kept = (tmp_path / "calibration.npz").read_bytes()
    load_rung("equalization").repair(case, case.look(first))
    assert (tmp_path / "calibration.npz").read_bytes() == kept


# ----------------------------------------------------------------------------------- what is said


def test_a_foreign_file_is_repaired_and_its_bundle_tells_how(tmp_path):
    data = tiny.write_npz(tmp_path / "data.npz")
    model = repair_case.network(SPOILED)
    said = model_metadata(
        preprocessing=exported.SPEC, classes=tiny.CLASSES, parameters=1, network="net", data=None
    )
    onnx.helper.set_model_props(model, said)
    onnx.save(model, tmp_path / "net.onnx")
    asked = Export(
        int8=True, calibration="minmax", max_drop=0.0, repair="equalization", latency=False
    )
    run = Run(threads=1, data=str(data), out=tmp_path / "bundle")
    out = export(
        str(tmp_path / "net.onnx"), settings=asked, network=Network(), run=run, progress=SILENT
    )
    content = read_json(out / "bundle.json", kind="bundle")
    repaired = content["checks"]["int8"]["repair"]
    assert repaired["steps"][0]["name"] == "plain"
    lines = shown(content)
    if len(repaired["steps"]) > 1:
        assert any(line.startswith("  cross-layer equalisation (") for line in lines)


def shown(content: dict) -> list[str]:
    console = Console(file=io.StringIO(), width=200, highlight=False, no_color=True)
    render_bundle(Path("bundle"), content, console)
    return console.file.getvalue().splitlines()


def step(name: str, status: str, drop: float | None, **more) -> dict:
    interval = None if drop is None else {"value": drop, "low": drop - 0.01, "high": drop + 0.01}
    found = {"name": name, "title": name.replace("_", " "), "status": status, "said": "as said"}
    found |= {"drop": interval, "kl": drop, "size_bytes": 100, "seconds": 2.0, "delivered": False}
    return found | more


def repaired(met: bool, *steps: dict, asked: str = "all") -> dict:
    plain = step("plain", "kept", 0.05)
    return {"max_drop": 0.003, "images": 100, "met": met, "asked": asked, "steps": [plain, *steps]}


def test_the_steps_are_lines_with_drop_interval_time_and_what_was_done():
    record = repaired(
        True,
        step("bias_correction", "skipped", None, said="no biases"),
        step("equalization", "kept", 0.002, delivered=True),
    )
    int8 = CENSUS | {"quantize_nodes": 1, "dequantize_nodes": 1, "saturating_pairs": 0}
    int8 |= {"repair": record}
    lines = shown({"variants": {}, "checks": {"int8": int8}})
    assert "  plain (kept): 5.00 points (4.00 to 6.00), KL 0.05 nats, 2 s, as said" in lines
    assert "  bias correction (skipped): no biases" in lines
    line = "  equalization (delivered): 0.20 points (-0.80 to 1.20), KL 0.002 nats, 2 s, as said"
    assert line in lines


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (
            repaired(False, step("equalization", "dropped", 0.04), asked="quick"),
            "equalization did not bring int8 within --max-drop 0.3: give --repair all",
        ),
        (
            repaired(False, step("equalization", "kept", 0.04), step("qat", "dropped", 0.04)),
            "equalization, qat did not bring int8 within --max-drop 0.3: give more --qat-epochs, "
            "or another --qat-lr",
        ),
        (
            repaired(False, asked="none"),
            "nothing was done to keep --max-drop 0.3: give --repair all",
        ),
    ],
)
def test_a_budget_that_was_not_met_is_followed_by_what_is_left_to_try(record, sentence):
    assert sentence in advice(record)


def test_a_budget_that_was_met_needs_no_words():
    assert advice(repaired(True, step("equalization", "kept", 0.0))) == []


def test_three_images_of_a_thousand_are_three_tenths_of_a_point():
    """0.861 - 0.858 is a little more than 0.003 in binary."""
    checks = CENSUS | {"agreement": 1.0, "latency": None}
    assert recommend(*variants(0.861, 0.858), checks, 0.3)[0] == "student_int8"
    assert advise_int8(*variants(0.861, 0.858), checks, 0.3) == []


def advice(record: dict) -> list[str]:
    return advise_int8(*variants(0.9, 0.9), CENSUS | {"agreement": 1.0, "repair": record}, 0.3)


def variants(*accuracies: float) -> list[Variant]:
    """Both files, measured on 1,000 validation images."""
    case = repair_case.case(repair_case.network(), Path())
    return [
        Variant(
            role=role,
            file=f"{role}.onnx",
            precision="float32",
            source=case.source,
            validation={"accuracy": accuracy, "n": 1000},
        )
        for role, accuracy in zip(("student", "student_int8"), accuracies, strict=True)
    ]
