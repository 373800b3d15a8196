"""Networks that others wrote: torchvision's, timm's, and those of the user's own files."""

import hashlib
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from compress.errors import MissingExtraError, ModelError, UsageError
from compress.models.build import BuiltModel, ModelSpec, build_model
from compress.models.timm_network import published_classes
from compress.preprocess import Preprocessing

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_SCALE = (58.395, 57.12, 57.375)


def build(reference: str, **changes: object) -> BuiltModel:
    fields: dict[str, object] = {
        "reference": reference,
        "num_classes": 10,
        "channels": 1,
        "input_size": (32, 32),
        "args": {},
    }
    return build_model(ModelSpec(**(fields | changes)))  # type: ignore[arg-type]


# --- torchvision


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch, and a proxy that refuses every download at once."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def cached(cache: Path) -> Path:
    """Random weights under the name of torchvision's own for squeezenet1_1."""
    url = models.get_model_weights("squeezenet1_1").DEFAULT.url
    path = cache / Path(url).name
    torch.manual_seed(3)
    torch.save(models.squeezenet1_1(weights=None).state_dict(), path)
    return path


def test_an_untrained_torchvision_network_takes_the_images_size_in_colour() -> None:
    built = build("torchvision:squeezenet1_1")
    assert built.preprocessing == Preprocessing(size=(32, 32), channels=3)
    assert built.module(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_pretrained_weights_come_from_the_cache(cached: Path) -> None:
    built = build("torchvision:squeezenet1_1", num_classes=1000, pretrained=True)
    expected = torch.load(cached, weights_only=True)
    found = built.module.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_pretrained_preprocessing_is_that_of_the_weights(cached: Path) -> None:
    spec = build("torchvision:squeezenet1_1", num_classes=1000, pretrained=True).preprocessing
    assert (spec.size, spec.channels, spec.crop_fraction) == ((224, 224), 3, 224 / 256)
    assert spec.mean == pytest.approx(IMAGENET_MEAN)
    assert spec.scale == pytest.approx(IMAGENET_SCALE)


def test_a_size_that_the_user_gave_goes_before_that_of_the_weights(cached: Path) -> None:
    built = build(
        "torchvision:squeezenet1_1", num_classes=1000, pretrained=True, input_size_given=True
    )
    assert (built.preprocessing.size, built.preprocessing.crop_fraction) == ((32, 32), 1.0)


def test_a_cached_file_of_other_content_is_used_and_said(cached: Path) -> None:
    built = build("torchvision:squeezenet1_1", num_classes=1000, pretrained=True)
    assert any("not what torchvision publishes" in note for note in built.notes)


def test_a_pretrained_head_of_1000_classes_is_refused_for_10(cached: Path) -> None:
    with pytest.raises(ModelError, match=r"expected 10 classes, found 1000.*--replace-head"):
        build("torchvision:squeezenet1_1", pretrained=True)


def test_a_teacher_keeps_its_own_classes_and_brings_their_names(cached: Path) -> None:
    built = build("torchvision:squeezenet1_1", pretrained=True, own_classes=True)
    assert built.module.eval()(torch.zeros(2, 3, 224, 224)).shape == (2, 1000)
    assert (len(built.classes), built.classes[285]) == (1000, "Egyptian cat")
    expected = torch.load(cached, weights_only=True)
    assert torch.equal(
        built.module.state_dict()["classifier.1.weight"], expected["classifier.1.weight"]
    )


def test_a_student_brings_no_names_of_classes(cached: Path) -> None:
    assert build("torchvision:squeezenet1_1", pretrained=True, replace_head=True).classes == ()


def test_a_pretrained_head_is_replaced_when_asked(cached: Path) -> None:
    built = build("torchvision:squeezenet1_1", pretrained=True, replace_head=True)
    expected = torch.load(cached, weights_only=True)
    found = built.module.state_dict()
    assert found["classifier.1.weight"].shape == (10, 512, 1, 1)
    assert torch.equal(found["features.0.weight"], expected["features.0.weight"])
    assert any("a new one with 10" in note for note in built.notes)


def test_a_fine_tuned_network_is_rebuilt_from_its_reference_alone(cached: Path) -> None:
    trained = build("torchvision:squeezenet1_1", pretrained=True, replace_head=True)
    rebuilt = build("torchvision:squeezenet1_1", replace_head=True)
    assert rebuilt.notes == ()
    rebuilt.module.load_state_dict(trained.module.state_dict(), strict=True)


def test_a_file_of_1000_classes_becomes_a_network_of_10_when_asked(cached: Path) -> None:
    built = build("torchvision:squeezenet1_1", weights=cached, replace_head=True)
    assert built.module(torch.zeros(2, 3, 224, 224)).shape == (2, 10)
    assert built.preprocessing.mean == pytest.approx(IMAGENET_MEAN)
    assert "224 x 224 pixels" in built.notes[0]


def test_missing_weights_name_the_file_that_was_looked_for(cache: Path) -> None:
    with pytest.raises(ModelError) as caught:
        build("torchvision:resnet18", pretrained=True)
    assert f"{cache}/resnet18-f37072fd.pth" in str(caught.value)
    assert "put the file there" in str(caught.value)
    assert list(cache.iterdir()) == []


def test_a_damaged_cached_file_is_named(cached: Path) -> None:
    cached.write_bytes(cached.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"squeezenet1_1-.*cannot be read as a checkpoint"):
        build("torchvision:squeezenet1_1", pretrained=True)


def test_old_densenet_names_are_understood(tmp_path: Path) -> None:
    options = "growth_rate=4, block_config=(1, 1), num_init_features=8"
    (tmp_path / "dense.py").write_text(
        "from torchvision.models import DenseNet\n"
        f"def dense(num_classes): return DenseNet({options}, num_classes=num_classes)\n"
    )
    state = build(f"{tmp_path}/dense.py:dense").module.state_dict()
    state["features.denseblock1.denselayer1.norm1.running_mean"].fill_(0.5)
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.")
        if "denselayer" in name
        else name: tensor
        for name, tensor in state.items()
    }
    assert old.keys() != state.keys()
    torch.save(old, tmp_path / "dense.pth")
    built = build(f"{tmp_path}/dense.py:dense", weights=tmp_path / "dense.pth")
    found = built.module.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_googlenet_has_one_output_in_training_too() -> None:
    with torch.device("meta"):
        module = build("torchvision:googlenet").module
        assert isinstance(module.train()(torch.zeros(2, 3, 32, 32)), torch.Tensor)


