"""Everything that can go wrong before the first measurement goes wrong here.

Files are opened and described on the target, held against flags and goals, and become variants
that know what runs them, on how many threads, and what they are fed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from compress.errors import UsageError
from compress.progress import Progress
from compress.settings import Bench, Run
from compress_bench.evidence import SplitName, TestImages, Variant
from compress_bench.machine import describe_machine, refuse_emulation
from compress_bench.measure.files import inspect
from compress_bench.metrics import Goal, load_metric
from compress_bench.runtimes import check_runtimes, expand_variants, runtime_files
from compress_bench.subjects import bundle
from compress_bench.subjects.bare_files import check_files, images_from_data, open_data, open_files
from compress_bench.subjects.feeds import (
    check_input_shapes,
    choose_shapes,
    parse_input_shapes,
    say_what_is_fed,
)
from compress_bench.subjects.sessions import settle
from compress_bench.targets import LOCAL, Place
from compress_bench.verdict.goals import check_goals

_THREADS_A_CORE = 4


def open_subjects(  # noqa: PLR0913 - what bench was given, and where it measures
    subjects: Sequence[Path],
    *,
    place: Place,
    settings: Bench,
    run: Run,
    limits: Sequence[Goal],
    scratch: Path,
    progress: Progress,
    split: SplitName = "test",
) -> tuple[bundle.Subjects, dict[str, Any]]:
    """What is measured, and the machine that it is measured on.

    Args:
        subjects: a bundle folder, or ONNX files.
        place: where it is measured.
        settings: runtimes, shapes, batch size and reference.
        run: data for files without a bundle, threads, seed.
        limits: goals, which must be ones that can be measured.
        scratch: where test images go.
        progress: where decoding is shown.
        split: which images of `--data` those are.

    Raises:
        UsageError: a flag or a goal that cannot be.
        ArtifactError: a file is missing or damaged.
        DataError: the images cannot be used.
        BenchError: a model cannot be opened, fed, or held against its classes.
    """
    runtimes = check_runtimes(settings.runtime)
    given = parse_input_shapes(settings.input_shape)
    files = bundle.find_files(subjects)
    folder = subjects[0] if bundle.is_bundle(subjects) else None
    if folder is not None:
        bundle.verify_bundle(folder)
    else:
        check_files(files.values())
    raw, described = inspect(place.stream, files, runtime_files(runtimes))
    machine = describe_machine(raw) | {"target": place.reference}
    if place.emulates is None:
        refuse_emulation(machine)
    _check_threads(run.threads, machine["cores"], place.reference)
    check_input_shapes(given, described)
    if folder is not None:
        found = bundle.open_bundle(folder, described, settings.reference)
    else:
        found = open_files(files, described, given, settings.reference)
    variants, notes = settle(found.variants, run.threads)
    variants = tuple(
        replace(v, input_shapes=choose_shapes(v, described[v.name], given, settings.batch_size))
        for v in variants
    )
    notes += tuple(note for v in variants for note in say_what_is_fed(v, described[v.name]))
    notes += say_other_machine(found, machine, run.threads)
    expanded = expand_variants(variants, runtimes)
    names = [variant.name for variant in expanded]
    has_images = found.images is not None or run.data is not None
    check_goals(limits, names, found.reference, has_images=has_images)
    _check_answers(limits, expanded, found.reference)
    found = replace(found, variants=variants, notes=(*found.notes, *notes))
    ask = partial(images_from_data, folder=scratch, progress=progress, split=split)
    found = _with_images(found, described, run, ask, progress)
    return replace(found, variants=expanded), machine


def _check_threads(threads: int | None, cores: int, target: str) -> None:
    """Refuse threads far beyond the cores: they take memory and minutes, and tell nothing."""
    if threads is not None and threads > _THREADS_A_CORE * cores:
        where = "this machine" if target == LOCAL else target
        raise UsageError(
            f"--threads {threads}: expected at most {_THREADS_A_CORE * cores}, as {where} "
            f"has {cores} cores; give --threads {cores} or fewer"
        )


def say_other_machine(
    found: bundle.Subjects, machine: Mapping[str, Any], threads: int | None
) -> tuple[str, ...]:
    """A note where recommended settings were found elsewhere."""
    swept = found.swept.get("machine", {})
    same = all(swept.get(key) == machine[key] for key in ("cpu", "cores"))
    if threads is not None or not swept or same:
        return ()
    return (
        f"the recommended settings were found on another machine ({swept.get('cpu')}, "
        f"{swept.get('cores')} cores); find this one's with --sweep",
    )


def _check_answers(limits: Sequence[Goal], variants: Sequence[Variant], reference: str) -> None:
    """Refuse a goal on answers that a file does not give."""
    named = {variant.name: variant for variant in variants}
    for goal in limits:
        form = load_metric(goal.metric).GOAL
        if form is None or not form.needs_images:
            continue
        compared = [goal.vs or reference] if goal.bound in form.compares else []
        for name in [goal.variant, *compared]:
            if named[name].no_answers:
                raise UsageError(
                    f"goal {goal.variant} {goal.name}: {name} cannot be judged by images "
                    f"({named[name].no_answers}); leave the goal out"
                )


def _with_images(
    found: bundle.Subjects,
    described: Mapping[str, Mapping[str, Any]],
    run: Run,
    ask: Callable[..., tuple[TestImages, tuple[str, ...]]],
    progress: Progress,
) -> bundle.Subjects:
    """The same with images, from the bundle or from --data, and notes on them."""
    if run.data is None:
        return found
    if found.images is not None:
        if run.data == found.images.reference:
            return found
        note = f"accuracy is of the bundle's own test images, not of --data {run.data}"
        return replace(found, notes=(*found.notes, note))
    notes = tuple(f"{v.name}: no accuracy: {v.no_answers}" for v in found.variants if v.no_answers)
    answering = [variant for variant in found.variants if not variant.no_answers]
    if not answering:
        open_data(run, progress)  # a --data that cannot be is refused all the same
        return replace(found, notes=(*found.notes, *notes))
    images, said = ask(run, answering, described)
    for variant in answering:
        bundle.check_fit(variant, described[variant.name], images.classes, images.reference)
    return replace(found, images=images, notes=(*found.notes, *notes, *said))
