"""OpenVINO on the CPU, behind the part of onnxruntime's session that the runner uses.

Python 3.8 syntax, numpy and openvino alone: the runner loads this file by its path.
"""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Optional, Sequence, Union

NAME = "openvino"
PACKAGE = "openvino"
SETTINGS = {
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": "1",
    # The default is bf16 or f16 on CPUs that have them: faster, and with other answers.
    "INFERENCE_PRECISION_HINT": "f32",
    # Pinned threads stay where a busy neighbour is; onnxruntime pins none either.
    "ENABLE_CPU_PINNING": "NO",
}

# What importing openvino would import to report the import to Google Analytics, in a process of
# its own, with an identifier kept in ~/intel; openvino works without it.
_TELEMETRY = "openvino_telemetry"
_TYPES = {
    "f16": "tensor(float16)",
    "f32": "tensor(float)",
    "f64": "tensor(double)",
    "bf16": "tensor(bfloat16)",
    "boolean": "tensor(bool)",
    "i8": "tensor(int8)",
    "i16": "tensor(int16)",
    "i32": "tensor(int32)",
    "i64": "tensor(int64)",
    "u8": "tensor(uint8)",
    "u16": "tensor(uint16)",
    "u32": "tensor(uint32)",
    "u64": "tensor(uint64)",
    "string": "tensor(string)",
}
_MESSAGE = 300  # characters of openvino's own words

Shape = List[Union[int, str]]


def version() -> str:
    """Import openvino; which one it is.

    Raises:
        ImportError: it is not installed here; says how to install it.
    """
    return str(_load().get_version()).split("-")[0]


def _load() -> Any:
    """The package, imported without its telemetry."""
    blocked = _TELEMETRY not in sys.modules
    if blocked:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # to openvino: not installed
    try:
        import openvino
    except ImportError as error:
        raise ImportError(
            "runtime openvino: cannot be imported by %s (%s); install it there: "
            "pip install %s" % (sys.executable, error, PACKAGE)
        ) from error
    finally:
        if blocked:
            sys.modules.pop(_TELEMETRY, None)
    return openvino


class Value:
    """An input or an output.

    Attributes:
        name: as in the file.
        type: as onnxruntime calls it: "tensor(float)".
        shape: sizes; of open axes a made-up name, since openvino does not keep the file's.
    """

    def __init__(self, name: str, port: Any) -> None:
        """Read what openvino says of a port."""
        self.name = name
        kind = str(port.element_type.get_type_name())
        self.type = _TYPES.get(kind, kind)
        dynamic = port.partial_shape.rank.is_dynamic
        axes = [] if dynamic else list(port.partial_shape)
        self.shape: Shape = [
            axes[i].get_length() if axes[i].is_static else "axis_%d" % i for i in range(len(axes))
        ]


class Metadata:
    """What a file says of itself.

    Attributes:
        custom_metadata_map: text by name, as onnxruntime gives it.
    """

    def __init__(self, entries: Dict[str, str]) -> None:
        """Keep the entries."""
        self.custom_metadata_map = entries


class Session:
    """A compiled model.

    Attributes:
        applied: the settings in force, threads among them.
    """

    def __init__(self, model: Any, compiled: Any, applied: Dict[str, Any]) -> None:
        """Make one request, that every inference uses again."""
        self.applied = applied
        # The ports of `model` have the file's own names; those compiled have merged ones too.
        self._inputs = [Value(port.get_any_name(), port) for port in model.inputs]
        self._outputs = [Value(port.get_any_name(), port) for port in model.outputs]
        self._places = {value.name: i for i, value in enumerate(self._outputs)}
        self._metadata = Metadata(_metadata(model))
        self._request = compiled.create_infer_request()

    def run(self, names: Optional[Sequence[str]], feed: Dict[str, Any]) -> List[Any]:
        """One inference; the outputs of these names, or all of them in the file's order."""
        # Inputs are read where they lie, outputs are copied out: as onnxruntime does both.
        try:
            outputs = self._request.infer(feed, share_inputs=True, share_outputs=False)
        except RuntimeError as error:
            raise ValueError("openvino: the inference failed: %s" % _said(str(error))) from error
        if names is None:
            return list(outputs.values())
        return [outputs[self._places[name]] for name in names]

    def get_inputs(self) -> List[Value]:
        """The inputs in the file's order."""
        return self._inputs

    def get_outputs(self) -> List[Value]:
        """The outputs in the file's order."""
        return self._outputs

    def get_modelmeta(self) -> Metadata:
        """What the file says of itself."""
        return self._metadata


def _metadata(model: Any) -> Dict[str, str]:
    """The file's metadata_props; nothing where this version does not hand them on."""
    try:
        entries = model.get_rt_info()["framework"]
        entries = getattr(entries, "value", entries)  # older versions wrap the whole, too
        return {name: str(value.value) for name, value in entries.items()}
    except Exception:  # older versions have no such entry, and raise what they like
        return {}


def open_session(path: str, threads: int, settings: Dict[str, Any]) -> Session:
    """Read and compile an ONNX file.

    Args:
        path: the file.
        threads: that compute one inference.
        settings: of openvino those in capitals; `shapes` holds sizes by input name, which makes
            an open axis a fixed one: faster. All others are onnxruntime's and left alone.

    Raises:
        ImportError: openvino is not installed here.
        ValueError: openvino cannot read or compile the file, or does not know a setting.
    """
    openvino = _load()
    properties: Dict[str, Any] = {"INFERENCE_NUM_THREADS": threads}
    properties.update(SETTINGS)
    properties.update({key: value for key, value in settings.items() if key.isupper()})
    try:
        core = openvino.Core()
        model = core.read_model(path)
        shapes = settings.get("shapes")
        if shapes and model.is_dynamic():
            model.reshape({name: list(shape) for name, shape in shapes.items()})
        compiled = core.compile_model(model, "CPU", properties)
    except Exception as error:  # RuntimeError and types of its own
        raise ValueError(
            "%s: openvino %s cannot run it (%s); measure it with --runtime onnxruntime alone"
            % (path, version(), _said(str(error)))
        ) from error
    return Session(model, compiled, properties)


def _said(message: str) -> str:
    """What openvino complains of, without where in its source it does."""
    lines = [line.strip() for line in message.split("\n")]
    kept = [line for line in lines if line and not line.startswith(("Exception from", "FrontEnd"))]
    return " ".join(" ".join(kept).split())[:_MESSAGE] or "no reason given"
