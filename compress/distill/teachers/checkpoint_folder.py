"""A teacher that compress train or distill wrote: its manifest says all there is to know."""

from pathlib import Path

from compress.artifacts import MANIFEST
from compress.data.dataset import Dataset
from compress.data.open import absolute_data
from compress.distill.teachers.class_map import Labels
from compress.distill.teachers.interpret import Interpreter
from compress.distill.teachers.live import LiveTeacher
from compress.distill.teachers.mapping import find_map
from compress.distill.teachers.request import Request
from compress.distill.teachers.torch_network import TorchNetwork
from compress.errors import ModelError
from compress.models.checkpoint import LoadedModel, load_checkpoint
from compress.models.reference import absolute_reference
from compress.progress import Progress
from compress_bench.metadata import without_folder

_FLAGS = ("teacher_output", "class_map")  # what a manifest does not say


def claims(reference: str) -> bool:
    """Any folder, finished or not."""
    return Path(reference).is_dir()


def load(request: Request) -> LiveTeacher:
    """Rebuild the network and hold its images and classes against the data's.

    Raises:
        UsageError: a flag whose answer the manifest gives.
        ModelError: an unfinished folder, other classes, or test images that may have taught it.
        ArtifactError: a damaged folder.
    """
    folder = Path(request.reference)
    if not (folder / MANIFEST).is_file():
        raise ModelError(
            f"--teacher {folder}: expected a checkpoint, found a folder without {MANIFEST}; "
            "its training may not be finished: give that command again"
        )
    expected = "a teacher that is no checkpoint folder"
    request.refuse_flags(_FLAGS, expected, "whose manifest says it")
    model = load_checkpoint(folder)
    _check_images(request.reference, model, request.dataset, request.progress)
    mapping = find_map(request, Labels(len(model.classes), model.classes))
    recipe = model.manifest["model"]
    return LiveTeacher(
        name=request.reference,
        classes=request.dataset.classes,
        network=TorchNetwork(model, request.run.device),
        interpreter=Interpreter(request.settings.teacher_output, mapping).to(request.run.device),
        source={
            "kind": "checkpoint",
            "network": without_folder(model.name),
            "args": dict(recipe["args"]),
            "sha256": model.sha256,
            "source_sha256": recipe.get("source_sha256") or "",
        },
        found={
            "reference": absolute_reference(model.name),
            "folder": str(folder.resolve()),
            "weights": None,
        },
        normalisation_known=True,  # our own checkpoints carry the one they were trained with
    )


def _check_images(name: str, model: LoadedModel, dataset: Dataset, progress: Progress) -> None:
    """The student's test images must not be among those that taught the teacher."""
    record = model.manifest["data"]
    if record["fingerprint"] == dataset.fingerprint:
        return
    if record["reference"] == absolute_data(dataset.name):
        raise ModelError(
            f"--teacher {name}: was trained on {dataset.name} in other splits, or before "
            "its images changed, so that test images may have taught it; give the --split-seed, "
            "--val-fraction and --test-fraction that its manifest names, or train it again"
        )
    progress.say(
        f"teacher {name} was trained on {record['reference']}, the student learns on "
        f"{dataset.name}: make sure that the test images did not teach it"
    )
