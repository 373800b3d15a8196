"""What training keeps on disk, so that a run that was killed at any step goes on from there.

Order, augmentation and dropout need no state: they are functions of (seed, step).
"""

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from compress.artifacts import write_bytes
from compress.errors import ArtifactError
from compress.training.learner import Best, Learner, Position

STATE = "training-state.pt"
HELD = "last-good-state.pt"  # from before the first epoch at chance level


def save_state(folder: Path, learner: Learner, position: Position) -> None:
    """Keep the network, its optimiser and its position; whole or not at all."""
    content = {
        "model": learner.module.state_dict(),  # by this name --weights finds them
        "optimizer": learner.optimizer.state_dict(),
        "average": learner.average.state_dict() if learner.average else None,
        "best": vars(learner.best),
        "position": asdict(position),
    }
    # Through memory: on a full disk torch's own writer fails with an error that does not say so.
    serialised = io.BytesIO()
    torch.save(content, serialised)
    write_bytes(folder / STATE, serialised.getvalue())


def load_state(folder: Path, learner: Learner) -> Position:
    """Put back what `save_state` kept; the start where nothing was.

    Raises:
        ArtifactError: the file is damaged or of another network.
    """
    path = folder / STATE
    if not path.is_file():
        return Position()
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        learner.module.load_state_dict(content["model"])
        learner.optimizer.load_state_dict(content["optimizer"])
        if learner.average is not None:
            learner.average.load_state_dict(content["average"])
        learner.best = Best(**content["best"])
        return Position(**content["position"])
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        raise ArtifactError(
            f"{path}: cannot be resumed from ({str(error).splitlines()[0]}); "
            "give --force to train from the start"
        ) from error


def hold_state(folder: Path) -> None:
    """Keep the state that is there under another name, since the next ones may be no good."""
    if (folder / STATE).is_file():
        write_bytes(folder / HELD, (folder / STATE).read_bytes())


def last_good_state(folder: Path) -> Path | None:
    """The state from before a divergence, or the last one; None where nothing was saved."""
    return next((folder / n for n in (HELD, STATE) if (folder / n).is_file()), None)


def drop_state(folder: Path) -> None:
    """Remove the states of a run that is finished; its checkpoint holds the weights."""
    for name in (STATE, HELD):
        (folder / name).unlink(missing_ok=True)
