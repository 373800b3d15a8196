"""Jobs on a board behind ssh: their files there, the runner's events back."""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.errors import BenchError
from compress_bench import runner
from compress_bench.jobs.files import files_of, put_elsewhere
from compress_bench.jobs.listening import Event, listen, obituary
from compress_bench.remote.channel import LinkLostError
from compress_bench.remote.copies import Copies, Group
from compress_bench.remote.session import Session, SessionOverError

if TYPE_CHECKING:
    from compress.progress import Progress

_STARTS = 5  # times that a job is begun anew, on links and sessions that end meanwhile
_FULL_BYTES = 1 << 20
_RUNNER = Path(runner.__file__)
_NEEDED = ("numpy", "onnxruntime")


class Board:
    """A board that does one job after another."""

    def __init__(self, session: Session, progress: "Progress") -> None:
        """On a session that is open; `progress`: where copying is shown."""
        self._session = session
        self._progress = progress
        self._copies = Copies()
        self._there: set[tuple[str, str]] = set()  # session's token and group's key
        self._jobs = 0

    def stream(self, job: Mapping[str, Any]) -> Generator[Event, None, None]:
        """Put a job to the runner there and yield its events as they come.

        Raises:
            BenchError: the runner failed, or the board cannot be reached any more.
            RunnerLostError: the runner died, or the link is lost for good.
        """
        self._jobs += 1
        number = self._jobs
        self._start(number, job)
        ending: list[str] = []
        with closing(self._lines(number, ending)) as lines:
            try:
                yield from listen(lines, lambda: ending[0], self._session.address.reference)
            finally:
                self._stop(number)

    def _start(self, number: int, job: Mapping[str, Any]) -> None:
        """Copy its files and start it; anew where the link or the session ends meanwhile."""
        over = SessionOverError("was not started: the link drops again and again")
        for _ in range(_STARTS):
            try:
                try:
                    self._session.attach()
                    self._put_job(number, job)
                    return
                except LinkLostError as loss:
                    self._session.reconnect(loss)
            except SessionOverError as error:
                over = error
                if self._session.channel is None:  # out of reach for good
                    break
        raise BenchError(f"{self._session.address.reference}: the measuring process {over}")

    def _put_job(self, number: int, job: Mapping[str, Any]) -> None:
        where = self._copy([_RUNNER, *files_of(job)])
        moved = put_elsewhere(job, where.__getitem__)
        self._session.ask({"do": "start", "number": number, "runner": where[_RUNNER], "job": moved})

    def _lines(self, number: int, ending: list[str]) -> Generator[bytes, None, None]:
        """The runner's lines, whole ones only; how it ended goes into `ending`."""
        offset, held = 0, b""
        while not ending:
            try:
                try:
                    for content in self._contents(number, offset, ending):
                        offset += len(content)
                        *lines, held = (held + content).split(b"\n")
                        for line in lines:
                            self._refuse_missing(line)
                            yield line
                except LinkLostError as loss:
                    self._session.reconnect(loss)
            except SessionOverError as over:
                ending.append(str(over))

    def _contents(self, number: int, offset: int, ending: list[str]) -> Iterator[bytes]:
        """The bytes that the runner has written, from an offset to its end."""
        channel = self._session.channel
        assert channel is not None
        channel.send({"do": "follow", "number": number, "offset": offset})
        while True:
            message, content = channel.receive()
            self._session.check(message)
            if content:
                yield content
            elif "end" in message:
                end = message["end"]
                full = "; its disk is full" if end["free_bytes"] < _FULL_BYTES else ""
                ending.append(obituary(end["status"], end["errors"]) + full)
                return

    def _stop(self, number: int) -> None:
        """End the runner, if the board can be told; else it ends it itself after the lease."""
        if self._session.channel is None or not self._session.token:
            return
        try:
            self._session.ask_until({"do": "stop", "number": number}, "stopped")
        except LinkLostError:
            self._session.drop()

    def _refuse_missing(self, line: bytes) -> None:
        """A sentence of its own where a package is missing there."""
        if not line.startswith(b'{"event": "error"'):
            return
        message = json.loads(line)["message"]
        missing = [name for name in _NEEDED if message == f"No module named '{name}'"]
        if missing:
            address = self._session.address
            raise BenchError(
                f"{address.reference}: expected numpy and onnxruntime for {address.python} there, "
                f"found no {missing[0]}; install them: {address.by_hand} {address.python} -m pip "
                "install numpy onnxruntime (where pip refuses: in a venv, named by ?python=)"
            )

    def _copy(self, paths: Sequence[Path]) -> dict[Path, str]:
        """Put there what is not there yet; where each file is."""
        token, channel = self._session.token, self._session.channel
        assert channel is not None
        groups = {path: self._copies.group(path) for path in paths}
        new = {g.key: g for g in groups.values() if (token, g.key) not in self._there}
        if new:
            wanted = {key: group.described() for key, group in new.items()}
            missing = self._session.ask({"do": "have", "groups": wanted})["missing"]
            self._send([new[key] for key in missing])
            self._there |= {(token, key) for key in new}
        files = f"{channel.hello['cache']}/files"
        return {path: f"{files}/{group.key}/{path.name}" for path, group in groups.items()}

    def _send(self, groups: Sequence[Group]) -> None:
        total = sum(group.size_bytes for group in groups)
        title = f"copying to {self._session.address.login}"
        with self._progress.task(title, total=total) as advance:
            for group in groups:
                request = {"do": "put", "key": group.key, "files": group.described()}
                reply = self._session.ask(request, group.content(advance))
                if "damaged" in reply:
                    raise BenchError(
                        f"{group.files[0].path.parent / reply['damaged']}: changed while it was "
                        "copied to the board; bench again"
                    )
