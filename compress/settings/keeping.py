"""How the teacher's answers are kept on disk, so that it is asked once."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from compress.settings.expect import expect


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How the teacher's logits are kept.

    Attributes:
        top_k: Keep the K largest logits of an image, and the rest's mass at each of
            --temperatures; 0 keeps all logits; by default all up to 512 classes, else 32.
        temperatures: Temperatures at which top-k logits will be used.
        spot_check: Share of the kept entries that is held against the live teacher.
    """

    top_k: int | None = None
    temperatures: Annotated[tuple[float, ...], Parameter(consume_multiple=True)] = (1.0,)
    spot_check: float = 0.01

    def check(self) -> None:
        """Refuse numbers that nothing can be kept by.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        expect("top_k", self.top_k, self.top_k is None or self.top_k >= 0, "0 or more")
        fits = all(0 < t < float("inf") for t in self.temperatures)
        expect("temperatures", self.temperatures, fits, "numbers above 0")
        expect("spot_check", self.spot_check, 0 <= self.spot_check <= 1, "a share from 0 to 1")
