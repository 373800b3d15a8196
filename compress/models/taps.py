"""Taps: tensors from inside any network, caught by hooks as they pass, the network unedited.

A tap is a layer's output, or its input, where a network calls the layer several times that of the
last call. What is caught is a copy: an in-place activation or `+=` behind the tap changes the
original, and autograd would then differentiate at the wrong values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from compress.errors import ModelError, UsageError
from compress.suggest import did_you_mean

Side = Literal["output", "input"]
_SIDES: tuple[Side, ...] = ("output", "input")
WHOLE = "."  # the path of the network itself


@dataclass(frozen=True)
class Tap:
    """A place in a network.

    Attributes:
        path: of a layer, as `named_modules` has it; WHOLE for the network itself.
        side: which of its tensors.
    """

    path: str
    side: Side = "output"

    def __str__(self) -> str:
        return self.path if self.side == "output" else f"{self.path}:{self.side}"

    def layer(self, module: nn.Module) -> nn.Module:
        """The layer in `module`."""
        return module if self.path == WHOLE else module.get_submodule(self.path)


def parse_tap(text: str, module: nn.Module, subject: str) -> Tap:
    """The tap that a user names: "layer2", "layer2.-1" (its last child), "layer2.-1:input".

    Args:
        text: path and side; the side is the output where none is named.
        module: the network, bare.
        subject: what errors call it.

    Raises:
        UsageError: it has no such layer, or a layer no such side.
    """
    path, colon, side = text.partition(":")
    for known in _SIDES:
        if side == known or not colon:
            return Tap(_resolve(path, module, subject), known)
    raise UsageError(f"{subject} layer {text}: no such side; {did_you_mean(side, _SIDES)}")


def _resolve(path: str, module: nn.Module, subject: str) -> str:
    """The path with names in place of negative numbers."""
    if path == WHOLE:
        return path
    found: list[str] = []
    for name in path.split("."):
        children = [child for child, _ in module.named_children()]
        chosen = _child(name, children)
        if chosen is None:
            near = [".".join([*found, child]) for child in children] or [".".join(found)]
            raise UsageError(f"{subject} layer {path}: no such layer; {did_you_mean(path, near)}")
        found.append(chosen)
        module = module.get_submodule(chosen)
    return ".".join(found)


def _child(name: str, children: Sequence[str]) -> str | None:
    """A child by its name, or by its number from the end."""
    if name in children:
        return name
    number = int(name) if name.startswith("-") and name[1:].isdigit() else 0
    return children[number] if -len(children) <= number < 0 else None


class Recorder:
    """Hooks in a network that catch what passes its taps, while they are told to.

    `copy.deepcopy` of the network copies its hooks and this with them: a copy has a recorder of its
    own. So hooks are methods here, not functions, which would stay those of the original.
    """

    def __init__(self, module: nn.Module, taps: Sequence[Tap], subject: str = "network") -> None:
        """Put hooks in.

        Args:
            module: the network.
            taps: where; one may be there more than once and is caught once.
            subject: what errors call the network.
        """
        self.taps, self.subject = tuple(taps), subject
        self._caught: dict[Tap, object] = {}
        self._recording = False
        self._handles = [_hook(tap, module, self) for tap in dict.fromkeys(self.taps)]

    def start(self) -> None:
        """Catch from now on, until `stop`."""
        self._caught, self._recording = {}, True

    def caught(self) -> tuple[torch.Tensor, ...]:
        """What passed each of `taps` last, since `start`.

        Raises:
            ModelError: nothing did, or something that is no tensor.
        """
        found = []
        for tap in self.taps:
            tensor = self._caught.get(tap)
            if not isinstance(tensor, torch.Tensor):
                raise ModelError(self._refusal(tap))
            found.append(tensor)
        return tuple(found)

    def stop(self) -> None:
        """Catch nothing more, and let go of what was caught."""
        self._caught, self._recording = {}, False

    def close(self) -> None:
        """Take the hooks out."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def take(self, tap: Tap, value: object) -> None:
        """What a hook calls."""
        if self._recording:
            self._caught[tap] = value.clone() if isinstance(value, torch.Tensor) else type(value)

    def _refusal(self, tap: Tap) -> str:
        """Why a tap gave no tensor."""
        where = f"{self.subject} layer {tap}"
        if tap not in self._caught:
            return (
                f"{where}: expected a layer that the network calls, found that its forward does "
                "not; name another layer"
            )
        found = getattr(self._caught[tap], "__name__", "")
        return f"{where}: expected one tensor, found {found}; name a layer inside it or behind it"


@dataclass(frozen=True, eq=False)
class _Hook:
    """One tap's hook."""

    tap: Tap
    take: Callable[[Tap, object], None]

    def output(self, module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        del module, inputs
        self.take(self.tap, output)

    def input(self, module: nn.Module, inputs: tuple[object, ...]) -> None:
        del module
        self.take(self.tap, inputs[0] if inputs else None)


def _hook(tap: Tap, module: nn.Module, recorder: Recorder) -> RemovableHandle:
    hook, layer = _Hook(tap, recorder.take), tap.layer(module)
    if tap.side == "input":
        return layer.register_forward_pre_hook(hook.input)
    return layer.register_forward_hook(hook.output)
