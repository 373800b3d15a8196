"""The doctor's findings for people: the worst first, each with its reason and what to do."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_INDENT = 10  # below the words of a finding, past its status
_STYLES = {"fail": "bold red", "warn": "yellow", "unknown": "dim", "ok": "green"}


def render_doctor(content: Mapping[str, Any], console: "Console") -> None:
    """Print the machine, then a finding after another.

    Args:
        content: what `--json` prints.
        console: colours where it is a terminal.
    """
    from rich.text import Text

    console.print(headline(content), markup=False, soft_wrap=True)
    for finding in content["findings"]:
        line = Text.assemble(
            ("  " + finding["status"].ljust(_INDENT - 2), _STYLES[finding["status"]]),
            f"{finding['check']}: {finding['found']}",
        )
        console.print(line, soft_wrap=True)
        for word, style in (("why", "dim"), ("what_to_do", "")):
            if finding[word]:
                _print_below(Text(finding[word], style=style), console)


def _print_below(text: "Text", console: "Console") -> None:
    """Indented; wrapped where a person reads, on one line where a program does."""
    from rich.padding import Padding

    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, _INDENT)))
    else:
        console.print(" " * _INDENT, text, sep="", soft_wrap=True)


def headline(content: Mapping[str, Any]) -> str:
    """The target, and what it is."""
    machine = content["machine"]
    if machine is None:
        return f"{content['target']}: not reached"
    if machine["emulated"]:  # its memory and kernel are the host's
        return f"{content['target']}: {machine['cpu']}, emulated"
    parts = [machine["cpu"], f"{machine['cores']} cores"]
    if machine["memory_bytes"]:
        parts.append(f"{machine['memory_bytes'] / 2**30:.1f} GiB")
    parts.append(machine["kernel"])
    return f"{content['target']}: {', '.join(parts)}"
