"""The commands of what is deployed: export, bench, pack, predict, report, doctor."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from compress.errors import StoppedError, UsageError
from compress.extras import needs
from compress.flags import Output
from compress.settings import Bench, Export, Network, Run
from compress.show import (
    check_exported_cores,
    finish_doctor,
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
    check_exported_cores(out)


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


def pack(
    subject: Annotated[Path, Parameter(metavar="BUNDLE")],
    *,
    out: Annotated[Path, Parameter(alias="-o")] = Path("student.pyz"),
    profile: Literal["quick", "standard", "strict"] = "standard",
    threads: int | None = None,
    fps: float | None = None,
    time_cap: float | None = None,
    seed: int = 0,
    output: Output = Output(),
) -> None:
    """Make one file of a bundle that measures and checks itself on a board.

    There `python3 student.pyz` needs Python 3.8, numpy and onnxruntime; here `compress report`
    reads what it writes.

    Args:
        subject: A bundle folder.
        out: The packed file.
        profile: How much is measured there, as of bench.
        threads: CPU threads; what bench --sweep found best, else one.
        fps: Feed every file like a camera too: this many frames a second.
        time_cap: Seconds on the board after which nothing more is begun.
        seed: Of inputs and of the order within rounds.
    """
    from compress_bench.pack.packing import pack as stage

    settings = Bench(profile=profile, fps=fps, time_cap=time_cap)
    run = Run(threads=threads, seed=seed)
    packed = stage(subject, out, settings=settings, run=run, progress=make_progress(output))
    show(
        output,
        packed,
        f"{out}: {packed['size_bytes']:,} bytes, sha256 {packed['sha256']}\n"
        f"copy it to the board and run there: python3 {shlex.quote(out.name)}",
    )


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
    goals: Path | None = None,
    bundle: Path | None = None,
    output: Output = Output(),
) -> None:
    """Show reports again, or side by side, and make reports of what a packed file measured.

    Args:
        reports: report.json files, and records that a packed file wrote on a board.
        out: Folder for the Markdown, CSV and HTML of the comparison, or of one record's report.
        goals: TOML file with limits that a record is judged by.
        bundle: What was packed, for pictures of images that the files see differently.
    """
    from compress_bench.pack.recorded import is_record, record_folders, report_of_record
    from compress_bench.report import load_report, render_comparison_terminal, write_report

    records = {path for path in reports if is_record(path)}
    if (goals or bundle) and len(records) < len(reports):
        raise UsageError(
            "--goals, --bundle: expected records of a packed file alone, found a report; its goals "
            "were judged when it was made"
        )
    loaded = [
        report_of_record(path, goals=goals, bundle=bundle) if path in records else load_report(path)
        for path in reports
    ]
    if len(loaded) == len(records) == 1:
        finish_report(loaded[0], out, output, advice="see above what would")
        return
    folders = record_folders(path for path in reports if path in records)
    written = write_comparison(loaded, out, output) if out else ()
    for path, content in zip(reports, loaded, strict=True):
        if out and path in records:
            written += write_report(content, out / folders[path], make_progress(output))
    if output.json:
        write_json_line({"reports": loaded})
    elif not output.quiet:
        render_comparison_terminal(loaded, stdout())
        for path in written:
            sys.stdout.write(f"{path}\n")


def doctor(
    target: Annotated[str, Parameter(metavar="TARGET")] = "local",
    /,
    *,
    output: Output = Output(),
) -> None:
    """Tell what a machine is and lacks, and what to do about it.

    Args:
        target: local, ssh://user@board, or emulate:cortex-a53, -a72, -a76 or emulate:haswell.
    """
    from compress_bench.doctor.recipe import doctor as stage

    finish_doctor(stage(target, progress=make_progress(output)), output)
