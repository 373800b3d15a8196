"""What every stage shares: where results go, where images come from, seeds and threads."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from cyclopts import Parameter

from compress.errors import UsageError
from compress.launched import processes_here
from compress.settings.expect import expect

Resize = Literal["crop", "stretch"]


class Splitting(TypedDict):
    """How a source of images is cut into splits, as keyword arguments."""

    seed: int
    val_fraction: float
    test_fraction: float
    max_bad: float
    resize: Resize


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Run:
    """What every stage shares.

    Attributes:
        out: Folder for the result.
        force: Replace a finished result, or one with other settings.
        data: Images: demo, fashion-mnist, an image folder, an .npz file, or torchvision:NAME.
        seed: Seed of weights, order and augmentation.
        split_seed: Seed of the splits that are cut from unsplit images.
        threads: CPU threads; if not given, all cores, and one for bench.
        device: Where torch computes: cpu, cuda or auto.
        resize: How images of other shapes meet a network's input: crop (centre) or stretch.
        val_fraction: Share of train that becomes validation where the data has none.
        test_fraction: Share of an unsplit image folder that becomes test.
        max_bad: Share of unreadable images up to which they are skipped, not refused.
    """

    out: Annotated[Path | None, Parameter(alias="-o")] = None
    force: Annotated[bool, Parameter(negative="")] = False
    data: str | None = None
    seed: int = 0
    split_seed: int = 0
    threads: int | None = None
    device: str = "cpu"
    resize: Resize = "crop"
    val_fraction: float = 0.1
    test_fraction: float = 0.2
    max_bad: float = 0.01

    def require_out(self) -> Path:
        """The output folder.

        Raises:
            UsageError: none was given.
        """
        if self.out is None:
            raise UsageError(
                "--out: expected a folder for the result, found nothing; give -o FOLDER"
            )
        return self.out

    def data_reference(self) -> str:
        """Where the images come from.

        Raises:
            UsageError: nothing was given.
        """
        if self.data is None:
            raise UsageError(
                "--data: expected demo, fashion-mnist, a folder, an .npz or torchvision:NAME, "
                "found nothing"
            )
        return self.data

    def check(self) -> None:
        """Refuse numbers that no stage can use.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        for name in ("seed", "split_seed"):
            value = getattr(self, name)
            expect(name, value, 0 <= value < 2**32, "0 to 4294967295")
        known = self.device in ("cpu", "auto") or re.fullmatch(r"cuda(:\d+)?", self.device)
        expect("device", self.device, bool(known), "cpu, cuda, cuda:N or auto")
        threads = self.threads
        expect("threads", threads, threads is None or threads >= 1, "1 or more")
        for name in ("val_fraction", "test_fraction"):
            value = getattr(self, name)
            expect(name, value, 0 < value < 1, "a share between 0 and 1")
        expect("max_bad", self.max_bad, 0 <= self.max_bad <= 1, "a share from 0 to 1")

    def resolved(self) -> "Run":
        """The same with the number of threads that "all cores" means for this process."""
        if self.threads:
            return self
        cores = len(os.sched_getaffinity(0))
        return replace(self, threads=max(1, cores // processes_here()))

    def splitting(self) -> "Splitting":
        """The arguments of open_dataset that decide its splits."""
        return Splitting(
            seed=self.split_seed,
            val_fraction=self.val_fraction,
            test_fraction=self.test_fraction,
            max_bad=self.max_bad,
            resize=self.resize,
        )