def test_the_inner_normalisation_of_googlenet_becomes_its_preprocessing(tmp_path: Path) -> None:
    torch.save(models.googlenet(
        weights=None, num_classes=10, aux_logits=False, init_weights=False
    ).state_dict(), tmp_path / "w.pth")  # fmt: skip
    built = build("torchvision:googlenet", weights=tmp_path / "w.pth", input_size_given=True)
    # torchvision undoes ImageNet's normalisation inside: what is left is (x - 0.5) / 0.5.
    assert built.preprocessing.mean == (127.5,) * 3
    assert built.preprocessing.scale == (127.5,) * 3
    assert built.module.transform_input is False


def test_a_vision_transformer_is_made_for_the_size_of_its_input() -> None:
    with torch.device("meta"):
        built = build("torchvision:vit_b_32", input_size=(64, 64))
        assert built.module(torch.zeros(2, 3, 64, 64)).shape == (2, 10)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("torchvision:resnet19", r"did you mean resnet18\?"),
        ("torchvision:fcn_resnet50", "classification networks"),
        ("timm:resnet19", r"did you mean resnet18\?"),
        ("timm:test_resnet.nothing", r"its trainings \(test_resnet\.r160_in1k\)"),
    ],
)
def test_an_unknown_foreign_network_is_refused(reference: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(reference)


def test_an_input_too_small_for_a_network_is_refused_with_the_size() -> None:
    message = r"torchvision:alexnet.*3 x 16 x 16.*--input-size"
    with torch.device("meta"), pytest.raises(ModelError, match=message):
        build("torchvision:alexnet", input_size=(16, 16))


@pytest.mark.parametrize("reference", ["torchvision:squeezenet1_1", "timm:test_resnet"])
def test_an_argument_that_the_builder_does_not_know_is_refused(reference: str) -> None:
    with pytest.raises(ModelError, match=r"'sixe'.*--model-args") as caught:
        build(reference, args={"sixe": 1})
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("reference", ["lenet5", "torchvision:squeezenet1_1"])
def test_two_kinds_of_weights_at_once_are_refused(reference: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--pretrained and --weights"):
        build(reference, pretrained=True, weights=tmp_path / "w.pt")


def test_pretrained_is_refused_where_nobody_trained() -> None:
    with pytest.raises(UsageError, match="--pretrained: lenet5 has no weights of its own"):
        build("lenet5", pretrained=True)


# --- timm


@pytest.mark.parametrize("channels", [1, 3])
def test_an_untrained_timm_network_takes_the_images_channels(channels: int) -> None:
    built = build("timm:test_resnet", channels=channels)
    assert built.preprocessing == Preprocessing(size=(32, 32), channels=channels)


def test_a_timm_transformer_is_made_for_the_size_of_its_input() -> None:
    built = build("timm:test_vit", input_size=(48, 48))
    assert built.module(torch.zeros(2, 1, 48, 48)).shape == (2, 10)


def test_weights_of_a_timm_network_bring_timms_preprocessing(tmp_path: Path) -> None:
    source = build("timm:test_resnet", channels=3).module.state_dict()
    torch.save({"state_dict": source, "arch": "test_resnet"}, tmp_path / "w.pth.tar")
    built = build("timm:test_resnet", weights=tmp_path / "w.pth.tar")
    # timm's config of test_resnet: 160 pixels, 95 % of the image, (x - 0.5) / 0.5.
    assert built.preprocessing == Preprocessing(
        size=(160, 160),
        channels=3,
        mean=(127.5,) * 3,
        scale=(127.5,) * 3,
        crop_fraction=0.95,
    )
    found = built.module.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in source.items())


def test_timms_own_head_is_refused_before_anything_is_downloaded() -> None:
    with pytest.raises(ModelError, match=r"expected 10 classes, found 1000.*--replace-head"):
        build("timm:test_resnet", pretrained=True)


@pytest.mark.parametrize(
    ("package", "reference", "extra"),
    [("timm", "timm:resnet18", "timm"), ("torchvision", "torchvision:resnet18", "train")],
)
def test_a_missing_package_says_what_to_install(
    package: str, reference: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=rf"edge-compress\[{extra}\]"):
        build(reference)


def test_the_width_of_timms_weights_tells_the_names_of_their_classes() -> None:
    names = published_classes({"num_classes": 1000})
    assert (len(names), names[1], names[285]) == (1000, "goldfish", "Egyptian cat")
    assert published_classes({"num_classes": 512}) == ()


# --- the user's own files

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, channels, num_classes, width=4):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, images):
        return self.fc(self.conv(images).mean((2, 3)))

