"""A small teacher and its views, of which logits are kept; run as a script, a process that asks.

`python kept_case.py FOLDER K N [KILLED_AFTER]` makes part K of N; after so many blocks it kills
itself as the system would, without a chance to tidy up.
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import tiny
from compress.distill.kept.making import Wanted, ask_teacher
from compress.distill.teachers.class_map import same_order
from compress.distill.teachers.interpret import Interpreter
from compress.distill.teachers.live import LiveTeacher
from compress.distill.teachers.torch_network import TorchNetwork
from compress.models.checkpoint import LoadedModel
from compress.preprocess import Preprocessing
from compress.progress import SILENT
from compress.settings import Augmenting, Keeping
from compress.training.views import ViewPlan

SIZE = (16, 16)
COUNT = 600  # images: blocks of 256, 256 and 88
BLOCKS = 3
DATA = tiny.dataset(train=COUNT)
PLAN = ViewPlan(split=DATA.train, source="tiny:train", size=SIZE, augmenting=Augmenting(), seed=0)
WANTED = Wanted(plan=PLAN, numbers=(0, 1), keeping=Keeping(), temperature=2.0, passes=30)
TOP_K = replace(WANTED, keeping=Keeping(top_k=2, temperatures=(4.0,)))


def teacher(seed: int = 0, **source: str) -> LiveTeacher:
    """A real network of real classes; `source` overrides what it says it is."""
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 7 * 7, 3)
    )
    model = LoadedModel(module, Preprocessing(SIZE, 1), tiny.CLASSES, "net", "", {})
    mapping = same_order(3)
    return LiveTeacher(
        name="net",
        classes=tiny.CLASSES,
        network=TorchNetwork(model, "cpu"),
        interpreter=Interpreter("logits", mapping),
        source={"kind": "network", "sha256": "aaaa", **source},
        found={},
        normalisation_known=True,
    )


class Mortal:
    """A teacher whose process dies at the answer to the block after `lives`."""

    def __init__(self, lives: int) -> None:
        self.live, self.lives = teacher(), lives
        self.name, self.classes, self.inputs = "net", self.live.classes, self.live.inputs
        self.identity, self.record = self.live.identity, self.live.record

    def bind(self, plan, temperature):
        return self

    def logits(self, views):
        if not self.lives:
            os.kill(os.getpid(), signal.SIGKILL)
        self.lives -= 1
        return self.live.logits(views)


def contents(folder: Path) -> dict[str, bytes]:
    """Every byte of every view, by file name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("view-*"))}


if __name__ == "__main__":
    torch.set_num_threads(1)
    place, mine, parts, *lives = sys.argv[1:]
    asked = Mortal(int(lives[0])) if lives else teacher()
    ask_teacher(asked, replace(WANTED, part=(int(mine), int(parts))), Path(place), SILENT)
