"""The commands. Each turns its flags into settings, runs one stage, and shows the result.

Nothing heavy is imported here: `compress --help` answers at once, and `compress bench` works
where torch is not installed.
"""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from compress.errors import UsageError
from compress.explain import explain
from compress.extras import needs
from compress.flags import Output, Overrides
from compress.settings import (
    Augmenting,
    Bench,
    Export,
    Keeping,
    Network,
    Run,
    Teachers,
    Teaching,
    Training,
    Tuning,
)
from compress.settings.method_blocks import set_in_blocks
from compress.show import (
    finish_report,
    make_progress,
    show,
    show_bundle,
    show_checkpoint,
    show_foresight,
    show_logits,
    stdout,
    write_comparison,
    write_json_line,
)


def _from_recipe(app: App, commands: tuple[str, ...], arguments: Any) -> None:
    """Fill what the flags left open from the command's section of --recipe."""
    given = [a.tokens[0].value for a in arguments if "--recipe" in a.names and a.tokens]
    if given and commands and commands[-1] != "run":  # run reads the whole recipe itself
        from cyclopts.config import Dict

        from compress.recipes import load_recipe, section_of

        section = section_of(load_recipe(Path(given[0])), commands[-1])
        known = {name.removeprefix("--").replace("-", "_") for a in arguments for name in a.names}
        filled = {k: value for k, value in section.items() if value is not None and k in known}
        Dict({commands[-1]: filled}, source=given[0])(app, commands, arguments)


def _version() -> str:
    from importlib.metadata import version

    return version("edge-compress")


DryRun = Annotated[bool, Parameter(negative="")]

app = App(
    name="compress",
    help="From a large PyTorch classifier to a small one on a board: distil, export to ONNX int8, "
    "measure, and get a verdict.",
    version=_version,
    config=_from_recipe,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


@app.command
def run(
    recipe: Annotated[Path | None, Parameter(metavar="RECIPE.yaml")] = None,
    /,
    *,
    overrides: Overrides = Overrides(),
    output: Output = Output(),
) -> None:
    """Run the whole chain; without a recipe on the embedded images, with nothing to download."""
    from compress.chain import run_chain
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


@app.command
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


@app.command
def train(
    *,
    model: str,
    network: Network = Network(),
    training: Training = Training(),
    augmenting: Augmenting = Augmenting(),
    run: Run = Run(),
    dry_run: DryRun = False,
    output: Output = Output(),
) -> None:
    """Train a network on labelled images; the usual way to a teacher.

    Args:
        model: A zoo name, torchvision:NAME, timm:NAME or file.py:factory.
        dry_run: Check everything, measure a few steps, show what is to come, and write nothing.
    """
    with needs("train"):
        from compress.training.recipe import Wish, foresee_training
        from compress.training.recipe import train as stage
    wish = Wish(model=model, network=network, training=training, augmenting=augmenting, run=run)
    progress = make_progress(output)
    if dry_run:
        show_foresight(foresee_training(wish, progress), output)
    else:
        show_checkpoint(stage(wish, progress), output)


@app.command
def logits(
    *,
    teachers: Teachers = Teachers(),
    augmenting: Augmenting = Augmenting(),
    keeping: Keeping = Keeping(),
    epochs: int = 30,
    transfer: str | None = None,
    part: str | None = None,
    run: Run = Run(),
    output: Output = Output(),
) -> None:
    """Keep the teacher's logits for the views that students will see; they never run it again.

    Args:
        epochs: How long students will learn: with --views exact one view for each epoch.
        transfer: Unlabelled images in place of the training split.
        part: Which of several processes this is: 2/4 is the second of four [all of it].
    """
    with needs("train"):
        from compress.distill.logits import keep as stage
    out = stage(
        teachers,
        augmenting,
        keeping,
        run,
        epochs=epochs,
        part=part,
        transfer=transfer,
        progress=make_progress(output),
    )
    show_logits(out, output)


@app.command
def distill(
    *,
    student: str,
    teachers: Teachers = Teachers(),
    teaching: Teaching = Teaching(),
    keeping: Keeping = Keeping(),
    network: Network = Network(),
    training: Training = Training(),
    augmenting: Augmenting = Augmenting(),
    tuning: Tuning = Tuning(),
    run: Run = Run(),
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="", show_default=False)] = (),
    dry_run: DryRun = False,
    output: Output = Output(),
) -> None:
    """Train a small student from a large teacher.

    Args:
        student: A zoo name, torchvision:NAME, timm:NAME or file.py:factory.
        set_: What only one method knows: method.beta=8, or method.dkd.beta=8 among several.
        dry_run: Check everything, measure a few steps, show what is to come, and write nothing.
    """
    with needs("train"):
        from compress.distill.recipe import distill as stage
        from compress.distill.recipe import foresee_distillation
        from compress.distill.wish import Wish
    wish = Wish(
        student=student,
        teachers=teachers,
        teaching=replace(teaching, method=set_in_blocks(teaching.method, set_)),
        keeping=keeping,
        network=network,
        training=training,
        augmenting=augmenting,
        run=run,
        tuning=tuning,
    )
    progress = make_progress(output)
    if dry_run:
        show_foresight(foresee_distillation(wish, progress), output)
    else:
        show_checkpoint(stage(wish, progress), output)


