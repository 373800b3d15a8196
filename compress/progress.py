"""Progress with an ETA on a terminal; silence when piped.

Everything here goes to standard error, so that standard output holds results only.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

Advance = Callable[[float], None]


class Progress:
    """Where a stage says what it does.

    Attributes:
        console: standard error.
        quiet: no sentence and no bar.
        live: whether bars are drawn; only on a terminal.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        """Draw bars only where a person looks."""
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.quiet = quiet
        self.verbose = verbose and not quiet
        self.live = not quiet and sys.stderr.isatty()

    def say(self, sentence: str) -> None:
        """One sentence about what happens now."""
        if not self.quiet:
            self.console.print(sentence, markup=False)

    def say_all(self, sentences: Iterable[str]) -> None:
        """Several sentences, each on a line of its own."""
        for sentence in sentences:
            self.say(sentence)

    def detail(self, sentence: str) -> None:
        """One sentence for those who asked for more."""
        if self.verbose:
            self.say(sentence)

    @contextmanager
    def task(self, title: str, total: float) -> Iterator[Advance]:
        """A bar with elapsed and remaining time; yields the function that moves it."""
        if not self.live:
            yield lambda amount: None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=self.console, transient=True) as bars:
            task = bars.add_task(title, total=total)
            yield lambda amount: bars.advance(task, amount)

    @contextmanager
    def timed(self, title: str) -> Iterator[None]:
        """A spinner for work of unknown length; verbose output says how long it took."""
        started = time.perf_counter()
        with self.console.status(title) if self.live else nullcontext():
            yield
        self.detail(f"{title}: {time.perf_counter() - started:.1f} s")


SILENT = Progress(quiet=True)
