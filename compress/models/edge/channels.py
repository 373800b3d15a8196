"""Feature maps whose channels are no multiple of 16 get as many more as there are to the next one.

onnxruntime's fastest int8 convolutions take only such (`compress.models.blocks` says which); others
run by slower kernels, so that more channels can take less time. The images' channels and the
classes stay. So do the units of layers that are linear throughout: a product of matrices fills its
own blocks.
"""

import copy

import torch
from torch import nn

from compress.models.change import Applied
from compress.models.edge._flow import CLASSES, IMAGE, Flow, Use, follow
from compress.models.edge._widen import STEP, wanted, widen

TITLE = "channels become multiples of 16"

_TOLERANCE = 1e-3  # of the largest logit: sums of float32 in another order
_NAMED = 3  # layers that a sentence names


def apply(module: nn.Module, sample: torch.Tensor, *, trained: bool) -> Applied:
    """Widen what may be widened; a trained network goes on computing what it computed.

    Args:
        module: left as it is; a copy is changed.
        sample: float32 [N, C, H, W].
        trained: its weights are worth something.
    """
    widened = copy.deepcopy(module)
    flow = follow(widened, sample)
    kept = _kept(flow)
    said = _changes(flow)
    if not said:
        return Applied(module, False, kept)
    for use in flow.uses:
        widen(use, trained=trained)
    fault = _fault(widened, sample, flow, trained=trained)
    if fault:
        return Applied(module, False, (f"left as it is: with more channels {fault}",))
    return Applied(widened, True, (said, *kept))


def _makes(flow: Flow) -> list[Use]:
    """The convolutions that make channels, other than those of the image and of the classes."""
    return [
        use
        for use in flow.uses
        if isinstance(use.layer, nn.Conv2d)
        and use.layer.groups == 1
        and use.given[0].group.root().reason not in (IMAGE, CLASSES)
    ]


def _changes(flow: Flow) -> str:
    """What is to be widened, in a sentence; empty where nothing is."""
    pairs = [(use.given[0].group.size, wanted(use.given[0].group)) for use in _makes(flow)]
    changed = [pair for pair in pairs if pair[0] != pair[1]]
    if not changed:
        return ""
    listed = ", ".join(f"{old} to {new}" for old, new in sorted(set(changed)))
    count = f"{len(changed)} convolutions make" if len(changed) > 1 else "one convolution makes"
    return f"{count} a multiple of {STEP} channels now: {listed}"


def _kept(flow: Flow) -> tuple[str, ...]:
    """What stays although it is no multiple of 16, a sentence for each reason."""
    reasons: dict[str, list[str]] = {}
    for use in _makes(flow):
        root = use.given[0].group.root()
        if root.reason and root.size % STEP:
            reasons.setdefault(root.reason, []).append(use.path)
    return tuple(f"{_named(paths)} as before: {reason}" for reason, paths in reasons.items())


def _named(paths: list[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    verb = "have" if len(paths) > 1 else "has"
    return f"{', '.join(paths[:_NAMED])}{more} {verb} as many channels"


def _fault(module: nn.Module, sample: torch.Tensor, flow: Flow, *, trained: bool) -> str:
    """Why the widened network is not the same one; empty where it is."""
    try:
        again = follow(module, sample)
    except Exception as error:  # its forward counts on the numbers of before
        return f"its forward raises {type(error).__name__}"
    if again.operators != flow.operators or again.output.shape != flow.output.shape:
        return "its forward takes another way"
    limit = _TOLERANCE * max(1.0, float(flow.output.abs().max()))
    if trained and float((again.output - flow.output).abs().max()) > limit:
        return "it would compute something else"
    return ""
