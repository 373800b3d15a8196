"""Which board, as `--target ssh://...` names it, and the ssh command that reaches it."""

import re
import shlex
from dataclasses import dataclass
from urllib.parse import unquote

from compress.errors import UsageError
from compress.suggest import did_you_mean

FORM = "ssh://user@host, ssh://user@host:port, or either with ?python=/path/to/python3"
_PATTERN = re.compile(
    r"ssh://(?:(?P<user>[^@/?:]+)@)?(?P<host>\[[0-9a-fA-F:.]+(?:%[\w.-]+)?\]|[^@/?:]+)"
    r"(?::(?P<port>\d+))?/?(?:\?(?P<query>.*))?"
)
_KEYS = ("python", "config")
CONNECT_SECONDS = 10
# A link without an answer for 45 s is taken for dropped.
_OPTIONS = {
    "BatchMode": "yes",  # nobody is there to type a password
    "ConnectTimeout": str(CONNECT_SECONDS),
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "3",
    # The user's own configuration may forward, share or start things that end with our connection.
    "ControlMaster": "no",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "LogLevel": "ERROR",
}


@dataclass(frozen=True)
class Address:
    """A board.

    Attributes:
        host: name or address, or an alias of ssh's configuration.
        user: empty: ssh's own choice.
        port: likewise.
        python: there; `~/` is its user's home.
        config: a file for `ssh -F`; empty: the user's own.
    """

    host: str
    user: str = ""
    port: str = ""
    python: str = "python3"
    config: str = ""

    @property
    def reference(self) -> str:
        """As the user named it, without what only helps to reach it: paths of two machines."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"ssh://{user}{host}{f':{self.port}' if self.port else ''}"

    @property
    def login(self) -> str:
        """As a person gives it to ssh."""
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def by_hand(self) -> str:
        """The command that a person connects with."""
        return self.command("ssh")

    def command(self, program: str) -> str:
        """What a person types for a program that takes ssh's flags."""
        port = f"-p {self.port} " if self.port else ""
        config = f"-F {shlex.quote(self.config)} " if self.config else ""
        return f"{program} {config}{port}{shlex.quote(self.login)}"


def parse_address(reference: str) -> Address:
    """Read a reference.

    Raises:
        UsageError: it is not of the form, or has an unknown key.
    """
    found = _PATTERN.fullmatch(reference)
    if found is None or (found["user"] or "").startswith("-") or found["host"].startswith("-"):
        raise UsageError(f"--target {reference}: expected {FORM}")
    parts = (part.partition("=") for part in (found["query"] or "").split("&") if part)
    query = {key: unquote(value) for key, _, value in parts}  # a plus is a plus, as in /opt/c++
    for key in query:
        if key not in _KEYS:
            raise UsageError(f"--target {reference}: {key}: {did_you_mean(key, _KEYS)}")
    return Address(
        host=found["host"].strip("[]"),
        user=found["user"] or "",
        port=found["port"] or "",
        python=query.get("python") or "python3",
        config=query.get("config", ""),
    )


def ssh_command(address: Address, command: str) -> list[str]:
    """What to run on this machine for a command on the board."""
    words = ["ssh", "-T"]
    words += ["-F", address.config] if address.config else []
    words += [word for key, value in _OPTIONS.items() for word in ("-o", f"{key}={value}")]
    words += ["-p", address.port] if address.port else []
    words += ["-l", address.user] if address.user else []
    return [*words, "--", address.host, command]


def python_command(address: Address, source_bytes: int) -> str:
    """What the board's shell is to run: Python, which reads its program from standard input.

    Shells of all kinds take it: single quotes, and nothing within them that one would change.
    """
    start = "~/" if address.python.startswith("~/") else ""
    python = start + shlex.quote(address.python[len(start) :])
    program = (
        "import sys;v=sys.version_info;"
        'v>=(3,8) or sys.exit("compress found Python %d.%d"%(v[0],v[1]));'
        f"exec(sys.stdin.buffer.read({source_bytes}))"
    )
    return f"{python} -I -c '{program}'"