def flexible(num_classes, width=4):
    return Net(3, num_classes, width)

def grey(num_classes=1000):
    return Net(1, num_classes)

def fixed():
    return Net(3, 1000)

def open_ended(**options):
    return Net(3, **options)

def needs_depth(depth):
    return Net(3, depth)

def raises(num_classes):
    raise ValueError("no good")

def leaves(num_classes):
    raise SystemExit(2)

def no_network(num_classes):
    return {"classes": num_classes}

def two_outputs():
    class Two(Net):
        def forward(self, images):
            return super().forward(images), images
    return Two(3, 10)

constant = 3
network = Net(3, 10)
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


@pytest.mark.parametrize(
    ("factory", "args", "channels"),
    [
        ("flexible", {}, 3),
        ("flexible", {"width": 8}, 3),
        ("grey", {}, 1),
        ("open_ended", {}, 3),
        ("Net", {"channels": 1}, 1),
    ],
)
def test_a_factory_gets_the_classes_and_the_users_arguments(
    factory: str, args: dict[str, object], channels: int, net: Path
) -> None:
    built = build(f"{net}:{factory}", args=args)
    assert built.preprocessing == Preprocessing(size=(32, 32), channels=channels)
    assert built.module(torch.zeros(2, channels, 32, 32)).shape == (2, 10)
    assert built.module.get_submodule("conv").out_channels == args.get("width", 4)  # type: ignore[union-attr]
    assert built.notes == ()


def test_a_fixed_head_of_another_width_is_refused_with_both_numbers(net: Path) -> None:
    with pytest.raises(ModelError, match=r"net\.py:fixed: expected 10 classes, found 1000"):
        build(f"{net}:fixed")


def test_a_fixed_head_is_replaced_when_asked_and_rebuilt_for_a_checkpoint(net: Path) -> None:
    built = build(f"{net}:fixed", replace_head=True)
    assert "(fc) had 1000 classes; a new one with 10" in built.notes[0]
    rebuilt = build(f"{net}:fixed", replace_head=True)
    rebuilt.module.load_state_dict(built.module.state_dict(), strict=True)


def test_weights_of_a_fixed_head_that_was_replaced_are_kept_where_they_fit(
    net: Path, tmp_path: Path
) -> None:
    # A 1000-class factory, and the file of someone who fine-tuned it to these 10 classes.
    tuned = build(f"{net}:fixed", replace_head=True).module.state_dict()
    torch.save({"state_dict": {f"module.{k}": v for k, v in tuned.items()}}, tmp_path / "w.th")
    built = build(f"{net}:fixed", weights=tmp_path / "w.th", replace_head=True)
    found = built.module.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in tuned.items())


