"""Why a board cannot be reached, in one sentence, from the last words of ssh or of its shell."""

import re
import shlex

from compress_bench.remote.address import Address

_PYTHON = r"(?m)^compress found Python (\d[\d.]*)\s*$"
# What ssh says (in its own English); what was found; what to do.
_REFUSALS = (
    (
        r"Could not resolve hostname",
        "found no host of that name",
        "check the name, or give the address",
    ),
    (
        r"Connection refused",
        "found that nothing listens there",
        "check the port, or switch ssh on there (Debian: apt install openssh-server; Raspberry Pi: "
        "raspi-config, Interface Options)",
    ),
    (
        r"timed out|No route to host|Network is unreachable",
        "found that nothing answers",
        "check that it is switched on and in this network",
    ),
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "found another host key than before",
        "if the board was set up anew, forget the old key ({forget}), then connect "
        "once by hand: {by_hand}",
    ),
    (
        r"Host key verification failed",
        "found a host key that is not known here yet",
        "connect once by hand and compare it: {by_hand}",
    ),
    (
        r"Permission denied|Too many authentication failures",
        "found that it takes none of this user's keys, and a password cannot be asked for",
        "copy a key there: {copy_id}",
    ),
)


def explain(address: Address, status: int | None, words: str) -> str:
    """The sentence.

    Args:
        address: of the board.
        status: that ssh ended with; None: it was silent for too long.
        words: what came through its standard error.
    """
    subject = f"{address.reference}: expected a board that can be reached"
    named = {
        "by_hand": address.by_hand,
        "copy_id": address.command("ssh-copy-id"),
        "forget": _forget(address, words),
    }
    if status is None:
        return f"{subject}, found no answer within the time; {_see(address)}"
    old = re.search(_PYTHON, words)
    if old is not None or "Unknown option: -I" in words:
        return (
            f"{address.reference}: expected Python 3.8 or newer there, found "
            f"{'2' if old is None else old[1]}; "
            "name a newer one with ?python=/path/to/python3"
        )
    if status in (126, 127) or (status != 255 and re.search("not found|No such file", words)):
        return (
            f"{address.reference}: expected {address.python} there, found none; install it "
            "(Debian: apt install python3), or name another with ?python=/path/to/python3"
        )
    for pattern, found, remedy in _REFUSALS:
        if re.search(pattern, words):
            return f"{subject}, {found}; {remedy.format(**named)}"
    last = words.strip().split("\n")[-1].strip() or "none"
    return f"{subject}, found that ssh ended with status {status} ({last}); {_see(address)}"


def _forget(address: Address, words: str) -> str:
    """The command that removes a host key, by the name and from the file that ssh has told."""
    plain = address.port in ("", "22")
    known_as = address.host if plain else f"[{address.host}]:{address.port}"
    told = re.search(r"Host key for (\S+) has changed", words)
    file = re.search(r"Offending \S+ key in (.+):\d+", words)
    place = f" -f {shlex.quote(file[1])}" if file else ""
    return f"ssh-keygen -R {shlex.quote(told[1] if told else known_as)}{place}"


def _see(address: Address) -> str:
    return f"see what {address.by_hand} says"
