"""What the user probably meant: the end of a sentence about an unknown name."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that comes nearest, or all of them: `did you mean "train"?`."""
    names = list(known)
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), lowered, n=1)
    if close:
        return f'did you mean "{lowered[close[0]]}"?'
    return f"expected one of {', '.join(names)}"
