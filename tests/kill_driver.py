"""Kills a command of ours at random moments until it has finished; run by test_train_kill.py.

torch is imported once and each attempt is a fork of this process, so that an attempt costs what it
computes. Prints a JSON line for each trial: how often it was killed, and digests of the result.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch  # noqa: F401 - imported before the forks

import compress.distill.recipe  # noqa: F401
from compress.cli import main
from compress.distill.kept.making import ask_teacher  # noqa: F401

WORKERS = ("0", "1", "2")


def attempt(command: list[str], seconds: float | None) -> bool:
    """Run the command in a fork, killed after `seconds`; says whether it came to its end."""
    child = os.fork()
    if child == 0:
        os._exit(main(command))
    started = time.perf_counter()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
                raise SystemExit(f"{command}: ended with {os.WEXITSTATUS(status)}")
            return os.WIFEXITED(status)
        if seconds is not None and time.perf_counter() - started > seconds:
            os.kill(child, signal.SIGKILL)
            seconds = None
        time.sleep(0.002)


def digests(folder: Path) -> dict[str, str]:
    """What the command has come to: weights, and the history without its seconds."""
    history = json.loads((folder / "manifest.json").read_text())["history"]
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history]
    weights = (folder / "model.safetensors").read_bytes()
    return {
        "weights": hashlib.sha256(weights).hexdigest(),
        "history": hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
    }


def trials(count: int, command: list[str], out: Path) -> None:
    """An uninterrupted run, then `count` runs that are killed at least once each."""
    started = time.perf_counter()
    attempt([*command, "-o", str(out / "whole")], None)
    whole = time.perf_counter() - started
    print(json.dumps({"kills": 0, **digests(out / "whole")}), flush=True)
    dice = random.Random(0)
    for trial in range(count):
        kills, ended, longest = 0, False, whole
        while not ended:
            folder = out / f"trial-{trial}-{longest:.3f}"
            workers = ["--workers", WORKERS[(trial + kills) % 3]]
            # After three kills it may come to its end.
            seconds = dice.uniform(0.05, longest) if kills < 3 else None
            ended = attempt([*command, *workers, "-o", str(folder)], seconds)
            kills += not ended
            if ended and not kills:  # it was too quick: once more, in another folder
                ended, longest = False, longest / 2
        print(json.dumps({"kills": kills, **digests(folder)}), flush=True)


if __name__ == "__main__":
    trials(int(sys.argv[1]), sys.argv[3:], Path(sys.argv[2]))
