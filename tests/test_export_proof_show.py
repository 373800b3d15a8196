"""What a user sees of a bundle: tables on a terminal, one line a fact where a program reads."""

import io
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console

import proof_case
from compress.show_export import proof_rows, render_bundle
from compress_bench.graph.layers import layer_seconds
from compress_export.proof import proof_dict
from compress_export.proof.bias import audit_bias
from compress_export.proof.census import take_census
from compress_export.proof.latency import judge
from compress_export.proof.quality import compare_quality


def proof(folder, **changes):
    """Of a real file, with made-up answers and times."""
    path = folder / "student.int8.onnx"
    model = proof_case.quantized(proof_case.gated())
    onnx.save(model, path)
    right = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    wrong = np.eye(2, dtype=np.float32)[[0, 1, 0, 0]]
    found = proof_dict(
        census=take_census(path, layer_seconds(path, {"input": (1, 4, 8, 8)}, 1, runs=5)),
        audit=audit_bias(model),
        quality=compare_quality(right, wrong, np.array([0, 1, 0, 1]), right, ("ant", "bee")),
        race=judge([np.array([2e-3])] * 9, [np.array([1e-3])] * 9, 1),
        calibration={
            "method": "mse",
            "tried": [
                {"method": "minmax", "kl": 0.02, "agreement": 0.91},
                {"method": "mse", "kl": 0.01, "agreement": 0.95},
            ],
        },
        calibration_images=512,
    )
    return found | changes


def bundle(int8=None):
    files = {"student": "student.onnx", "student_int8": "student.int8.onnx"}
    return {
        "variants": {
            role: {
                "file": file,
                "size_bytes": 12345,
                "metrics": {"validation": {"accuracy": 0.875, "n": 200}},
            }
            for role, file in files.items()
        },
        "checks": {"int8": int8} if int8 else {},
        "advice": ["measured on few images"],
        "recommended": {"variant": "student", "reason": "int8 is not faster"},
        "provenance": {"settings": {"max_drop": 1.0}},
    }


def rendered(found, terminal=False):
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=200, highlight=False, no_color=True
    )
    render_bundle(Path("runs/bundle"), found, console)
    return console.file.getvalue()


def test_the_proof_keeps_the_keys_that_older_bundles_had(tmp_path):
    found = proof(tmp_path)
    older = {"integer_convolutions", "convolutions", "integer_products", "products"}
    older |= {"quantize_nodes", "dequantize_nodes", "float_operators", "saturating_pairs"}
    older |= {"agreement", "method", "calibration_images"}
    assert older <= set(found)
    assert (found["agreement"], found["method"]) == (0.75, "mse")


def test_a_program_reads_a_line_for_each_fact(tmp_path):
    lines = rendered(bundle(proof(tmp_path))).splitlines()
    assert lines[0] == "runs/bundle:"
    assert "  student.onnx: student, 12,345 bytes, 87.50 % right" in lines
    assert "  convolutions: 2 of 2 in integers, all in integers" in lines
    assert "  16-bit pairs: 0 can overflow, the same on every CPU" in lines
    assert any(line.startswith("  32-bit sums: the largest takes 0.0 %") for line in lines)
    assert "  agreement: 75.0 % with float32, 75.0 % with the teacher" in lines
    assert (
        "  wrong in int8: 1 that float32 has right, 1 that the teacher has right, of 4 images"
        in lines
    )
    assert "  worst class: bee loses 50.0 points, of 2 images" in lines
    assert (
        "  latency: 2 ms float32, 1 ms int8: 2.00 times as fast (2.00 to 2.00), 1 thread, faster"
        in lines
    )
    assert "  minmax: KL 0.02 nats, agrees on 91.0 %" in lines
    assert "  mse (taken): KL 0.01 nats, agrees on 95.0 %" in lines
    assert lines[-2:] == ["  measured on few images", "  deploy student.onnx: int8 is not faster"]
    assert not any("\x1b" in line or "│" in line or "─" in line for line in lines)


def test_an_island_is_a_line_with_its_cost_and_reason(tmp_path):
    text = rendered(bundle(proof(tmp_path)))
    (line,) = (line for line in text.splitlines() if line.startswith("  features.0.1:"))
    assert line.startswith("  features.0.1: HardSigmoid, ")
    assert line.endswith(" %, onnxruntime has no integer HardSigmoid")


def test_many_islands_are_cut_and_the_rest_added_up(tmp_path):
    (island,) = proof(tmp_path)["islands"]
    islands = [island | {"module": f"act.{i}", "seconds": 1e-3, "share": 0.05} for i in range(11)]
    text = rendered(bundle(proof(tmp_path, islands=islands)))
    assert "  3 more: 3 ms, 15.0 %\n" in text
    assert "act.7" in text
    assert "act.8" not in text


def test_a_terminal_gets_tables(tmp_path):
    text = rendered(bundle(proof(tmp_path)), terminal=True)
    for title in ("Files", "Proof of int8", "Float islands", "Ranges of activations"):
        assert title in text
    assert "checked" in text
    assert "verdict" in text


def test_a_drop_is_judged_against_the_budget(tmp_path):
    def verdict(low, high):
        quality = proof(tmp_path)["quality"]
        drop = {"value": (low + high) / 2, "low": low, "high": high}
        rows = {row[0]: row for row in proof_rows({**base, "quality": quality | {"drop": drop}}, 1)}
        return rows["accuracy"][2]

    base = proof(tmp_path)
    assert verdict(-0.01, 0.005) == "at most 1"
    assert verdict(0.02, 0.03) == "more than 1"
    assert verdict(0.0, 0.02) == "undecided against 1"


def test_sums_that_can_overflow_are_named_by_kind(tmp_path):
    sums = proof(tmp_path)["sums"] | {"overflowing_sums": 3, "unlike_scales": 1}
    rows = {row[0]: row for row in proof_rows(proof(tmp_path, sums=sums))}
    assert rows["32-bit sums"][1:] == (
        "3 sums that can overflow, 1 biases of another scale",
        "can overflow",
    )


def test_a_bundle_without_int8_or_of_an_older_version_can_be_shown(tmp_path):
    text = rendered(bundle())
    assert "student.onnx" in text
    older = proof(tmp_path)
    for key in ("islands", "sums", "quality", "latency", "calibration"):
        del older[key]
    assert "convolutions: 2 of 2 in integers" in rendered(bundle(older))


def test_brackets_in_a_name_are_shown_as_they_are(tmp_path):
    islands = [proof(tmp_path)["islands"][0] | {"module": "act[bold]"}]
    for terminal in (False, True):
        assert "act[bold]" in rendered(bundle(proof(tmp_path, islands=islands)), terminal)
