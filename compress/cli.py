"""The command line: the commands by name, and how they end.

Nothing heavy is imported here or in `commands`: `compress --help` answers at once, and
`compress bench` works where torch is not installed.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App

from compress.commands.chain import init, run
from compress.commands.deploying import bench, doctor, export, pack, predict, report
from compress.commands.searching import suggest
from compress.commands.training import distill, logits, train
from compress.explain import explain

_WHOLE = ("run", "suggest")  # commands that read the whole recipe themselves


def _from_recipe(app: App, commands: tuple[str, ...], arguments: Any) -> None:
    """Fill what the flags left open from the command's section of --recipe."""
    given = [a.tokens[0].value for a in arguments if "--recipe" in a.names and a.tokens]
    if given and commands and commands[-1] not in _WHOLE:
        from cyclopts.config import Dict

        from compress.recipes import load_recipe, section_of

        section = section_of(load_recipe(Path(given[0])), commands[-1])
        known = {name.removeprefix("--").replace("-", "_") for a in arguments for name in a.names}
        filled = {k: value for k, value in section.items() if value is not None and k in known}
        Dict({commands[-1]: filled}, source=given[0])(app, commands, arguments)


def _version() -> str:
    from importlib.metadata import version

    return version("edge-compress")


app = App(
    name="compress",
    help="From a large PyTorch classifier to a small one on a board: distil, export to ONNX int8, "
    "measure, and get a verdict.",
    version=_version,
    config=_from_recipe,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
_MAKING = (run, init, train, logits, distill, export)
for command in (*_MAKING, bench, pack, predict, report, doctor, suggest):
    app.command(command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    # Threads that spin while they wait starve each other on a busy machine: measured ten times
    # slower training beside another process. Read by OpenMP when torch or numpy is first loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    signal.signal(signal.SIGTERM, _interrupt)
    tokens = list(sys.argv[1:] if argv is None else argv)
    try:
        app(tokens, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, a pager) has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except BaseException as error:
        return explain(error, debug="--debug" in tokens)
    return 0


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
