"""A torch teacher: frozen, in eval mode, with its own input, refused when it cannot be right."""

import json
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

import teachers_case as case
import tiny
from compress.data.open import absolute_data
from compress.distill.entropy import answer_entropy
from compress.distill.teachers.check import check_teacher
from compress.distill.teachers.load import load_teacher
from compress.distill.teachers.record import teacher_record, torch_model
from compress.errors import ModelError, UsageError
from compress.preprocess import preprocess
from compress.progress import SILENT
from compress.settings import Run, Teachers


@pytest.fixture
def foreign(tmp_path):
    """Flags of the user's own network."""
    return {"teacher_weights": case.weights(tmp_path / "edges.pth")}


@pytest.fixture
def teacher(foreign):
    return case.load(case.EDGES, **foreign)


def _module(teacher) -> nn.Module:
    return teacher.network.model.module


# ------------------------------------------------------------------------------------------ frozen


def test_the_teacher_answers_in_eval_mode_even_if_somebody_switches_it_before_each_step(teacher):
    before = _module(teacher).norm.running_mean.clone()
    for _ in range(3):
        _module(teacher).train()
        found = teacher.logits(case.views())
        assert torch.allclose(found, case.reference_logits(), atol=1e-4)  # no dropout
    assert torch.equal(_module(teacher).norm.running_mean, before)


def test_the_teacher_has_no_gradient(teacher):
    logits = teacher.logits(case.views())
    assert logits.dtype == torch.float32
    assert not logits.requires_grad
    assert not any(p.requires_grad for p in _module(teacher).parameters())


def test_a_loss_can_be_taken_of_the_teachers_logits(teacher):
    student = nn.Linear(3, 3)
    (student(teacher.logits(case.views())) ** 2).sum().backward()
    assert student.weight.grad is not None


def test_a_student_that_holds_its_teacher_does_not_save_it(teacher):
    student = nn.Linear(3, 3)
    student.teacher = teacher
    assert set(student.state_dict()) == {"weight", "bias"}
    assert len(list(student.parameters())) == 2


# ------------------------------------------------------------------------------------ its own input


def test_each_teacher_looks_at_the_view_through_its_own_input_adapter(foreign):
    """A teacher of 8 x 8 gets the 16 x 16 view resized, in its own normalisation."""
    small = case.load(
        case.EDGES, teacher_size=8, teacher_mean=(10.0,), teacher_scale=(2.0,), **foreign
    )
    seen = []
    _module(small).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    views = replace(case.views(), pixels=np.full((2, 16, 16, 1), 50, np.uint8))
    small.logits(views)
    assert torch.equal(seen[0], torch.full((2, 1, 8, 8), 20.0))
    assert [spec.size for spec in small.inputs] == [(8, 8)]


def test_colour_is_given_to_a_teacher_that_wants_it(tmp_path):
    """A torchvision network takes three channels; grey images are repeated."""
    torch.manual_seed(0)
    module = models.squeezenet1_1(num_classes=3)
    teacher = case.load(
        "torchvision:squeezenet1_1",
        teacher_weights=case.weights(tmp_path / "w.pth", module),
        teacher_size=32,
    )
    assert teacher.inputs[0].channels == 3
    assert teacher.logits(case.views(2)).shape == (2, 3)


# ------------------------------------------------------------------------------------------ checked


def test_a_good_teachers_accuracy_is_returned(teacher):
    assert check_teacher(teacher, case.DATA, SILENT) == 1.0


@pytest.mark.parametrize(("mean", "scale"), [((0.0,), (255.0,)), ((128.0,), (1.0,))])
def test_a_wrong_normalisation_is_refused_with_the_flags_of_the_right_one(foreign, mean, scale):
    wrong = case.load(case.EDGES, teacher_mean=mean, teacher_scale=scale, **foreign)
    message = r"100 % with \(x - 128\) / 64; give --teacher-mean 128 --teacher-scale 64"
    with pytest.raises(ModelError, match=message):
        check_teacher(wrong, case.DATA, SILENT)


def test_a_terminal_shows_that_other_normalisations_are_tried(teacher):
    titles = []

    class Shown(case.Said):
        @contextmanager
        def task(self, title, total):
            titles.append(title)
            yield lambda amount: None

    check_teacher(teacher, case.DATA, Shown())
    assert titles == [f"asking {case.EDGES}", f"trying other normalisations on {case.EDGES}"]


def test_half_a_normalisation_is_refused(foreign):
    with pytest.raises(UsageError, match="expected both or neither"):
        case.load(case.EDGES, teacher_mean=(0.0,), **foreign)


def test_three_numbers_for_a_grey_teacher_are_refused(foreign):
    with pytest.raises(UsageError, match=r"--teacher-mean: expected one number.*found 3"):
        case.load(case.EDGES, teacher_mean=(1.0,) * 3, teacher_scale=(1.0,) * 3, **foreign)


