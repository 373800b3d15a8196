"""The commands of training: train, logits, distill."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from compress.extras import needs
from compress.flags import Output
from compress.settings import (
    Augmenting,
    Keeping,
    Network,
    Run,
    Teachers,
    Teaching,
    Training,
    Tuning,
)
from compress.settings.method_blocks import set_in_blocks
from compress.show import make_progress, show_checkpoint, show_foresight, show_logits

if TYPE_CHECKING:
    from compress.progress import Progress

DryRun = Annotated[bool, Parameter(negative="")]


def train(
    *,
    model: str,
    network: Network = Network(),
    training: Training = Training(),
    augmenting: Augmenting = Augmenting(),
    run: Run = Run(),
    dry_run: DryRun = False,
    output: Output = Output(),
) -> None:
    """Train a network on labelled images; the usual way to a teacher.

    Args:
        model: A zoo name, torchvision:NAME, timm:NAME or file.py:factory.
        dry_run: Check everything, measure a few steps, show what is to come, and write nothing.
    """
    with needs("train"):
        from compress.training.recipe import Wish, foresee_training
        from compress.training.recipe import train as stage
    wish = Wish(model=model, network=network, training=training, augmenting=augmenting, run=run)
    if dry_run:
        _foresee(model, wish, foresee_training, output)
    else:
        _carry_out(model, wish, stage, output)


def logits(
    *,
    teachers: Teachers = Teachers(),
    augmenting: Augmenting = Augmenting(),
    keeping: Keeping = Keeping(),
    epochs: int = 30,
    transfer: str | None = None,
    part: str | None = None,
    run: Run = Run(),
    output: Output = Output(),
) -> None:
    """Keep the teacher's logits for the views that students will see; they never run it again.

    Args:
        epochs: How long students will learn: with --views exact one view for each epoch.
        transfer: Unlabelled images in place of the training split.
        part: Which of several processes this is: 2/4 is the second of four [all of it].
    """
    with needs("train"):
        from compress.distill.logits import keep as stage
    out = stage(
        teachers,
        augmenting,
        keeping,
        run,
        epochs=epochs,
        part=part,
        transfer=transfer,
        progress=make_progress(output),
    )
    show_logits(out, output)


def distill(
    *,
    student: str,
    teachers: Teachers = Teachers(),
    teaching: Teaching = Teaching(),
    keeping: Keeping = Keeping(),
    network: Network = Network(),
    training: Training = Training(),
    augmenting: Augmenting = Augmenting(),
    tuning: Tuning = Tuning(),
    run: Run = Run(),
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="", show_default=False)] = (),
    dry_run: DryRun = False,
    output: Output = Output(),
) -> None:
    """Train a small student from a large teacher.

    Args:
        student: A zoo name, torchvision:NAME, timm:NAME or file.py:factory.
        set_: What only one method knows: method.beta=8, or method.dkd.beta=8 among several.
        dry_run: Check everything, measure a few steps, show what is to come, and write nothing.
    """
    with needs("train"):
        from compress.distill.recipe import distill as stage
        from compress.distill.recipe import foresee_distillation
        from compress.distill.wish import Wish
    wish = Wish(
        student=student,
        teachers=teachers,
        teaching=replace(teaching, method=set_in_blocks(teaching.method, set_)),
        keeping=keeping,
        network=network,
        training=training,
        augmenting=augmenting,
        run=run,
        tuning=tuning,
    )
    if dry_run:
        _foresee(student, wish, foresee_distillation, output)
    else:
        _carry_out(student, wish, stage, output)


def _carry_out(
    reference: str, wish: Any, stage: Callable[[Any, "Progress"], Path], output: Output
) -> None:
    """Train a network; what --for-edge changes is measured and shown first."""
    from compress.edge_effects import effects_shown

    if wish.network.for_edge:
        wish.check()  # before the changes are measured, which takes a while
    progress = make_progress(output)
    with effects_shown(reference, wish.network, wish.run, progress):
        out = stage(wish, progress)
    show_checkpoint(out, output)


def _foresee(
    reference: str,
    wish: Any,
    foresee: Callable[[Any, "Progress"], dict[str, Any]],
    output: Output,
) -> None:
    """Show what a training would do, and what --for-edge would change; write nothing."""
    from compress.edge_effects import show_effects

    if wish.network.for_edge:
        wish.check()
    progress = make_progress(output)
    effects = show_effects(reference, wish.network, wish.run, progress)
    found = foresee(wish, progress)
    show_foresight(found | ({"edge": list(effects)} if effects else {}), output)
