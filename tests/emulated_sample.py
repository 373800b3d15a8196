"""A report of an emulated core as a dict, for the tests of the views; the numbers are made up."""

from typing import Any

from report_sample import build_report, interval

UNTIMED = (
    "emulated: cortex-a72 is played by another processor, whose times, memory and energy mean "
    "nothing; give --target ssh://user@host to measure on a board"
)
_NOT_MEASURED = (
    "latency",
    "throughput",
    "speedup",
    "cpu",
    "memory",
    "cold_start",
    "energy",
    "paced",
    "sustained",
    "layers",
)
_COUNTS = {
    "teacher": 94_100_000,
    "student": 1_520_000,
    "baseline": 1_520_000,
    "student_int8": 910_000,
}


def core_check(core: str = "cortex-a72") -> dict[str, Any]:
    """One core's check: the int8 student within a step, the float files within rounding."""
    return {
        "core": core,
        "target": f"emulate:{core}",
        "emulated": True,
        "status": "pass",
        "reason": "",
        "machine": {"machine": "aarch64", "cpu": "Cortex-A72", "emulated": True},
        "onnxruntime": "1.32.0",
        "reference": "AMD EPYC 7B13, onnxruntime 1.32.0",
        "variants": {name: _checked(name) for name in _COUNTS},
    }


def _checked(name: str) -> dict[str, Any]:
    is_int8 = name == "student_int8"
    return {
        "status": "pass",
        "problems": [],
        "parity": {
            "n": 40,
            "values": 400,
            "max_abs": 0.125 if is_int8 else 3.2e-5,
            "range": 16.0,
            "max_steps": 1.0 if is_int8 else None,
            "within_one": 1.0 if is_int8 else None,
            "agreement": 1.0,
        },
        "parity_reason": "",
        "coverage": {
            "integer": 6 if is_int8 else 0,
            "float": 1 if is_int8 else 7,
            "boundary": 2 if is_int8 else 0,
            "convolutions": [2 if is_int8 else 0, 2],
            "products": [3 if is_int8 else 0, 3],
            "float_operators": {"Softmax": 1} if is_int8 else {"Conv": 2, "Gemm": 3, "MaxPool": 2},
        },
        "coverage_reason": "",
        "instructions": {"value": _COUNTS[name], "source": "qemu plugin", "inferences": 5},
        "instructions_reason": "",
    }


def emulated_report() -> dict[str, Any]:
    """What `bench --target emulate:cortex-a72` writes, without goals."""
    report = build_report()
    report["machine"].update(
        machine="aarch64",
        cpu="Cortex-A72",
        target="emulate:cortex-a72",
        emulated=True,
        emulates="cortex-a72",
        emulator="qemu 7.2.22",
        isa=[],
    )
    report["settings"].update(mode="not timed", processes=None, rounds=None)
    report["data"]["n"] = 40
    report.update(
        flags=[],
        environment=[],
        verdict={"status": "no_goals", "goals": []},
        resolution={"smallest_difference": None, "reason": UNTIMED, "samples_seconds": []},
        portability=[core_check()],
    )
    for name, fields in report["variants"].items():
        fields.update(dict.fromkeys(_NOT_MEASURED))
        fields.update({f"{field}_reason": UNTIMED for field in _NOT_MEASURED})
        fields.update(
            samples_seconds=[],
            runtime="onnxruntime",
            threads=1,
            macs=416_520,
            instructions=interval(_COUNTS[name], _COUNTS[name], _COUNTS[name]) | {"confidence": 1},
            instructions_source="qemu plugin",
        )
    return report
