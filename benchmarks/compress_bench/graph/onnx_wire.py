"""What an ONNX file holds, read from its bytes: operators and constant tensors, not their values.

ONNX is protobuf: fields that say their number and their length, so that whoever wants the names
skips the weights. The standard library is enough, and a file larger than memory is no matter.

Source: onnx.proto3 (numbers of fields and of types); protobuf.dev/programming-guides/encoding.
"""

import math
import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from compress.errors import ArtifactError

# TensorProto.DataType, as onnxruntime's profile calls them; the rest holds no plain numbers.
TYPES = {
    1: "float",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "double",
    12: "uint32",
    13: "uint64",
    16: "bfloat16",
    21: "uint4",
    22: "int4",
}
_ORT_FORMAT = b"ORTM"  # bytes 4 to 8 of onnxruntime's own format, which is no protobuf

_SCOPES = "pkg.torch.onnx.name_scopes"  # torch's note of the modules around a node

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_Span = tuple[int, int]  # first byte, and the one after the last


@dataclass(frozen=True)
class Tensor:
    """A constant: an initializer, or what a Constant node holds.

    Attributes:
        name: of the tensor.
        dims: its shape.
        type: of its values, one of `TYPES`; "other" for the rest.
        location: file beside the model that holds the values; empty where the model does.
        scalar: the value of a single float32, as scales are; None for all else.
    """

    name: str
    dims: tuple[int, ...]
    type: str
    location: str = ""
    scalar: float | None = None

    @property
    def elements(self) -> int:
        """How many values it has."""
        return math.prod(self.dims)


@dataclass(frozen=True)
class Node:
    """An operator of the file.

    Attributes:
        name: empty where the file gives none.
        operator: its type.
        inputs: names of tensors; empty for one that is left out.
        outputs: likewise.
        module: torch module that called it, as torch's exporter noted; empty: the network itself.
            None without a note.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    module: str | None = None


@dataclass(frozen=True)
class Graph:
    """All operators and constants, those within bodies of If, Loop and Scan too.

    Attributes:
        nodes: in the file's order.
        tensors: constants.
        outputs: names of what the network gives.
    """

    nodes: tuple[Node, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    outputs: tuple[str, ...] = ()


def read_graph(path: Path) -> Graph:
    """Read operators and constants.

    Raises:
        ArtifactError: the file is missing, cut off, or not ONNX.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read_model(data)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: no such file; expected an ONNX file") from error
    # ValueError: ours, of mmap for an empty file, and of text that is not UTF-8.
    except (ValueError, IndexError, OSError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: expected an ONNX file, found bytes that are none or are cut off ({error}); "
            "copy or export it again"
        ) from error


def external_files(path: Path) -> list[Path]:
    """The files that an ONNX file names as holding its weights, whether they exist or not.

    Raises:
        ArtifactError: the file is missing, cut off, or not ONNX.
    """
    if _is_ort_format(path):
        return []
    names = dict.fromkeys(tensor.location for tensor in read_graph(path).tensors)
    return [path.parent / name for name in names if name]


