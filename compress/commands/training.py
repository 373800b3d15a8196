"""The commands of training: train, logits, distill."""

from dataclasses import replace
from typing import Annotated

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
        from compress.edge_effects import effects_shown, show_effects
        from compress.training.recipe import Wish, foresee_training
        from compress.training.recipe import train as stage
    wish = Wish(model=model, network=network, training=training, augmenting=augmenting, run=run)
    if network.for_edge:
        wish.check()  # before the changes are measured, which takes a while
    progress = make_progress(output)
    if dry_run:
        effects = show_effects(model, network, run, progress)
        found = foresee_training(wish, progress)
        show_foresight(found | ({"edge": list(effects)} if effects else {}), output)
        return
    with effects_shown(model, network, run, progress):
        out = stage(wish, progress)
    show_checkpoint(out, output)


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
        from compress.edge_effects import effects_shown, show_effects
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
    if network.for_edge:
        wish.check()  # before the changes are measured, which takes a while
    progress = make_progress(output)
    if dry_run:
        effects = show_effects(student, network, run, progress)
        found = foresee_distillation(wish, progress)
        show_foresight(found | ({"edge": list(effects)} if effects else {}), output)
        return
    with effects_shown(student, network, run, progress):
        out = stage(wish, progress)
    show_checkpoint(out, output)
