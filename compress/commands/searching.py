"""The command of a search before training: suggest."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from compress.errors import UsageError
from compress.extras import needs
from compress.flags import Output
from compress.show import make_progress


def suggest(
    *,
    goals: Path | None = None,
    target: str | None = None,
    students: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    widths: Annotated[tuple[float, ...], Parameter(consume_multiple=True, negative="")] = (),
    data: str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    device: str | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    output: Output = Output(),
) -> None:
    """Say which students can meet the goals, before any training.

    Latency, size and memory do not depend on weights: students of each family and width are
    exported with random weights, quantised, and measured on the target in seconds each.

    Args:
        goals: TOML file with limits per variant; they may also be in the recipe.
        target: Where to measure: local, ssh://user@board, or emulate:cortex-a53 and the like.
        students: Families to look at: zoo names, torchvision:NAME, timm:NAME or file.py:factory
            [the zoo's].
        widths: Width multipliers of families that have one [0.25 0.5 1 2].
        data: Images, in place of the recipe's [demo].
        seed: Of weights and of the order within rounds, in place of the recipe's.
        threads: CPU threads of one inference, in place of the recipe's [1].
        device: cpu, cuda or auto, in place of the recipe's.
        force: Measure again, and replace the recipe of an earlier suggest although it was edited.
        out: Folder for the recipe to start from, search.json and its page [printed alone].
    """
    from compress.recipes import load_recipe
    from compress_bench.verdict.goals import parse_goals, read_goals

    with needs("export"):
        from compress.search.suggest import suggest as stage
        from compress.show_search import finish_suggestion

    source = str(output.recipe or "demo.yaml")
    recipe = load_recipe(output.recipe)
    # A file of goals that the recipe names would go before those that are judged here.
    named = recipe.get("bench", {}).pop("goals", None)
    file = goals or named
    written = recipe.get("goals") if output.recipe else None
    limits = read_goals(Path(file)) if file else parse_goals(written or {}, f"{source}: goals")
    if not limits:
        raise UsageError(
            "--goals: expected a TOML file with limits, found none; write one such as "
            '[student_int8] "latency.p50" = { max = "5 ms" }'
        )
    given: dict[str, Any] = {"students": students, "widths": widths}
    recipe = _with(recipe, {"data": data, "seed": seed, "threads": threads, "device": device})
    recipe["search"] = recipe.get("search", {}) | {k: list(v) for k, v in given.items() if v}
    if target is not None:
        recipe = {**recipe, "bench": {**recipe.get("bench", {}), "target": target}}
    progress = make_progress(output)
    found = stage(recipe, limits, out, source=source, force=force, progress=progress)
    finish_suggestion(found, out, output)


def _with(recipe: dict[str, dict[str, Any]], flags: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The flags that were given in the shared section, and in no other: the recipe is printed."""
    given = {key: value for key, value in flags.items() if value is not None}
    cleared = {
        name: section
        if name == "goals"
        else {key: value for key, value in section.items() if key not in given}
        for name, section in recipe.items()
    }
    return {"run": {**cleared.pop("run", {}), **given}, **cleared}
