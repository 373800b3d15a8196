"""Tensors of a foreign file into a network that is known: every name and shape accounted for."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from compress.errors import ModelError
from compress.models.head import Head
from compress.models.tensors import Tensors, listed, read_tensors

# DataParallel, Lightning and wrapper classes; a network's own layers may have such names too,
# so a prefix goes only where more names fit the network without it.
_PREFIXES = ("module.", "model.", "net.", "network.")
_WHOLE_PREFIXES = ("backbone.", "encoder.")  # name a part, unless every tensor has them
_COMPILED = "_orig_mod."  # torch.compile's, anywhere in a name
# torchvision's DenseNet files carry names with a dot that modules may not have any more.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(?=[12]\.)")


def load_weights(
    module: nn.Module, path: Path, head: Head, *, replace_head: bool
) -> tuple[str, ...]:
    """Load a checkpoint file into `module`, in place.

    Args:
        module: the network on the CPU, already as wide as the data has classes.
        path: .safetensors, or a torch file with a state dict, bare or wrapped.
        head: of `module`.
        replace_head: where the file's head is missing or of another width, keep the module's.

    Returns:
        What was left out, renewed or converted, in sentences for the user.

    Raises:
        ModelError: unreadable, pickled code, missing or misfitting tensors, NaN or infinity.
    """
    tensors, notes = read_tensors(path)
    expected: Tensors = module.state_dict()
    tensors = _rename(tensors, expected)
    extra = [name for name in tensors if name not in expected]
    if len(extra) == len(tensors):
        raise ModelError(
            f"{path}: expected tensors such as {listed(list(expected)[:3])}; found "
            f"{listed(extra[:3])}: it belongs to another network"
        )
    if extra:
        notes.append(f"{path}: left out what the network has no place for: {listed(extra)}")
    fitting = {name: tensor for name, tensor in tensors.items() if name in expected}
    notes += _drop_head(path, fitting, expected, head, replace_head=replace_head)
    _check_shapes(path, fitting, expected)
    _check_missing(path, fitting, expected, head if replace_head else None)
    notes += _check_values(path, fitting, expected)
    load_exactly(module, {**expected, **fitting})
    return tuple(notes)


def load_exactly(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """`load_state_dict` for tensors that a module of the same make has written.

    torch's own state dicts carry versions, which files of bare tensors lose and which some
    networks (MNASNet) ask for.

    Raises:
        RuntimeError: a tensor is missing, unexpected, or of another shape.
    """
    state = module.state_dict()
    state.clear()  # keeps the versions, which are an attribute of the dict itself
    state.update(tensors)
    module.load_state_dict(state)


def _rename(tensors: Tensors, expected: Mapping[str, object]) -> Tensors:
    """Take away what wrappers put before the names."""
    renamed = {
        _OLD_DENSENET.sub(r"\1", name.replace(_COMPILED, "")): t for name, t in tensors.items()
    }
    better = True
    while better:
        better = False
        for candidate in _without_prefixes(renamed):
            if _hits(candidate, expected) > _hits(renamed, expected):
                renamed, better = candidate, True
    return renamed


def _without_prefixes(tensors: Tensors) -> list[Tensors]:
    """The same tensors without each prefix that they have, and without pairs of them."""
    whole = [p for p in _WHOLE_PREFIXES if all(name.startswith(p) for name in tensors)]
    single = [
        {name.removeprefix(prefix): t for name, t in tensors.items()}
        for prefix in (*_PREFIXES, *whole)
    ]
    # "module.model.conv1.weight": without the first prefix alone nothing fits yet.
    double = [
        {name.removeprefix(prefix): t for name, t in once.items()}
        for once in single
        for prefix in _PREFIXES
    ]
    return single + double


def _hits(tensors: Mapping[str, object], expected: Mapping[str, object]) -> int:
    return sum(name in expected for name in tensors)


def _head_names(head: Head) -> tuple[str, str]:
    """Names of the head's weight and bias in a state dict."""
    prefix = f"{head.path}." if head.path else ""
    return f"{prefix}weight", f"{prefix}bias"


def _drop_head(
    path: Path, tensors: Tensors, expected: Tensors, head: Head, *, replace_head: bool
) -> list[str]:
    """Remove a head of another width from `tensors` if that was asked for, else refuse it."""
    names = [name for name in _head_names(head) if name in tensors]
    renewed = f"a new one with {head.width} is to be trained"
    if not names and replace_head:
        return [f"{path}: it has no last layer ({head.path}); {renewed}"]
    found = [
        tensors[name].shape[0]
        for name in names
        if tensors[name].ndim == expected[name].ndim
        and tensors[name].shape[1:] == expected[name].shape[1:]
        and tensors[name].shape[:1] != expected[name].shape[:1]
    ]
    if not found:
        return []
    if not replace_head:
        raise ModelError(
            f"{path}: expected {head.width} classes, found {found[0]} ({names[0]}); "
            "use weights for these classes, or pass --replace-head to compress train: "
            "the network then learns a new last layer"
        )
    for name in names:
        del tensors[name]
    return [f"{path}: its last layer ({head.path}) has {found[0]} classes; {renewed}"]


def _check_shapes(path: Path, tensors: Tensors, expected: Tensors) -> None:
    wrong = [
        f"{name} (expected {list(expected[name].shape)}, found {list(tensor.shape)})"
        for name, tensor in tensors.items()
        if tensor.shape != expected[name].shape
    ]
    if wrong:
        raise ModelError(
            f"{path}: does not fit the network: {listed(wrong)}; "
            "look at --model-args (--teacher-args for a teacher)"
        )


def _check_missing(path: Path, tensors: Tensors, expected: Tensors, spared: Head | None) -> None:
    """Every tensor must be there, but for BatchNorm's counters and a head to be trained anew."""
    heads = _head_names(spared) if spared else ()
    missing = [
        name
        for name in expected
        if name not in tensors and not name.endswith("num_batches_tracked") and name not in heads
    ]
    if missing:
        raise ModelError(
            f"{path}: expected {len(expected)} tensors, missing {listed(missing)}; "
            "use the weights of this network, or look at --model-args (--teacher-args)"
        )


def _check_values(path: Path, tensors: Tensors, expected: Tensors) -> list[str]:
    """Refuse NaN and infinity; say where the precision changes."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"{path}: expected finite numbers, found NaN or infinity in {name}; "
                "use a checkpoint from before its training diverged"
            )
    cast = {
        (str(t.dtype).removeprefix("torch."), str(expected[name].dtype).removeprefix("torch."))
        for name, t in tensors.items()
        if t.dtype != expected[name].dtype and t.is_floating_point()
    }
    return [f"{path}: {found} weights were converted to {wanted}" for found, wanted in sorted(cast)]
