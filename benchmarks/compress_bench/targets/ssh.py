"""A board behind ssh: `ssh://user@host[:port][?python=PATH][&config=FILE]`.

The system's own ssh connects, with the user's keys and configuration; nothing is installed on the
board, and nobody needs sudo. What the board must have: Python 3.8 or newer, numpy, onnxruntime.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from compress_bench.remote.address import parse_address
from compress_bench.remote.board import Board
from compress_bench.remote.session import Session
from compress_bench.targets import Place

if TYPE_CHECKING:
    from compress.progress import Progress


@contextmanager
def open_place(reference: str, progress: "Progress") -> Iterator[Place]:
    """Connect, take the board for this bench alone, and give it back at the end.

    Raises:
        UsageError: the reference is not of the form.
        BenchError: the board cannot be reached, or another bench has it.
    """
    address = parse_address(reference)
    session = Session(address, progress)
    session.open()
    try:
        yield Place(address.reference, Board(session, progress).stream)
    finally:
        session.close()
