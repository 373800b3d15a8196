"""Counts, lists of names and reasons as sentences show them."""

from collections.abc import Sequence


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
