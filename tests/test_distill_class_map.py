"""Which outputs of the teacher are which class: by name first, then by the user's word."""

import json

import numpy as np
import pytest
import torch

import teachers_case as case
import tiny
from compress.distill.teachers.class_map import ClassMap, Labels, match_classes, same_order
from compress.distill.teachers.class_map_file import read_class_map
from compress.distill.teachers.interpret import Interpreter
from compress.errors import ModelError, UsageError

ANIMALS = Labels(4, ("Egyptian cat", "tabby", "beagle", "goldfish"))


def match(classes: tuple[str, ...], labels: Labels) -> ClassMap:
    return match_classes("--teacher t", "photos", classes, labels)


# ------------------------------------------------------------------------------------------ by name


def test_the_same_classes_in_the_same_order_change_nothing():
    found = match(ANIMALS.names, ANIMALS)
    assert (found.in_place(), found.note, found.identity()) == (True, "", None)


def test_the_same_classes_in_another_order_are_put_in_the_datas():
    found = match(("goldfish", "beagle", "tabby", "Egyptian cat"), ANIMALS)
    assert found.outputs == ((3,), (2,), (1,), (0,))
    assert "another order" in found.note


def test_of_a_superset_the_datas_classes_are_taken():
    found = match(("goldfish", "tabby"), ANIMALS)
    assert found.outputs == ((3,), (1,))
    assert "2 of its 4 classes are the data's, by name" in found.note


def test_spelling_apart_names_are_the_same_and_that_is_said():
    found = match(("egyptian_cat", "Goldfish"), ANIMALS)
    assert found.outputs == ((0,), (3,))
    assert "egyptian_cat = Egyptian cat, Goldfish = goldfish" in found.note


def test_the_very_same_name_goes_before_a_similar_one():
    """ImageNet has a bird and a machine of nearly one name."""
    found = match(("Cardigan", "cardigan"), Labels(3, ("cardigan", "Cardigan", "beagle")))
    assert found.outputs == ((1,), (0,))


def test_a_similar_name_that_could_be_two_is_refused():
    with pytest.raises(ModelError, match="lacks CARDIGAN"):
        match(("CARDIGAN", "beagle"), Labels(3, ("cardigan", "Cardigan", "beagle")))


def test_a_name_that_two_outputs_have_is_refused():
    with pytest.raises(ModelError, match="has crane more than once"):
        match(("crane", "beagle"), Labels(3, ("crane", "crane", "beagle")))


def test_other_classes_are_refused_with_both_lists_and_what_is_lacking():
    message = (
        r"photos \(3: beagle, dog, cow\), found 4: Egyptian cat, tabby, beagle, goldfish; "
        r"it lacks dog, cow: .*--class-map"
    )
    with pytest.raises(ModelError, match=message):
        match(("beagle", "dog", "cow"), ANIMALS)


def test_as_many_other_names_are_refused_too():
    with pytest.raises(ModelError, match="lacks a, b, c and 1 more"):
        match(("a", "b", "c", "d"), ANIMALS)


def test_long_lists_are_cut():
    labels = Labels(1000, tuple(f"thing {k}" for k in range(1000)))
    with pytest.raises(ModelError) as caught:
        match(tuple(f"class {k}" for k in range(100)), labels)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("names", [(), ("0", "1", "2", "3")])
def test_outputs_without_names_are_taken_in_order_with_a_note(names):
    found = match(("a", "b", "c", "d"), Labels(4, names))
    assert found.in_place()
    assert "its classes have no names; its outputs were taken in the order" in found.note


def test_data_whose_classes_have_no_names_are_taken_in_order_with_a_note():
    found = match(("0", "1", "2", "3"), ANIMALS)
    assert found.in_place()
    assert "the data's classes have no names" in found.note


def test_outputs_without_names_must_be_as_many():
    with pytest.raises(ModelError, match=r"expected 2 outputs.*found 4 without names; name them"):
        match(("a", "b"), Labels(4))


def test_imagenets_own_folder_names_stand_in_the_order_of_its_networks():
    found = match(("n01440764", "n01443537"), Labels(2, ("tench", "goldfish")))
    assert found.in_place()
    assert "WordNet" in found.note


# ------------------------------------------------------------------------------- what comes of them


def test_chosen_outputs_are_the_classes_logits():
    logits = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    found = Interpreter("logits", match(("goldfish", "tabby"), ANIMALS))(logits)
    assert found.tolist() == [[4.0, 2.0]]


