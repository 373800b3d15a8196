"""The commands of what is deployed: export, bench, predict, report."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from compress.errors import StoppedError
from compress.extras import needs
from compress.flags import Output
from compress.settings import Bench, Export, Network, Run
from compress.show import (
    finish_report,
    make_progress,
    show,
    show_bundle,
    stdout,
    write_comparison,
    write_json_line,
)


def export(
    subject: Annotated[str, Parameter(metavar="STUDENT")],
    *,
    settings: Export = Export(),
    network: Network = Network(),
    run: Run = Run(),
    output: Output = Output(),
) -> None:
    """Turn a network into checked ONNX files, float32 and int8, with what bench needs.

    Args:
        subject: A checkpoint folder, a network with --weights, or an .onnx file.
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

    is_bundle = len(subjects) == 1 and subjects[0].is_dir()
    folder = run.out or (subjects[0] / "report" if is_bundle else None)
    try:
        report = stage(
            list(subjects),
            settings=settings,
            run=replace(run, out=folder),
            goals=None,
            progress=make_progress(output),
        )
    except KeyboardInterrupt:
        raise StoppedError("interrupted while measuring; no report was written") from None
    finish_report(report, folder, output)


def predict(
    subject: Annotated[Path, Parameter(metavar="BUNDLE|MODEL.onnx")],
    images: Annotated[list[Path], Parameter(metavar="IMAGE", negative="")],
    /,
    *,
    variant: str | None = None,
    top: int = 3,
    threads: int | None = None,
    output: Output = Output(),
) -> None:
    """Name what images show, by the ONNX file.

    Args:
        subject: A bundle folder or an ONNX file.
        images: Image files.
        variant: Which file of the bundle; int8 if there is one.
        top: How many classes to list.
        threads: CPU threads; what bench --sweep found best, else one.
    """
    from compress_bench.predict import predict as stage

    found = stage(subject, images, variant=variant, top=top, threads=threads)
    lines = [
        f"{item['image']}: "
        + ", ".join(f"{p['label']} {100 * p['score']:.1f} %" for p in item["predictions"])
        for item in found
    ]
    show(output, {"predictions": found}, "\n".join(lines))


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
        out: Folder for the Markdown, CSV and HTML of the comparison.
    """
    from compress_bench.report import load_report, render_comparison_terminal

    loaded = [load_report(path) for path in reports]
    written = write_comparison(loaded, out, output) if out else ()
    if output.json:
        write_json_line({"reports": loaded})
    elif not output.quiet:
        render_comparison_terminal(loaded, stdout())
        for path in written:
            sys.stdout.write(f"{path}\n")
