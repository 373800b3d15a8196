"""Which students a search looks at, and how long they may train."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from compress.settings.expect import expect


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Searching:
    """Which students a search looks at, and how long they may train.

    Attributes:
        students: Families to look at: zoo names, torchvision:NAME, timm:NAME or file.py:factory
            [the zoo's].
        widths: Width multipliers of families that have one.
        search_students: Candidates that are trained at most, of those that may meet the goals.
        search_epochs: Student epochs that all candidates may take together [4 times distill's
            epochs].
    """

    students: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = ()
    widths: Annotated[tuple[float, ...], Parameter(consume_multiple=True, negative="")] = (
        0.25,
        0.5,
        1.0,
        2.0,
    )
    search_students: int = 8
    search_epochs: int | None = None

    def check(self) -> None:
        """Refuse numbers that no search can use.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        widths = self.widths
        usable = bool(widths) and all(0 < width <= 16 for width in widths)
        expect("widths", widths, usable, "numbers above 0 and up to 16")
        expect("search_students", self.search_students, self.search_students >= 1, "1 or more")
        epochs = self.search_epochs
        expect("search_epochs", epochs, epochs is None or epochs >= 1, "1 or more")
