"""What the user asked of `compress distill`."""

from dataclasses import dataclass, field

from compress.distill.course import Course, plan_course
from compress.distill.requirements import refuse_impossible
from compress.distill.tuning.courses import candidate_courses
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


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the user asked for.

    Attributes:
        student: which network learns.
        teachers: who teaches.
        teaching: how.
        keeping: how the teacher's logits are kept.
        network: how the student starts.
        training: the schedule.
        augmenting: what it sees.
        run: data, seeds, threads, and where the result goes.
        tuning: what is searched for on validation first; nothing, unless asked for.
    """

    student: str
    teachers: Teachers
    teaching: Teaching
    keeping: Keeping
    network: Network
    training: Training
    augmenting: Augmenting
    run: Run
    tuning: Tuning = field(default_factory=Tuning)

    def check(self) -> None:
        """Refuse what cannot be, before anything is read.

        Raises:
            UsageError: a number out of its range, or methods that do not exist or do not fit.
        """
        for part in (
            self.teachers,
            self.teaching,
            self.keeping,
            self.network,
            self.training,
            self.augmenting,
            self.run,
            self.tuning,
        ):
            part.check()
        self.courses(classes=2)  # of any number: values are checked alike

    def courses(self, classes: int) -> tuple[Course, ...]:
        """The course that teaches; with --tune all that a search compares, the first one first.

        Raises:
            UsageError: methods that do not exist, do not fit, or cannot be compared.
        """
        searched = self.tuning.names()
        if searched:
            return candidate_courses(self.teaching, searched, classes, self.refuse)
        course = plan_course(self.teaching, classes)
        self.refuse(course)
        return (course,)

    def refuse(self, course: Course) -> None:
        """Refuse a course that the settings leave without what it needs.

        Raises:
            UsageError: see `refuse_impossible`.
        """
        refuse_impossible(course, self.teaching, self.augmenting)

    def passes(self) -> int:
        """How often a live teacher would be asked about all images: by trials and by students."""
        epochs = self.training.epochs
        return epochs * self.training.runs + self.tuning.epochs(epochs)
