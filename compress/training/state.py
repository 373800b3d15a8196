"""What training keeps on disk, so that a run that was killed at any step goes on from there.

Order, augmentation and dropout need no state: they are functions of (seed, step).
"""

import io
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from compress.artifacts import atomic_path, write_bytes
from compress.errors import ArtifactError
from compress.training.learner import Best, Learner, Position

STATE = "training-state.pt"
HELD = "last-good-state.pt"  # as it was at the end of the last epoch that was above chance


def save_state(folder: Path, learner: Learner, position: Position) -> None:
    """Keep the network, its connectors, its optimiser and its position; whole or not at all."""
    content = {
        "model": learner.module.state_dict(),  # by this name --weights finds them
        "connectors": learner.pupil.connectors.state_dict() if learner.pupil else None,
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
        if learner.pupil is not None:
            learner.pupil.connectors.load_state_dict(content["connectors"])
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
    """Keep the state that is there under another name: the next epochs may be no good.

    A second name for the same bytes: a state is never written in place.
    """
    if not (folder / STATE).is_file():
        return
    with atomic_path(folder / HELD) as temporary:
        temporary.unlink()
        os.link(folder / STATE, temporary)


def drop_state(folder: Path) -> None:
    """Remove the states of a run that is finished; its checkpoint holds the weights."""
    for name in (STATE, HELD):
        (folder / name).unlink(missing_ok=True)
