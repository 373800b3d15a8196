"""What an optional package's absence means: the command that installs it."""

from collections.abc import Iterator
from contextlib import contextmanager

from compress.errors import MissingExtraError

_OURS = ("compress", "compress_export", "compress_bench")


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Import a stage inside; a missing package becomes the `pip install` that brings it.

    Raises:
        MissingExtraError: a package that is not ours is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package in _OURS:
            raise
        raise MissingExtraError(package, extra) from error
