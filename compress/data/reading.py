"""How a source of images is read: what the user may set, checked once."""

from dataclasses import dataclass

from compress.errors import UsageError
from compress.progress import SILENT, Progress
from compress.settings import Resize


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Settings that every source shares.

    Attributes:
        seed: seed of the splits that are cut here.
        val_fraction: share of train that becomes validation where the data has none.
        test_fraction: share of unsplit images that becomes test.
        max_bad: share of unreadable images up to which they are skipped.
        resize: how images of other shapes meet a size: "crop" or "stretch".
        progress: where the reading is shown.
    """

    seed: int = 0
    val_fraction: float = 0.1
    test_fraction: float = 0.2
    max_bad: float = 0.01
    resize: Resize = "crop"
    progress: Progress = SILENT

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            UsageError: a fraction out of range, a negative seed, or an unknown resize rule.
        """
        for name in ("val_fraction", "test_fraction"):
            value = getattr(self, name)
            if not 0.0 < value < 1.0:
                raise UsageError(f"{name}: expected a share over 0 and under 1, found {value}")
        if not 0.0 <= self.max_bad <= 1.0:
            raise UsageError(f"max_bad: expected a share from 0 to 1, found {self.max_bad}")
        if self.seed < 0:
            raise UsageError(f"seed: expected 0 or more, found {self.seed}")
        if self.resize not in ("crop", "stretch"):
            raise UsageError(f"resize: expected crop or stretch, found {self.resize}")
