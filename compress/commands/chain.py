"""The whole chain, and the recipe to start it from."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from compress.errors import UsageError
from compress.extras import needs
from compress.flags import Goals, Output, Overrides
from compress.show import check_exported_cores, finish_report, make_progress, show


def run(
    recipe: Annotated[Path | None, Parameter(metavar="RECIPE.yaml")] = None,
    /,
    *,
    wanted: Goals = Goals(),
    overrides: Overrides = Overrides(),
    output: Output = Output(),
) -> None:
    """Run the whole chain; without a recipe on the embedded images, with nothing to download."""
    from compress.recipes import load_recipe, override

    path = recipe or output.recipe
    sections = override(load_recipe(path), overrides.given())
    if wanted.given():
        sections["search"] = {**sections.get("search", {}), **wanted.given()}
    if wanted.goals or wanted.search:
        sections = _with_goals(sections, wanted.goals)
    source, out = str(path or "demo.yaml"), overrides.out or Path("compress-run")
    if wanted.search:
        _search(sections, source, out, overrides, output)
        return
    from compress.chain import BUNDLE, run_chain

    report = run_chain(
        sections,
        source=source,
        out=out,
        force=overrides.force,
        progress=make_progress(output),
    )
    finish_report(report, out, output)
    check_exported_cores(out / BUNDLE)


def _with_goals(recipe: dict[str, Any], path: Path | None) -> dict[str, Any]:
    """The recipe with the limits of a file in the place of its own: of --goals, or of bench's."""
    from compress_bench.verdict.goals import read_goals, write_goals

    bench = dict(recipe.get("bench", {}))
    named = bench.pop("goals", None)
    file = path or (Path(named) if named else None)
    if file is None:
        return recipe
    stages = {**recipe, "bench": bench} if "bench" in recipe else recipe
    return {**stages, "goals": write_goals(read_goals(file))}


def _search(
    recipe: dict[str, Any], source: str, out: Path, overrides: Overrides, output: Output
) -> None:
    """The chain with a search in place of the recipe's student."""
    with needs("export"):
        from compress.search_chain import run_search
        from compress.show_found import finish_search
    found = run_search(
        recipe, source=source, out=out, force=overrides.force, progress=make_progress(output)
    )
    finish_search(found.search, found.report, out, output)


def init(
    path: Annotated[Path, Parameter(metavar="RECIPE.yaml")] = Path("recipe.yaml"),
    /,
    *,
    force: Annotated[bool, Parameter(negative="")] = False,
    output: Output = Output(),
) -> None:
    """Write a commented recipe to start from.

    Args:
        path: Where to.
        force: Replace the file if it exists.
    """
    from compress.artifacts import write_text
    from compress.recipes import demo_recipe

    if path.exists() and not force:
        raise UsageError(f"{path}: exists already; choose another name or give --force")
    write_text(path, demo_recipe())
    show(output, {"recipe": str(path)}, f"{path} written; run it with: compress run {path}")
