"""A network from the user's own Python file: `nets/net.py:resnet56`."""

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from torch import nn

from compress.errors import ModelError
from compress.models.reference import Reference, did_you_mean
from compress.models.spec import Draft, ModelSpec
from compress.preprocess import Preprocessing

_PRIVATE = "_compress_network_"  # under this and a digest the file is in sys.modules
_NEIGHBOURS = "_compress_neighbours"  # its attribute: names of modules that it imported


def draft_file_network(reference: Reference, spec: ModelSpec) -> Draft:
    """Import the file and call its factory.

    The factory gets `num_classes` if it takes it, and the user's arguments.

    Raises:
        ModelError: the file or the factory fails, or makes no network; the cause is chained.
    """
    assert reference.path is not None
    path = reference.path.resolve()
    with _imports_of(path), redirect_stdout(sys.stderr):
        factory = _load_factory(reference, path)
        module = _call(reference, factory, spec)
    size, channels = spec.input_size, _input_channels(module, spec.channels)
    notes: tuple[str, ...] = ()
    if spec.weights:
        notes = (
            f"{path.name}:{reference.name}: assumed that {spec.weights.name} was trained on "
            "(x - 128) / 64 of pixels 0 to 255; for a teacher, --teacher-mean and "
            "--teacher-scale say otherwise",
        )
    return Draft(module, Preprocessing(size=size, channels=channels), spec.weights, notes)


@contextmanager
def _imports_of(path: Path) -> Iterator[None]:
    """Let the file import its neighbours, as `python net.py` would, for the moment.

    Neighbours such as `layers.py` stay in `sys.modules`, where torch may look for them later. But
    each network file gets its own anew: two folders may each have a module of that name.
    """
    for name in [n for n in sys.modules if n.startswith(_PRIVATE)]:
        for neighbour in getattr(sys.modules[name], _NEIGHBOURS):
            sys.modules.pop(neighbour, None)
    before = set(sys.modules)
    importlib.invalidate_caches()  # the user may just have written a neighbour
    sys.path.insert(0, str(path.parent))
    try:
        yield
    finally:
        with suppress(ValueError):  # the file itself may have tidied up
            sys.path.remove(str(path.parent))
        module = sys.modules.get(_private_name(path))
        for neighbour in _new_neighbours(path.parent, before):
            if module is None:  # the import failed
                del sys.modules[neighbour]
            else:
                getattr(module, _NEIGHBOURS).append(neighbour)


def _new_neighbours(folder: Path, before: set[str]) -> list[str]:
    """Names of modules that came from `folder` since `before`, with their submodules.

    Packages installed in an environment inside the folder are no neighbours.
    """
    new = [name for name in sys.modules if name.partition(".")[0] not in before]
    tops = set()
    for name in new:
        source = Path(str(getattr(sys.modules[name], "__file__", None)))
        inside = source.is_relative_to(folder)
        if inside and "site-packages" not in source.relative_to(folder).parts:
            tops.add(name.partition(".")[0])
    return [n for n in new if n.partition(".")[0] in tops and not n.startswith(_PRIVATE)]


def _private_name(path: Path) -> str:
    return _PRIVATE + hashlib.sha256(str(path).encode()).hexdigest()[:12]


def _load_factory(reference: Reference, path: Path) -> Callable[..., Any]:
    """Run the file as a private module and take the factory out of it."""
    name = _private_name(path)
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    setattr(module, _NEIGHBOURS, [])
    sys.modules[name] = module  # dataclasses and torch look classes up there
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ModelError(
            f"network {reference.text}: importing {path.name} raised "
            f"{type(error).__name__}: {error}; mend the file, or move what is no definition "
            "under if __name__ == '__main__'"
        ) from error
    factory: Callable[..., Any] | None = getattr(module, reference.name, None)
    if not callable(factory) or isinstance(factory, nn.Module):
        known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise ModelError(
            f"network {reference.text}: expected a function {reference.name} that returns a "
            f"torch.nn.Module, found {'none' if factory is None else type(factory).__name__} in "
            f"{path.name}{did_you_mean(reference.name, known)}"
        )
    return factory


def _call(reference: Reference, factory: Callable[..., Any], spec: ModelSpec) -> nn.Module:
    signature = inspect.signature(factory)
    arguments = dict(spec.args)
    if _takes(signature, "num_classes"):
        arguments.setdefault("num_classes", spec.num_classes)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise ModelError(
            f"network {reference.text}: {error}; found {reference.name}{signature}: "
            "give what it needs with --model-args (--teacher-args for a teacher)"
        ) from error
    try:
        module = factory(**arguments)
    except (Exception, SystemExit) as error:
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise ModelError(
            f"network {reference.text}: {reference.name}({given}) raised "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(module, nn.Module):
        raise ModelError(
            f"network {reference.text}: expected {reference.name} to return a torch.nn.Module, "
            f"found {type(module).__name__}"
        )
    return module


def _takes(signature: inspect.Signature, name: str) -> bool:
    """Whether a keyword argument of that name is accepted, by itself or through **kwargs."""
    parameters = signature.parameters.values()
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD
        or (parameter.name == name and parameter.kind in by_keyword)
        for parameter in parameters
    )


def _input_channels(module: nn.Module, default: int) -> int:
    """1 or 3 where the first convolution says so; else the images' own."""
    convolutions = (m for m in module.modules() if isinstance(m, nn.Conv2d))
    first = next(convolutions, None)
    return first.in_channels if first is not None and first.in_channels in (1, 3) else default
