"""What some tests need from the system: absent, they skip with the reason; in CI they may not."""

import os
import shutil
from contextlib import ExitStack

import pytest

from compress.errors import EmulatorMissingError
from compress.progress import SILENT
from compress_bench.targets import Place, open_place


def needs(found: object, what: str, *, package: str) -> pytest.MarkDecorator:
    """Skip a test where something is missing, and say which Debian package has it.

    In CI the test runs all the same and fails: `.ci/run` installs what tests need.
    """
    missing = not found and os.environ.get("CI") != "true"
    return pytest.mark.skipif(missing, reason=f"{what} is missing; Debian: apt install {package}")


def needs_program(name: str, *, package: str) -> pytest.MarkDecorator:
    """The same for a program on the PATH."""
    return needs(shutil.which(name), name, package=package)


def open_core(stack: ExitStack, reference: str) -> Place:
    """An emulated core that is ready; without a network, outside CI, the test skips."""
    try:
        return stack.enter_context(open_place(reference, SILENT))
    except EmulatorMissingError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