def _is_ort_format(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(8)[4:] == _ORT_FORMAT
    except OSError:
        return False


# -------------------------------------------------------------------------------------- messages


def _read_model(data: mmap.mmap) -> Graph:
    graphs = [value for number, value in _messages(data, (0, len(data))) if number == 7]
    if len(graphs) != 1:
        raise ValueError(f"{len(graphs)} graphs")
    nodes: list[Node] = []
    tensors: list[Tensor] = []
    _read_graph(data, graphs[0], nodes, tensors)
    outputs = (
        _value_name(data, span) for number, span in _messages(data, graphs[0]) if number == 12
    )
    return Graph(tuple(nodes), tuple(tensors), tuple(outputs))


def _value_name(data: mmap.mmap, span: _Span) -> str:
    return "".join(_text(data, value) for number, value in _messages(data, span) if number == 1)


def _read_graph(data: mmap.mmap, span: _Span, nodes: list[Node], tensors: list[Tensor]) -> None:
    for number, value in _messages(data, span):
        if number == 1:
            _read_node(data, value, nodes, tensors)
        elif number == 5:
            tensors.append(_read_tensor(data, value))


def _read_node(data: mmap.mmap, span: _Span, nodes: list[Node], tensors: list[Tensor]) -> None:
    texts: dict[int, list[str]] = {1: [], 2: [], 3: [], 4: []}  # inputs, outputs, name, operator
    attributes: list[_Span] = []
    module: str | None = None
    for number, value in _messages(data, span):
        if number in texts:
            texts[number].append(_text(data, value))
        elif number == 5:
            attributes.append(value)
        elif number == 9:
            note = _noted_module(data, value)
            module = module if note is None else note
    inputs, outputs, name, operator = texts.values()
    node = Node("".join(name), "".join(operator), tuple(inputs), tuple(outputs), module)
    nodes.append(node)
    for attribute in attributes:
        for number, value in _messages(data, attribute):
            if number == 5 and node.operator == "Constant":  # known by the name of its output
                held = _read_tensor(data, value)
                tensors.append(replace(held, name=outputs[0]))
            elif number in (6, 11):  # a body, or several
                _read_graph(data, value, nodes, tensors)


def _noted_module(data: mmap.mmap, span: _Span) -> str | None:
    """The innermost module of a note as "['', 'features', 'features.0', 'conv2d']"."""
    entry = {key: _text(data, text) for key, text in _messages(data, span)}
    scopes = re.findall(r"'([^']*)'", entry.get(2, "")) if entry.get(1) == _SCOPES else []
    return scopes[-2] if len(scopes) > 1 else None  # the last is the step itself


def _read_tensor(data: mmap.mmap, span: _Span) -> Tensor:
    dims: list[int] = []
    kind, name, location = 0, "", ""
    number_at = -1  # of a single float32, in the field of its own or in the raw one
    for number, wire, value in _fields(data, span):
        if number == 1:
            dims += [value[0]] if wire == _VARINT else _packed(data, value)
        elif number == 2:
            kind = value[0]
        elif number in (4, 9) and value[1] - value[0] == 4:
            number_at = value[0]
        elif number == 8:
            name = _text(data, value)
        elif number == 13:
            entry = {key: _text(data, text) for key, text in _messages(data, value)}
            location = entry.get(2, "") if entry.get(1) == "location" else location
    if any(size >= 2**63 for size in dims):
        raise ValueError(f"tensor {name!r} of a negative size")
    is_scalar = kind == 1 and number_at >= 0 and math.prod(dims) == 1
    scalar = struct.unpack_from("<f", data, number_at)[0] if is_scalar else None
    return Tensor(name, tuple(dims), TYPES.get(kind, "other"), location, scalar)


# ------------------------------------------------------------------------------------------ wire


def _messages(data: mmap.mmap, span: _Span) -> Iterator[tuple[int, _Span]]:
    """The fields of a message that have a length: number, and where their content lies."""
    return ((number, value) for number, wire, value in _fields(data, span) if wire == _BYTES)


def _fields(data: mmap.mmap, span: _Span) -> Iterator[tuple[int, int, _Span]]:
    """Every field of a message: number, wire type, and its span; of a varint (value, 0)."""
    at, end = span
    while at < end:
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at, end)
            yield number, wire, (value, 0)
            continue
        start = at
        if wire == _BYTES:
            length, start = _varint(data, at, end)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        at = start + length
        if number == 0 or at > end:
            raise ValueError(f"a field of {length} bytes at byte {start} of {end}")
        yield number, wire, (start, at)


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the byte after it."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError(f"a number without an end at byte {at}")


def _packed(data: mmap.mmap, span: _Span) -> list[int]:
    at, end = span
    found = []
    while at < end:
        value, at = _varint(data, at, end)
        found.append(value)
    return found


def _text(data: mmap.mmap, span: _Span) -> str:
    return data[span[0] : span[1]].decode()
