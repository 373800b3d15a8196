"""What runs on a board for the length of a bench: Python 3.8 or newer, nothing installed.

The host sends this text (and the lock's) through ssh at each connection: never an old version.
Two processes come of it. The attendant talks with the host and ends with the link. The keeper is
detached: it holds the board's lock, starts the runner, and ends all of it when no host was heard
for a lease. Events go into a file, which the attendant hands on from any byte: a link that drops
loses nothing.

Requests and replies are lines of JSON; a reply with `bytes` is followed by that many.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from compress_bench.remote.lock import boottime, explain_lock, take_lock

MARK = "compress board agent"  # whatever a login script prints comes before it
QUICK, SLOW = 0.01, 0.25  # seconds between two looks at the events: while they come, and else
CHUNK = 1 << 18
WORDS = 4096  # bytes of standard error that are kept of a runner that died
KEPT_SECONDS = 30 * 86400.0  # files that no bench has used for that long are removed
SPARE_BYTES = 16 << 20  # left free on the disk: events are written there too
FULL = (errno.ENOSPC, errno.EDQUOT)
PR_SET_PDEATHSIG = 1  # linux/prctl.h

Json = Dict[str, Any]


def main() -> None:
    """Attend to one connection."""
    os.umask(0o077)
    try:
        Attendant().serve()
    except (EOFError, BrokenPipeError):  # the link is gone; the keeper waits for the next
        os._exit(0)  # else Python would try to flush what nobody reads


def boot_id() -> str:
    """What changes with each start of the board."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def cache_folder() -> Path:
    """Where files stay between benches."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "compress-bench"


def runs_folder(cache: Path) -> Path:
    """Of this board's sessions alone: several boards may share one home."""
    return cache / "runs" / (boot_id() or platform.node())


def write_whole(path: Path, content: Any) -> None:
    """Write JSON under a temporary name, then rename it: nobody reads half of it."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)


# ------------------------------------------------------------------------------------- attendant


class Inbox:
    """Standard input, by lines and by counted bytes, with a time limit."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._held = b""

    def line(self, seconds: float) -> Optional[bytes]:
        """The next line, or None if it does not come in time; EOFError where there is none."""
        due = boottime() + seconds
        while b"\n" not in self._held:
            if not self._more(max(0.0, due - boottime())):
                return None
        line, _, self._held = self._held.partition(b"\n")
        return line

    def chunks(self, size: int, seconds: float) -> Iterator[bytes]:
        """The next `size` bytes in parts; EOFError if one of them does not come in time."""
        while size:
            if not self._held and not self._more(seconds):
                raise EOFError
            part, self._held = self._held[:size], self._held[size:]
            size -= len(part)
            yield part

    def _more(self, seconds: float) -> bool:
        if not select.select([0], [], [], seconds)[0]:
            return False
        found = os.read(0, CHUNK)
        if not found:
            raise EOFError
        self._held += found
        return True


