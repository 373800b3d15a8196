"""The commands. Each turns its flags into settings, runs one stage, and shows the result.

Nothing heavy is imported here: `compress --help` answers at once, and `compress bench` works
where torch is not installed.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from compress.errors import (
    CompressError,
    GoalMissedError,
    InconclusiveError,
    StoppedError,
    UsageError,
)
from compress.extras import needs
from compress.settings import Bench, Export, Network, Output, Overrides, Run, Teaching, Training

# Imported where they are used, as the stages are: half of the time that --help would take.
if TYPE_CHECKING:
    from rich.console import Console

    from compress.progress import Progress


def _from_recipe(app: App, commands: tuple[str, ...], arguments: Any) -> None:
    """Fill what the flags left open from the command's section of --recipe."""
    given = [a.tokens[0].value for a in arguments if "--recipe" in a.names and a.tokens]
    if given and commands:
        from cyclopts.config import Dict

        from compress.recipes import load_recipe, section_of

        section = section_of(load_recipe(Path(given[0])), commands[-1])
        filled = {key: value for key, value in section.items() if value is not None}
        Dict({commands[-1]: filled}, source=given[0])(app, commands, arguments)


def _version() -> str:
    from importlib.metadata import version

    return version("edge-compress")


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
    from compress.recipes import load_recipe

    path = recipe or output.recipe
    sections = load_recipe(path)
    sections["run"] = {**sections.get("run", {}), **overrides.given()}
    out = overrides.out or Path("compress-run")
    report = run_chain(
        sections,
        source=str(path or "demo.yaml"),
        out=out,
        force=overrides.force,
        progress=_progress(output),
    )
    _finish_report(report, out, output)


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
    _show(output, {"recipe": str(path)}, f"{path} written; run it with: compress run {path}")


@app.command
def train(
    *,
    model: str,
    network: Network = Network(),
    training: Training = Training(),
    run: Run = Run(),
    output: Output = Output(),
) -> None:
    """Train a network on labelled images; the usual way to a teacher.

    Args:
        model: A zoo name, torchvision:NAME, timm:NAME or file.py:factory.
    """
    with needs("train"):
        from compress.training.recipe import train as stage
    out = stage(
        model,
        network=network,
        training=training,
        run=run,
        progress=_progress(output),
    )
    _show_checkpoint(out, output)


@app.command
def distill(
    *,
    student: str,
    teaching: Teaching = Teaching(),
    network: Network = Network(),
    training: Training = Training(),
    run: Run = Run(),
    output: Output = Output(),
) -> None:
    """Train a small student from a large teacher.

    Args:
        student: A zoo name, torchvision:NAME, timm:NAME or file.py:factory.
    """
    with needs("train"):
        from compress.distill.recipe import distill as stage
    out = stage(
        student,
        teaching=teaching,
        network=network,
        training=training,
        run=run,
        progress=_progress(output),
    )
    _show_checkpoint(out, output)


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
        progress=_progress(output),
    )
    _show_bundle(out, output)


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
        progress=_progress(output),
    )
    is_bundle = len(subjects) == 1 and subjects[0].is_dir()
    folder = run.out or (subjects[0] / "report" if is_bundle else None)
    _finish_report(report, folder, output)


@app.command
def predict(
    subject: Annotated[Path, Parameter(metavar="BUNDLE|MODEL.onnx")],
    images: Annotated[list[Path], Parameter(metavar="IMAGE", negative="")],
    /,
    *,
    variant: str | None = None,
    top: int = 3,
    output: Output = Output(),
) -> None:
    """Name what images show, by the ONNX file.

    Args:
        subject: A bundle folder or an ONNX file.
        images: Image files.
        variant: Which file of the bundle; int8 if there is one.
        top: How many classes to list.
    """
    from compress_bench.predict import predict as stage

    found = stage(subject, images, variant=variant, top=top, threads=1)
    lines = [
        f"{item['image']}: "
        + ", ".join(f"{p['label']} {100 * p['score']:.1f} %" for p in item["predictions"])
        for item in found
    ]
    _show(output, {"predictions": found}, "\n".join(lines))


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
        _write_comparison(loaded, out)
    if output.json:
        _write_json({"reports": loaded})
    elif not output.quiet:
        render_comparison_terminal(loaded, _stdout())


