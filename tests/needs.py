"""What some tests need from the system: absent, they skip with the reason; in CI they may not."""

import os
import shutil

import pytest


def needs_program(name: str, *, package: str) -> pytest.MarkDecorator:
    """Skip a test where a program is missing, and say which package has it.

    In CI the test runs all the same and fails: `.ci/run` installs what tests need.
    """
    missing = shutil.which(name) is None and os.environ.get("CI") != "true"
    return pytest.mark.skipif(missing, reason=f"{name} is missing; Debian: apt install {package}")
