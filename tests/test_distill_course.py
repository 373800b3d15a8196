"""From flags and blocks to the losses that teach: what is resolved, and what is refused."""

import json

import pytest
import yaml

from compress.distill.course import plan_course
from compress.distill.requirements import refuse_impossible, refuse_partial_logits
from compress.errors import UsageError
from compress.recipes import load_recipe, section_of, settings_from
from compress.settings import Augmenting, Teaching
from compress.settings.method_blocks import set_in_blocks


def course(*methods, classes=10, **settings):
    return plan_course(Teaching(method=methods, **settings), classes)


def test_what_is_left_open_are_the_methods_own_defaults():
    (kd,) = course("kd").chosen
    assert (kd.weight, kd.settings.temperature, course("kd").ce_weight) == (0.9, 4.0, 0.1)


def test_many_classes_have_defaults_of_their_own():
    (kd,) = course("kd", classes=1000).chosen
    assert (kd.weight, kd.settings.temperature) == (3.0, 1.0)
    assert course("kd", classes=1000).ce_weight == 1.0
    assert course("kd", classes=200) == course("kd", classes=2)


def test_flags_take_the_place_of_defaults():
    found = course("kd", temperature=2.0, kd_weight=0.5, ce_weight=0.25)
    assert found.ce_weight == 0.25
    assert (found.chosen[0].weight, found.temperature()) == (0.5, 2.0)


def test_labels_weigh_nothing_where_there_are_none():
    assert course("kd", transfer="frames").ce_weight == 0.0


def test_a_block_holds_what_only_its_method_knows():
    block = json.dumps({"name": "dkd", "beta": 2, "warmup": 0.5, "weight": 3})
    (dkd,) = course(block).chosen
    assert (dkd.settings.beta, dkd.settings.alpha) == (2, 1.0)
    assert [dkd.weight_at(done) for done in (0.0, 0.25, 0.5, 1.0)] == [0.0, 1.5, 3.0, 3.0]


def test_several_methods_each_have_a_weight_and_share_the_temperature():
    block = json.dumps({"name": "dist", "weight": 0.3, "temperature": 1})
    kd, dist, hard = course("kd", block, "hard", temperature=3.0).chosen
    assert (kd.temperature(), dist.temperature(), hard.temperature()) == (3.0, 1, None)
    assert (kd.weight, dist.weight) == (0.9, 0.3)


def test_the_resolved_settings_make_the_same_course_again():
    for methods in (("kd",), ('{"name": "dkd", "beta": 2}',), ("kd", "hint"), ("hard",)):
        found = course(*methods)
        resolved = found.settings()
        blocks = tuple(json.dumps(block) for block in resolved.pop("method"))
        assert plan_course(Teaching(method=blocks, **resolved), 1000) == found


