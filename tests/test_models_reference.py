"""What may be written after --model, and how it is told apart."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import compress
from compress.errors import ModelError
from compress.models.reference import (
    absolute_reference,
    list_models,
    parse_reference,
    source_sha256,
)

NET = "def small_net(num_classes): ...\ndef large_net(num_classes): ...\n"


def run_python(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def package_folder() -> Path:
    return Path(str(compress.__file__)).parent


def test_the_zoo_has_the_networks_that_edge_users_know() -> None:
    assert set(list_models()) >= {
        "lenet5", "resnet8", "resnet14", "resnet20", "resnet32", "resnet56", "mobilenet", "ds_cnn"
    }  # fmt: skip


def test_listing_networks_imports_neither_torch_nor_a_family() -> None:
    code = (
        "import sys; from compress.models.reference import list_models; list_models();"
        "print([n for n in ('torch', 'torchvision', 'timm', 'compress.models.lenet')"
        " if n in sys.modules])"
    )
    assert run_python(code, package_folder().parent) == "[]"


def test_a_new_family_file_is_found_without_touching_another(tmp_path: Path) -> None:
    for name in ("__init__.py", "errors.py", "artifacts.py"):
        (tmp_path / "compress").mkdir(exist_ok=True)
        shutil.copy(package_folder() / name, tmp_path / "compress" / name)
    shutil.copytree(package_folder() / "models", tmp_path / "compress" / "models")
    (tmp_path / "compress" / "models" / "newnet.py").write_text(
        "def newnet7(*, num_classes, channels, input_size, depth=2): ...\n"
        "def _private(*, num_classes, channels, input_size): ...\n"
        "def no_network(num_classes): ...\n"
    )
    code = "from compress.models.reference import list_models; print(*list_models())"
    found = run_python(code, tmp_path).split()
    assert sorted(found) == sorted([*list_models(), "newnet7"])


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("resnet8", "zoo", "resnet8"),
        ("torchvision:mobilenet_v3_small", "torchvision", "mobilenet_v3_small"),
        ("timm:resnet18.a1_in1k", "timm", "resnet18.a1_in1k"),
    ],
)
def test_a_reference_says_where_its_network_comes_from(text: str, kind: str, name: str) -> None:
    reference = parse_reference(text)
    assert (reference.kind, reference.name) == (kind, name)


def test_a_file_reference_keeps_path_and_factory(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(NET)
    reference = parse_reference(f"{path}:small_net")
    assert (reference.kind, reference.path, reference.name) == ("file", path, "small_net")


@pytest.mark.parametrize("text", ["lenet", "LeNet5", "lenet-5"])
def test_an_unknown_name_gets_the_nearest_one(text: str) -> None:
    with pytest.raises(ModelError, match=r"did you mean lenet5\?"):
        parse_reference(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.py:net: no such file"):
        parse_reference(f"{tmp_path}/gone.py:net")


@pytest.mark.parametrize("end", ["", ":", ":a-b"])
def test_a_file_without_a_factory_gets_the_names_that_it_defines(tmp_path: Path, end: str) -> None:
    path = tmp_path / "net.py"
    path.write_text(NET)
    with pytest.raises(ModelError, match="it defines small_net, large_net"):
        parse_reference(f"{path}{end}")


def test_the_digest_pins_the_users_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(NET)
    assert source_sha256(f"{path}:small_net") == hashlib.sha256(NET.encode()).hexdigest()
    assert source_sha256("lenet5") == ""
    assert source_sha256("torchvision:resnet18") == ""


def test_an_absolute_reference_survives_a_change_of_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    assert absolute_reference("net.py:small_net") == f"{tmp_path.resolve()}/net.py:small_net"
    assert absolute_reference("timm:resnet18") == "timm:resnet18"
