"""A network becomes a float32 file that is proven to answer like it."""

from dataclasses import asdict

import numpy as np

from compress_export.bundle import Variant
from compress_export.deliver import deliver
from compress_export.evaluation import accuracy
from compress_export.sources import Source
from compress_export.verify import IMAGES, verify
from compress_export.work import FILES, Result, Work


def export_float32(work: Work, role: str, source: Source) -> Result:
    """Convert one network, prove it equal, measure it on validation, and write its file.

    Args:
        work: what is asked for.
        role: teacher, student or baseline.
        source: the network.

    Raises:
        ExportError: it cannot be converted, or its graph does not answer like it.
    """
    work.progress.say(f"{role}: converting {source.name} to {FILES[role]}")
    core, rewrites = source.graph(work.portability.opset)
    session = work.core_session(role, core)
    view = work.view(work.dataset.validation, source.preprocessing)
    parity = verify(source, session, view.pixels(np.arange(min(IMAGES, len(view.split)))))
    logits = work.logits(role, core, view, f"{role}: evaluating")
    validation = accuracy(logits, view.split.labels)
    ends = deliver(
        work, role, core, source=source, precision="float32", metrics={"validation": validation}
    )
    variant = Variant(
        role=role, file=FILES[role], precision="float32", source=source, validation=validation
    )
    checks = {"parity": asdict(parity), "rewrites": rewrites, "ends": ends}
    return Result(variant=variant, core=core, logits=logits, checks=checks)
