"""What `compress run --search` found, for people and programs, and the exit code of it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.chain import BUNDLE
from compress.errors import CompressError, GoalMissedError, InconclusiveError
from compress.flags import Output
from compress.show import check_exported_cores, finish_report, stdout, write_json_line
from compress_bench.report.terminal import render_search_terminal


def finish_search(
    search: Mapping[str, Any], report: dict[str, Any] | None, out: Path, output: Output
) -> None:
    """Show the search and the report, and end with the exit code that both ask for.

    Args:
        search: the content of search.json.
        report: of the winner's files, or the nearest's; None where nothing was trained.
        out: the run's folder.
        output: what is shown.

    Raises:
        GoalMissedError: no candidate meets the goals, with how far they are; or test misses one.
        InconclusiveError: validation does not decide, and test misses nothing.
    """
    if report is None:
        if output.json:
            write_json_line(dict(search))
        elif not output.quiet:
            render_search_terminal(search, stdout())
            sys.stdout.write(f"{out / 'search.json'}\n")
        raise GoalMissedError(_missed("no candidate can meet the goals", search))
    try:
        finish_report(report, out, output)
    except (GoalMissedError, InconclusiveError) as error:
        require_winner(search, error)
        raise
    require_winner(search, None)
    check_exported_cores(out / BUNDLE)


def require_winner(search: Mapping[str, Any], error: CompressError | None) -> None:
    """A search without a winner ends as one, whatever chance gave the nearest on test.

    Args:
        search: the content of search.json.
        error: what the report on test ends with; None where it meets all goals.

    Raises:
        GoalMissedError: validation misses a goal.
        InconclusiveError: validation does not decide, and test misses nothing.
    """
    if search["verdict"] == "fail":
        missed = _missed("no candidate meets the goals on validation", search)
        raise GoalMissedError(missed) from error
    if search["verdict"] == "inconclusive" and error is None:
        raise InconclusiveError(
            "no candidate is shown to meet the goals on validation: the intervals of "
            f"{search['nearest']}, which comes nearest, do not decide; it meets them on test, by "
            "which no search chooses. Give more validation images, or measure with profile strict"
        )


def _missed(what: str, search: Mapping[str, Any]) -> str:
    return f"{what}: {'; '.join(one['sentence'] for one in search['distances'])}"