@pytest.fixture
def soft_weights(tmp_path):
    return case.weights(tmp_path / "soft.pth", case.soft())


def test_a_teacher_that_ends_in_softmax_is_refused_with_the_flag(soft_weights):
    soft = case.load(f"{case.SOURCE}:soft", teacher_weights=soft_weights)
    with pytest.raises(ModelError, match=r"softmax of a softmax; give --teacher-output prob"):
        check_teacher(soft, case.DATA, SILENT)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_probabilities_teach_as_the_logits_would_at_every_temperature(soft_weights, temperature):
    soft = case.load(
        f"{case.SOURCE}:soft", teacher_weights=soft_weights, teacher_output="probabilities"
    )
    found = (soft.logits(case.views(96)) / temperature).softmax(1)
    expected = (case.reference_logits(96) / temperature).softmax(1)
    assert torch.allclose(found, expected, atol=1e-5)
    assert check_teacher(soft, case.DATA, SILENT) == 1.0


def test_logits_that_are_called_probabilities_are_refused(foreign):
    wrong = case.load(case.EDGES, teacher_output="probabilities", **foreign)
    with pytest.raises(ModelError, match=r"expected probabilities that sum to 1, found sums from"):
        wrong.logits(case.views())


def test_a_probability_of_zero_is_a_finite_logit(soft_weights):
    soft = case.load(
        f"{case.SOURCE}:soft", teacher_weights=soft_weights, teacher_output="probabilities"
    )
    certain = torch.tensor([[1.0, 0.0, 0.0]])
    logits = soft.interpret(certain)
    assert torch.isfinite(logits).all()
    assert (logits / 4).softmax(1)[0, 0] > 1 - 1e-6  # nothing stays nothing where it is softened


def test_a_teacher_with_nan_is_refused(tmp_path):
    module = case.Edges()
    teacher = case.load(case.EDGES, teacher_weights=case.weights(tmp_path / "w.pth", module))
    with torch.no_grad():
        _module(teacher).head.bias[0] = float("nan")
    with pytest.raises(ModelError, match="expected finite logits, found NaN"):
        check_teacher(teacher, case.DATA, SILENT)
    with pytest.raises(ModelError, match="expected finite logits, found NaN"):
        teacher.logits(case.views())


def test_entropy_is_zero_for_certainty_and_log_c_for_no_idea():
    assert answer_entropy(np.array([[1000.0, 0, 0]], np.float32)) == 0.0
    assert answer_entropy(torch.zeros(4, 3)) == pytest.approx(np.log(3))


def test_entropy_is_that_of_the_softened_answers():
    """softmax(log 3 / 1) is (3/4, 1/4); halving the logits of (9/10, 1/10) gives it too."""
    expected = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert answer_entropy(np.log([[3.0, 1.0]])) == pytest.approx(expected)
    assert answer_entropy(np.log([[9.0, 1.0]]), temperature=2.0) == pytest.approx(expected)


# --------------------------------------------------------------------------------------- references


def test_no_teacher_is_refused():
    with pytest.raises(UsageError, match=r"--teacher: expected a checkpoint folder.*found nothing"):
        load_teacher(Teachers(), case.DATA, case.RUN, SILENT)


def test_a_teacher_that_is_nothing_is_refused():
    with pytest.raises(UsageError, match="--teacher runs/teacher: expected a checkpoint folder"):
        case.load("runs/teacher")


def test_an_untrained_teacher_is_refused():
    with pytest.raises(UsageError, match="untrained network teaches nothing"):
        case.load("resnet8")


def test_a_checkpoint_teaches_and_says_what_it_is(tmp_path):
    teacher = case.load(case.checkpoint(tmp_path / "teacher"))
    assert case.right(teacher) == 1.0
    assert check_teacher(teacher, case.DATA, SILENT) == 1.0
    assert str(tmp_path) not in json.dumps(teacher.identity())
    assert teacher_record(teacher)["folder"] == str(tmp_path / "teacher")


def test_a_folder_whose_training_is_not_finished_is_refused(tmp_path):
    with pytest.raises(ModelError, match="its training may not be finished"):
        case.load(tmp_path)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("teacher_weights", "w.pth"),
        ("teacher_size", 16),
        ("teacher_mean", (0.0,)),
        ("teacher_args", '{"order": []}'),
        ("teacher_classes", "names.txt"),
    ],
)
def test_flags_that_a_checkpoint_answers_itself_are_refused(tmp_path, flag, value):
    folder = case.checkpoint(tmp_path / "teacher")
    name = f"--{flag.replace('_', '-')}"
    with pytest.raises(UsageError, match=f"{name}: expected a teacher that is no checkpoint"):
        case.load(folder, **{flag: value})


