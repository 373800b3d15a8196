"""Before any training: every candidate as a file with random weights, measured beside the teacher.

Time, size and memory do not depend on weights. All files are measured in one bench, in turns, so
that a comparison sees one machine, and judged by bench's own verdicts. What was measured is kept in
`search/screening.json` of the run's folder: the same search again, also with other limits, measures
nothing.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compress.artifacts import header
from compress.data.dataset import Dataset
from compress.data.open import open_dataset
from compress.data.wording import counted
from compress.progress import Progress
from compress.recipes import Recipe, section_of, settings_from
from compress.search.candidate import Candidate
from compress.search.deployed import deployed_file, precision_of
from compress.search.families import Member, Place, Roster, gather
from compress.search.goals import (
    Split,
    decide_far,
    goal_content,
    judge_again,
    key_of,
    of_candidate,
    precisions,
    screened,
    split_goals,
)
from compress.search.kept import read_kept, write_kept
from compress.search.measured import Measured, Plan, digest, measure
from compress.search.misses import why_out
from compress.search.reference import TeacherFile, find_teacher
from compress.search.written import recipe_text
from compress.settings import Bench, Export, Network, Run, Searching, Teachers
from compress.settings.batches import check_batches
from compress.training.torch_setup import set_up_torch
from compress.training.trainee import views_size
from compress_bench.metrics import Goal
from compress_bench.targets import open_place
from compress_bench.verdict.goals import write_goals
from compress_export.recipe import check_settings

SEARCH = "search"  # folder in that of the run
NOT_TRAINED = "not trained"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is screened, for what.

    Attributes:
        place: what candidates must fit.
        teacher: what they are compared with.
        roster: who they are.
        goals: by when they can be judged.
        settings: of export: the files' ends, and whether there is an int8 file.
        bench: of bench: where and how is measured.
        threads: of one inference.
    """

    place: Place
    teacher: TeacherFile
    roster: Roster
    goals: Split
    settings: Export
    bench: Bench
    threads: int | None

    @property
    def precision(self) -> str:
        """Of the file that goals are about."""
        return precision_of((*self.goals.now, *self.goals.later))


def screen(
    recipe: Recipe,
    searching: Searching,
    goals: Sequence[Goal],
    out: Path | None,
    *,
    source: str,
    progress: Progress,
) -> dict[str, Any]:
    """Which candidates may meet the goals, as far as this can be told without training.

    Args:
        recipe: checked sections; candidates take the place of its section distill's student.
        searching: families and widths.
        goals: the user's, on `student`, `student_int8` and against `teacher`.
        out: the run's folder, where measurements are kept; None keeps nothing.
        source: the recipe's name, for errors.
        progress: shows what takes long.

    Returns:
        The content of search.json where nothing is trained; its candidates are the smallest
        deployed file first, each in state "not trained", "screened out" or "failed".

    Raises:
        UsageError: goals on what a search does not make, or families that are no networks.
        CompressError: images, teacher or measurement fail.
    """
    started = time.monotonic()
    scene = _set(recipe, searching, goals, source, progress)
    progress.say(
        f"search: {counted(len(scene.roster.members), 'candidate')} with random weights, measured "
        f"on {scene.bench.target}"
    )
    found = _measured(scene, out, progress)
    written = {**recipe, "goals": write_goals(goals)}
    content = header(SEARCH) | {
        "target": scene.bench.target,
        "data": scene.place.dataset.name,
        "image": _image(scene.place.dataset),
        "classes": len(scene.place.dataset.classes),
        "goals": [
            goal_content(goal) | {"needs_training": goal in scene.goals.later} for goal in goals
        ],
        "deployed_precision": scene.precision,
        "teacher": _teacher(scene, found),
        "candidates": sorted(
            (_candidate(member, scene, found, written) for member in scene.roster.members),
            key=lambda candidate: _deployed_size(candidate, scene.precision),
        ),
        "rungs": [],
        "epochs": 0,
        "images": len(scene.place.dataset.validation),
        "winner": None,
        "verdict": NOT_TRAINED,
        "distances": [],
        "sentences": [*_sentences(scene), *found.notes],
    }
    seconds = {"screening": time.monotonic() - started, "teacher": None}
    return content | {"seconds": seconds | {"training": 0.0, "judging": 0.0}}


def _set(
    recipe: Recipe, searching: Searching, goals: Sequence[Goal], source: str, progress: Progress
) -> Scene:
    """Open the images, build the teacher and the candidates; all that can be refused is."""
    searching.check()
    run = _settings(recipe, "distill", Run, source)
    run.check()
    run = set_up_torch(run.resolved())
    bench: Bench = _settings(recipe, "bench", Bench, source)
    bench.check()
    open_place(bench.target, progress)  # not entered: it may be away if all is measured already
    settings: Export = _settings(recipe, "export", Export, source)
    check_settings(settings)
    check_batches(settings, bench, source)
    network: Network = _settings(recipe, "distill", Network, source)
    replace(network, for_edge=True).check()  # some candidates are changed, whatever it says
    dataset = open_dataset(run.data_reference(), **run.splitting(), progress=progress)
    place = Place(dataset=dataset, network=network, run=run)
    teacher = find_teacher(
        _settings(recipe, "distill", Teachers, source),
        str(recipe.get("train", {}).get("model") or ""),
        _settings(recipe, "train", Network, source),
        place,
        progress,
    )
    split = split_goals(goals, bench.runtime, has_teacher=teacher.has_file, int8=settings.int8)
    return Scene(
        place=place,
        teacher=teacher,
        roster=gather(searching, place, teacher.parameters, progress),
        goals=split,
        settings=settings,
        bench=bench,
        threads=_settings(recipe, "bench", Run, source).threads,
    )


