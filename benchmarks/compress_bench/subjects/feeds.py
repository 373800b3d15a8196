"""What an inference is fed: the size of every axis that a file leaves open, and kinds of values.

The values themselves are made by the runner, from these shapes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from compress.errors import BenchError, UsageError
from compress.suggest import did_you_mean
from compress_bench import runner
from compress_bench.evidence import Variant

Shape = tuple[int, ...]
_EXAMPLE_SIDE, _EXAMPLE_LENGTH = 224, 128  # of an open axis, where an error shows the flag


def parse_input_shapes(written: Sequence[str]) -> dict[str, Shape]:
    """`--input-shape NAME=1,3,224,224`, by input name.

    Raises:
        UsageError: it is written otherwise, or a name comes twice.
    """
    shapes: dict[str, Shape] = {}
    for text in written:
        name, _, sizes = text.rpartition("=")
        parts = [part.strip() for part in sizes.split(",")]
        if not name or not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise UsageError(f"--input-shape: expected NAME=1,3,224,224, found {text!r}")
        if name in shapes:
            raise UsageError(f"--input-shape: {name} is given twice; leave one of them out")
        shapes[name] = tuple(int(part) for part in parts)
    return shapes


def check_input_shapes(
    given: Mapping[str, Shape], described: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse a shape that no file can take.

    Args:
        given: from `parse_input_shapes`.
        described: the runner's `model` events by variant.

    Raises:
        UsageError: no file has an input of that name, or none of that shape.
    """
    inputs = [value for model in described.values() for value in model["inputs"]]
    known = dict.fromkeys(value["name"] for value in inputs)
    for name, shape in given.items():
        if name not in known:
            raise UsageError(
                f"--input-shape {name}: no file has such an input; {did_you_mean(name, known)}"
            )
        named = [value["shape"] for value in inputs if value["name"] == name]
        if not any(fits(shape, own) for own in named):
            taken = " or ".join(dict.fromkeys(_written(own) for own in named))
            raise UsageError(f"{_flag(name, shape)}: the input is {taken}")


def fits(given: Shape, shape: Sequence[Any]) -> bool:
    """Whether a shape that the user gave agrees with the file's own, but for open axes."""
    return len(given) == len(shape) and all(
        size == axis for size, axis in zip(given, shape, strict=True) if isinstance(axis, int)
    )


def _flag(name: str, shape: Shape) -> str:
    return f"--input-shape {name}={','.join(str(size) for size in shape)}"


def _written(shape: Sequence[Any]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def choose_shapes(
    variant: Variant, model: Mapping[str, Any], given: Mapping[str, Shape], batch_size: int
) -> dict[str, Shape]:
    """The shape that each input of one inference has, by name; none where a file takes none.

    Args:
        variant: its preprocessing decides the sizes of an image.
        model: the runner's `model` event.
        given: from `parse_input_shapes`; one that this file cannot take is meant for others.
        batch_size: of every open first axis.

    Raises:
        UsageError: a given first size is not the batch's.
        BenchError: an open axis that nothing decides, a batch fixed at another size, or a type
            of input that cannot be fed.
    """
    named = {value["name"]: value["shape"] for value in model["inputs"]}
    wanted = {name: shape for name, shape in given.items() if fits(shape, named.get(name, ()))}
    sizes: dict[str, int] = {}  # of open axes by their name in the file: equal names, equal sizes
    for name, shape in wanted.items():
        _check_first(named[name], name, shape, batch_size)
        pairs = zip(named[name], shape, strict=True)
        sizes |= {axis: size for axis, size in pairs if isinstance(axis, str)}
    for value in model["inputs"][:1]:
        if value["name"] not in wanted:
            _check_batch(variant.name, value["shape"], batch_size)
    image = _image_shape(variant, model, batch_size)
    shapes = {}
    for value in model["inputs"]:
        _check_type(variant.name, value)
        shapes[value["name"]] = wanted.get(value["name"]) or tuple(
            axis
            if isinstance(axis, int)
            else sizes.get(axis) or _open_size(variant.name, value, place, image, batch_size)
            for place, axis in enumerate(value["shape"])
        )
    return shapes


def _image_shape(variant: Variant, model: Mapping[str, Any], batch_size: int) -> Shape:
    """Sizes that preprocessing decides, batch first; none where the input is no image."""
    spec = variant.preprocessing
    if spec is None or [len(value["shape"]) for value in model["inputs"]] != [4]:
        return ()
    if variant.channels_last:
        return (batch_size, *spec.size, spec.channels)
    return (batch_size, spec.channels, *spec.size)


def _open_size(
    name: str, value: Mapping[str, Any], place: int, known: Shape, batch_size: int
) -> int:
    """The size of one open axis."""
    if place == 0:
        return batch_size
    if known:
        return known[place]
    shape = value["shape"]
    length = _EXAMPLE_SIDE if len(shape) == 4 else _EXAMPLE_LENGTH
    example = [n if isinstance(n, int) else length for n in shape]
    example[0] = shape[0] if isinstance(shape[0], int) else batch_size
    called = f" ({shape[place]})" if shape[place] else ""
    raise BenchError(
        f"{name}: its input {value['name']} leaves the size of axis {place}{called} open; give "
        f"it, as in --input-shape {value['name']}={','.join(str(n) for n in example)}"
    )


def _check_type(name: str, value: Mapping[str, Any]) -> None:
    if value["type"] not in runner.DTYPES:
        raise BenchError(
            f"{name}: its input {value['name']} is of type {value['type']}; expected one of "
            f"{', '.join(dict.fromkeys(runner.DTYPES.values()))}: no other can be fed"
        )


def _check_first(shape: Sequence[Any], name: str, given: Shape, batch_size: int) -> None:
    """A first size that the user gave is the batch, of which there is a flag."""
    if _has_batch(shape) and given[0] != batch_size:
        raise UsageError(
            f"{_flag(name, given)}: its first size is the batch, and --batch-size is "
            f"{batch_size}; give --batch-size {given[0]} too"
        )


def _check_batch(name: str, shape: Sequence[Any], batch_size: int) -> None:
    """The first input's batch decides how many images an inference has."""
    if 0 in shape[:1]:
        raise BenchError(f"{name}: its batch is fixed at 0, so that there is nothing to measure")
    if _has_batch(shape) and isinstance(shape[0], int) and shape[0] != batch_size:
        raise BenchError(
            f"{name}: its batch is fixed at {shape[0]}, found batch size {batch_size}; export "
            f"it with a dynamic batch or give --batch-size {shape[0]}"
        )


def _has_batch(shape: Sequence[Any]) -> bool:
    """Whether the first axis counts samples: of images and of rows it does, else who knows."""
    return len(shape) in (2, 4)


def say_what_is_fed(variant: Variant, model: Mapping[str, Any]) -> list[str]:
    """A sentence on inputs that are not one image; none for the usual file."""
    values = model["inputs"]
    if variant.preprocessing is not None and len(values) == 1:
        return []
    if not values:
        return [f"{variant.name}: it has no input, so that every inference is the same"]
    said = []
    for value in values:
        shape = variant.input_shapes[value["name"]]
        dtype = runner.DTYPES[value["type"]]
        what = "ones" if runner.is_fed_ones(dtype, len(shape)) else "random numbers"
        said.append(f"{what} to {value['name']} ({dtype} {list(shape)})")
    return [f"{variant.name}: measured by feeding {', '.join(said)}"]