def _taught_on(reference: str, folder):
    """A checkpoint whose teacher learnt from other images or other splits."""
    case.checkpoint(folder, data=replace(case.DATA, name=reference, fingerprint="other"))
    return folder


def test_test_images_of_other_splits_may_have_taught_the_teacher_and_are_refused(tmp_path):
    folder = _taught_on(absolute_data(case.DATA.name), tmp_path / "teacher")
    with pytest.raises(ModelError, match=r"trained on tiny in other splits.*--split-seed"):
        case.load(folder)


def test_a_teacher_of_other_images_is_taken_with_a_warning(tmp_path):
    said = case.Said()
    case.load(_taught_on("photos", tmp_path / "teacher"), said=said)
    assert "make sure that the test images did not teach it" in said.sentences[0]


# ----------------------------------------------------------------------------------------- identity


def test_equal_teachers_have_equal_identities_and_other_weights_another(tmp_path, foreign):
    first, again = case.load(case.EDGES, **foreign), case.load(case.EDGES, **foreign)
    assert first.identity() == again.identity()
    module = case.Edges()
    with torch.no_grad():
        module.head.bias[0] += 1
    other = case.weights(tmp_path / "other.pth", module)
    assert case.load(case.EDGES, teacher_weights=other).identity() != first.identity()


@pytest.mark.parametrize(
    "changes",
    [
        {"teacher_mean": (0.0,), "teacher_scale": (255.0,)},
        {"teacher_size": 8},
        {"teacher_output": "probabilities"},
    ],
)
def test_what_changes_answers_changes_the_identity(foreign, changes):
    plain, changed = case.load(case.EDGES, **foreign), case.load(case.EDGES, **foreign, **changes)
    assert plain.identity() != changed.identity()
    assert json.loads(json.dumps(changed.identity())) == changed.identity()


# ----------------------------------------------------------------------------- published networks


@pytest.fixture
def published(tmp_path, monkeypatch):
    """torch's cache with random weights under the name of torchvision's own for squeezenet1_1."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    url = models.get_model_weights("squeezenet1_1").DEFAULT.url
    torch.manual_seed(3)
    module = models.squeezenet1_1()
    case.weights(cache / url.rpartition("/")[2], module)
    return module.eval()


def test_a_published_network_of_1000_classes_teaches_the_datas_by_name(published):
    data = case.renamed(("tabby", "Egyptian_cat", "goldfish"))
    said = case.Said()
    teacher = case.load("torchvision:squeezenet1_1", data=data, said=said, teacher_size=32)
    assert teacher.identity()["class_map"] == [[281], [285], [1]]  # ImageNet's own numbers
    assert any("3 of its 1000 classes are the data's, by name" in s for s in said.sentences)
    assert any("Egyptian_cat = Egyptian cat" in s for s in said.sentences)
    pixels = teacher.network.outputs(case.views(2).pixels)
    assert torch.equal(teacher.logits(case.views(2)), pixels[:, [281, 285, 1]])


def test_a_published_network_without_the_datas_classes_is_refused_with_both_lists(published):
    message = r"3: bars, columns, blank\), found 1000: tench, .*it lacks bars, columns, blank"
    with pytest.raises(ModelError, match=message):
        case.load("torchvision:squeezenet1_1", teacher_size=32)


def test_export_gets_a_network_that_answers_in_the_datas_classes(published):
    data = case.renamed(("tabby", "Egyptian cat", "goldfish"))
    teacher = case.load("torchvision:squeezenet1_1", data=data, teacher_size=32)
    expected = teacher.logits(case.views(2))
    model = torch_model(teacher)
    spec = model.preprocessing
    with torch.no_grad():
        found = model.module(torch.from_numpy(preprocess(case.views(2).pixels, spec)))
    assert torch.allclose(found, expected, atol=1e-5)
    assert model.classes == data.classes


def test_the_number_of_names_is_what_a_factory_is_asked_for(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("bars\ncolumns\nblank\nsmoke\nmirrors\n")
    teacher = case.load(
        f"{case.SOURCE}:wide",
        teacher_classes=names,
        teacher_weights=case.weights(tmp_path / "w.pth", case.wide(5)),
    )
    assert teacher.identity()["width"] == 5
    assert teacher.classes == tiny.CLASSES
    assert case.right(teacher) == 1.0


def test_a_factory_that_takes_no_number_keeps_its_own_classes(tmp_path, foreign):
    data = case.renamed(("bars", "columns"))
    with pytest.raises(ModelError, match=r"expected 2 outputs.*found 3 without names"):
        case.load(case.EDGES, data=data, **foreign)


def test_threads_and_device_are_no_part_of_the_identity(foreign):
    settings = Teachers(teacher=(case.EDGES,), **foreign)
    first = load_teacher(settings, case.DATA, Run(threads=1), SILENT)
    second = load_teacher(settings, case.DATA, Run(threads=2), SILENT)
    assert first.identity() == second.identity()
