"""Quantisation-aware training as a step of the repair: it learns, goes on, and proves its file."""

import numpy as np
import pytest
import torch

import exported
import qat_case
from compress.errors import TrainingError
from compress.training.batches import Batch, read_batch
from compress.training.job import Outputs
from compress_export.qat.agreement import require_agreement
from compress_export.qat.lessons import make_job, make_objective, training_settings
from compress_export.qat.network import QuantizedNetwork
from compress_export.repair.case import Case, Looked
from compress_export.repair.rungs import qat
from compress_export.sources import Source, torch_source

NARROW = 0.25  # ranges that cut most activations off: int8 is far from float32


def looked(case: Case, narrow: float = NARROW) -> Looked:
    return case.look(qat_case.first_attempt(narrow))


def one_step(case: Case, found: Looked) -> tuple[Batch, Outputs]:
    """The first batch, and what the network says of it."""
    network = QuantizedNetwork(found.attempt, found.graph)
    job = make_job(case, network, case.work.out)
    batch = read_batch(job.plan, 0, 0)
    pixels = torch.from_numpy(batch.views.pixels).permute(0, 3, 1, 2).float()
    return batch, Outputs(network((pixels - 128) / 64))


def silent(name: str = "teacher") -> Source:
    """A teacher that must not be asked."""

    def refuse(images: np.ndarray) -> np.ndarray:
        raise AssertionError("the teacher was asked")

    source = torch_source(exported.loaded(exported.trained()))
    return Source(**{**vars(source), "answer": refuse, "name": name})


# ------------------------------------------------------------------------------- how it learns


def test_a_few_steps_bring_the_integer_file_nearer_to_float32(tmp_path):
    case = qat_case.make_case(tmp_path, qat_epochs=4, qat_lr=0.01)
    found = looked(case)
    assert qat.why_not(case, found) == ""
    attempt, said = qat.repair(case, found)
    after = case.look(attempt)
    assert after.kl < 0.8 * found.kl
    assert "by the float32 student itself" in said
    assert "100.00 % of logits" in said
    assert not (tmp_path / qat.FOLDER).exists()  # nothing is left in the bundle


def test_the_ranges_and_the_placement_stay_as_they_were(tmp_path):
    case = qat_case.make_case(tmp_path, qat_epochs=1)
    found = looked(case)
    attempt, _ = qat.repair(case, found)
    before, after = found.graph.graph, attempt.graph().graph
    assert [n.name for n in before.node] == [n.name for n in after.node]
    assert attempt.found is found.attempt.found


def test_the_students_own_schedule_is_taken_more_gently(tmp_path):
    settings = training_settings(qat_case.make_case(tmp_path, qat_epochs=5))
    assert settings.epochs == 5
    assert settings.batch_size == 32
    assert settings.lr == pytest.approx(0.001)  # a hundredth of the recipe's 0.1
    assert settings.select == "best"
    assert training_settings(qat_case.make_case(tmp_path, qat_lr=0.002)).lr == 0.002


def test_the_student_is_trained_on_the_views_of_its_own_recipe(tmp_path):
    case = qat_case.make_case(tmp_path)
    found = looked(case)
    batch, _ = one_step(case, found)
    images = case.work.dataset.train.images.batch(batch.views.indices, (16, 16))
    np.testing.assert_array_equal(batch.views.pixels, images)  # augment: none
    assert len(batch) == 32


# ---------------------------------------------------------------------------------- the teacher


def test_the_loss_is_the_teachers_share_and_the_labels(tmp_path):
    teacher = torch_source(exported.loaded(exported.trained(seed=1)))
    case = qat_case.make_case(tmp_path, teacher=teacher, qat_kd_weight=0.25)
    batch, outputs = one_step(case, looked(case))
    terms = make_objective(case, training_settings(case))(batch, outputs)
    student = outputs.logits.detach().double().log_softmax(1)
    taught = torch.from_numpy(teacher.answer(batch.views.pixels)).double().log_softmax(1)
    labels = torch.from_numpy(batch.labels)
    kl = (taught.exp() * (taught - student)).sum(1).mean()
    assert terms["kd"].item() == pytest.approx(0.25 * kl.item(), rel=1e-5)
    ce = torch.nn.functional.nll_loss(student, labels)
    assert terms["ce"].item() == pytest.approx(0.75 * ce.item(), rel=1e-5)


def test_without_a_teacher_the_float32_student_teaches(tmp_path):
    case = qat_case.make_case(tmp_path)
    batch, outputs = one_step(case, looked(case))
    exact = Outputs(torch.from_numpy(case.source.answer(batch.views.pixels)))
    objective = make_objective(case, training_settings(case))
    assert objective(batch, exact)["kd"].item() == pytest.approx(0, abs=1e-6)
    assert objective(batch, outputs)["kd"].item() > 0.01


