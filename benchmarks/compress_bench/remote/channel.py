"""One ssh connection to the agent on a board: requests out, replies in."""

import json
import os
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from compress.errors import BenchError
from compress_bench.remote import agent, lock
from compress_bench.remote.address import (
    CONNECT_SECONDS,
    Address,
    python_command,
    ssh_command,
)
from compress_bench.remote.refusals import explain

START_SECONDS = CONNECT_SECONDS + 30.0  # a slow board needs seconds to start Python
SILENT_SECONDS = 60.0  # a board that is there answers every 15 s
WRITING_SECONDS = 300.0  # but not while a slow memory card takes a large file in
_CHUNK = 1 << 16

Message = dict[str, Any]


class LinkLostError(Exception):
    """The connection ended, or says nothing any more; its text says what ssh said."""


def _program() -> bytes:
    """The agent's text, and before it the module that it shares with others."""
    shared, main = (Path(str(module.__file__)).read_text() for module in (lock, agent))
    return (
        "import sys, types\n"
        f"shared = types.ModuleType({lock.__name__!r})\n"
        "sys.modules[shared.__name__] = shared\n"
        f"exec(compile({shared!r}, 'lock.py', 'exec'), shared.__dict__)\n"
        f"exec(compile({main!r}, 'agent.py', 'exec'))\n"
    ).encode()


class Channel:
    """A connection that is up.

    Attributes:
        hello: what the agent said of the board: python, executable, boot_id.
    """

    def __init__(self, address: Address) -> None:
        """Connect and start the agent.

        Raises:
            BenchError: the board cannot be reached; says why and what to do.
        """
        self._address = address
        self._held = b""
        self._writing = threading.RLock()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this
        source = _program()
        self._process = self._start(python_command(address, len(source)))
        try:
            self._write([source])
            self.hello = self._greeting()
        except LinkLostError as loss:
            status = self._process.poll()
            self.drop()
            raise BenchError(explain(address, status, str(loss))) from loss
        except BaseException:
            self.drop()
            raise

    def _start(self, command: str) -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen(
                ssh_command(self._address, command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                # Ctrl-C is for this process alone: it ends the runner through the connection.
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise BenchError(
                f"{self._address.reference}: expected ssh on this machine, found none; "
                "install it (Debian: apt install openssh-client)"
            ) from error

    def _greeting(self) -> Message:
        """The agent's first line; a login script may have printed others before."""
        due = time.monotonic() + START_SECONDS
        while True:
            line = self._line(due - time.monotonic())
            with suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict) and found.get("hello") == agent.MARK:
                    return found

    def send(self, request: Message) -> None:
        """Send a request.

        Raises:
            LinkLostError: the connection has ended.
        """
        with self._whole():
            self._write([json.dumps(request).encode() + b"\n"])

    def ask(self, request: Message, content: Iterable[bytes] = ()) -> Message:
        """Send a request and, if the agent is ready for them, its bytes; the last reply.

        Raises:
            LinkLostError: the connection has ended, or is silent.
        """
        with self._whole():
            self._write([json.dumps(request).encode() + b"\n"])
            reply, _ = self.receive()
            if "ready" in reply:
                self._write(content)
                reply, _ = self.receive(WRITING_SECONDS)
            return reply

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Nobody writes in between, and half a request (Ctrl-C) ends the connection."""
        with self._writing:
            try:
                yield
            except LinkLostError:
                raise
            except BaseException:
                self.drop()
                raise

    def receive(self, seconds: float = SILENT_SECONDS) -> tuple[Message, bytes]:
        """The next reply and its bytes.

        Raises:
            LinkLostError: the connection has ended, or is silent.
        """
        while True:
            message: Message = json.loads(self._line(seconds))
            content = self._exactly(message.get("bytes", 0), seconds)
            if "alive" not in message:
                return message, content

    def drop(self) -> None:
        """End it without a word; more than once does no harm."""
        self._process.kill()
        self._process.wait()
        with self._writing:  # the other thread may be about to
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                with suppress(OSError):
                    pipe.close()
        self._errors.close()

    def _write(self, parts: Iterable[bytes]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            for part in parts:
                left = memoryview(part)
                while left:
                    left = left[stdin.write(left) :]  # unbuffered: it may take a part only
        except (OSError, ValueError) as error:  # ValueError: dropped by now
            raise self._lost() from error

    def _line(self, seconds: float) -> bytes:
        while b"\n" not in self._held:
            self._more(seconds)
        line, _, self._held = self._held.partition(b"\n")
        return line

    def _exactly(self, size: int, seconds: float) -> bytes:
        while len(self._held) < size:
            self._more(seconds)
        content, self._held = self._held[:size], self._held[size:]
        return content

    def _more(self, seconds: float) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        if stdout.closed:
            raise self._lost()
        if not select.select([stdout], [], [], max(0.0, seconds))[0]:
            raise LinkLostError(f"no word for {seconds:.0f} s")
        found = os.read(stdout.fileno(), _CHUNK)
        if not found:
            raise self._lost()
        self._held += found

    def _lost(self) -> LinkLostError:
        """With ssh's last words; it has ended, or is about to."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        if self._errors.closed:
            return LinkLostError("the connection was given up")
        self._errors.seek(0)
        return LinkLostError(self._errors.read().decode(errors="replace"))
