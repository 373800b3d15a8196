"""How a settings class refuses a value: flag, expected, found."""

from compress.errors import UsageError


def expect(name: str, value: object, fits: bool, expected: str) -> None:
    """Refuse `value` unless it `fits`.

    Raises:
        UsageError: names the flag, what it takes and what it was given.
    """
    if not fits:
        flag = name.replace("_", "-")
        raise UsageError(f"--{flag}: expected {expected}, found {value}")
