"""What training keeps on disk after each epoch, so that a killed run goes on from there."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from compress.artifacts import write_bytes
from compress.errors import ArtifactError

STATE = "training-state.pt"
History = list[dict[str, float]]


def save_state(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, history: History
) -> None:
    """Keep weights, optimiser, torch's random state and the history; whole or not at all.

    Order and augmentation need no state: they are functions of (seed, epoch, index).
    """
    content = {
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "torch_rng": torch.get_rng_state(),
        "history": history,
    }
    # Through memory: on a full disk torch's own writer fails with an error that does not say so.
    serialised = io.BytesIO()
    torch.save(content, serialised)
    write_bytes(folder / STATE, serialised.getvalue())


def load_state(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> History:
    """Put back what `save_state` kept; an empty history where nothing was.

    Raises:
        ArtifactError: the file is damaged or of another network.
    """
    path = folder / STATE
    if not path.is_file():
        return []
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(content["module"])
        optimizer.load_state_dict(content["optimizer"])
        torch.set_rng_state(content["torch_rng"])
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        raise ArtifactError(
            f"{path}: cannot be resumed from ({str(error).splitlines()[0]}); "
            "give --force to train from the start"
        ) from error
    return list(content["history"])


def drop_state(folder: Path) -> None:
    """Remove the state of a run that is finished; its checkpoint holds the weights."""
    (folder / STATE).unlink(missing_ok=True)
