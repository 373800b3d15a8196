"""A stage's folder: begun once, gone on with, finished, and never mixed with another run's.

`recipe.yaml` in the folder holds the resolved settings under the command's name. The same command
again goes on or is done; another one is refused with the difference, unless --force clears the
folder of what the earlier run wrote. Looking comes first and changes nothing: a command that is
refused for another reason leaves a finished result as it is.
"""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from compress.artifacts import write_text
from compress.errors import ArtifactError

RECIPE = "recipe.yaml"
# By its first line a folder's recipe is told from one that a user wrote.
RESOLVED = "# Resolved settings of the results in this folder, written by compress.\n"
_LEFTOVER = ".writing-*"  # of a run that was killed while it wrote
# What the stages write; --force removes these names and no others.
_RESULTS = (
    RECIPE,
    "manifest.json",
    "model.safetensors",
    "connectors.safetensors",
    "predictions.npz",
    "training-state.pt",
    "last-good-state.pt",
    "edge.json",
    "history.csv",
    "tensorboard",
    "logits",
    "logits.json",
    "view-[0-9]*",
    "tuning",
    "tuning.json",
    "tuning.html",
    "baseline",
    "seed-[0-9]*",
    "bundle.json",
    "teacher.onnx",
    "student.onnx",
    "baseline.onnx",
    "student.int8.onnx",
    "evaluation.npz",
    "golden.npz",
    "calibration.npz",
    "qat",
    "report",
    _LEFTOVER,
)
_FIRST_WRITE = ".writing-????????.yaml"  # of the recipe, before it has its name
# Where the result goes, what it may replace, and what changes no number in it.
_NOT_SETTINGS = ("out", "force", "workers", "checkpoint_every", "logits", "spot_check")
_LAST = ("logits.json",)  # what says of which kind the other files are
# What --force leaves, by command: it says itself what it was made from.
_SPARED = {"distill": ("logits",), "export": ("calibration.npz",)}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A folder that a command writes to.

    Attributes:
        folder: where.
        finished: whether the result is there already; then nothing is to be done.
        recipe: what recipe.yaml is to hold; None where the folder is gone on with.
        replaced: names in the folder that are removed when it is begun, in this order.
    """

    folder: Path
    finished: bool
    recipe: str | None = None
    replaced: tuple[str, ...] = ()

    def begin(self) -> None:
        """Remove what --force replaces and write the recipe; call it after the last refusal.

        A folder that is gone on with loses nothing but what a killed run had half written.

        Raises:
            ArtifactError: the folder cannot be written.
        """
        for leftover in self.folder.rglob(".writing-*"):
            leftover.unlink(missing_ok=True)
        if self.recipe is None:
            return
        for name in self.replaced:
            _remove(self.folder / name)
        # Never removed, only replaced: a kill on the way leaves a folder that is known as ours.
        write_text(self.folder / RECIPE, self.recipe)


def open_stage(
    out: Path, command: str, settings: Mapping[str, Any], *, result: str, force: bool
) -> Stage:
    """Look at the folder of the stage that `settings` describe; nothing is changed before `begin`.

    Args:
        out: the stage's folder, there or not.
        command: train, distill, logits or export: the recipe's section.
        settings: resolved settings and digests of the inputs; plain values only.
        result: name of the file that is written last.
        force: begin anew.

    Raises:
        ArtifactError: the folder holds other things, or a run with other settings.
    """
    recipe = out / RECIPE
    begun = Stage(folder=out, finished=False, recipe=_text(command, settings))
    if not is_ours(recipe):
        _refuse_foreign(out)
        return begun
    if force:
        return replace(begun, replaced=_replaced(out, command, result))
    names = {path.name for path in out.iterdir() if not fnmatch(path.name, _LEFTOVER)}
    if names == {RECIPE}:
        return begun  # refused before it made anything: nothing to keep
    found = read_settings(recipe).get(command)
    if not isinstance(found, dict):
        raise ArtifactError(
            f"{out}: holds a result of another command than {command}; choose another --out"
        )
    different = differences(found, plain(settings))
    if different:
        raise ArtifactError(
            f"{out}: holds a run with other settings ({'; '.join(different)}); "
            "choose another --out, or give --force to replace it"
        )
    return Stage(folder=out, finished=(out / result).is_file())


def adopt_stage(
    out: Path, command: str, settings: Mapping[str, Any], *, result: str, force: bool
) -> Stage:
    """A folder without a recipe that another command made inside its own; see `open_stage`.

    The caller knows it by its content, and has asked whether that is the one wanted.

    Raises:
        ArtifactError: with --force, it holds other things too.
    """
    begun = Stage(folder=out, finished=False, recipe=_text(command, settings))
    return replace(begun, replaced=_replaced(out, command, result)) if force else begun


def _text(command: str, settings: Mapping[str, Any]) -> str:
    return RESOLVED + dump({command: plain(settings)})


def is_ours(recipe: Path) -> bool:
    """Whether a stage wrote this recipe, and not a user."""
    try:
        return recipe.read_text().startswith(RESOLVED)
    except (OSError, UnicodeDecodeError):
        return False


def read_settings(recipe: Path) -> dict[str, Any]:
    """The resolved settings that a stage folder was begun with."""
    try:
        content = yaml.safe_load(recipe.read_text())
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{recipe}: cannot be read ({reason}); give --force") from error
    return content if isinstance(content, dict) else {}


def settings_of(*parts: Any) -> dict[str, Any]:
    """One flat mapping of several settings classes; where results go is not a setting."""
    merged: dict[str, Any] = {}
    for part in parts:
        merged |= asdict(part)
    return {key: plain(value) for key, value in merged.items() if key not in _NOT_SETTINGS}


def plain(value: Any) -> Any:
    """Settings as YAML and JSON hold them: paths as text, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def dump(content: Mapping[str, Any]) -> str:
    """YAML in the order given."""
    return str(yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True))


def _replaced(out: Path, command: str, result: str) -> tuple[str, ...]:
    """What --force removes; a folder that holds anything else is left as it is."""
    found = sorted(path.name for path in out.iterdir())
    foreign = foreign_names(out)
    if foreign:
        raise ArtifactError(
            f"{out}: expected only results of this tool, found other files ({foreign[0]}); "
            "choose another --out"
        )
    left = (RECIPE, *_SPARED.get(command, ()))
    names = [name for name in found if name not in left and not fnmatch(name, _LEFTOVER)]
    # A kill on the way leaves a run that is not finished, and kept logits that say what they are.
    return tuple(sorted(names, key=lambda name: (name in _LAST, name != result)))


def foreign_names(folder: Path) -> list[str]:
    """What no stage writes into its folder; nothing where there is no folder."""
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [name for name in found if not any(fnmatch(name, r) for r in _RESULTS)]


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be removed ({error.strerror or error}); choose another --out"
        ) from error


def _refuse_foreign(out: Path) -> None:
    """A folder without a recipe of ours is begun only if it is empty."""
    # A kill while the first recipe was written leaves a temporary file of ours.
    found = out.is_dir() and any(not fnmatch(p.name, _FIRST_WRITE) for p in out.iterdir())
    if out.is_file() or found:
        raise ArtifactError(
            f"{out}: expected an empty folder or a run of this tool, found other files; "
            "choose another --out"
        )


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What was asked for otherwise than it is there, a phrase for each setting."""
    keys = sorted(set(found) | set(wanted))
    return [
        f"{key}: {found.get(key)} there, {wanted.get(key)} asked"
        for key in keys
        if found.get(key) != wanted.get(key)
    ]
