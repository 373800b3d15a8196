"""What the user asked of `compress distill`."""

from dataclasses import dataclass

from compress.distill.course import plan_course
from compress.distill.requirements import refuse_impossible
from compress.settings import (
    Augmenting,
    Keeping,
    Network,
    Run,
    Teachers,
    Teaching,
    Training,
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
    """

    student: str
    teachers: Teachers
    teaching: Teaching
    keeping: Keeping
    network: Network
    training: Training
    augmenting: Augmenting
    run: Run

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
        ):
            part.check()
        course = plan_course(self.teaching, classes=2)  # of any number: values are checked alike
        refuse_impossible(course, self.teaching, self.augmenting)
