"""Which network is trained, and how it starts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from compress.errors import UsageError
from compress.settings.edge_names import ALL, parse_edge_changes
from compress.settings.expect import expect


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Network:
    """Which network is trained, and how it starts.

    Attributes:
        weights: File to start from (.safetensors, .pt, .pth).
        pretrained: Start from torchvision's or timm's own weights.
        model_args: Arguments of the network's factory, as JSON.
        input_size: Input height and width in pixels; the images' own, or 32 for mixed sizes.
        replace_head: Give the network a new last layer where its number of classes differs.
        freeze: Keep the first N child modules, counted from the input, as they are.
        for_edge: Change the network before it learns, so that int8 on a CPU runs it faster; the
            effect of each change is measured and shown.
        edge_changes: Which changes: all, or some of activations, gates, channels, apart by commas.
    """

    weights: Path | None = None
    pretrained: bool = False
    model_args: str = "{}"
    input_size: int | None = None
    replace_head: bool = False
    freeze: int = 0
    for_edge: Annotated[bool, Parameter(negative="")] = False
    edge_changes: str = "all"

    def check(self) -> None:
        """Refuse what no network can use.

        Raises:
            UsageError: names the flag, what it takes and what it was given.
        """
        size = self.input_size
        expect("input_size", size, size is None or size >= 1, "1 or more")
        expect("freeze", self.freeze, self.freeze >= 0, "0 or more")
        self.edge()

    def edge(self) -> tuple[str, ...]:
        """The changes that are asked for, in their order; none without --for-edge.

        Raises:
            UsageError: an unknown change, or changes without --for-edge.
        """
        names = parse_edge_changes(self.edge_changes)
        if self.for_edge:
            return names
        if self.edge_changes != ALL:
            raise UsageError(
                f"--edge-changes {self.edge_changes}: expected it with --for-edge, without which "
                "no network is changed; give both"
            )
        return ()