class Attendant:
    """Answers one host over one connection.

    Attributes:
        lease: seconds without a word from the host after which this ends.
        folder: the session's, once there is one; named by its token.
        followed: number and offset of the events that are handed on.
    """

    def __init__(self) -> None:
        """Without a session yet."""
        self.lease = 60.0
        self.folder: Optional[Path] = None
        self.followed: Optional[Tuple[int, int]] = None
        self._inbox = Inbox()
        self._renewed = boottime()

    def serve(self) -> None:
        """Answer until the host is gone or silent for a lease."""
        os.write(1, b"\n")  # a login script may have left a line open
        said = {"python": platform.python_version(), "executable": sys.executable}
        self.say(dict(said, hello=MARK, boot_id=boot_id(), cache=str(cache_folder())))
        heard, pause = boottime(), QUICK
        while boottime() - heard < self.lease:
            line = self._inbox.line(pause if self.followed else self.lease / 4)
            if line is not None:
                heard, pause = boottime(), QUICK
                request = json.loads(line.decode("utf-8"))
                getattr(self, "do_" + request["do"])(request)
            if self.followed:
                pause = self.hand_on(pause)

    def say(self, reply: Json, content: bytes = b"") -> None:
        """One reply, with the bytes that belong to it."""
        left = json.dumps(reply).encode("ascii") + b"\n" + content
        while left:
            left = left[os.write(1, left) :]

    def tell_keeper(self, request: Optional[Json]) -> bool:
        """Pass a request on, if any; False if there is no keeper any more."""
        if self.folder is None:
            return False
        try:
            control = os.open(str(self.folder / "control"), os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # removed, or nobody has it open
            return False
        with os.fdopen(control, "wb", buffering=0) as pipe:
            if request is not None:
                pipe.write(json.dumps(request).encode("ascii") + b"\n")
        return True

    def do_open(self, request: Json) -> None:
        """Take the board for a host, and leave a keeper with it."""
        try:
            lock, holder = take_lock(request["holder"])
        except OSError as error:
            self.say({"unlocked": explain_lock(error)})
            return
        if lock is None:
            self.say({"busy": holder})
            return
        try:
            cache = cache_folder()
            clean(cache)
            self.folder = runs_folder(cache) / request["token"]
            self.folder.mkdir(parents=True)
            os.mkfifo(str(self.folder / "control"))
            control = os.open(str(self.folder / "control"), os.O_RDWR | os.O_NONBLOCK)
        except OSError as error:
            self.refuse(error, cache_folder())
            return
        self.lease = request["lease"]
        detach(Keeper(self.folder, control, self.lease))
        os.close(control)
        os.close(lock)  # the keeper's copy holds it
        self.say({"opened": request["token"]})

    def do_resume(self, request: Json) -> None:
        """Go on with a session that an earlier connection opened."""
        self.folder = runs_folder(cache_folder()) / request["token"]
        self.lease = request["lease"]
        self.say({"resumed": self.tell_keeper({"do": "alive"}), "boot_id": boot_id()})

    def do_alive(self, request: Json) -> None:
        """The host is there."""
        self.say({"alive": self.tell_keeper(request)})

    def do_have(self, request: Json) -> None:
        """Which groups of files are here as they should be; damaged ones are removed."""
        missing = []
        for key, group in request["groups"].items():
            if not self.is_whole(cache_folder() / "files" / key, group):
                missing.append(key)
        self.say({"missing": missing})

    def is_whole(self, folder: Path, group: List[Json]) -> bool:
        """Whether a group is here with the right content; memory cards lose some."""
        try:
            os.utime(str(folder))
            whole = all(self.digest(folder / file["name"]) == file["sha256"] for file in group)
        except OSError:
            whole = False
        if not whole:
            shutil.rmtree(str(folder), ignore_errors=True)
        return whole

    def digest(self, path: Path) -> str:
        """sha256 of a file."""
        found = hashlib.sha256()
        with path.open("rb") as file:
            for part in iter(lambda: file.read(1 << 20), b""):
                found.update(part)
                self.renew()
        return found.hexdigest()

    def renew(self) -> None:
        """While this is busy: tell the keeper of the host, and the host of this, now and then."""
        if boottime() - self._renewed > self.lease / 8:
            self._renewed = boottime()
            self.say({"alive": self.tell_keeper({"do": "alive"})})

    def do_put(self, request: Json) -> None:
        """Take a group of files in; it has its name once it is whole, or nothing is left."""
        files = cache_folder() / "files"
        left = sum(file["size"] for file in request["files"])
        incoming: Optional[Path] = None
        damaged = ""
        try:
            files.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(str(files)).free < left + SPARE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.say({"ready": True})
            incoming = Path(tempfile.mkdtemp(prefix=incoming_prefix(), dir=str(files)))
            for file in request["files"]:
                path = incoming / file["name"]
                path.parent.mkdir(parents=True, exist_ok=True)
                found = hashlib.sha256()
                with path.open("wb") as out:
                    for part in self._inbox.chunks(file["size"], self.lease):
                        left -= len(part)
                        found.update(part)
                        out.write(part)
                        self.renew()
                    out.flush()
                    os.fsync(out.fileno())
                damaged = damaged or ("" if found.hexdigest() == file["sha256"] else file["name"])
            if not damaged:
                incoming.replace(files / request["key"])
        except OSError as error:
            if incoming is not None:
                for _ in self._inbox.chunks(left, self.lease):  # what is under way already
                    self.renew()
            self.refuse(error, files)
            return
        finally:
            if incoming is not None:
                shutil.rmtree(str(incoming), ignore_errors=True)
        self.say({"damaged": damaged} if damaged else {"put": request["key"]})

    def refuse(self, error: OSError, folder: Path) -> None:
        """Say why a file could not be written."""
        try:
            free = shutil.disk_usage(str(folder)).free
        except OSError:  # the folder itself is the trouble
            free = 0
        reason = error.strerror or str(error)
        full = error.errno in FULL
        self.say({"refused": reason, "full": full, "free_bytes": free, "folder": str(folder)})

    def do_start(self, request: Json) -> None:
        """Start the runner on a job, unless an earlier connection did."""
        assert self.folder is not None
        number = request["number"]
        job = self.folder / ("job-%d" % number)
        # The keeper makes both: a job that it was never told of is told again.
        marks = (self.folder / ("%s-%d" % (name, number)) for name in ("events", "end"))
        started = any(mark.exists() for mark in marks)
        told = True
        if not started:
            try:
                write_whole(job, request["job"])
            except OSError as error:
                self.refuse(error, self.folder)
                return
            told = self.tell_keeper({"do": "start", "number": number, "runner": request["runner"]})
        self.say({"started": number} if told else {"gone": True})

    def do_follow(self, request: Json) -> None:
        """Hand events on from an offset; see `hand_on`."""
        self.followed = (request["number"], request["offset"])

    def do_stop(self, request: Json) -> None:
        """End a runner, and wait for it."""
        self.followed = None
        assert self.folder is not None
        end = self.folder / ("end-%d" % request["number"])
        self.tell_keeper(request)
        due = boottime() + 10.0
        while not end.exists() and end.parent.exists() and boottime() < due:
            time.sleep(QUICK)
        self.say({"stopped": request["number"]})

    def do_close(self, request: Json) -> None:
        """End the session, and wait until the board is free."""
        self.followed = None
        self.tell_keeper(request)
        due = boottime() + 10.0
        while self.folder is not None and self.folder.exists() and boottime() < due:
            time.sleep(QUICK)
        self.say({"closed": True})

    def hand_on(self, pause: float) -> float:
        """Send what is new of the events, or how they ended; seconds until the next look."""
        assert self.folder is not None and self.followed is not None
        number, offset = self.followed
        try:  # before the events: once it exists, they are complete
            end = json.loads((self.folder / ("end-%d" % number)).read_text())
        except OSError:
            end = None
        content = b""
        try:
            with (self.folder / ("events-%d" % number)).open("rb") as file:
                file.seek(offset)
                content = file.read(CHUNK)
        except OSError:  # not begun yet
            pass
        if content:
            self.say({"bytes": len(content)}, content)
            self.followed = (number, offset + len(content))
            return 0.0 if len(content) == CHUNK else QUICK
        if end is not None:
            self.followed = None
            self.say({"end": end})
        elif not self.tell_keeper(None):
            self.followed = None
            self.say({"gone": True})
        return min(2 * pause, SLOW)


def clean(cache: Path) -> None:
    """Remove what earlier benches left here, as the lock is ours, and what has become old.

    Of other boards that share this home only what is old: they have locks of their own.
    """
    left = list(runs_folder(cache).glob("*"))
    left += cache.glob("files/" + incoming_prefix() + "*")
    for folder in [*cache.glob("files/*"), *cache.glob("runs/*/*"), *cache.glob("runs/*")]:
        try:
            if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                left.append(folder)
        except OSError:  # another board was faster
            pass
    for folder in left:
        shutil.rmtree(str(folder), ignore_errors=True)


def incoming_prefix() -> str:
    """How folders are named that this board is about to fill."""
    return ".incoming-%s-" % (boot_id() or platform.node())


# ---------------------------------------------------------------------------------------- keeper


def detach(keeper: Keeper) -> None:
    """Run a keeper in a process that belongs to no connection."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):  # ssh ends a connection when nobody has them open
            os.dup2(nothing, stream)
        keeper.keep()
    finally:
        os._exit(0)


class Keeper:
    """Holds the board for one bench, and runs its jobs one after another.

    Attributes:
        heard: when the host was last there.
    """

    def __init__(self, folder: Path, control: int, lease: float) -> None:
        """Of a session's folder and the pipe within it."""
        self.heard = boottime()
        self._folder = folder
        self._control = control
        self._lease = lease
        self._number = 0
        self._runner: Optional[subprocess.Popen[bytes]] = None
        self._closing = False
        self._held = b""

    def keep(self) -> None:
        """Do what comes through the pipe until the host closes or the lease is over."""
        os.chdir("/")
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            while not self._closing and boottime() - self.heard < self._lease:
                ready = select.select([self._control, woken], [], [], min(5.0, self._lease / 4))[0]
                if woken in ready:
                    os.read(woken, CHUNK)
                    self._reap()
                if self._control in ready:
                    self._listen()
        finally:
            self._stop()
            shutil.rmtree(str(self._folder), ignore_errors=True)

    def _listen(self) -> None:
        *lines, self._held = (self._held + os.read(self._control, CHUNK)).split(b"\n")
        for line in lines:
            request = json.loads(line.decode("ascii"))
            self.heard = boottime()
            if request["do"] == "start":
                self._start(request)
            elif request["do"] == "stop":
                self._stop()
            elif request["do"] == "close":
                self._closing = True

    def _path(self, name: str) -> Path:
        return self._folder / ("%s-%d" % (name, self._number))

    def _start(self, request: Json) -> None:
        if request["number"] == self._number:  # told twice, as a link dropped in between
            return
        self._stop()
        for name in ("events", "errors", "end"):  # of the job before
            if self._path(name).exists():
                self._path(name).unlink()
        self._number = request["number"]
        try:
            self._runner = self._launch(request["runner"])
        except OSError as error:
            self._end(1, str(error))

    def _launch(self, runner: str) -> subprocess.Popen[bytes]:
        """The runner in a session of its own: what it starts ends with it."""
        modes = {"job": "rb", "events": "wb", "errors": "wb"}
        job, events, errors = (self._path(name).open(mode) for name, mode in modes.items())
        with job, events, errors:
            return subprocess.Popen(
                [sys.executable, runner],
                stdin=job,
                stdout=events,
                stderr=errors,
                cwd=str(self._folder),
                env=dict(os.environ, ORT_DISABLE_TELEMETRY="1"),
                start_new_session=True,
                preexec_fn=die_with_keeper,  # noqa: PLW1509 - the keeper has one thread
            )

    def _stop(self) -> None:
        """End the runner and all that it started."""
        if self._runner is not None:
            try:
                os.killpg(self._runner.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._runner.wait()
            self._reap()

    def _reap(self) -> None:
        """Tell of a runner's end, once it has come."""
        if self._runner is None or self._runner.poll() is None:
            return
        status, self._runner = self._runner.returncode, None
        try:
            with self._path("errors").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - WORDS))
                words = file.read().decode("utf-8", "replace")
        except OSError:
            words = ""
        self._end(status, words)

    def _end(self, status: int, errors: str) -> None:
        free = shutil.disk_usage(str(self._folder)).free
        self._path("job").unlink()  # on a full disk its block is room for the next line
        write_whole(self._path("end"), {"status": status, "errors": errors, "free_bytes": free})


def die_with_keeper() -> None:
    """Let the kernel end this process when its parent dies, however that dies."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):  # no Linux
        pass


if __name__ == "__main__":
    main()
