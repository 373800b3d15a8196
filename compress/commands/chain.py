"""The whole chain, and the recipe to start it from."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from compress.errors import UsageError
from compress.flags import Output, Overrides
from compress.show import check_exported_cores, finish_report, make_progress, show


def run(
    recipe: Annotated[Path | None, Parameter(metavar="RECIPE.yaml")] = None,
    /,
    *,
    overrides: Overrides = Overrides(),
    output: Output = Output(),
) -> None:
    """Run the whole chain; without a recipe on the embedded images, with nothing to download."""
    from compress.chain import BUNDLE, run_chain
    from compress.recipes import load_recipe, override

    path = recipe or output.recipe
    sections = override(load_recipe(path), overrides.given())
    out = overrides.out or Path("compress-run")
    report = run_chain(
        sections,
        source=str(path or "demo.yaml"),
        out=out,
        force=overrides.force,
        progress=make_progress(output),
    )
    finish_report(report, out, output)
    check_exported_cores(out / BUNDLE)


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