@pytest.mark.parametrize(
    ("methods", "settings", "named"),
    [
        (("kdd",), {}, 'no such method; did you mean "kd"'),
        (("kd", "kd"), {}, "expected each method once"),
        (("kd", "dkd"), {"kd_weight": 1.0}, "expected a single method, found kd and dkd"),
        (("hard",), {"temperature": 2.0}, "expected a method that has one, found hard"),
        (('{"name": "dkd", "bta": 8}',), {}, 'dkd: bta: unknown; did you mean "beta"'),
        (('{"name": "kd", "layers": {"a": "b"}}',), {}, "kd: layers: unknown"),
        (('{"name": "hint", "layers": ["a"]}',), {}, "expected layers of the student with those"),
        (('{"name": "dkd", "beta": -1}',), {}, "beta: expected a number, 0 or more, found -1"),
        (('{"name": "dkd", "beta": "x"}',), {}, "expected a number, 0 or more, found 'x'"),
        (('{"name": "kd", "temperature": 0}',), {}, "temperature: expected a number above 0"),
        (('{"name": "kd", "warmup": 1}',), {}, "warmup: expected a share from 0 to below 1"),
        (('{"name": "kd", "weight": 2}',), {"kd_weight": 1.0}, "weight: 2 there; leave one out"),
        (('{"name": "kd", "weight": 0}',), {"transfer": "f"}, "expected a weight above 0"),
        (("hint",), {"ce_weight": 0.0}, "expected labels or a method of logits as well"),
        (("rkd",), {"transfer": "frames"}, "add --method kd"),
        (('{"beta": 2}',), {}, "expected the name of a method in each block"),
        (("{beta}",), {}, "expected a JSON object"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(methods, settings, named):
    with pytest.raises(UsageError) as caught:
        course(*methods, **settings)
    assert named in str(caught.value)


def test_a_flag_that_no_method_follows_is_refused():
    own = json.dumps({"name": "kd", "temperature": 4})
    with pytest.raises(UsageError, match="a method that has one, and none in its own block"):
        course(own, "hint", temperature=2.0)


@pytest.mark.parametrize(
    ("method", "settings", "augmenting", "named"),
    [
        ("dkd", {}, {"mixup": 0.2}, "dkd: expected one label an image, found --mixup"),
        ("dkd", {}, {"mixup": 0.2, "cutmix": 1.0}, "found --mixup and --cutmix"),
        ("dkd", {"transfer": "frames"}, {}, "a label for every image, found --transfer frames"),
        ("dkd", {"labels": 100}, {}, "a label for every image, found --labels 100"),
        ("hint", {"keep_logits": "always"}, {}, "the teacher itself in every step"),
        ("rkd", {"logits": "kept"}, {}, "found --logits kept"),
    ],
)
def test_what_cannot_work_is_refused_before_the_first_step(method, settings, augmenting, named):
    teaching = Teaching(method=("kd", method), **settings)
    with pytest.raises(UsageError) as caught:
        refuse_impossible(plan_course(teaching, 10), teaching, Augmenting(**augmenting))
    assert named in str(caught.value)


def test_the_largest_logits_alone_are_not_enough_for_every_method():
    refuse_partial_logits(course("lskd"), 0)
    refuse_partial_logits(course("kd", "hard"), 32)
    with pytest.raises(UsageError, match="lskd: expected the teacher's logits of all classes"):
        refuse_partial_logits(course("lskd"), 32)
    two = course("kd", '{"name": "function_matching"}')
    with pytest.raises(UsageError, match="expected one temperature for the 32 largest"):
        refuse_partial_logits(two, 32)


def test_set_reaches_into_blocks():
    assert set_in_blocks(("dkd",), ()) == ("dkd",)
    (block,) = set_in_blocks(("dkd",), ("method.beta=8", "method.warmup=0.1"))
    assert json.loads(block) == {"name": "dkd", "beta": 8, "warmup": 0.1}
    kd, hint = set_in_blocks(("kd", "hint"), ("method.hint.layers={stage2: stage3.-1}",))
    assert kd == "kd"
    assert json.loads(hint)["layers"] == {"stage2": "stage3.-1"}


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("beta=8", "expected method.KEY=VALUE"),
        ("method.beta", "expected method.KEY=VALUE"),
        ("method.beta=8", "expected one method that it is for, found kd, dkd"),
        ("method.dist.beta=8", "found kd, dkd; write method.kd.KEY=VALUE"),
        ("method.kd.warmup=[", "expected a value"),
        ("method.kd.name=dkd", "the method itself is --method"),
    ],
)
def test_a_set_that_leads_nowhere_is_refused(setting, named):
    with pytest.raises(UsageError) as caught:
        set_in_blocks(("kd", "dkd"), (setting,))
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "written", ["dkd", {"name": "dkd", "beta": 2}, ["kd", {"name": "hint", "weight": 5}]]
)
def test_a_recipe_takes_a_name_a_block_or_a_list_of_them(tmp_path, written):
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump({"distill": {"student": "lenet5", "method": written}}))
    teaching = settings_from(section_of(load_recipe(path), "distill"), Teaching, "r")
    assert len(teaching.method) == (len(written) if isinstance(written, list) else 1)
    plan_course(teaching, 10)
