"""A search as the page shows it."""

from dataclasses import dataclass

from compress_bench.report.filling import Picture, Tile, file_uri, pictures_of
from compress_bench.report.search import reading, words
from compress_bench.report.search.figures import draw_all
from compress_bench.report.search.reading import Content, Tried
from compress_bench.report.search.rows import Group, groups
from compress_bench.report.verdict import Goal


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to copy to train a candidate.

    Attributes:
        name: of the candidate.
        text: YAML.
        file: name to save it under.
        address: of a link that saves it.
    """

    name: str
    text: str
    file: str
    address: str


@dataclass(frozen=True, kw_only=True)
class SearchSection:
    """Everything that the template places.

    Attributes:
        status: pass, fail, inconclusive or no_goals, for the mark.
        said: the outcome first, then what the search remarked and the distances.
        tiles: key figures.
        pictures: drawn figures.
        best: the winner, or the nearest, or the one to start with, in words; or "".
        goals: those of the best one, as judged last.
        groups: tables of candidates, by how far they came.
        recipe: of the winner, or before training of the one to start with; None where none is.
        how: goals, images and effort, as pairs.
    """

    status: str
    said: tuple[str, ...]
    tiles: list[Tile]
    pictures: list[Picture]
    best: str
    goals: tuple[Goal, ...]
    groups: tuple[Group, ...]
    recipe: Recipe | None
    how: tuple[tuple[str, str], ...]


def search_section(content: Content) -> SearchSection:
    """A search's JSON, ready for the template.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    found = reading.best(content)
    return SearchSection(
        status=reading.status(content),
        said=words.said(content),
        tiles=words.tiles(content),
        pictures=pictures_of(draw_all, content),
        best="" if found is None else words.named(found),
        goals=() if found is None else _goals(found),
        groups=groups(content),
        recipe=None if found is None or not found.recipe else _recipe(found),
        how=words.how(content),
    )


def _goals(found: Tried) -> tuple[Goal, ...]:
    return tuple(Goal(aim.status, aim.variant, aim.metric, aim.sentence, "") for aim in found.aims)


def _recipe(found: Tried) -> Recipe:
    trained = "winner.yaml" if found.won else "nearest.yaml"
    file = "recipe.yaml" if found.epochs is None else trained
    address = file_uri(found.recipe, "application/yaml")
    return Recipe(name=words.named(found), text=found.recipe, file=file, address=address)
