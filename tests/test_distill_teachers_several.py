"""Several teachers: the mean of their logits; each must know itself."""

import numpy as np
import pytest
import torch

import teachers_case as case
from compress.distill.kept.making import Wanted, keep_logits
from compress.distill.teachers.check import check_teacher
from compress.distill.teachers.mean import normalised, weighted_sum
from compress.distill.teachers.record import is_rebuildable, teacher_record
from compress.errors import ModelError, UsageError
from compress.progress import SILENT
from compress.settings import Keeping


@pytest.fixture
def folders(tmp_path):
    """Two checkpoints, of other weights and another order of classes."""
    first = case.checkpoint(tmp_path / "first")
    second = case.checkpoint(tmp_path / "second", classes=("blank", "columns", "bars"))
    return first, second


def test_the_mean_is_that_of_the_logits_in_the_datas_order(folders):
    pair = case.load(*folders)
    assert torch.allclose(pair.logits(case.views()), case.reference_logits(), atol=1e-4)
    assert pair.shares == (0.5, 0.5)
    assert len(pair.inputs) == 2


def test_shares_are_scaled_to_sum_to_one():
    assert normalised((1.0, 3.0)) == (0.25, 0.75)
    found = weighted_sum([torch.tensor([[0.0, 4.0]]), torch.tensor([[8.0, 0.0]])], (0.25, 0.75))
    assert found.tolist() == [[6.0, 1.0]]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_mean_of_logits_is_the_geometric_mean_of_distributions(temperature):
    torch.manual_seed(0)
    first, second = torch.randn(5, 3).double(), torch.randn(5, 3).double() + 7
    found = (weighted_sum([first, second], (0.25, 0.75)) / temperature).softmax(1)
    product = (first / temperature).softmax(1) ** 0.25 * (second / temperature).softmax(1) ** 0.75
    assert torch.allclose(found, product / product.sum(1, keepdim=True))


def test_each_teacher_is_checked_and_the_mean_scored(folders):
    said = case.Said()
    assert check_teacher(case.load(*folders), case.DATA, said) == 1.0
    assert sum("100.0 % right on validation" in sentence for sentence in said.sentences) == 2


def test_a_nan_in_one_of_them_is_found(folders):
    pair = case.load(*folders)
    with torch.no_grad():
        pair.teachers[1].network.model.module.head.bias[0] = float("nan")
    with pytest.raises(ModelError, match="second: expected finite logits"):
        check_teacher(pair, case.DATA, SILENT)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("teacher_weights", "w.pth"),
        ("teacher_size", 16),
        ("teacher_output", "probabilities"),
        ("teacher_classes", "names.txt"),
    ],
)
def test_flags_that_describe_one_teacher_are_refused_with_the_way_out(folders, flag, value):
    with pytest.raises(UsageError, match=r"found 2, .*run compress logits with it for that one"):
        case.load(*folders, **{flag: value})


def test_shares_must_be_one_a_teacher(folders):
    with pytest.raises(UsageError, match="--teacher-shares: expected 2 numbers above 0"):
        case.load(*folders, teacher_shares=(1.0,))


def test_the_record_names_all_of_them_and_export_leaves_them_out(folders):
    record = teacher_record(case.load(*folders, teacher_shares=(1.0, 3.0)))
    assert [one["folder"] for one in record["teachers"]] == [str(folder) for folder in folders]
    assert record["shares"] == [0.25, 0.75]
    assert not is_rebuildable(record)


def test_other_shares_are_another_identity(folders):
    even, odd = case.load(*folders), case.load(*folders, teacher_shares=(1.0, 3.0))
    assert even.identity() != odd.identity()


@pytest.fixture
def kept(tmp_path, folders):
    """The plain images' logits of the first teacher."""
    plan = case.plan()
    wanted = Wanted(plan=plan, numbers=(0,), keeping=Keeping(), temperature=2.0, passes=1)
    keep_logits(case.load(folders[0]), wanted, tmp_path / "logits", SILENT)
    return tmp_path / "logits"


def test_a_folder_of_kept_logits_is_a_teacher(kept):
    teacher = case.load(kept).bind(case.plan(), 2.0)
    assert np.allclose(teacher.logits(case.views()), case.reference_logits(), atol=2e-2)
    assert check_teacher(teacher, case.DATA, SILENT) is None


def test_kept_logits_and_a_live_teacher_teach_together(kept, folders):
    pair = case.load(kept, folders[1]).bind(case.plan(), 2.0)
    assert np.allclose(pair.logits(case.views()), case.reference_logits(), atol=2e-2)
    assert check_teacher(pair, case.DATA, SILENT) is None


def test_flags_that_kept_logits_answer_themselves_are_refused(kept):
    with pytest.raises(UsageError, match=r"--teacher-output: .* no folder of kept logits"):
        case.load(kept, teacher_output="probabilities")


def test_views_that_one_of_them_cannot_answer_are_refused_for_all(tmp_path, folders):
    np.savez(tmp_path / "answers.npz", logits=case.reference_logits(96).numpy())
    pair = case.load(tmp_path / "answers.npz", folders[0])
    assert torch.allclose(
        pair.bind(case.plan(), 2.0).logits(case.views()), case.reference_logits(), atol=1e-4
    )
    with pytest.raises(UsageError, match="are for the images as they are"):
        pair.bind(case.plan(augment="flip"), 2.0)
