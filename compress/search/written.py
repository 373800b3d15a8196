"""The recipe that makes one candidate: the user's, with another student."""

import json
from typing import Any

from compress.recipes import Recipe
from compress.search.candidate import Candidate
from compress.stage import dump

# What a recipe says of its own student, which is not the candidate's.
_NETWORK = ("student", "model_args", "for_edge")
_WEIGHTS = ("weights", "pretrained", "replace_head", "freeze")
_OF_TUNING = ("tune", "tune_epochs")
# What the winner's recipe keeps, for whoever runs it, and a search does not do.
_LATER = {"runs": 1, "with_baseline": False}
_HEAD = "# The recipe of {name}, a candidate of a search; run it with: compress run RECIPE.yaml\n"


def recipe_of(recipe: Recipe, candidate: Candidate) -> Recipe:
    """The whole recipe with the candidate as its student, and without a search."""
    asked = recipe.get("distill", {})
    gone = {*_NETWORK, *_WEIGHTS, *_OF_TUNING, *(() if candidate.for_edge else ("edge_changes",))}
    left = {key: value for key, value in asked.items() if key not in gone}
    sections = {name: section for name, section in recipe.items() if name != "search"}
    return {**sections, "distill": {**candidate.flags(), **left}}


def left_out(recipe: Recipe) -> tuple[str, ...]:
    """What a recipe asks of its own student and a search does not do, in sentences."""
    asked = recipe.get("distill", {})
    own = [key for key in (*_WEIGHTS, *_OF_TUNING) if asked.get(key)]
    later = [key for key, usual in _LATER.items() if asked.get(key) not in (None, usual)]
    said = [f"search: candidates are trained without distill's {', '.join(own)}"] if own else []
    if later:
        said.append(f"search: distill's {', '.join(later)}: left to whoever runs the recipe found")
    return tuple(said)


def recipe_text(recipe: Recipe, candidate: Candidate) -> str:
    """The same as YAML that can be copied and run."""
    content = {
        name: {key: _readable(key, value) for key, value in section.items()}
        for name, section in recipe_of(recipe, candidate).items()
    }
    return _HEAD.format(name=candidate.name) + dump(content)


def _readable(key: str, value: Any) -> Any:
    """Arguments and methods as people write them, where the flags take JSON."""
    if isinstance(value, str) and key.endswith("_args"):
        return json.loads(value)
    if key == "method" and isinstance(value, list | tuple):
        return [json.loads(one) if str(one).startswith("{") else one for one in value]
    return value