def _write_comparison(reports: list[dict[str, Any]], out: Path) -> None:
    from compress.artifacts import write_text
    from compress_bench.report import render_comparison_html, render_comparison_markdown

    write_text(out / "comparison.md", render_comparison_markdown(reports))
    write_text(out / "comparison.html", render_comparison_html(reports))


def _stdout() -> "Console":
    """Tables and colours for people; plain text where a program reads."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)


def _progress(output: Output) -> "Progress":
    from compress.progress import Progress

    return Progress(quiet=output.quiet, verbose=output.verbose)


def _show(output: Output, content: dict[str, Any], text: str) -> None:
    """The result on standard output: one JSON object, or text for people."""
    if output.json:
        _write_json(content)
    elif not output.quiet:
        sys.stdout.write(text + "\n")


def _write_json(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content, allow_nan=False) + "\n")


def _show_checkpoint(out: Path, output: Output) -> None:
    from compress.artifacts import MANIFEST, read_json

    manifest = read_json(out / MANIFEST, kind="checkpoint")
    lines = [f"{out}: {manifest['model']['reference']}, {manifest['parameters']:,} parameters"]
    for split, found in manifest["metrics"].items():
        low, high = (100 * found["interval"][key] for key in ("low", "high"))
        lines.append(
            f"  {split}: {100 * found['accuracy']:.2f} % right "
            f"({low:.1f} to {high:.1f}, {found['n']} images)"
        )
    if manifest.get("comparison"):
        lines.append(f"  {manifest['comparison']['sentence']}")
    content = {"checkpoint": str(out), "metrics": manifest["metrics"]}
    content |= {"comparison": manifest.get("comparison")}
    _show(output, content, "\n".join(lines))


def _show_bundle(out: Path, output: Output) -> None:
    from compress.artifacts import BUNDLE, read_json

    bundle = read_json(out / BUNDLE, kind="bundle")
    lines = [f"{out}:"]
    for name, variant in bundle["variants"].items():
        accuracy = variant["metrics"].get("validation", {}).get("accuracy")
        words = "" if accuracy is None else f", {100 * accuracy:.2f} % right on validation"
        lines.append(f"  {variant['file']} ({name}): {variant['size_bytes']:,} bytes{words}")
    lines += [f"  {sentence}" for sentence in bundle.get("advice", [])]
    content = {"bundle": str(out), "variants": bundle["variants"], "checks": bundle["checks"]}
    _show(output, content, "\n".join(lines))


def _finish_report(report: dict[str, Any], folder: Path | None, output: Output) -> None:
    """Write and show a report, and end with its verdict's exit code."""
    from compress_bench.report import render_terminal, write_report

    written = write_report(report, folder, _progress(output)) if folder else ()
    if output.json:
        _write_json(report)
    elif not output.quiet:
        render_terminal(report, _stdout())
        for path in written:
            sys.stdout.write(f"{path}\n")
    status = report["verdict"]["status"]
    if status == "fail":
        raise GoalMissedError("verdict: fail; a goal is not met, see the goals above")
    if status == "inconclusive":
        raise InconclusiveError(
            "verdict: inconclusive; the intervals do not decide every goal: "
            "measure on an idle machine or with --profile strict"
        )


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
        return _explain(error, debug="--debug" in tokens)
    return 0


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _explain(error: BaseException, *, debug: bool) -> int:
    """Say what went wrong in one sentence; returns the exit code."""
    if isinstance(error, SystemExit):
        return int(error.code or 0)
    if debug and not isinstance(error, KeyboardInterrupt):
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        error = StoppedError("interrupted; what was finished is kept: give the same command again")
    elif isinstance(error, CycloptsError):
        error = UsageError(" ".join(str(error).split()))
    elif not isinstance(error, CompressError):
        error = _our_bug(error)
    sys.stderr.write(f"compress: {error}\n")
    return error.exit_code


def _our_bug(error: BaseException) -> CompressError:
    """Keep the traceback in a file and name it."""
    name = f"compress-error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    text = "".join(traceback.format_exception(error))
    try:
        Path(name).write_text(text)
    except OSError:
        sys.stderr.write(text)
        name = "above"
    kind = type(error).__name__
    return CompressError(
        f"a fault of this tool ({kind}: {error}); please report the traceback: {name}"
    )
