"""How a quantised network is trained: the student's own recipe, more gently, with a teacher."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from compress.distill.course import Chosen, Course
from compress.distill.losses import kd
from compress.distill.methods import load_method
from compress.distill.objective import distillation_objective
from compress.distill.teachers.protocol import Answers, Ask
from compress.settings import Augmenting, Training
from compress.training.batches import BatchPlan
from compress.training.job import Job, Objective
from compress.training.objective import label_objective
from compress.training.trainee import views_size
from compress.training.views import ViewPlan, Views
from compress_export.ends import ends_in_softmax
from compress_export.qat.network import QuantizedNetwork
from compress_export.repair.case import Case
from compress_export.sources import Source

# Of the student's own peak: its weights are good, only their rounding is new. Measured on a
# depthwise network, two short epochs: a hundredth left the least KL, a tenth more drop as well.
_GENTLER = 0.01
_TEMPERATURE = 1.0  # the student has long learnt what softer answers say
_LEAST_SHARE = np.float32(1e-30)  # a softmax rounded to 0 has no logarithm
Settings = TypeVar("Settings", Training, Augmenting)


def make_job(case: Case, network: QuantizedNetwork, folder: Path) -> Job:
    """All that the network is trained by.

    Args:
        case: the student, its images, its teacher and the settings.
        network: made from its quantised graph.
        folder: where the state is kept, so that a killed export goes on.
    """
    work, source = case.work, case.source
    training = training_settings(case)
    augmenting = _settings(Augmenting(), source.recipe)
    taught = [one.preprocessing for one in (source, case.teacher) if one is not None]
    side = augmenting.view_size
    views = ViewPlan(
        split=work.dataset.train,
        source=work.dataset.fingerprint,
        size=(side, side) if side else views_size(work.dataset, *taught),
        augmenting=augmenting,
        seed=work.seed,
    )
    return Job(
        title="int8: quantisation-aware training",
        module=network,
        preprocessing=source.preprocessing,
        plan=BatchPlan(views=views, batch_size=training.batch_size, order_seed=work.seed),
        validation=work.dataset.validation,
        objective=make_objective(case, training),
        settings=training,
        epochs=training.epochs,
        folder=folder,
        evaluation_size=work.size,
    )


def training_settings(case: Case) -> Training:
    """The student's own schedule; fewer epochs, a lower peak, and the best epoch is kept."""
    asked = case.work.settings
    own = _settings(Training(), case.source.recipe)
    return replace(
        own,
        epochs=asked.qat_epochs,
        lr=asked.qat_lr or _GENTLER * own.lr,
        schedule="cosine",
        select="best",
        ema=0.0,
        accumulate=1,
        precision="float32",
        compile=False,
        runs=1,
        workers=0,
        checkpoint_every=0,
    )


def _settings(defaults: Settings, recipe: Mapping[str, Any]) -> Settings:
    """What a recipe says of some settings; defaults for the rest."""
    said = {f.name: recipe[f.name] for f in fields(defaults) if f.name in recipe}
    return replace(defaults, **said)


def teacher_of(case: Case) -> Source:
    """Who teaches: the student's teacher, or the student itself as it was in float32."""
    return case.source if case.teacher is None else case.teacher


def make_objective(case: Case, training: Training) -> Objective:
    """(1 - w) CE(labels) + w KL(teacher || student), of the same augmented views.

    Args:
        case: its `qat_kd_weight` is w; with 0 no teacher is asked.
        training: its label smoothing.
    """
    weight = case.work.settings.qat_kd_weight
    if not weight:
        return label_objective(training.label_smoothing)
    learns = Chosen(
        method=load_method("kd"),
        settings=kd.Settings(temperature=_TEMPERATURE),
        weight=weight,
        warmup=0.0,
    )
    return distillation_objective(
        _asking(case),
        Course(ce_weight=1 - weight, chosen=(learns,)),
        owners=(),
        epochs=training.epochs,
        label_smoothing=training.label_smoothing,
    )


def _asking(case: Case) -> Ask:
    teacher = teacher_of(case)
    shares = case.teacher is None and ends_in_softmax(case.float32.core)

    def ask(views: Views) -> Answers:
        rows = teacher.answer(views.pixels)
        rows = np.log(np.maximum(rows, _LEAST_SHARE)) if shares else rows
        return Answers(torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32)))

    return ask
