"""Flags that are no settings: how a command talks, and what `compress run` overrides."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from compress.errors import UsageError


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


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Goals:
    """Flags of `compress run` about what is to be reached.

    Attributes:
        goals: TOML file with limits per variant, in place of the recipe's.
        search: Look for the student that meets the goals, in place of the recipe's student.
        students: Families that a search looks at: zoo names, torchvision:NAME, timm:NAME or
            file.py:factory [the zoo's].
        widths: Width multipliers of families that have one [0.25 0.5 1 2].
        search_students: Candidates that a search trains at most, of those that may meet the goals
            [8].
        search_epochs: Student epochs that all candidates may take together [4 times distill's].
    """

    goals: Path | None = None
    search: Annotated[bool, Parameter(negative="")] = False
    students: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True, negative="")] = (
        None
    )
    widths: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=True, negative="")] = (
        None
    )
    search_students: int | None = None
    search_epochs: int | None = None

    def given(self) -> dict[str, Any]:
        """The flags of a search that were given, as keys of a recipe's `search` section.

        Raises:
            UsageError: one was given without --search.
        """
        values = {k: v for k, v in asdict(self).items() if k not in ("goals", "search")}
        found = {key: value for key, value in values.items() if value is not None}
        if found and not self.search:
            flag = next(iter(found)).replace("_", "-")
            raise UsageError(f"--{flag}: expected --search as well, found none; give it too")
        return {key: list(v) if isinstance(v, tuple) else v for key, v in found.items()}
