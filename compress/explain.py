"""What went wrong, in one sentence and an exit code."""

import os
import sys
import time
import traceback
from pathlib import Path

from cyclopts import CycloptsError

from compress.errors import CompressError, StoppedError, UsageError
from compress.launched import SaidElsewhereError, is_first, rank


def explain(error: BaseException, *, debug: bool) -> int:
    """Say what went wrong in one sentence; returns the exit code.

    Of several processes that torchrun started, the first one says what befalls them all.
    """
    if isinstance(error, SystemExit):
        return int(error.code or 0)
    if debug and not isinstance(error, KeyboardInterrupt):
        traceback.print_exception(error)
    if isinstance(error, SaidElsewhereError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        error = StoppedError(
            "interrupted; what was finished is kept: give the same command again, without --force"
        )
    elif isinstance(error, CycloptsError):
        error = UsageError(" ".join(str(error).split()))
    elif not isinstance(error, CompressError):
        error = _our_bug(error)
    if is_first():
        sys.stderr.write(f"compress: {error}\n")
    elif not isinstance(error, UsageError | StoppedError):  # these are common to all
        sys.stderr.write(f"compress: process {rank()}: {error}\n")
    return error.exit_code


def _our_bug(error: BaseException) -> CompressError:
    """Keep the traceback in a file and name it."""
    name = f"compress-error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    text = "".join(traceback.format_exception(error))
    try:
        Path(name).write_text(text)
    except OSError:
        sys.stderr.write(text)
        name = "above"
    kind = type(error).__name__
    return CompressError(
        f"a fault of this tool ({kind}: {error}); please report the traceback: {name}"
    )
