"""The connectors of a distilled student, kept apart from it: for a look, never for its use."""

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save

from compress.artifacts import write_bytes
from compress.distill.pairing import Planned
from compress.training.pupil import Pupil

CONNECTORS = "connectors.safetensors"


def save_connectors(folder: Path, pupil: Pupil, planned: Sequence[Planned]) -> None:
    """Write the weights beside the checkpoint; nothing where no method connects layers.

    The file's metadata has "connectors": JSON, for each connector by its number the method and its
    pair of layers. Tensors are called NUMBER.NAME. Nothing reads it: the checkpoint is whole
    without.

    Args:
        folder: of the checkpoint.
        pupil: trained.
        planned: its pairs.
    """
    state = pupil.connectors.state_dict()
    if not state:
        return
    pairs = {str(number): one.record() for number, one in enumerate(planned)}
    # Cloned: safetensors refuses to share memory.
    tensors = {name: tensor.detach().contiguous().clone() for name, tensor in state.items()}
    write_bytes(folder / CONNECTORS, save(tensors, metadata={"connectors": json.dumps(pairs)}))
