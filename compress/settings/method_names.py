"""The names of the distillation methods: files of compress/distill/losses/, not imported here."""

from pathlib import Path

_LOSSES = Path(__file__).parents[1] / "distill" / "losses"


def list_methods() -> tuple[str, ...]:
    """Names of the files, which are the values of --method."""
    return tuple(sorted(path.stem for path in _LOSSES.glob("[!_]*.py")))
