"""The recipe that makes one candidate: the user's, with another student."""

import json
from typing import Any

from compress.recipes import Recipe
from compress.search.candidate import Candidate
from compress.stage import dump

# What a recipe says of its own student, which is not the candidate's.
_OF_STUDENT = (
    *("student", "model_args", "for_edge"),
    *("weights", "pretrained", "replace_head", "freeze"),
)
_OF_TUNING = ("tune", "tune_epochs")
_HEAD = "# The recipe of {name}, which a search found; run it with: compress run RECIPE.yaml\n"


def recipe_of(recipe: Recipe, candidate: Candidate) -> Recipe:
    """The whole recipe with the candidate as its student, and without a search."""
    asked = recipe.get("distill", {})
    gone = {*_OF_STUDENT, *_OF_TUNING, *(() if candidate.for_edge else ("edge_changes",))}
    left = {key: value for key, value in asked.items() if key not in gone}
    sections = {name: section for name, section in recipe.items() if name != "search"}
    return {**sections, "distill": {**candidate.flags(), **left}}


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
