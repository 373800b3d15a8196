"""Counts, lists of names and reasons as sentences show them."""

from collections.abc import Sequence

_BYTE_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def counted(count: int, noun: str) -> str:
    """A number with its noun: `1 image`, `2,000 images`, `3 classes`."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{count:,} {noun if count == 1 else plural}"


def some(names: Sequence[str], limit: int = 3) -> str:
    """The first `limit` names and how many more; bytes that are no text are shown as escapes."""
    shown = [name.encode("utf-8", "backslashreplace").decode() for name in names[:limit]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def reason(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def size_text(size_bytes: float) -> str:
    """Bytes for people, in powers of ten, with three digits."""
    for factor, unit in _BYTE_UNITS:
        if size_bytes >= factor:
            return f"{size_bytes / factor:.3g} {unit}"
    return f"{size_bytes:.0f} bytes"


def duration_text(seconds: float) -> str:
    """A rough duration for people."""
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
