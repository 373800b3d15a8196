"""Flags that are no settings: how a command talks, and what `compress run` overrides."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Output:
    """How a command talks; never part of a recipe.

    Attributes:
        json: Print the result as one JSON object on standard output, and nothing else there.
        verbose: Say more on standard error.
        quiet: Say nothing but errors.
        debug: Show the traceback of any error.
        recipe: Take what the flags leave open from this recipe's section for the command.
    """

    json: Annotated[bool, Parameter(negative="")] = False
    verbose: Annotated[bool, Parameter(alias="-v", negative="")] = False
    quiet: Annotated[bool, Parameter(alias="-q", negative="")] = False
    debug: Annotated[bool, Parameter(negative="")] = False
    recipe: Path | None = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Flags of `compress run` that take the place of a recipe's keys in every stage.

    Attributes:
        out: Folder for all results [compress-run].
        force: Run stages again although they are finished.
        data: Images, in place of the recipe's.
        seed: Seed, in place of the recipe's.
        threads: CPU threads, in place of the recipe's.
        device: cpu, cuda or auto, in place of the recipe's.
    """

    out: Annotated[Path | None, Parameter(alias="-o")] = None
    force: Annotated[bool, Parameter(negative="")] = False
    data: str | None = None
    seed: int | None = None
    threads: int | None = None
    device: str | None = None

    def given(self) -> dict[str, Any]:
        """The flags that were given, as keys of a recipe's `run` section."""
        values = {key: value for key, value in asdict(self).items() if key not in ("out", "force")}
        return {key: value for key, value in values.items() if value is not None}
