"""Which views of an image a network sees."""

from dataclasses import dataclass
from typing import Literal

from cyclopts import Parameter

from compress.errors import UsageError
from compress.settings.expect import expect

Kind = Literal["crop+flip", "crop", "flip", "resized-crop+flip", "resized-crop", "none"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Augmenting:
    """Which views of an image a network sees; each a pure function of (seed, view, index).

    Attributes:
        augment: Geometry: crop (shifts by up to an eighth), resized-crop (enlarges 35 to 100 % of
            the area), flip, or none.
        randaugment: Magnitude of RandAugment's two operations, 0 to 30; 0 switches it off.
        erasing: Probability that a rectangle of a view is filled with noise.
        mixup: Alpha of the Beta that blends two images; 0 switches it off.
        cutmix: Alpha of the Beta that pastes a part of another image; 0 switches it off. With
            mixup on too, a fair coin decides for each view.
        views: Augmented views of each image, used in turn; 0 or exact makes a new one every epoch.
        view_size: Height and width of a view in pixels; by default what the networks need.
    """

    augment: Kind = "crop+flip"
    randaugment: float = 0.0
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    views: int | Literal["exact"] = 0
    view_size: int | None = None

    def check(self) -> None:
        """Refuse numbers that no augmentation can use.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        expect("randaugment", self.randaugment, 0 <= self.randaugment <= 30, "0 to 30")
        expect("erasing", self.erasing, 0 <= self.erasing <= 1, "a probability")
        for name in ("mixup", "cutmix"):
            value = getattr(self, name)
            expect(name, value, 0 <= value <= 1000, "0 to 1000")  # beyond, every share is a half
        if self.views != "exact":
            expect("views", self.views, self.views >= 0, "0 or more, or exact")
        size = self.view_size
        expect("view_size", size, size is None or size >= 1, "1 or more")

    def views_in_turn(self) -> int:
        """How many views are reused; 0 where every epoch has its own."""
        return 0 if self.views == "exact" else self.views

    def view_of(self, epoch: int) -> int:
        """The number of the view that `epoch` (from 0) shows."""
        reused = self.views_in_turn()
        return epoch % reused if reused else epoch

    def view_count(self, epochs: int) -> int:
        """How many different views `epochs` epochs show."""
        return min(self.views_in_turn() or epochs, epochs)

    def refuse_random(self, why: str) -> None:
        """Refuse any augmentation, for answers that were given to the plain images.

        Raises:
            UsageError: something random is switched on.
        """
        for name in ("randaugment", "erasing", "mixup", "cutmix"):
            if getattr(self, name):
                raise UsageError(f"--{name} {getattr(self, name):g}: expected 0; {why}")
        if self.augment != "none":
            raise UsageError(f"--augment {self.augment}: expected none; {why}")
