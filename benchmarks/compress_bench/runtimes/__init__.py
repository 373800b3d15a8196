"""What runs an ONNX file: one file a runtime, its name the value of `--runtime`.

onnxruntime is the runner's own and has no file here. Any other one is a file that the runner
loads by its path, on whatever machine it measures: Python 3.8 syntax, the standard library, numpy
and the runtime itself, which is imported inside functions. It has
- `PACKAGE`: what `pip install` brings it;
- `SETTINGS`: its own settings that bench states, by name;
- `version()`: imports the runtime and says which one it is;
- `open_session(path, threads, settings)`: what the runner uses of onnxruntime's InferenceSession:
  `run`, `get_inputs`, `get_outputs`, `get_modelmeta`, and `applied`, the settings in force.
"""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.errors import UsageError
from compress.suggest import did_you_mean
from compress_bench.evidence import Variant

DEFAULT = "onnxruntime"


def runtime_names() -> list[str]:
    """Every runtime, without importing any."""
    return [DEFAULT, *sorted(module.name for module in pkgutil.iter_modules(__path__))]


def check_runtimes(names: Sequence[str]) -> tuple[str, ...]:
    """The runtimes that `--runtime` names, each once, in its order.

    Raises:
        UsageError: none is named, or one that there is not.
    """
    known = runtime_names()
    for name in names:
        if name not in known:
            raise UsageError(f"--runtime {name}: no such runtime; {did_you_mean(name, known)}")
    if not names:
        raise UsageError(f"--runtime: expected one of {', '.join(known)}, found none")
    return tuple(dict.fromkeys(names))


def runtime_files(names: Sequence[str]) -> dict[str, Path]:
    """Where the runner finds each runtime that is not its own."""
    folder = Path(__file__).parent
    return {name: folder / f"{name}.py" for name in names if name != DEFAULT}


def runtime_settings(name: str) -> Mapping[str, Any]:
    """What bench states to a runtime beyond threads; onnxruntime's are each file's own."""
    if name == DEFAULT:
        return {}
    settings: Mapping[str, Any] = importlib.import_module(f"{__name__}.{name}").SETTINGS
    return settings


def expand_variants(variants: Sequence[Variant], names: Sequence[str]) -> tuple[Variant, ...]:
    """Each variant once a runtime: the first keeps the variants' names, others add `@runtime`.

    A file's recommended session settings are onnxruntime's; other runtimes get their own.
    """
    pairs = [(variant, name) for name in names for variant in variants]
    called = expand_names([variant.name for variant in variants], names)
    return tuple(_run_by(v, name, called[i]) for i, (v, name) in enumerate(pairs))


def expand_names(variants: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names of `expand_variants`, from those of the files."""
    return [*variants, *(f"{variant}@{name}" for name in names[1:] for variant in variants)]


def _run_by(variant: Variant, runtime: str, name: str) -> Variant:
    if runtime == DEFAULT:
        return replace(variant, name=name)
    return replace(variant, name=name, runtime=runtime, session=dict(runtime_settings(runtime)))
