"""Between the courses that a student can be taught by and the points of a search."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from compress.distill.course import Course, plan_course
from compress.distill.methods import load_method
from compress.distill.tuning.space import METHOD, TrialSettings
from compress.errors import UsageError
from compress.settings import Teaching
from compress.settings.method_names import list_methods


def candidate_courses(
    teaching: Teaching, tuned: Sequence[str], classes: int, refuse: Callable[[Course], None]
) -> tuple[Course, ...]:
    """The courses that a search compares, of one method each; the first is tried first.

    Args:
        teaching: as asked for.
        tuned: the settings that are searched for. With `method` among them several methods are
            candidates, and a single one is joined by all others of logits that fit.
        classes: of the data.
        refuse: raises UsageError for a course that cannot be taught here.

    Raises:
        UsageError: a sum of methods, whose settings cannot be told apart.
    """
    if METHOD not in tuned:
        course = plan_course(teaching, classes)
        if len(course.chosen) > 1:
            listed = " and ".join(one.method.name for one in course.chosen)
            raise UsageError(
                f"--tune {','.join(tuned)}: expected a single method, found {listed}; with --tune "
                f"{','.join((*tuned, METHOD))} they are candidates"
            )
        refuse(course)
        return (course,)
    if teaching.kd_weight is not None:
        raise UsageError(
            f"--kd-weight {teaching.kd_weight:g}: expected each candidate's own weight, whose "
            "scales differ by a thousand, found one for all of them; leave it out, or give "
            "--set method.NAME.weight=0.5 for each --method"
        )
    given = [_alone(teaching, method, classes) for method in teaching.method]
    for course in given:
        refuse(course)
    if len(given) > 1:
        return tuple(given)
    others = [
        _alone(teaching, name, classes)
        for name in list_methods()
        if name != given[0].chosen[0].method.name and "features" not in load_method(name).needs
    ]
    return (*given, *(course for course in others if _fits(course, refuse)))


def _alone(teaching: Teaching, method: str, classes: int) -> Course:
    """The course of one method, with the flags that concern it."""
    alone = replace(teaching, method=(method,))
    course = plan_course(replace(alone, temperature=None), classes)
    knows_none = course.chosen[0].temperature() is None
    return course if knows_none else plan_course(alone, classes)


def _fits(course: Course, refuse: Callable[[Course], None]) -> bool:
    """Whether a course can be taught here."""
    try:
        refuse(course)
    except UsageError:
        return False
    return True


def start_of(course: Course) -> TrialSettings:
    """The settings that a course of one method begins with."""
    one = course.chosen[0]
    return TrialSettings(
        method=one.method.name,
        temperature=one.temperature(),
        kd_weight=one.weight,
        ce_weight=course.ce_weight,
    )


def course_of(courses: Sequence[Course], settings: TrialSettings) -> Course:
    """The course of a trial: that of its method, with its numbers."""
    course = next(c for c in courses if c.chosen[0].method.name == settings.method)
    one = course.chosen[0]
    own = one.settings
    if settings.temperature is not None:
        own = replace(own, temperature=settings.temperature)
    chosen = replace(one, settings=own, weight=settings.kd_weight)
    return Course(ce_weight=settings.ce_weight, chosen=(chosen,))
