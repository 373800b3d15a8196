"""What bench measures and against what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Bench:
    """What bench measures and against what.

    Attributes:
        reference: Variant that the others are compared with; teacher, or the first file.
        goals: TOML file with limits per variant.
        profile: quick, standard or strict: more rounds and processes give narrower intervals.
        processes: Fresh processes; each gives one mean to the interval.
        batch_size: Images an inference.
    """

    reference: str | None = None
    goals: Path | None = None
    profile: Literal["quick", "standard", "strict"] = "standard"
    processes: int | None = None
    batch_size: int = 1
