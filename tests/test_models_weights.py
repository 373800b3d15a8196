"""Checkpoints as they are found in the wild, each into a network that is known."""

import argparse
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from compress.errors import ModelError
from compress.models.build import BuiltModel, ModelSpec, build_model
from compress.models.weights import load_exactly

State = dict[str, torch.Tensor]


def build(weights: Path | None = None, **changes: object) -> BuiltModel:
    fields: dict[str, object] = {
        "reference": "resnet8",
        "num_classes": 10,
        "channels": 3,
        "input_size": (32, 32),
        "args": {},
        "weights": weights,
    }
    return build_model(ModelSpec(**(fields | changes)))  # type: ignore[arg-type]


@pytest.fixture
def state() -> State:
    """A trained network's state: with statistics that differ from those of a new one."""
    torch.manual_seed(1)
    state = build().module.state_dict()
    for name, tensor in state.items():
        if name.endswith("running_mean"):
            tensor.uniform_(-1, 1)
        if name.endswith("num_batches_tracked"):
            tensor.fill_(5)
    return dict(state)


def assert_loaded(built: BuiltModel, state: State) -> None:
    found = built.module.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


WRAPPINGS: dict[str, Callable[[State], object]] = {
    "bare": lambda state: state,
    "ordered": OrderedDict,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "best_prec1": 0.9},
    "model": lambda state: {"model": state, "optimizer": {"state": {}, "param_groups": []}},
    "model_state_dict": lambda state: {"epoch": 1, "model_state_dict": state, "loss": 0.1},
    "net": lambda state: {"net": prefixed(state, "module."), "acc": 93.1},
    "nested": lambda state: {"model": {"state_dict": state}},
    "unknown name": lambda state: {"epoch": 2, "resnet": state},
    "data parallel": lambda state: prefixed(state, "module."),
    "compiled": lambda state: prefixed(state, "_orig_mod."),
    "compiled part": lambda state: {
        k.replace("stage1.", "stage1._orig_mod."): v for k, v in state.items()
    },
    "parallel, compiled": lambda state: prefixed(state, "module._orig_mod."),
    "lightning": lambda state: {
        "state_dict": prefixed(state, "model."), "hyper_parameters": {"lr": 1}
    },
    "parallel lightning": lambda state: prefixed(state, "module.model."),
    "backbone": lambda state: prefixed(state, "backbone."),
    "parameters": lambda state: {
        k: nn.Parameter(v, requires_grad=False) for k, v in state.items()
    },
    "arguments": lambda state: {
        "model": state,
        "args": argparse.Namespace(lr=0.1, out=Path("runs")),
        "best": np.float64(0.9),
        "curve": np.zeros(3),
    },
}  # fmt: skip


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_wrapped_or_prefixed_state_dict_is_loaded_whole(
    wrapping: str, state: State, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(WRAPPINGS[wrapping](state), path)
    built = build(path)
    assert_loaded(built, state)
    assert built.notes == ()


def test_the_format_of_old_torch_is_read(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth.tar"
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=False)
    assert_loaded(build(path), state)


def test_safetensors_are_read(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(prefixed(state, "module."), path)
    assert_loaded(build(path), state)


def test_tensors_saved_on_cuda_come_to_the_cpu(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    # The old format names each storage's device in plain bytes: make it what a GPU would write.
    content = path.read_bytes()
    assert b"X\x03\x00\x00\x00cpu" in content
    path.write_bytes(content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"))
    built = build(path)
    assert_loaded(built, state)
    assert {p.device.type for p in built.module.parameters()} == {"cpu"}


def test_half_precision_is_converted_and_said(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, path)
    built = build(path)
    assert {p.dtype for p in built.module.parameters()} == {torch.float32}
    assert built.notes == (f"{path}: float16 weights were converted to float32",)
    weight = built.module.state_dict()["head.2.weight"]
    assert torch.equal(weight, state["head.2.weight"].half().float())


def test_extra_tensors_are_named_and_counted(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    extra = {f"aux.{i}.weight": torch.zeros(2) for i in range(9)}
    torch.save({**state, **extra}, path)
    built = build(path)
    assert_loaded(built, state)
    (note,) = built.notes
    assert "aux.0.weight, aux.1.weight" in note
    assert "9 in all" in note


def test_what_is_no_tensor_in_a_state_dict_is_named(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({**state, "version": 3}, path)
    built = build(path)
    assert_loaded(built, state)
    assert "no tensor: version" in built.notes[0]


def test_the_average_beside_the_weights_is_named(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"ema": prefixed(state, "module."), "state_dict": state}, path)
    built = build(path)
    assert_loaded(built, state)
    assert built.notes == (f"{path}: took state_dict; the file also holds ema",)


def test_weights_from_before_batch_counters_are_loaded(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({k: v for k, v in state.items() if "num_batches" not in k}, path)
    loaded = build(path).module.state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in state.items() if "num_batches" not in k)


def test_a_missing_tensor_is_fatal_and_named(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    del state["stage2.0.conv1.0.weight"]
    torch.save(state, path)
    with pytest.raises(ModelError, match=r"missing stage2\.0\.conv1\.0\.weight"):
        build(path)


def test_weights_of_another_network_are_refused_with_names_of_both(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(nn.Linear(3, 3).state_dict(), path)
    with pytest.raises(ModelError, match=r"stem\.0\.weight.*found weight, bias.*another network"):
        build(path)


def test_another_width_is_refused_with_both_shapes(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    with pytest.raises(
        ModelError, match=r"stem\.0\.weight \(expected \[32, 3, 3, 3\], found \[16, 3, 3, 3\]\)"
    ):
        build(path, args={"width": 2.0})


def test_a_head_of_another_width_is_refused_with_both_numbers(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    with pytest.raises(ModelError, match=r"expected 4 classes, found 10.*--replace-head"):
        build(path, num_classes=4)


def test_a_head_of_another_width_is_replaced_when_asked(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    built = build(path, num_classes=4, replace_head=True)
    found = built.module.state_dict()
    assert found["head.2.weight"].shape == (4, 64)
    assert all(torch.equal(found[k], v) for k, v in state.items() if not k.startswith("head"))
    (note,) = built.notes
    assert "head.2" in note
    assert "has 10 classes; a new one with 4" in note


def test_a_fitting_head_is_kept_although_replacing_was_allowed(
    state: State, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    assert_loaded(build(path, replace_head=True), state)


def test_a_headless_file_needs_leave_for_a_new_head(state: State, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({k: v for k, v in state.items() if not k.startswith("head")}, path)
    with pytest.raises(ModelError, match=r"missing head\.2\.weight, head\.2\.bias"):
        build(path)
    built = build(path, replace_head=True)
    assert "head.2" in built.notes[0]
    assert torch.equal(built.module.state_dict()["stem.0.weight"], state["stem.0.weight"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_fatal_and_named(
    value: float, state: State, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    state["stage3.0.conv1.1.running_mean"][3] = value
    torch.save(state, path)
    with pytest.raises(ModelError, match=r"NaN or infinity in stage3\.0\.conv1\.1\.running_mean"):
        build(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickled_network_is_refused_with_the_way_out(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(nn.Linear(2, 2), path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ModelError, match=r"torch\.nn\.modules\.linear\.Linear.*torch\.save\(model\.state_dict\(\)"
    ):
        build(path)


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.marker,))


@pytest.mark.parametrize("hidden_in_array", [True, False])
def test_a_file_that_runs_code_is_refused_unrun(
    hidden_in_array: bool, state: State, tmp_path: Path
) -> None:
    marker, path = tmp_path / "ran", tmp_path / "weights.pt"
    payload: object = Malicious(marker)
    if hidden_in_array:
        payload = np.array([payload], dtype=object)
    torch.save({"state_dict": state, "extra": payload}, path)
    with pytest.raises(ModelError, match="weights"):
        build(path)
    assert not marker.exists()


def test_a_torchscript_program_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates its own format
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    with pytest.raises(ModelError, match=r"TorchScript.*model\.state_dict"):
        build(path)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [0.0, 0.4, 0.95])
def test_a_file_cut_short_is_refused(
    zipped: bool, kept: float, state: State, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ModelError, match=r"weights\.pt: cannot be read as a checkpoint"):
        build(path)


@pytest.mark.parametrize("name", ["page.pt", "page.safetensors"])
def test_a_web_page_saved_as_weights_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("<!doctype html><title>404</title>")
    with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
        build(path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"a": {"b": 1}}, torch.zeros(3), {}])
def test_a_file_without_named_tensors_is_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(ModelError, match="expected named tensors"):
        build(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.pt: expected a weights file, found no such file"):
        build(tmp_path / "gone.pt")
    with pytest.raises(ModelError, match="give a file in it"):
        build(tmp_path)


class Versioned(nn.Module):
    """Like torchvision's MNASNet: refuses a state dict that does not say its version."""

    _version = 2

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def _load_from_state_dict(
        self, state: State, prefix: str, versions: dict[str, int], *rest: object
    ) -> None:
        assert versions.get("version") == 2
        super()._load_from_state_dict(state, prefix, versions, *rest)  # type: ignore[arg-type]


def test_bare_tensors_are_loaded_into_networks_that_ask_for_a_version() -> None:
    written, read = Versioned(), Versioned()
    load_exactly(read, dict(written.state_dict()))
    assert torch.equal(read.fc.weight, written.fc.weight)


def test_exact_loading_refuses_missing_and_unexpected_tensors() -> None:
    state = dict(nn.Linear(2, 2).state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        load_exactly(nn.Linear(2, 2), {"weight": state["weight"]})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        load_exactly(nn.Linear(2, 2), {**state, "more": state["bias"]})