def test_the_normalisation_of_foreign_weights_is_said_to_be_assumed(
    net: Path, tmp_path: Path
) -> None:
    state = build(f"{net}:flexible").module.state_dict()
    torch.save(state, tmp_path / "w.pt")
    built = build(f"{net}:flexible", weights=tmp_path / "w.pt")
    assert (built.preprocessing.mean, built.preprocessing.scale) == ((128.0,), (64.0,))
    assert "--teacher-mean and --teacher-scale" in built.notes[0]


@pytest.mark.parametrize(
    ("factory", "args", "message"),
    [
        ("flexibel", {}, r"expected a function flexibel.*did you mean flexible\?"),
        ("constant", {}, "found int"),
        ("network", {}, "found Net"),
        ("no_network", {}, "to return a torch.nn.Module, found dict"),
        ("flexible", {"depth": 3}, r"'depth'; found flexible\(num_classes, width=4\)"),
        ("needs_depth", {}, r"'depth'; found needs_depth\(depth\).*--model-args"),
        ("raises", {}, r"raises\(num_classes=10\) raised ValueError: no good"),
        ("leaves", {}, "raised SystemExit: 2"),
        ("two_outputs", {}, r"net\.py:two_outputs: expected logits as one tensor, found tuple"),
    ],
)
def test_a_factory_that_makes_no_usable_network_is_refused(
    factory: str, args: dict[str, object], message: str, net: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        build(f"{net}:{factory}", args=args)


def test_the_cause_of_a_failing_factory_is_chained(net: Path) -> None:
    with pytest.raises(ModelError) as caught:
        build(f"{net}:raises")
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("def net(:", "raised SyntaxError"),
        ("import no_such_package_anywhere", "raised ModuleNotFoundError"),
        ("import sys; sys.exit(1)", "raised SystemExit: 1.*__main__"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused(
    content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(content)
    with pytest.raises(ModelError, match=message):
        build(f"{tmp_path}/broken.py:net")
    files = [str(getattr(module, "__file__", "")) for module in sys.modules.values()]
    assert not any(file.startswith(str(tmp_path)) for file in files)


def test_a_file_imports_its_neighbours_and_no_path_stays_behind(tmp_path: Path) -> None:
    before = list(sys.path)
    for folder, width in (("one", 5), ("two", 6)):
        (tmp_path / folder / "stranger_parts").mkdir(parents=True)
        (tmp_path / folder / "stranger_parts" / "layers.py").write_text(f"WIDTH = {width}\n")
        (tmp_path / folder / "stranger.py").write_text("from stranger_parts import layers\n")
        (tmp_path / folder / "net.py").write_text(
            "from stranger import layers\n" + NET.replace("width=4", "width=layers.WIDTH")
        )
    # Two folders with neighbours of one name: each network gets its own folder's.
    for folder, width in (("one", 5), ("two", 6), ("one", 5)):
        built = build(f"{tmp_path}/{folder}/net.py:flexible")
        assert built.module.get_submodule("conv").out_channels == width
    assert sys.path == before


def test_installed_modules_stay_although_they_lie_below_a_networks_folder(tmp_path: Path) -> None:
    site = tmp_path / "one" / ".venv" / "lib" / "site-packages"
    site.mkdir(parents=True)
    (site / "stranger_installed.py").write_text("import fractions\n")
    (tmp_path / "one" / "net.py").write_text(
        f"import sys; sys.path.append({str(site)!r}); import stranger_installed\n"
        "sys.path.pop()\n" + NET
    )
    (tmp_path / "two.py").write_text(NET)
    build(f"{tmp_path}/one/net.py:flexible")
    installed = sys.modules["stranger_installed"]
    build(f"{tmp_path}/two.py:flexible")
    assert sys.modules["stranger_installed"] is installed
    del sys.modules["stranger_installed"]


def test_a_file_does_not_take_the_place_of_an_installed_module(tmp_path: Path) -> None:
    (tmp_path / "hashlib.py").write_text(NET)
    build(f"{tmp_path}/hashlib.py:flexible")
    assert sys.modules["hashlib"] is hashlib


def test_what_a_file_prints_does_not_reach_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loud.py").write_text("print('hello')\n" + NET)
    build(f"{tmp_path}/loud.py:flexible")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


def test_a_network_without_convolutions_takes_the_images_channels(tmp_path: Path) -> None:
    (tmp_path / "mlp.py").write_text(
        textwrap.dedent("""
        from torch import nn

        def mlp(num_classes):
            return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))
        """)
    )
    built = build(f"{tmp_path}/mlp.py:mlp", input_size=(8, 8))
    assert built.preprocessing.channels == 1
    assert isinstance(built.module, nn.Sequential)
