"""The distillation methods by name, listed without importing them: one file of losses/ each."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import torch
from torch import nn

from compress.distill.signals import Defaults, Need, Pairs, Signals, Situation
from compress.errors import UsageError
from compress.settings.method_names import list_methods
from compress.suggest import did_you_mean

Regime = Literal["small data", "many classes"]
MANY = 200  # classes, above which a method's defaults are those of ImageNet's thousand
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A file of losses/.

    Attributes:
        name: the file's.
        needs: what it cannot do without.
        settings: the class of what only it knows; a number or a truth value each.
        loss: from signals to a scalar; its docstring states the reduction.
        small_data: defaults for up to MANY classes.
        many_classes: defaults above that.
        pairs: which of the layers that match it takes where the user names none.
        connector: from the shapes [C, H, W] of a pair of layers (student, teacher) to a module that
            brings the student's to the teacher's; None where the method compares them as they are.
        advise: sentences about a situation in which it works badly.
        summary: the first line of its docstring.
        source: the paper.
    """

    name: str
    needs: frozenset[Need]
    settings: type[Any]
    loss: Callable[[Signals, Any], torch.Tensor]
    small_data: Defaults[Any]
    many_classes: Defaults[Any]
    pairs: Pairs
    connector: Callable[[Shape, Shape], nn.Module] | None
    advise: Callable[[Situation], list[str]]
    summary: str
    source: str

    def defaults(self, classes: int) -> Defaults[Any]:
        """Those of the regime that so many classes belong to."""
        return self.many_classes if classes > MANY else self.small_data


def load_method(name: str) -> Method:
    """The method of losses/NAME.py.

    Raises:
        UsageError: there is no such file.
    """
    names = list_methods()
    if name not in names:
        raise UsageError(f"--method {name}: no such method; {did_you_mean(name, names)}")
    return _read(importlib.import_module(f"compress.distill.losses.{name}"), name)


def _read(module: ModuleType, name: str) -> Method:
    summary, _, rest = (module.__doc__ or "").partition("\n")
    _, _, source = rest.partition("Source: ")
    return Method(
        name=name,
        needs=module.NEEDS,
        settings=module.Settings,
        loss=module.loss,
        small_data=module.SMALL_DATA,
        many_classes=module.MANY_CLASSES,
        pairs=getattr(module, "PAIRS", "all"),
        connector=getattr(module, "connector", None),
        advise=getattr(module, "advise", _nothing_to_say),
        summary=summary,
        source=" ".join(source.split()),
    )


def _nothing_to_say(situation: Situation) -> list[str]:
    del situation
    return []
