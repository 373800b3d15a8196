"""The names of the changes of --for-edge: files of compress/models/edge/, not imported here."""

from pathlib import Path

from compress.errors import UsageError
from compress.suggest import did_you_mean

ALL = "all"
_CHANGES = Path(__file__).parents[1] / "models" / "edge"


def list_edge_changes() -> tuple[str, ...]:
    """Names of the files, which are the values of --edge-changes."""
    return tuple(sorted(path.stem for path in _CHANGES.glob("[!_]*.py")))


def parse_edge_changes(text: str) -> tuple[str, ...]:
    """The changes that --edge-changes names, in the order given, each once.

    Raises:
        UsageError: an unknown name, or none at all.
    """
    known = list_edge_changes()
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if names == (ALL,):
        return known
    for name in names:
        if name not in known:
            raise UsageError(
                f"--edge-changes {text}: expected all, or some of {', '.join(known)}, found "
                f"{name}; {did_you_mean(name, (ALL, *known))}"
            )
    if not names:
        raise UsageError(f"--edge-changes: expected all, or some of {', '.join(known)}, found none")
    return names