def test_labels_alone_never_ask_the_teacher(tmp_path):
    case = qat_case.make_case(tmp_path, teacher=silent(), qat_kd_weight=0.0, qat_epochs=1)
    _, said = qat.repair(case, looked(case))
    assert "by labels alone" in said


def test_the_teacher_is_named(tmp_path):
    teacher = torch_source(exported.loaded(exported.trained(seed=1)))
    case = qat_case.make_case(tmp_path, teacher=teacher, qat_epochs=1, qat_kd_weight=0.5)
    _, said = qat.repair(case, looked(case))
    assert "50 % by net.py:branched" in said


# ------------------------------------------------------------------------------------ going on


def test_a_killed_training_goes_on_where_it_was(tmp_path):
    whole = qat_case.make_case(tmp_path / "whole", teacher=answering(), qat_epochs=3)
    expected, _ = qat.repair(whole, looked(whole))
    killed = qat_case.make_case(tmp_path / "killed", teacher=answering(7), qat_epochs=3)
    with pytest.raises(KeyboardInterrupt):
        qat.repair(killed, looked(killed))
    (folder,) = (tmp_path / "killed" / qat.FOLDER).iterdir()
    assert (folder / "training-state.pt").is_file()
    asked: list[int] = []
    again = qat_case.make_case(tmp_path / "killed", teacher=answering(None, asked), qat_epochs=3)
    attempt, _ = qat.repair(again, looked(again))
    assert len(asked) == 12  # twice in each of three steps of two epochs: the first one is done
    assert attempt.graph().SerializeToString(deterministic=True) == (
        expected.graph().SerializeToString(deterministic=True)
    )


def answering(times: int | None = None, asked: list[int] | None = None) -> Source:
    """A teacher; Ctrl-C is pressed when it is asked more than some times."""
    source = torch_source(exported.loaded(exported.trained(seed=1)))
    counted = [] if asked is None else asked

    def answer(images: np.ndarray) -> np.ndarray:
        counted.append(len(images))
        if times is not None and len(counted) > times:
            raise KeyboardInterrupt
        return source.answer(images)

    return Source(**{**vars(source), "answer": answer})


def test_a_state_of_another_training_is_not_gone_on_with(tmp_path):
    case = qat_case.make_case(tmp_path, qat_epochs=1)
    other = tmp_path / qat.FOLDER / "0123456789ab"
    other.mkdir(parents=True)
    (other / "training-state.pt").write_bytes(b"of another graph")
    qat.repair(case, looked(case))
    assert not other.exists()


# ------------------------------------------------------------------------------- what is refused


def foreign(tmp_path, operator: str) -> tuple[Case, Looked]:
    case = qat_case.make_case(tmp_path, qat_epochs=1)
    graph = qat_case.foreign_graph(operator)
    return case, case.look(qat_case.plain(graph, exported.inputs()))


def test_a_file_from_elsewhere_learns_too(tmp_path):
    case, found = foreign(tmp_path, "Relu")
    case = Case(**{**vars(case), "source": Source(**{**vars(case.source), "recipe": {}})})
    assert qat.why_not(case, found) == ""
    attempt, _ = qat.repair(case, found)
    assert case.look(attempt).kl < found.kl  # from noise towards what the student says
    assert training_settings(case).lr == pytest.approx(0.0005)  # of the defaults


def test_an_operator_that_cannot_be_trained_through_is_said(tmp_path):
    case, found = foreign(tmp_path, "Sin")
    assert "the network computes Sin, which" in qat.why_not(case, found)


def test_a_graph_that_is_read_wrongly_is_not_trained(tmp_path):
    case = qat_case.make_case(tmp_path)
    found = looked(case)
    otherwise = Looked(**{**vars(found), "logits": found.logits[::-1].copy()})
    assert "answers otherwise than onnxruntime" in qat.why_not(case, otherwise)


def test_a_training_that_diverges_says_which_flag_to_lower_and_leaves_nothing(tmp_path):
    case = qat_case.make_case(tmp_path, qat_epochs=2, qat_lr=1e30)
    with pytest.raises(TrainingError, match="--qat-lr"):
        qat.repair(case, looked(case))
    assert not (tmp_path / qat.FOLDER).exists()


def test_a_file_that_answers_otherwise_than_what_was_trained_fails():
    require_agreement(0.99)
    with pytest.raises(TrainingError, match=r"within one output step .* found 98\.9 %"):
        require_agreement(0.989)
