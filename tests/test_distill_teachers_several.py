"""Several teachers: the mean of their logits; each must know itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import teachers_case as case
from compress.distill.kept.making import Wanted, keep_logits
from compress.distill.kept.teacher import kept_view_size
from compress.distill.teachers.check import check_teacher
from compress.distill.teachers.mean import normalised, weighted_sum
from compress.distill.teachers.record import is_rebuildable, teacher_record
from compress.errors import ArtifactError, ModelError, UsageError
from compress.progress import SILENT
from compress.settings import Keeping, Teachers


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


@pytest.fixture
def top_k(tmp_path, folders):
    """The same with the largest logit alone, for temperatures 1, 2 and 4."""
    keeping = Keeping(top_k=1, temperatures=(4.0,))
    wanted = Wanted(plan=case.plan(), numbers=(0,), keeping=keeping, temperature=2.0, passes=1)
    keep_logits(case.load(folders[0]), wanted, tmp_path / "top", SILENT)
    return tmp_path / "top"


def test_a_mean_with_top_k_logits_is_another_one_at_another_temperature(top_k, folders, tmp_path):
    pair = case.load(top_k, folders[1])
    wanted = Wanted(plan=case.plan(), numbers=(0,), keeping=Keeping(), temperature=2.0, passes=1)
    keep_logits(pair, wanted, tmp_path / "mean", SILENT)
    keep_logits(pair, wanted, tmp_path / "mean", SILENT)
    warmer = replace(wanted, temperature=4.0, keeping=Keeping(spot_check=0))
    with pytest.raises(ArtifactError, match=r"teachers\.0\.temperature: 2\.0 there, 4\.0 asked"):
        keep_logits(pair, warmer, tmp_path / "mean", SILENT)
    mean = case.load(tmp_path / "mean")
    mean.bind(case.plan(), 2.0)
    with pytest.raises(ArtifactError, match=r"used at temperature 2, .* 1 largest .* found 4"):
        mean.bind(case.plan(), 4.0)


def test_a_mean_with_all_logits_serves_every_temperature(kept, folders, tmp_path):
    wanted = Wanted(plan=case.plan(), numbers=(0,), keeping=Keeping(), temperature=2.0, passes=1)
    keep_logits(case.load(kept, folders[1]), wanted, tmp_path / "mean", SILENT)
    assert case.load(tmp_path / "mean").bind(case.plan(), 4.0)


def test_kept_logits_decide_the_size_of_views_among_several_teachers(kept, folders, tmp_path):
    assert kept_view_size(case.load(*folders)) is None
    assert kept_view_size(case.load(kept)) == (16, 16)
    assert kept_view_size(case.load(folders[1], kept)) == (16, 16)
    assert kept_view_size(case.load(kept, kept)) == (16, 16)
    larger = replace(case.plan(), size=(24, 20))
    wanted = Wanted(plan=larger, numbers=(0,), keeping=Keeping(), temperature=2.0, passes=1)
    keep_logits(case.load(folders[0]), wanted, tmp_path / "larger", SILENT)
    with pytest.raises(ArtifactError, match=r"larger: .* of 16 x 16 pixels as in .* found 24 x 20"):
        kept_view_size(case.load(kept, tmp_path / "larger"))


def test_shares_without_a_teacher_are_refused_by_what_is_missing():
    with pytest.raises(UsageError, match="--teacher-shares: expected --teacher as well"):
        Teachers(teacher_shares=(1.0,)).check()


def test_a_runtime_that_no_teacher_can_take_is_refused(kept, folders, tmp_path):
    file = case.File().write(tmp_path / "edges.onnx")
    for references in ([file], [kept], [file, kept]):
        with pytest.raises(UsageError, match="--teacher-runtime torch: expected a teacher that it"):
            case.load(*references, teacher_runtime="torch")
    with pytest.raises(UsageError, match=r"--teacher-runtime onnxruntime: .* runs nothing"):
        case.load(kept, teacher_runtime="onnxruntime")
    assert case.load(file, teacher_runtime="onnxruntime")
    assert case.load(file, folders[0], teacher_runtime="torch")  # it concerns the second