def test_merged_outputs_add_their_probabilities_at_temperature_one():
    """softmax of (log 1, log 2, log 3, log 4) is (1, 2, 3, 4) / 10."""
    logits = torch.log(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    merged = Interpreter("logits", ClassMap(((0, 1, 2), (3,)), 4))(logits)
    assert torch.allclose(merged.softmax(1), torch.tensor([[0.6, 0.4]]))


def test_left_out_outputs_share_nothing_with_the_others():
    logits = torch.log(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    merged = Interpreter("logits", ClassMap(((0, 1), (2,)), 4))(logits)
    assert torch.allclose(merged.softmax(1), torch.tensor([[0.5, 0.5]]))


def test_probabilities_are_merged_as_probabilities():
    given = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    merged = Interpreter("probabilities", ClassMap(((0, 1, 2), (3,)), 4))(given)
    assert torch.allclose(merged.exp(), torch.tensor([[0.6, 0.4]]))


# --------------------------------------------------------------------------------------- the user's


def read(tmp_path, content: object, classes=("cat", "fish"), labels=ANIMALS, name="map.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_class_map(path, classes, labels).outputs


def test_a_file_maps_names_and_numbers_and_lists_of_both(tmp_path):
    content = {"cat": ["Egyptian cat", 1], "fish": "goldfish"}
    assert read(tmp_path, content) == ((0, 1), (3,))


def test_a_file_may_be_yaml(tmp_path):
    content = "cat: [Egyptian cat, tabby]\nfish: 3\n"
    assert read(tmp_path, content, name="map.yaml") == ((0, 1), (3,))


def test_yaml_cannot_run_code(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path, "!!python/object/apply:os.getcwd []", name="map.yaml")


def test_classes_that_are_called_by_numbers_are_found(tmp_path):
    assert read(tmp_path, "0: tabby\n1: 3\n", ("0", "1"), name="map.yaml") == ((1,), (3,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cat": 0}, "expected every class of the data, found none for fish"),
        ({"cat": 0, "fish": 1, "fsh": 2}, "found fsh; did you mean fish?"),
        ({"cat": 0, "fish": "goldfsh"}, "found goldfsh; did you mean goldfish?"),
        ({"cat": 0, "fish": 4}, "expected an output from 0 to 3, found 4"),
        ({"cat": 0, "fish": -1}, "expected an output from 0 to 3, found -1"),
        ({"cat": 0, "fish": []}, "found an empty list"),
        ({"cat": 0, "fish": True}, "expected a name or a number of an output, found True"),
        ({"cat": 0, "fish": [0, 3]}, "output 0 (Egyptian cat) for cat and fish"),
        (["cat"], "found list; write one line a class"),
        ("{", "cannot be read"),
    ],
)
def test_a_file_that_says_nothing_sure_is_refused(tmp_path, content, message):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, content)
    assert message in str(caught.value)


def test_a_name_that_yaml_takes_for_a_truth_value_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(UsageError, match="put it in quotes"):
        read(tmp_path, "no: 1\ncat: 0\n", ("no", "cat"), name="map.yaml")


def test_an_ambiguous_output_is_refused_with_its_numbers(tmp_path):
    labels = Labels(3, ("crane", "crane", "beagle"))
    with pytest.raises(UsageError, match="outputs 0 and 1 are called; give the number"):
        read(tmp_path, {"bird": "crane"}, ("bird",), labels)


def test_outputs_without_names_have_numbers_only(tmp_path):
    with pytest.raises(UsageError, match=r"since this teacher's have no names.*--teacher-classes"):
        read(tmp_path, {"cat": "tabby", "fish": 1}, labels=Labels(4))


# ----------------------------------------------------------------------------------- whole teachers


def test_a_checkpoint_of_another_order_teaches_the_right_classes(tmp_path):
    folder = case.checkpoint(tmp_path / "teacher", classes=("blank", "bars", "columns"))
    teacher = case.load(folder)
    assert teacher.classes == tiny.CLASSES
    assert case.right(teacher) == 1.0
    assert teacher.identity()["class_map"] == [[1], [2], [0]]


def test_a_checkpoint_of_a_superset_teaches_the_right_classes(tmp_path):
    classes = ("smoke", "columns", "bars", "blank")
    teacher = case.load(case.checkpoint(tmp_path / "teacher", classes=classes))
    assert case.right(teacher) == 1.0


def test_a_checkpoint_of_other_classes_is_refused_with_both_lists(tmp_path):
    folder = case.checkpoint(tmp_path / "teacher", classes=("cat", "dog", "cow"))
    with pytest.raises(ModelError, match=r"3: bars, columns, blank.*found 3: cat, dog, cow"):
        case.load(folder)


def test_the_users_map_goes_before_names(tmp_path):
    folder = case.checkpoint(tmp_path / "teacher", classes=("cat", "dog", "cow"))
    path = tmp_path / "map.yaml"
    path.write_text("bars: 0\ncolumns: dog\nblank: cow\n")
    teacher = case.load(folder, class_map=path)
    raw = teacher.network.outputs(case.views().pixels)
    assert torch.equal(teacher.logits(case.views()), raw)
    assert np.array_equal(teacher.identity()["classes"], tiny.CLASSES)


def test_a_file_of_names_of_another_number_is_refused(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("bars\ncolumns\n")
    weights = case.weights(tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"expected 3 names.*found 2"):
        case.load(case.EDGES, teacher_weights=weights, teacher_classes=names)


def test_a_file_of_names_with_an_empty_line_is_refused(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("bars\n\nblank\n")
    weights = case.weights(tmp_path / "w.pth")
    with pytest.raises(UsageError, match="found line 2 empty"):
        case.load(case.EDGES, teacher_weights=weights, teacher_classes=names)


def test_names_in_a_file_say_the_order_of_the_outputs(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("blank\nbars\ncolumns\n")
    weights = case.weights(tmp_path / "w.pth")
    teacher = case.load(case.EDGES, teacher_weights=weights, teacher_classes=names)
    assert teacher.identity()["class_map"] == [[1], [2], [0]]


def test_the_same_order_is_the_map_that_changes_nothing():
    assert Interpreter("logits", same_order(3)).changes_nothing()
    assert not Interpreter("probabilities", same_order(3)).changes_nothing()
