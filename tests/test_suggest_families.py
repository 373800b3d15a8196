"""Who is looked at by a search."""

import pytest

import tiny
from compress.errors import ModelError, UsageError
from compress.progress import SILENT
from compress.search.families import FAMILIES, Place, family, gather, name_of
from compress.settings import Network, Run, Searching


def _gather(students=(), widths=(1.0,), most=None, size=16):
    searching = Searching(students=students, widths=widths)
    place = Place(dataset=tiny.dataset(12, size), network=Network(), run=Run(threads=1))
    return gather(searching, place, most, SILENT)


def _names(roster):
    return [member.candidate.name for member in roster.members]


def test_names_say_width_and_stride():
    assert name_of("lenet5", {}) == "lenet5"
    assert name_of("ds_cnn", {"width": 0.5}) == "ds_cnn-w50"
    assert name_of("resnet14", {"width": 2, "first_stride": 2}) == "resnet14-w200-s2"
    assert name_of("torchvision:mobilenet_v2", {}) == "mobilenet_v2"
    assert name_of("nets/my net.py:small.one", {"width": 0.125}) == "small-one-w12_5"


def test_a_family_with_width_and_stride_has_each_combination():
    names = [candidate.name for candidate in family("resnet8", (0.5, 1.0))]
    assert names == ["resnet8-w50", "resnet8-w50-s2", "resnet8-w100", "resnet8-w100-s2"]
    assert [candidate.name for candidate in family("lenet5", (0.5, 1.0))] == ["lenet5"]


def test_a_user_s_factory_has_the_widths_that_it_takes():
    candidates = list(family("tests/exported.py:branched", (0.5, 2.0)))
    assert [dict(candidate.model_args) for candidate in candidates] == [
        {"width": 0.5},
        {"width": 2.0},
    ]


def test_widths_that_give_the_same_channels_are_one_candidate():
    # 64 channels by 0.2, 0.25 and 0.3 are 12.8, 16 and 19.2: all rounded to 16
    assert _names(_gather(("ds_cnn",), (0.2, 0.25, 0.3, 0.5))) == ["ds_cnn-w20", "ds_cnn-w50"]


def test_a_change_for_the_edge_is_a_candidate_where_it_changes_something():
    roster = _gather(("lenet5", "ds_cnn"), (0.25,))
    assert _names(roster) == ["lenet5", "lenet5-edge", "ds_cnn-w25"]
    plain, edge, _ = roster.members
    assert edge.candidate.flags() == {"student": "lenet5", "for_edge": True}
    assert edge.parameters > plain.parameters  # 6 maps became 16


def test_a_family_that_cannot_take_the_images_is_left_out_with_the_reason():
    roster = _gather(("lenet5", "ds_cnn"), (0.25,), size=10)
    assert _names(roster) == ["ds_cnn-w25"]
    (why,) = roster.left_out
    assert "lenet5 is left out" in why
    assert "at least 12 pixels" in why


WIDE = """
import torch
from torch import nn


class Wide(nn.Module):
    def __init__(self, num_classes, width):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(round(4 * width)))
        self.conv = nn.Conv2d(1, {channels}, 3)
        self.head = nn.Linear({channels}, num_classes)

    def forward(self, x):
        return self.head(self.conv(x).mean((2, 3)) * self.scale.sum())


def wide(num_classes, width=1.0):
    if width > 4:
        raise ValueError("too wide")
    return Wide(num_classes, width)
"""


def _wide(folder, channels):
    (folder / "net.py").write_text(WIDE.replace("{channels}", channels))
    return f"{folder}/net.py:wide"


def test_each_width_of_a_user_s_network_may_be_changed_for_the_edge(tmp_path):
    # 32 channels at full width are fine; the 8 of a quarter become 16
    reference = _wide(tmp_path, "round(32 * width)")
    names = ["wide-w100", "wide-w25", "wide-w25-edge"]
    assert _names(_gather((reference,), (1.0, 0.25))) == names


def test_widths_that_differ_in_a_parameter_alone_are_two_networks(tmp_path):
    reference = _wide(tmp_path, "16")
    assert _names(_gather((reference,), (0.5, 1.0))) == ["wide-w50", "wide-w100"]


def test_a_width_that_cannot_be_built_is_left_out_by_its_own_name(tmp_path):
    roster = _gather((_wide(tmp_path, "16"),), (1.0, 8.0))
    assert _names(roster) == ["wide-w100"]
    (why,) = roster.left_out
    assert why.startswith("wide-w800 is left out: ")


def test_a_file_that_is_no_python_is_left_out_with_its_line(tmp_path):
    (tmp_path / "bad.py").write_text("def make(:\n")
    roster = _gather((f"{tmp_path}/bad.py:make", "ds_cnn"), (0.25,))
    assert _names(roster) == ["ds_cnn-w25"]
    (why,) = roster.left_out
    assert "bad.py" in why
    assert "line 1" in why


def test_images_that_no_family_takes_are_refused():
    with pytest.raises(UsageError, match="at least 12 pixels"):
        _gather(("lenet5",), size=10)


def test_a_misspelled_family_is_refused_and_not_left_out():
    with pytest.raises(ModelError, match="did you mean lenet5"):
        _gather(("lenet",))


def test_a_student_of_the_zoo_is_smaller_than_its_teacher():
    roster = _gather(widths=(0.25,), most=10_000)
    assert _names(roster) == ["ds_cnn-w25"]
    assert all(member.parameters < 10_000 for member in roster.members)
    assert "lenet5" in roster.left_out[-1]
    assert "no smaller than the teacher" in roster.left_out[-1]


def test_a_family_that_was_named_is_looked_at_however_large_it_is():
    assert _names(_gather(("ds_cnn",), (0.25,), most=10)) == ["ds_cnn-w25"]


def test_two_factories_of_one_name_are_told_apart(tmp_path):
    lines = ("from exported import Branched", "def teacher(num_classes):", "    return {}")
    text = "\n".join(lines).format("Branched(num_classes, {})")
    for name, width in (("a", 8), ("b", 16)):
        (tmp_path / f"{name}.py").write_text(text.format(width))
    roster = _gather(tuple(f"{tmp_path}/{name}.py:teacher" for name in "ab"))
    plain = [name for name in _names(roster) if not name.endswith("-edge")]
    assert plain == ["teacher-2", "teacher-3"]  # the teacher's own file is called so


def test_the_zoo_s_families_are_networks():
    assert set(FAMILIES) == {next(iter(family(name, (1.0,)))).student for name in FAMILIES}
