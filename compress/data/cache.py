"""The folder where reading leaves what would be slow to find again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`edge-compress` in $XDG_CACHE_HOME, or in ~/.cache where that is not an absolute path."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "edge-compress"
