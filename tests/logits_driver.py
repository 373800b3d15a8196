"""`compress logits` as torchrun starts it: no --part is given.

`torchrun logits_driver.py FOLDER AUGMENT [force]`, where data.npz, net.py and weights.pt are.
"""

import sys
from pathlib import Path

from compress.distill.logits import keep
from compress.progress import SILENT
from compress.settings import Augmenting, Keeping, Run, Teachers

if __name__ == "__main__":
    out, augment, *force = sys.argv[1:]
    keep(
        Teachers(teacher=("net.py:teacher",), teacher_weights=Path("weights.pt")),
        Augmenting(augment=augment, views=2),  # type: ignore[arg-type]
        Keeping(),
        Run(out=Path(out), data="data.npz", threads=1, force=bool(force)),
        epochs=6,
        part=None,
        transfer=None,
        progress=SILENT,
    )
