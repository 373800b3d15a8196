"""Recipes: YAML with a section per command, whose keys are the command's flags.

A recipe is data: nothing in it is imported or executed but a network that the user names as
`file.py:factory`. Unknown sections and keys are refused with a suggestion.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from cyclopts import App, CycloptsError
from cyclopts.config import Dict

from compress.errors import UsageError
from compress.settings import (
    Augmenting,
    Bench,
    Export,
    Keeping,
    Network,
    Run,
    Searching,
    Teachers,
    Teaching,
    Training,
    Tuning,
)
from compress.settings.method_blocks import write_blocks
from compress.stage import RESOLVED
from compress.suggest import did_you_mean

# Section -> what it may hold. `run` is shared by all stages; `goals` is checked by bench.
SECTIONS: Mapping[str, tuple[Any, ...]] = {
    "run": (Run,),
    "train": ("model", Run, Network, Training, Augmenting),
    "logits": ("epochs", "transfer", Run, Teachers, Augmenting, Keeping),
    "distill": (
        "student",
        *(Run, Network, Training, Augmenting, Teachers, Teaching, Keeping, Tuning),
    ),
    "export": ("subject", Run, Network, Export),
    "bench": (Run, Bench),
    "search": (Searching,),
    "pack": ("out", "profile", "threads", "fps", "time_cap", "seed"),
    "goals": (),
}
DEMO = "demo.yaml"

Recipe = dict[str, dict[str, Any]]
T = TypeVar("T")


def demo_recipe() -> str:
    """The text of the recipe that `compress run` follows when it is given none."""
    return (resources.files("compress") / DEMO).read_text()


def load_recipe(path: Path | None) -> Recipe:
    """Read and check a recipe; the embedded demo's where `path` is None.

    Raises:
        UsageError: the file is missing or not YAML, or names an unknown section or key.
    """
    source = str(path) if path else DEMO
    try:
        text = path.read_text() if path else demo_recipe()
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{source}: expected a YAML recipe, found {reason}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{source}: expected sections such as train:, found {content!r}")
    if text.startswith(RESOLVED):
        content = {name: _as_asked(name, section) for name, section in content.items()}
    return {name: _checked(name, section, source) for name, section in content.items()}


def _as_asked(name: str, section: Any) -> Any:
    """A stage's resolved settings without what the stage found out by itself, such as digests."""
    if name not in SECTIONS or not isinstance(section, dict):
        return section
    return {key: value for key, value in section.items() if key in keys_of(name)}


def _checked(name: str, section: Any, source: str) -> dict[str, Any]:
    _refuse_unknown(name, SECTIONS, f"{source}: section {name}")
    if not isinstance(section, dict):
        raise UsageError(f"{source}: section {name}: expected keys and values, found {section!r}")
    if name != "goals":
        known = keys_of(name)
        for key in section:
            _refuse_unknown(key, known, f"{source}: {name}.{key}")
    return {key: _flat(key, value) for key, value in section.items()}


def keys_of(section: str) -> list[str]:
    """The keys that a section may hold."""
    keys: list[str] = []
    for part in SECTIONS[section]:
        keys += [part] if isinstance(part, str) else [field.name for field in fields(part)]
    return [key for key in keys if key not in ("out", "force")]  # where, not what


def _refuse_unknown(name: object, known: Iterable[str], subject: str) -> None:
    known = list(known)
    if name not in known:
        raise UsageError(f"{subject}: unknown; {did_you_mean(str(name), known)}")


def _flat(key: str, value: Any) -> Any:
    """What may be written as YAML, as the flag takes it: arguments and methods are JSON there."""
    if key == "method":
        return write_blocks(value)
    if key == "check_cpu" and isinstance(value, list):
        return ",".join(map(str, value))
    return json.dumps(value) if key.endswith("_args") and isinstance(value, dict) else value


def override(recipe: Recipe, given: Mapping[str, Any]) -> Recipe:
    """The recipe with the flags of `compress run` in each section that has them, above its keys."""

    def flags_of(name: str) -> dict[str, Any]:
        known = keys_of(name)
        return {key: value for key, value in given.items() if key in known}

    sections: Recipe = {"run": {}, **recipe}
    return {name: {**section, **flags_of(name)} for name, section in sections.items()}


def section_of(recipe: Recipe, command: str) -> dict[str, Any]:
    """A command's section over the shared `run` section."""
    return {**recipe.get("run", {}), **recipe.get(command, {})}


def settings_from(section: Mapping[str, Any], kind: type[T], source: str) -> T:
    """A settings class filled from the keys of a section that it has, typed as by its flags.

    Raises:
        UsageError: a value of the wrong type.
    """
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    chosen = {key: value for key, value in section.items() if key in names and value is not None}

    def receive(*, settings: Any = None) -> Any:
        return settings if settings is not None else kind()

    receive.__annotations__["settings"] = kind
    config = Dict(chosen, source=source, use_commands_as_keys=False)
    app = App(default_command=receive, config=config, result_action="return_value")
    try:
        result: T = app([], exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise UsageError(" ".join(str(error).split())) from error
    return result
