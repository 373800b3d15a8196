"""What the losses of a course need, held against what there is: before the first step."""

from compress.distill.course import Course
from compress.distill.kept.teacher import KeptTeacher
from compress.distill.signals import Need, Situation
from compress.distill.teachers.mean import MeanTeacher
from compress.distill.teachers.protocol import Teacher
from compress.errors import UsageError
from compress.settings import Augmenting, Teaching
from compress.training.batches import BatchPlan


def refuse_impossible(course: Course, teaching: Teaching, augmenting: Augmenting) -> None:
    """Refuse losses that need what the settings leave them without.

    Raises:
        UsageError: names the method, what it needs, the flag in its way, and what to do.
    """
    for one in course.chosen:
        for need in sorted(one.method.needs):
            if found := _in_the_way(need, teaching, augmenting):
                raise UsageError(f"--method {one.method.name}: expected {found}")


def _in_the_way(need: Need, teaching: Teaching, augmenting: Augmenting) -> str:
    """What is expected and what was found; empty where nothing is in the way."""
    mixes = [f"--{name}" for name in ("mixup", "cutmix") if getattr(augmenting, name)]
    if need in ("hard labels", "index") and mixes:
        what = "one label an image" if need == "hard labels" else "images that are not mixed"
        return f"{what}, found {' and '.join(mixes)}; leave that out, or take --method kd"
    if need in ("labels", "hard labels") and teaching.transfer:
        return (
            f"a label for every image, found --transfer {teaching.transfer}, which has none; "
            "take --method kd"
        )
    if need in ("labels", "hard labels") and teaching.labels:
        return (
            f"a label for every image, found --labels {teaching.labels}; take --method kd, which "
            "learns from the teacher where there is no label"
        )
    if need == "features" and (teaching.keep_logits == "always" or teaching.logits):
        flag = f"--logits {teaching.logits}" if teaching.logits else "--keep-logits always"
        return (
            f"the teacher itself in every step, for what is inside it, found {flag}; leave that "
            "out, or take a method of logits such as --method kd"
        )
    return ""


def refuse_partial_logits(course: Course, top_k: int) -> None:
    """Refuse losses that the K largest logits are not enough for.

    Args:
        course: the losses.
        top_k: how many of an image's logits are kept; 0 for all.

    Raises:
        UsageError: names the method, or the temperatures.
    """
    if not top_k:
        return
    for one in course.chosen:
        if "all logits" in one.method.needs:
            raise UsageError(
                f"--method {one.method.name}: expected the teacher's logits of all classes, found "
                f"the {top_k} largest; keep them all with --top-k 0, or take --method kd"
            )
    if len(course.temperatures()) > 1:
        listed = " and ".join(f"{t:g}" for t in course.temperatures())
        raise UsageError(
            f"--method: expected one temperature for the {top_k} largest logits, since the weight "
            f"of the others is read at it, found {listed}; give one, or keep all with --top-k 0"
        )


def kept_top_k(teacher: Teacher) -> int:
    """How many logits an image a teacher of kept answers has, at least; 0 for all."""
    members = teacher.teachers if isinstance(teacher, MeanTeacher) else (teacher,)
    kept = [m.folder.form.top_k for m in members if isinstance(m, KeptTeacher)]
    return min((k for k in kept if k), default=0)


def remarks(course: Course, plan: BatchPlan, epochs: int) -> list[str]:
    """What the methods have to say about a situation in which they work badly.

    Args:
        course: the losses.
        plan: of the batches: how many images a part of a step has, and whether they are mixed.
        epochs: of the training.
    """
    augmenting = plan.views.augmenting
    situation = Situation(
        ce_weight=course.ce_weight,
        images_at_once=len(plan.views.split) // plan.steps() // plan.parts,
        mixes=bool(augmenting.mixup or augmenting.cutmix),
        epochs=epochs,
    )
    return [sentence for one in course.chosen for sentence in one.method.advise(situation)]
