"""A student that a search looks at: which network it is, and what it is called."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One network of a family.

    Attributes:
        name: what tables, files and goals call it: `ds_cnn-w50`; letters, digits, `_` and `-`.
        student: reference of the network, as `distill --student` takes it.
        model_args: of its factory.
        for_edge: whether it is changed for the edge before it learns.
    """

    name: str
    student: str
    model_args: Mapping[str, Any] = field(default_factory=dict)
    for_edge: bool = False

    def flags(self) -> dict[str, Any]:
        """The keys of a recipe's section `distill` that make it."""
        args = {"model_args": json.dumps(dict(self.model_args))} if self.model_args else {}
        edge = {"for_edge": True} if self.for_edge else {}
        return {"student": self.student, **args, **edge}
