"""The teacher is asked once: what was kept is what it answers, and nothing else is taken for it."""

import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import kept_case as case
from compress.distill.kept import forecast
from compress.distill.kept.folder import differences
from compress.distill.kept.making import (
    ask_teacher,
    drop_unfit,
    keep_logits,
    look_at_kept,
    missing_images,
)
from compress.distill.kept.teacher import mean_entropy, open_kept_teacher
from compress.errors import ArtifactError, ModelError
from compress.progress import SILENT, Progress
from compress.settings import Augmenting, Keeping
from compress.training.views import read_views

ALL = np.arange(case.COUNT)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A whole folder; not to be written to."""
    folder = tmp_path_factory.mktemp("kept") / "logits"
    keep_logits(case.teacher(), case.WANTED, folder, SILENT)
    return folder


def _copy(kept: Path, to: Path) -> Path:
    for path in (p for p in kept.rglob("*") if p.is_file()):
        target = to / path.relative_to(kept)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return to


def _in_another_process(folder: Path, *arguments: object) -> subprocess.Popen:
    script = Path(case.__file__)
    paths = os.pathsep.join([str(script.parent), str(script.parent.parent)])
    command = [sys.executable, str(script), str(folder), *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})


@pytest.mark.parametrize(
    "how",
    [Augmenting(), Augmenting(mixup=0.8, cutmix=1.0, erasing=0.25, randaugment=9)],
    ids=["crop+flip", "all that is random"],
)
def test_the_kept_answers_are_the_live_ones_on_the_same_views(tmp_path, how):
    live, wanted = case.teacher(), replace(case.WANTED, plan=replace(case.PLAN, augmenting=how))
    answers = keep_logits(live, wanted, tmp_path / "logits", SILENT)
    chosen = np.array([599, 3, 256, 3, 0])  # in any order, of any block, also twice
    for number in wanted.numbers:
        views = read_views(wanted.plan, number, chosen)
        expected = live.logits(views).numpy()
        found = answers.logits(views).numpy()
        assert found.dtype == np.float32
        below = expected.max(1, keepdims=True) - expected
        assert (np.abs(found - expected) <= 2.0**-11 * below + 1e-5).all()
    assert not np.allclose(
        answers.logits(read_views(wanted.plan, 0, ALL)),
        answers.logits(read_views(wanted.plan, 1, ALL)),
    )


def test_two_processes_make_what_one_makes_bit_for_bit(tmp_path, kept):
    other = _in_another_process(tmp_path / "logits", 0, 2)
    ask_teacher(case.teacher(), replace(case.WANTED, part=(1, 2)), tmp_path / "logits", SILENT)
    assert other.wait(60) == 0
    assert case.contents(tmp_path / "logits") == case.contents(kept)


def test_a_killed_process_costs_only_the_block_at_work(tmp_path, kept):
    folder = tmp_path / "logits"
    assert _in_another_process(folder, 0, 1, 4).wait(60) == -9
    survivors = sum(int((b == 1).sum()) for b in _marks(folder))
    assert survivors == 4
    keep_logits(case.teacher(), case.WANTED, folder, SILENT)
    assert case.contents(folder) == case.contents(kept)


def test_a_process_that_was_killed_at_its_first_file_leaves_nothing_in_the_way(tmp_path, kept):
    (tmp_path / ".writing-abc.json").write_text("{")
    keep_logits(case.teacher(), case.WANTED, tmp_path, SILENT)
    assert case.contents(tmp_path) == case.contents(kept)


def test_a_full_disk_leaves_what_was_kept(tmp_path, kept):
    folder = tmp_path / "logits"
    keep_logits(case.teacher(), replace(case.WANTED, numbers=(0,)), folder, SILENT)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))  # bytes a file: a view has 6000
    try:
        with pytest.raises(ArtifactError, match=r"free some space, .* blocks that are there are"):
            keep_logits(case.teacher(), case.WANTED, folder, SILENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not open_kept_teacher(folder, case.DATA).folder.missing((0,))
    keep_logits(case.teacher(), case.WANTED, folder, SILENT)
    assert case.contents(folder) == case.contents(kept)


def _marks(folder: Path) -> list[np.ndarray]:
    tables = sorted(folder.glob("*.blocks"))
    return [np.frombuffer(path.read_bytes(), "<u4")[1::2] for path in tables]


def test_blocks_that_are_made_again_in_another_order_are_the_same(tmp_path, kept):
    folder = _copy(kept, tmp_path / "logits")
    for path in folder.glob("view-00000.*"):
        path.unlink()
    for part in ((2, 3), (0, 3), (1, 3)):
        ask_teacher(case.teacher(), replace(case.WANTED, part=part), folder, SILENT)
    assert case.contents(folder) == case.contents(kept)


def test_a_damaged_block_is_refused_by_name_without_the_teacher(tmp_path, kept):
    folder = _copy(kept, tmp_path / "logits")
    _flip_a_bit(folder / "view-00001.logits", 300)  # of block 1
    answers = open_kept_teacher(folder, case.DATA).bind(case.PLAN, 1.0, (0, 1))
    answers.logits(read_views(case.PLAN, 0, ALL[:4]))
    with pytest.raises(ArtifactError, match=r"00001\.logits: .*damaged.* \(block 1\)"):
        answers.logits(read_views(case.PLAN, 1, ALL[:4]))


def test_a_damaged_block_is_made_again_with_the_teacher(tmp_path, kept, capsys):
    folder = _copy(kept, tmp_path / "logits")
    _flip_a_bit(folder / "view-00001.logits", 300)
    keep_logits(case.teacher(), case.WANTED, folder, Progress())
    assert "00001.logits: 1 of 3 blocks damaged; made again" in capsys.readouterr().err
    assert case.contents(folder) == case.contents(kept)


def _flip_a_bit(path: Path, image: int) -> None:
    content = bytearray(path.read_bytes())
    content[image * len(content) // case.COUNT] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("length", [0, 1000])
def test_a_file_that_was_cut_off_is_refused_and_made_again(tmp_path, kept, length):
    folder = _copy(kept, tmp_path / "logits")
    with (folder / "view-00000.logits").open("r+b") as file:
        file.truncate(length)
    answers = open_kept_teacher(folder, case.DATA).bind(case.PLAN, 1.0, (0, 1))
    with pytest.raises(ArtifactError, match="damaged"):
        answers.logits(read_views(case.PLAN, 0, ALL[:4]))
    keep_logits(case.teacher(), case.WANTED, folder, SILENT)
    assert case.contents(folder) == case.contents(kept)


def _other_plan(**changes):
    return replace(case.WANTED, plan=replace(case.PLAN, **changes))


def _augmented(**how):
    return _other_plan(augmenting=Augmenting(**how))


@pytest.mark.parametrize(
    ("wanted", "difference"),
    [
        (_augmented(augment="flip"), r"views\.augment: crop\+flip there, flip asked"),
        (_augmented(randaugment=9), r"views\.randaugment: 0\.0 there, 9 asked"),
        (_augmented(erasing=0.5), r"views\.erasing: 0\.0 there, 0\.5 asked"),
        (_augmented(mixup=0.2), r"views\.mixup: 0\.0 there, 0\.2 asked"),
        (_augmented(cutmix=1.0), r"views\.cutmix: 0\.0 there, 1\.0 asked"),
        (_other_plan(size=(12, 14)), r"views\.size: \[16, 16\] there, \[12, 14\] asked"),
        (_other_plan(seed=7), r"views\.seed: 0 there, 7 asked"),
        (_other_plan(source="other"), r"views\.images: tiny:train there, other asked"),
        (
            _other_plan(split=case.DATA.validation),
            r"views\.count: 600 there, 48 asked",
        ),
        (replace(case.WANTED, keeping=Keeping(top_k=2)), r"form\.top_k: 0 there, 2 asked"),
    ],
)
def test_other_views_or_another_form_are_refused_by_field(kept, wanted, difference):
    before = case.contents(kept)
    with pytest.raises(ArtifactError, match=difference):
        keep_logits(case.teacher(), wanted, kept, SILENT)
    assert case.contents(kept) == before


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"sha256": "bbbb"}, r"teacher\.sha256: aaaa there, bbbb asked"),
        ({"kind": "onnx"}, r"teacher\.kind: network there, onnx asked"),
    ],
)
def test_another_teacher_is_refused_by_field(kept, change, difference):
    with pytest.raises(ArtifactError, match=difference):
        keep_logits(case.teacher(**change), case.WANTED, kept, SILENT)


def test_other_preprocessing_or_class_map_is_refused_by_field(kept):
    live = case.teacher()
    shifted = live.with_preprocessing(replace(live.inputs[0], mean=(0.0,)))
    with pytest.raises(
        ArtifactError, match=r"teacher\.preprocessing\.mean: \[128\.0\] there, \[0\.0\] asked"
    ):
        keep_logits(shifted, case.WANTED, kept, SILENT)
    renamed = replace(live, classes=("bars", "columns", "dots"))
    with pytest.raises(ArtifactError, match=r"classes: .*blank.* there, .*dots.* asked"):
        keep_logits(renamed, case.WANTED, kept, SILENT)


def test_of_long_lists_the_first_place_that_differs_is_named():
    there = {"classes": [f"class {k}" for k in range(100)]}
    asked = {"classes": [*there["classes"][:40], "other", *there["classes"][41:]]}
    assert differences(there, asked) == ["classes.40: class 40 there, other asked"]


def test_of_several_teachers_the_one_that_differs_is_named():
    there = {"teachers": [{"sha256": "a"}, {"sha256": "b"}], "shares": (0.5, 0.5)}
    asked = {"teachers": [{"sha256": "a"}, {"sha256": "c"}], "shares": [0.5, 0.5]}
    assert differences(there, asked) == ["teachers.1.sha256: b there, c asked"]
    assert differences(there, there) == []


def test_views_are_checked_without_the_teacher_too(kept):
    answers = open_kept_teacher(kept, case.DATA)
    with pytest.raises(ArtifactError, match=r"views\.seed: 0 there, 3 asked"):
        answers.bind(replace(case.PLAN, seed=3), 1.0)
    with pytest.raises(ArtifactError, match=r"expected 3 views, found 2 .*--views 3"):
        answers.bind(case.PLAN, 1.0, (0, 1, 2))


def test_further_views_are_added_and_fewer_are_served(tmp_path, kept):
    folder = _copy(kept, tmp_path / "logits")
    keep_logits(case.teacher(), replace(case.WANTED, numbers=(0, 1, 2)), folder, SILENT)
    grown = case.contents(folder)
    assert len(grown) == 6
    assert case.contents(kept).items() <= grown.items()
    keep_logits(case.teacher(), replace(case.WANTED, numbers=(1,)), folder, SILENT)
    assert case.contents(folder) == grown


def test_the_spot_check_catches_a_teacher_that_its_digests_do_not_tell_apart(kept):
    with pytest.raises(ArtifactError, match=r"view 0, image \d+: a logit is .* as net answers now"):
        keep_logits(case.teacher(seed=1), case.WANTED, kept, SILENT)


def test_the_spot_check_catches_a_single_view_of_another_teacher(tmp_path, kept):
    folder, other = _copy(kept, tmp_path / "logits"), tmp_path / "other"
    keep_logits(case.teacher(seed=1), case.WANTED, other, SILENT)
    for path in other.glob("view-00001.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ArtifactError, match="view 1, image"):
        keep_logits(case.teacher(), case.WANTED, folder, SILENT)


def test_the_spot_check_says_how_exact_the_kept_logits_are(kept, capsys):
    keep_logits(case.teacher(), case.WANTED, kept, Progress())
    said = capsys.readouterr().err
    assert "16 kept entries against the live teacher: logits differ by at most" in said
    assert "kept logits: 2 views x 600 images x 3 classes, 12 kB; all there" in said


def test_the_cost_is_said_before_the_teacher_is_asked(tmp_path, capsys):
    class Unwilling(case.Mortal):
        def logits(self, views):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        keep_logits(Unwilling(0), case.WANTED, tmp_path / "logits", Progress())
    said = " ".join(capsys.readouterr().err.split())
    assert said.endswith(
        "2 views x 600 images x 3 classes, 12 kB; "
        "pays in the 1st trial: 2 instead of 30 passes of the teacher"
    )


def test_the_time_is_estimated_from_the_first_blocks(tmp_path, capsys):
    keep_logits(case.teacher(), case.WANTED, tmp_path / "logits", Progress())
    assert "(estimated from the first 512 images)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("views", "passes", "trial"),
    [(30, 30, "2nd trial"), (30, 31, "1st trial"), (60, 30, "3rd trial"), (330, 30, "12th trial")],
)
def test_keeping_pays_once_the_live_passes_would_be_more(views, passes, trial):
    assert trial in forecast.break_even(views, passes)


def test_what_the_disk_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"need 1e\+09 GB, .* are free"):
        forecast.require_space(tmp_path, 10**18)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -70000.0])
def test_a_logit_that_cannot_be_kept_is_refused_by_image(tmp_path, value):
    class Broken(case.Mortal):
        def logits(self, views):
            logits = self.live.logits(views)
            logits[views.indices == 300, 1] = value
            return logits

    with pytest.raises(ModelError, match="for image 300 of view 0"):
        keep_logits(Broken(0), case.WANTED, tmp_path / "logits", SILENT)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"other files \(notes\.txt\)"):
        keep_logits(case.teacher(), case.WANTED, tmp_path, SILENT)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_top_k_serves_its_temperatures_and_refuses_others(tmp_path):
    answers = keep_logits(case.teacher(), case.TOP_K, tmp_path / "logits", SILENT)
    assert answers.folder.form.temperatures == (1.0, 2.0, 4.0)  # 1, the one in use, the declared
    fresh = open_kept_teacher(tmp_path / "logits", case.DATA)
    fresh.bind(case.PLAN, 4.0, (0, 1))
    with pytest.raises(ArtifactError, match=r"temperatures 1 2 4, found 3; .*--temperatures 1 2 4"):
        fresh.bind(case.PLAN, 3.0)
    later = replace(case.WANTED, temperature=3.0)
    with pytest.raises(ArtifactError, match="found 3"):
        keep_logits(case.teacher(), later, tmp_path / "logits", SILENT)


def test_fewer_temperatures_than_were_declared_are_served(tmp_path):
    keep_logits(case.teacher(), case.TOP_K, tmp_path / "logits", SILENT)
    fewer = replace(case.TOP_K, keeping=Keeping(top_k=2))
    assert keep_logits(case.teacher(), fewer, tmp_path / "logits", SILENT)


def test_top_k_answers_have_the_live_teachers_probabilities(tmp_path):
    live = case.teacher()
    answers = keep_logits(live, case.TOP_K, tmp_path / "logits", SILENT)
    views = read_views(case.PLAN, 1, ALL[200:300])
    expected = torch.softmax(live.logits(views) / 2, 1).sort(1).values
    found = torch.softmax(answers.logits(views) / 2, 1).sort(1).values
    assert torch.allclose(found, expected, atol=5e-4)  # of 3 classes 2 are kept: the third follows


def test_classes_in_another_order_are_found_by_name(kept):
    names = ("blank", "bars", "columns")
    answers = open_kept_teacher(kept, replace(case.DATA, classes=names)).bind(case.PLAN, 1.0)
    straight = open_kept_teacher(kept, case.DATA).bind(case.PLAN, 1.0)
    views = read_views(case.PLAN, 0, ALL[:5])
    assert torch.equal(answers.logits(views), straight.logits(views)[:, [2, 0, 1]])


def test_other_classes_are_refused_with_both_lists(kept):
    other = replace(case.DATA, classes=("cat", "dog", "cow"))
    with pytest.raises(ModelError, match=r"cat, dog, cow.*bars, columns, blank"):
        open_kept_teacher(kept, other)


def test_the_mean_entropy_is_that_of_the_live_teacher(kept):
    probabilities = torch.softmax(case.teacher().logits(read_views(case.PLAN, 1, ALL)).double(), 1)
    expected = float(-(probabilities * probabilities.log()).sum(1).mean())
    folder = open_kept_teacher(kept, case.DATA).folder
    assert mean_entropy(folder, 1) == pytest.approx(expected, abs=1e-4)


def test_the_folder_holds_no_pickle_and_no_path(kept):
    names = {path.name for path in kept.rglob("*") if path.is_file()}
    assert names == {
        "logits.json",
        *(f"view-0000{v}.{end}" for v in "01" for end in ("logits", "blocks")),
    }
    assert str(kept.parent) not in (kept / "logits.json").read_text()


def test_what_is_missing_is_counted_in_images(tmp_path, kept):
    live = case.teacher()
    assert missing_images(case.WANTED, tmp_path / "none") == 2 * case.COUNT
    assert missing_images(case.WANTED, kept) == 0
    assert missing_images(replace(case.WANTED, numbers=(0, 1, 2)), kept) == case.COUNT
    folder = tmp_path / "part"
    ask_teacher(live, replace(case.WANTED, part=(1, 2)), folder, SILENT)
    # Part 1 of 2 made every other of the blocks of 256, 256 and 88 images of both views.
    assert missing_images(case.WANTED, folder) == (256 + 88) + 256


def test_looking_refuses_other_logits_and_changes_nothing(tmp_path, kept):
    top_k = look_at_kept(case.teacher(), case.TOP_K, tmp_path / "none")
    assert (top_k.top_k, top_k.temperatures) == (2, (1.0, 2.0, 4.0))
    assert look_at_kept(case.teacher(), case.WANTED, kept).top_k == 0
    assert not (tmp_path / "none").exists()
    before = case.contents(kept)
    with pytest.raises(ArtifactError, match=r"views\.seed: 0 there, 7 asked"):
        look_at_kept(case.teacher(), _other_plan(seed=7), kept)
    assert case.contents(kept) == before


def test_force_spares_logits_that_serve_and_empties_a_folder_of_others(tmp_path, kept, capsys):
    folder = _copy(kept, tmp_path / "logits")
    drop_unfit(case.teacher(), case.WANTED, folder, Progress())
    drop_unfit(case.teacher(), case.WANTED, tmp_path / "none", Progress())
    assert case.contents(folder) == case.contents(kept)
    assert capsys.readouterr().err == ""
    drop_unfit(case.teacher(), _other_plan(seed=7), folder, Progress())
    assert list(folder.iterdir()) == []
    assert "emptied, since --force was given" in capsys.readouterr().err
    keep_logits(case.teacher(), _other_plan(seed=7), folder, SILENT)


def test_force_leaves_a_folder_with_other_files_beside_the_logits(tmp_path, kept):
    folder = _copy(kept, tmp_path / "logits")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"other files \(notes\.txt\)"):
        drop_unfit(case.teacher(), _other_plan(seed=7), folder, SILENT)
    assert case.contents(folder) == case.contents(kept)


class _Shown(Progress):
    """Remembers what a terminal would show, and how far it came."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.shares: dict[str, float] = {}

    @contextmanager
    def task(self, title, total):
        self.shares[title] = 0.0

        def advance(amount):
            self.shares[title] += amount / total

        yield advance


def test_a_terminal_shows_that_kept_logits_are_looked_at(kept):
    shown = _Shown()
    keep_logits(case.teacher(), case.WANTED, kept, shown)
    assert shown.shares == pytest.approx(
        {"looking for damage in kept logits": 1.0, "asking net again": 1.0}
    )