@app.command
def export(
    subject: Annotated[str, Parameter(metavar="STUDENT")],
    *,
    settings: Export = Export(),
    network: Network = Network(),
    run: Run = Run(),
    output: Output = Output(),
) -> None:
    """Turn a student into checked ONNX files, float32 and int8, with what bench needs.

    Args:
        subject: A checkpoint folder, or a network with --weights.
    """
    with needs("export"):
        from compress_export.recipe import export as stage
    out = stage(
        subject,
        settings=settings,
        network=network,
        run=run,
        progress=make_progress(output),
    )
    show_bundle(out, output)


@app.command
def bench(
    *subjects: Annotated[Path, Parameter(metavar="BUNDLE|MODEL.onnx")],
    settings: Bench = Bench(),
    run: Run = Run(),
    output: Output = Output(),
) -> None:
    """Measure accuracy, latency, size and memory, and judge them against goals.

    Args:
        subjects: A bundle folder, or ONNX files of which the first is the reference.
    """
    from compress_bench.recipe import bench as stage

    report = stage(
        list(subjects),
        settings=settings,
        run=run,
        goals=None,
        progress=make_progress(output),
    )
    is_bundle = len(subjects) == 1 and subjects[0].is_dir()
    folder = run.out or (subjects[0] / "report" if is_bundle else None)
    finish_report(report, folder, output)


@app.command
def predict(
    subject: Annotated[Path, Parameter(metavar="BUNDLE|MODEL.onnx")],
    images: Annotated[list[Path], Parameter(metavar="IMAGE", negative="")],
    /,
    *,
    variant: str | None = None,
    top: int = 3,
    threads: int = 1,
    output: Output = Output(),
) -> None:
    """Name what images show, by the ONNX file.

    Args:
        subject: A bundle folder or an ONNX file.
        images: Image files.
        variant: Which file of the bundle; int8 if there is one.
        top: How many classes to list.
        threads: CPU threads.
    """
    from compress_bench.predict import predict as stage

    found = stage(subject, images, variant=variant, top=top, threads=threads)
    lines = [
        f"{item['image']}: "
        + ", ".join(f"{p['label']} {100 * p['score']:.1f} %" for p in item["predictions"])
        for item in found
    ]
    show(output, {"predictions": found}, "\n".join(lines))


@app.command
def report(
    reports: Annotated[list[Path], Parameter(metavar="REPORT.json", negative="")],
    /,
    *,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    output: Output = Output(),
) -> None:
    """Show reports again, or side by side.

    Args:
        reports: report.json files.
        out: Folder for the Markdown and HTML of the comparison.
    """
    from compress_bench.report import load_report, render_comparison_terminal

    loaded = [load_report(path) for path in reports]
    if out:
        write_comparison(loaded, out)
    if output.json:
        write_json_line({"reports": loaded})
    elif not output.quiet:
        render_comparison_terminal(loaded, stdout())


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    # Threads that spin while they wait starve each other on a busy machine: measured ten times
    # slower training beside another process. Read by OpenMP when torch or numpy is first loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    signal.signal(signal.SIGTERM, _interrupt)
    tokens = list(sys.argv[1:] if argv is None else argv)
    try:
        app(tokens, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, a pager) has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except BaseException as error:
        return explain(error, debug="--debug" in tokens)
    return 0


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
