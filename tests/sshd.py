"""A real sshd on loopback, for the tests of boards behind ssh; needs no root."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compress_bench.remote.lock import VARIABLE

PROGRAM = shutil.which("sshd") or "/usr/sbin/sshd"


class Sshd:
    """A server with a host key, an accepted key, and a home of its own for caches.

    Attributes:
        folder: everything it needs.
        port: on 127.0.0.1.
        cache: the board's folder of files.
        lock: its lock's file.
    """

    def __init__(self, folder: Path) -> None:
        """Make the keys, and start it."""
        self.folder = folder
        self.port = _free_port()
        self.cache = folder / "cache"
        self.lock = folder / "lock"
        for name in ("host", "user", "stranger"):
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(keygen, check=True)
        shutil.copy(folder / "user.pub", folder / "authorized")
        self.know(folder / "host.pub")
        self.start()

    def start(self) -> None:
        """Listen; returns once it does."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # root's sshd looks for it
        (self.folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nStrictModes no\nUsePAM no\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n"
            f"SetEnv XDG_CACHE_HOME={self.cache} {VARIABLE}={self.lock} PYTHONHASHSEED=0\n"
        )
        with (self.folder / "log").open("ab") as log:
            command = [PROGRAM, "-D", "-e", "-f", str(self.folder / "sshd_config")]
            self.process = subprocess.Popen(command, stderr=log)
        while not _answers(self.port):
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)

    def know(self, public: Path) -> None:
        """Let the client know this host key."""
        kind, key, *_ = public.read_text().split()
        (self.folder / "known").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def reference(self, *, identity: str = "user", python: str = sys.executable) -> str:
        """For --target, with a configuration that offers one key only."""
        config = self.folder / f"ssh_config_{identity}"
        config.write_text(
            f"Host *\n  IdentityFile {self.folder}/{identity}\n  IdentitiesOnly yes\n"
            f"  IdentityAgent none\n  UserKnownHostsFile {self.folder}/known\n"
            "  GlobalKnownHostsFile none\n  StrictHostKeyChecking ask\n"
        )
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}?python={python}&config={config}"

    def sessions(self) -> list[int]:
        """The processes that sshd has for connections."""
        return children(self.process.pid)

    def drop_links(self) -> None:
        """Kill every connection's processes, as if the links were cut; it goes on to listen."""
        for pid in self.sessions():
            for one in (*children(pid), pid):
                # The board's own program is not sshd's: it finds out by itself.
                if _command(one).startswith(b"sshd"):
                    with suppress(ProcessLookupError):
                        os.kill(one, signal.SIGKILL)

    def stop(self) -> None:
        """Take it down, with its connections."""
        self.drop_links()
        self.process.kill()
        self.process.wait()

    def runners(self) -> list[int]:
        """Measuring processes that were started from this board's files."""
        mark = f"{self.cache}/compress-bench/files/".encode()
        return [pid for pid in _pids() if mark in _command(pid)]


def children(parent: int) -> list[int]:
    """Processes that a process has started."""
    found = []
    for pid in _pids():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(pid)
    return found


@contextmanager
def running() -> Iterator[Sshd]:
    """An sshd for as long as it takes; its folder is short, as paths of sockets are."""
    with tempfile.TemporaryDirectory(prefix="sshd-") as folder:
        server = Sshd(Path(folder))
        try:
            yield server
        finally:
            server.stop()


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
