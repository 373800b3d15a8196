"""`compress run`: the stages one after the other, each from what the one before wrote."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.artifacts import write_text
from compress.errors import UsageError
from compress.extras import needs
from compress.progress import Progress
from compress.recipes import Recipe, section_of, settings_from
from compress.settings import (
    Augmenting,
    Bench,
    Export,
    Network,
    Run,
    Teaching,
    Training,
)
from compress.settings.batches import check_batches
from compress.stage import RECIPE, dump

if TYPE_CHECKING:
    from compress.distill.wish import Wish

TEACHER, STUDENT, BUNDLE = "teacher", "student", "bundle"


def run_chain(
    recipe: Recipe, *, source: str, out: Path, force: bool, progress: Progress
) -> dict[str, Any]:
    """Follow a recipe from the teacher to the verdict.

    Args:
        recipe: checked sections; a stage without a section is left out.
        source: the recipe's name, for errors.
        out: folder that receives `teacher/`, `student/`, `bundle/` and the report.
        force: run stages again although they are finished.
        progress: says which stage runs.

    Returns:
        The report.
    """
    chain = Chain(recipe, source, out, force, progress)
    chain.check()
    write_text(out / RECIPE, dump(recipe))
    if "logits" in recipe:
        progress.say(f"{source}: section logits is for compress logits; distill keeps its own")
    if "train" in recipe:
        progress.say("1 of 4: train the teacher")
        chain.train()
    if "distill" in recipe:
        progress.say("2 of 4: distil the student")
        chain.distill()
    progress.say("3 of 4: export to ONNX")
    chain.export()
    progress.say("4 of 4: measure")
    return chain.bench()


class Chain:
    """A recipe and where its stages meet on disk."""

    def __init__(
        self, recipe: Recipe, source: str, out: Path, force: bool, progress: Progress
    ) -> None:
        """Keep what all stages need."""
        self.recipe, self.source, self.out = recipe, source, out
        self.force, self.progress = force, progress

    def check(self) -> None:
        """Refuse what a later stage would refuse, before the first one has cost any time."""
        with needs("export"):
            from compress_export.recipe import check_settings
        from compress_bench.profiles import choose_profile
        from compress_bench.regression.gate import read_baseline
        from compress_bench.runtimes import check_runtimes, expand_names
        from compress_bench.verdict.goals import check_goals, parse_goals

        for command in ("train", "distill"):
            if command in self.recipe:
                for kind in (Run, Network, Training, Augmenting):
                    self._settings(command, kind).check()
        teaching, written = self._settings("distill", Teaching), self._settings("export", Export)
        if "distill" in self.recipe:
            self._check_distill()
        check_settings(written)
        measured = self._settings("bench", Bench)
        check_batches(written, measured, self.source)
        variants = self._variants(teaching, written)
        choose_profile(measured)
        if measured.baseline is not None:
            read_baseline(measured.baseline)
        goals = parse_goals(self.recipe.get("goals") or {}, f"{self.source}: goals")
        runtimes = check_runtimes(measured.runtime)
        check_goals(goals, expand_names(variants, runtimes), variants[0], has_images=True)
        self._subject()

    def _variants(self, teaching: Teaching, written: Export) -> list[str]:
        """The files that the bundle will hold."""
        if "subject" in self.recipe.get("export", {}):
            return ["teacher", "student", "baseline", "student_int8"]  # its manifest decides
        distilled = "distill" in self.recipe and written.teacher != "none"
        found = ["teacher"] if distilled else []
        found += ["student"]
        found += ["baseline"] if "distill" in self.recipe and teaching.with_baseline else []
        return found + (["student_int8"] if written.int8 else [])

    def train(self) -> None:
        """The teacher, into teacher/."""
        with needs("train"):
            from compress.edge_effects import effects_shown
            from compress.training.recipe import Wish, train

        section = section_of(self.recipe, "train")
        wish = Wish(
            model=self._needed(section, "train", "model"),
            network=self._settings("train", Network),
            training=self._settings("train", Training),
            augmenting=self._settings("train", Augmenting),
            run=self._run("train", TEACHER),
        )
        with effects_shown(wish.model, wish.network, wish.run, self.progress):
            train(wish, self.progress)

    def distill(self) -> None:
        """The student, into student/; its teacher is teacher/ unless the recipe names another."""
        with needs("train"):
            from compress.distill.recipe import distill
            from compress.edge_effects import effects_shown

        wish = self._lesson()
        with effects_shown(wish.student, wish.network, wish.run, self.progress):
            distill(wish, self.progress)

    def _check_distill(self) -> None:
        """Refuse what the second stage would refuse, before the first has cost any time."""
        wish = self._lesson()
        wish.check()
        if wish.tuning.names():
            wish.tuning.budget(wish.training.epochs, wish.teachers.teacher)

    def _lesson(self) -> "Wish":
        """What the recipe asks distill for; its teacher is teacher/ unless it names another."""
        with needs("train"):
            from compress.distill.asked import wish_of

        return wish_of(
            self.recipe,
            self.source,
            teacher=self.out / TEACHER,
            out=self.out / STUDENT,
            force=self.force,
        )

    def export(self) -> None:
        """ONNX files, into bundle/."""
        with needs("export"):
            from compress_export.recipe import export

        export(
            self._subject(),
            settings=self._settings("export", Export),
            network=self._settings("export", Network),
            run=self._run("export", BUNDLE),
            progress=self.progress,
        )

    def _subject(self) -> str:
        """What is exported: what the recipe names, else the last network that was trained."""
        named = self.recipe.get("export", {}).get("subject")
        trained = [d for c, d in (("distill", STUDENT), ("train", TEACHER)) if c in self.recipe]
        if not named and not trained:
            raise UsageError(
                f"{self.source}: expected a section train or distill, or export.subject, found none"
            )
        return str(named or self.out / trained[0])

    def bench(self) -> dict[str, Any]:
        """The report, beside the folders of the stages."""
        from compress_bench.recipe import bench

        settings = self._settings("bench", Bench)
        return bench(
            [self.out / BUNDLE],
            settings=settings,
            run=self._run("bench", "."),
            goals=self.recipe.get("goals"),
            progress=self.progress,
        )

    def _settings(self, command: str, kind: type[Any]) -> Any:
        return settings_from(section_of(self.recipe, command), kind, self.source)

    def _run(self, command: str, folder: str) -> Run:
        run: Run = self._settings(command, Run)
        return replace(run, out=self.out / folder, force=self.force)

    def _needed(self, section: dict[str, Any], command: str, key: str) -> str:
        if not section.get(key):
            raise UsageError(f"{self.source}: {command}.{key}: expected a network, found nothing")
        return str(section[key])
