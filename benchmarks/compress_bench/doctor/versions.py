"""Version numbers as tuples, so that 1.9 is older than 1.21."""

import re


def parse(version: str) -> tuple[int, ...]:
    """The numbers of a version: 1.21.0 of "1.21.0rc1+cpu"."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def within(version: str | None, low: str, high: str) -> bool:
    """Whether low <= version < high; an unknown version lies nowhere, an empty bound is none."""
    if not version:
        return False
    found = parse(version)
    return (not low or found >= parse(low)) and (not high or found < parse(high))
