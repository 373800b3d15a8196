"""From what the user writes after --model to the code that builds it, without importing torch.

A network family is a file of this folder. Each public function of it whose keyword-only arguments
begin with `num_classes, channels, input_size` is a network, named as the function is; further
arguments are what --model-args may set. Nothing else has to know of a new file.
"""

import ast
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compress.artifacts import sha256_file
from compress.errors import CompressError, ModelError

FACTORY_ARGUMENTS = ("num_classes", "channels", "input_size")
_FORMS = "a name of the zoo, torchvision:NAME, timm:NAME or file.py:factory"

Kind = Literal["zoo", "torchvision", "timm", "file"]


@dataclass(frozen=True)
class Reference:
    """A network's whereabouts.

    Attributes:
        text: as the user wrote it.
        kind: where it comes from.
        name: of the network, or of the factory in a user's file.
        path: of the file that defines it; none for torchvision and timm.
    """

    text: str
    kind: Kind
    name: str
    path: Path | None = None


def list_models() -> tuple[str, ...]:
    """Names of our own networks, family by family; imports no family and no torch."""
    return tuple(_zoo())


def _zoo() -> dict[str, Path]:
    """Network name -> the family file that defines it."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return {
        function.name: path
        for path in files
        for function in _functions(path)
        if tuple(a.arg for a in function.args.kwonlyargs[:3]) == FACTORY_ARGUMENTS
    }


def _functions(path: Path) -> list[ast.FunctionDef]:
    """The public functions at a file's top level, in their order."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [function for function in functions if not function.name.startswith("_")]


def parse_reference(text: str) -> Reference:
    """Tell the four forms apart; torchvision's and timm's names are checked when they are built.

    Raises:
        ModelError: an unknown name, a missing file, or none of the forms.
    """
    prefix, _, name = text.partition(":")
    if prefix == "torchvision" and name:
        return Reference(text, "torchvision", name)
    if prefix == "timm" and name:
        return Reference(text, "timm", name)
    path, _, factory = text.rpartition(":")
    if Path(path).suffix == ".py" or Path(text).suffix == ".py":
        return _parse_file(text, path, factory)
    zoo = _zoo()
    if text in zoo:
        return Reference(text, "zoo", text, zoo[text])
    raise ModelError(
        f"network {text}: expected {_FORMS}; the zoo has {', '.join(zoo)}{did_you_mean(text, zoo)}"
    )


def _parse_file(text: str, path: str, factory: str) -> Reference:
    """A reference such as `nets/net.py:resnet56`."""
    if not path:  # "net.py" alone
        path, factory = text, ""
    if not Path(path).is_file():
        raise ModelError(f"network {text}: no such file; expected file.py:factory")
    if not factory.isidentifier():
        raise ModelError(
            f"network {text}: expected {path}:FACTORY, the name of a function that returns a "
            f"torch.nn.Module{_suggest_functions(Path(path))}"
        )
    return Reference(text, "file", factory, Path(path))


def _suggest_functions(path: Path) -> str:
    """Names that the file defines, or nothing where it cannot be read as Python."""
    try:
        names = [function.name for function in _functions(path)]
    except (SyntaxError, ValueError):
        return ""
    return f"; it defines {', '.join(names[:8])}" if names else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: "; did you mean …?", or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def known_reference(reference: str) -> bool:
    """Whether a text names a network at all; its file may still be missing."""
    try:
        parse_reference(reference)
    except CompressError:
        return False
    return True


def absolute_reference(reference: str) -> str:
    """The same reference, independent of the working folder: for manifests."""
    parsed = parse_reference(reference)
    if parsed.kind != "file" or parsed.path is None:
        return reference
    return f"{parsed.path.resolve()}:{parsed.name}"


def source_sha256(reference: str) -> str:
    """sha256 of the user's file that defines the network; empty for all other networks.

    Raises:
        ModelError: the reference is unknown or its file is missing.
    """
    parsed = parse_reference(reference)
    if parsed.kind != "file" or parsed.path is None:
        return ""
    return sha256_file(parsed.path)
