"""What the trial of an import says of a library."""

from collections.abc import Mapping
from typing import Any

from compress_bench.doctor import Facts, Finding
from compress_bench.doctor.versions import parse

# Older ones do not know the platform names of today's wheels (PEP 600), and find none.
OLDEST_PIP = (20, 3)


def imported(name: str, facts: Facts) -> Finding:
    """A library's version, or what stops its import and what to do."""
    packages = facts["packages"]
    if not packages[name]:
        return Finding(
            status="fail",
            found=f"{name} is not installed",
            why="the runner needs it",
            what_to_do=install(name, facts),
        )
    trial = facts["imports"][name]
    if trial["ok"]:
        return Finding(status="ok", found=f"{name} {trial['version']}")
    return Finding(
        status="fail",
        found=f"{name} {packages[name]} cannot be imported",
        why=_reason(trial),
        what_to_do=_remedy(name, trial, facts),
    )


def install(name: str, facts: Facts) -> str:
    """The pip command for that machine's Python; a pip that is too old comes first."""
    if facts["emulates"]:
        return f"emulate:{facts['emulates']}?onnxruntime=VERSION takes another version"
    python = facts["python"]["executable"] or "python3"
    if facts["python"]["managed"]:  # as on Raspberry Pi OS since 12
        python = f"{python} -m venv ~/bench && ~/bench/bin/python3"
        then = "" if facts["target"] == "local" else "; then ssh://...?python=~/bench/bin/python3"
        return f"{python} -m pip install numpy onnxruntime{then}"
    pip = facts["packages"]["pip"]
    command = f"{python} -m pip install {name}"
    if pip is not None and parse(pip) < OLDEST_PIP:
        return f"{python} -m pip install --upgrade pip, for {pip} finds no new wheels; {command}"
    return command


def _reason(trial: Mapping[str, Any]) -> str:
    signal = trial.get("signal")
    if signal == "SIGILL":
        return "its import met an illegal instruction: it was built for another kind of core"
    if signal == "SIGALRM":
        return "its import did not end within two minutes"
    said = trial["words"] or "nothing"
    if signal:
        return f"its import was killed by {signal}; its last words: {said}"
    return f"its import said: {trial['message']}"


def _remedy(name: str, trial: Mapping[str, Any], facts: Facts) -> str:
    command = install(name, facts)
    if facts["emulates"]:
        return command
    if trial.get("signal") == "SIGILL":
        return f"take another version ({command}==VERSION); known_pairs may name one"
    return command.replace("pip install", "pip install --force-reinstall")