def _settings(recipe: Recipe, command: str, kind: type[Any], source: str) -> Any:
    return settings_from(section_of(recipe, command), kind, source)


def _measured(scene: Scene, out: Path | None, progress: Progress) -> Measured:
    """What was measured before, or is measured now and kept."""
    plan = Plan(
        place=scene.place,
        teacher=scene.teacher,
        members=scene.roster.members,
        goals=scene.goals.now,
        precisions=precisions(scene.goals.now, scene.precision),
        settings=scene.settings,
        bench=scene.bench,
        threads=scene.threads,
    )
    if out is None:
        with TemporaryDirectory(prefix="compress-search-") as folder:
            return measure(plan, Path(folder), progress)
    key = digest(plan)
    kept = read_kept(out / SEARCH, key)
    if kept is not None and set(map(key_of, scene.goals.now)) <= kept.asked:
        progress.detail(f"search: measurements as kept in {out / SEARCH}")
        return kept
    found = measure(plan, out / SEARCH / f"screening-{key[:12]}", progress)
    write_kept(out / SEARCH, key, found)
    return found


def _candidate(member: Member, scene: Scene, found: Measured, recipe: Recipe) -> dict[str, Any]:
    """One candidate, as a search's JSON has it before training."""
    candidate = member.candidate
    failed = found.failed.get(candidate.name, "")
    judged = [] if failed else _judged(candidate, scene.goals.now, found)
    status = "unmeasured" if failed else screened(judged)
    state = "screened out" if status == "fail" else NOT_TRAINED
    return {
        "name": candidate.name,
        "student": candidate.student,
        "model_args": dict(candidate.model_args),
        "for_edge": candidate.for_edge,
        "views": list(views_size(scene.place.dataset, member.built.preprocessing)),
        "parameters": member.parameters,
        "macs": None,
        "screening": found.files.get(candidate.name),
        "screened": status,
        "goals": judged,
        "state": "failed" if failed else state,
        "reason": failed or why_out(judged),
        "trained": None,
        "deployed": None,
        "met": None,
        "on_front": False,
        "won": False,
        "recipe": recipe_text(recipe, candidate),
    }


def _judged(candidate: Candidate, goals: Sequence[Goal], found: Measured) -> list[dict[str, Any]]:
    """The verdicts on its files, under the names that the user gave them."""
    verdicts = []
    for goal in goals:
        old = found.verdicts[candidate.name][key_of(goal)]
        if old["limit"] != goal.limit:
            own = of_candidate(goal, candidate.name)
            old = judge_again(old, own, found.smallest_difference)
        old = decide_far(old, goal)
        verdicts.append({**old, "variant": goal.variant, "vs": goal.vs or old["vs"]})
    return verdicts


def _teacher(scene: Scene, found: Measured) -> dict[str, Any]:
    teacher = scene.teacher
    return {
        "name": teacher.name,
        "student": teacher.reference,
        "model_args": dict(teacher.model_args),
        "parameters": teacher.parameters,
        "latency": found.teacher.get("latency"),
        "size_bytes": found.teacher.get("size_bytes"),
        "validation": None,
    }


def _image(dataset: Dataset) -> list[int] | None:
    size = dataset.image_size
    return None if size is None else [*size, dataset.channels]


def _deployed_size(candidate: Mapping[str, Any], precision: str) -> float:
    """Bytes of the file that goals are about; candidates without one last."""
    file = deployed_file(candidate, precision)
    return float("inf") if file is None else float(file["size_bytes"])


def _sentences(scene: Scene) -> list[str]:
    """What the user should know of who was compared."""
    said = list(scene.roster.left_out)
    if scene.teacher.note:
        said.append(f"no teacher to compare with before it is trained: {scene.teacher.note}")
    return said


def candidate_of(content: Mapping[str, Any]) -> Candidate:
    """The network of a candidate in a search's JSON."""
    return Candidate(
        name=content["name"],
        student=content["student"],
        model_args=content["model_args"],
        for_edge=content["for_edge"],
    )


def with_int8(recipe: Recipe, goals: Sequence[Goal]) -> Recipe:
    """The recipe with an int8 file where goals are set on one, and it does not say."""
    export = recipe.get("export", {})
    if "int8" in export or not any(goal.variant.startswith("student_int8") for goal in goals):
        return recipe
    return {**recipe, "export": {**export, "int8": True}}
