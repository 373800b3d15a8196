"""Results on standard output: text for people, one JSON object for programs."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.errors import BenchError, ExportError, GoalMissedError, InconclusiveError
from compress.flags import Output
from compress.launched import is_first

# Imported where they are used: half of the time that --help would take.
if TYPE_CHECKING:
    from rich.console import Console

    from compress.progress import Progress


def make_progress(output: Output) -> "Progress":
    """Where the stages of a command say what they do."""
    from compress.progress import Progress

    # Of several processes that torchrun started, the first one speaks.
    return Progress(quiet=output.quiet or not is_first(), verbose=output.verbose)


def show(output: Output, content: dict[str, Any], text: str) -> None:
    """The result on standard output: one JSON object, or text for people."""
    if not is_first():
        return
    if output.json:
        write_json_line(content)
    elif not output.quiet:
        sys.stdout.write(text + "\n")


def write_json_line(content: dict[str, Any]) -> None:
    """One JSON object on a line of its own."""
    sys.stdout.write(json.dumps(content, allow_nan=False) + "\n")


def show_checkpoint(out: Path, output: Output) -> None:
    """A trained network: its size, its accuracy with interval, and what the teacher gave."""
    from compress.artifacts import MANIFEST, read_json
    from compress.show_edge import read_effects, sentences

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
    effects = read_effects(out)
    if effects:
        content["edge"] = effects
        lines += [f"  {sentence}" for sentence in sentences(effects)]
    if manifest.get("tuning"):
        content |= {"tuning": show_search(out, output)}
    show(output, content, "\n".join(lines))


def show_search(out: Path, output: Output) -> dict[str, Any]:
    """Every trial of a search for people; for programs what tuning.json holds."""
    from compress.distill.tuning.outcome import read_outcome
    from compress.distill.tuning.terminal import render_terminal

    outcome = read_outcome(out)
    if is_first() and not (output.json or output.quiet):
        render_terminal(outcome, stdout())
    return outcome.to_dict()


def show_logits(out: Path, output: Output) -> None:
    """Kept logits: whose, of how many views and images, and what they take on disk."""
    from compress.distill.kept.folder import read_summary
    from compress.distill.logits import summary_sentence

    summary = read_summary(out)
    text = summary_sentence(out, summary) if summary else f"{out}: not complete yet"
    show(output, {"logits": str(out), "summary": summary}, text)


def show_foresight(found: dict[str, Any], output: Output) -> None:
    """What `--dry-run` found."""
    from compress.show_preflight import show_preflight

    if not is_first():
        return
    if output.json:
        write_json_line(found)
    elif not output.quiet:
        show_preflight(found, stdout())


def show_bundle(out: Path, output: Output) -> None:
    """The files of a bundle, what was proven of them, and the advice."""
    from compress.artifacts import BUNDLE, read_json
    from compress.show_export import render_bundle

    bundle = read_json(out / BUNDLE, kind="bundle")
    keys = ("variants", "checks", "advice", "recommended")
    if output.json:
        write_json_line({"bundle": str(out), **{key: bundle.get(key) for key in keys}})
    elif not output.quiet:
        render_bundle(out, bundle, stdout())


def check_exported_cores(out: Path) -> None:
    """A bundle whose files answer otherwise on a core of --check-cpu is whole, and yet a failure.

    Raises:
        ExportError: names the cores.
    """
    from compress.artifacts import BUNDLE, read_json

    checks = read_json(out / BUNDLE, kind="bundle")["checks"].get("cpu", ())
    failed = [check["core"] for check in checks if check["status"] == "fail"]
    if failed:
        raise ExportError(
            f"{out}: expected files that answer alike on every core type of --check-cpu, found "
            f"{', '.join(failed)} to fail, for the reasons above; the bundle is whole: deploy it "
            "to other cores, or export it otherwise"
        )


def finish_report(
    report: dict[str, Any],
    folder: Path | None,
    output: Output,
    advice: str = "measure on an idle machine or with --profile strict",
) -> None:
    """Write and show a report, and end with its verdict's exit code.

    Args:
        report: its content.
        folder: where it is written; None: nowhere.
        output: what is shown.
        advice: what to do where intervals do not decide.
    """
    from compress_bench.report import render_terminal, write_report

    written = write_report(report, folder, make_progress(output)) if folder else ()
    if output.json:
        write_json_line(report)
    elif not output.quiet:
        render_terminal(report, stdout())
        for path in written:
            sys.stdout.write(f"{path}\n")
    _check_cores(report)
    status = report["verdict"]["status"]
    if status == "fail":
        raise GoalMissedError("verdict: fail; a goal is not met, see the goals above")
    if status == "inconclusive":
        if report["machine"].get("emulates"):
            advice = "see above what would; goals on time take a board"
        raise InconclusiveError(
            f"verdict: inconclusive; the intervals do not decide every goal: {advice}"
        )


def _check_cores(report: dict[str, Any]) -> None:
    """A file that answers otherwise on a core has failed there, whatever the goals.

    Raises:
        BenchError: names the cores.
    """
    checks = report.get("portability") or ()
    failed = [check["core"] for check in checks if check["status"] == "fail"]
    if failed:
        raise BenchError(
            f"the check on {', '.join(failed)} failed; the report above says of which file and why"
        )


def finish_doctor(content: dict[str, Any], output: Output) -> None:
    """Show what the doctor found, and end with 1 if a bench is impossible there.

    Raises:
        BenchError: it is; the first reason and what to do, for where nobody reads the rest.
    """
    from compress_bench.doctor.terminal import render_doctor

    if output.json:
        write_json_line(content)
    elif not output.quiet:
        render_doctor(content, stdout())
    failed = [finding for finding in content["findings"] if finding["status"] == "fail"]
    if failed:
        raise BenchError(_why_no_bench(content["target"], failed))


def _why_no_bench(target: str, failed: list[dict[str, Any]]) -> str:
    first, *more = failed
    if first["check"] == "reach":  # a whole sentence, with the target in it
        return str(first["found"])
    others = ", ".join(finding["check"] for finding in more)
    return (
        f"{target}: expected a machine to bench on, found: {first['found']}; {first['why']}; "
        f"{first['what_to_do']}" + (f" (and see {others})" if others else "")
    )


def write_comparison(reports: list[dict[str, Any]], out: Path, output: Output) -> tuple[Path, ...]:
    """Several reports side by side, as Markdown, CSV and one page; the files written."""
    from compress_bench import report as views

    return views.write_comparison(reports, out, make_progress(output))


def stdout() -> "Console":
    """Tables and colours for people; plain text where a program reads."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)
