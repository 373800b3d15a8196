"""Who reads the steps, and how many they are, changes no step; and nobody is left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from compress.data.files import FileImages
from compress.data.names import Names
from compress.errors import DataError, MissingExtraError, TrainingError

torch = pytest.importorskip("torch")

from compress.training.loader import ahead  # noqa: E402


@dataclass(frozen=True)
class Step:
    number: int
    pixels: np.ndarray


def read(number):
    rng = np.random.default_rng(number)
    return Step(number, rng.integers(0, 256, (64, 32, 32, 3), dtype=np.uint8))


def assert_nobody_left():
    assert multiprocessing.active_children() == []
    assert [t.name for t in threading.enumerate() if t.name.startswith("loader")] == []


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("steps", [range(7), range(5, 12), range(2), range(0), [4, 4, 1]])
def test_every_number_of_workers_gives_the_same_steps_in_order(workers, steps):
    found = list(ahead(read, steps, workers))
    assert [step.number for step in found] == list(steps)
    for step in found:
        assert isinstance(step.pixels, np.ndarray)
        assert np.array_equal(step.pixels, read(step.number).pixels)
    assert_nobody_left()


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("taken", [0, 1, 3])
def test_stopping_early_leaves_nobody_behind(workers, taken):
    steps = ahead(read, range(10**12), workers)
    assert [step.number for step in islice(steps, taken)] == list(range(taken))
    assert len(multiprocessing.active_children()) == (workers if taken else 0)
    steps.close()
    assert_nobody_left()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_the_consumer_leaves_nobody_behind(workers):
    def consume():
        for step in ahead(read, range(100), workers):
            if step.number == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert_nobody_left()


def fail_at_3(error):
    def read(number):
        if number == 3:
            raise error
        return number

    return read


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize(
    "error", [DataError("cat.jpg: expected an image, found none"), MissingExtraError("x", "train")]
)
def test_our_own_errors_arrive_as_they_were_raised_and_after_the_steps_before_them(workers, error):
    steps = ahead(fail_at_3(error), range(9), workers)
    assert list(islice(steps, 3)) == [0, 1, 2]
    with pytest.raises(type(error)) as caught:
        next(steps)
    assert str(caught.value) == str(error)
    assert_nobody_left()


def test_a_fault_in_a_worker_arrives_with_the_place_where_it_happened():
    steps = ahead(fail_at_3(KeyError("left")), range(9), 2)
    with pytest.raises(
        RuntimeError, match=r"step 3, in a loader:[^$]*in read[^$]*KeyError: 'left'"
    ):
        list(steps)


def test_a_worker_that_was_killed_is_said():
    def read(number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    steps = ahead(read, range(9), 2)
    assert list(islice(steps, 3)) == [0, 1, 2]
    with pytest.raises(TrainingError, match=r"loader 2: .* \(exit code -9\); .* fewer --workers"):
        next(steps)
    assert_nobody_left()


def test_workers_leave_signals_to_their_parent():
    def read(number):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        return number

    assert list(ahead(read, range(3), 1)) == [0, 1, 2]
    assert not {signal.SIGINT, signal.SIGTERM} & signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_worker_computes_with_one_thread_and_draws_nothing_from_our_generator():
    before = torch.get_rng_state()
    assert list(ahead(lambda _: torch.get_num_threads(), range(2), 2)) == [1, 1]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_image_files_are_read_alike_and_one_that_is_gone_is_named(tmp_path, workers):
    for i in range(6):
        pixels = read(i).pixels[0]
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    images = FileImages(tmp_path, Names.of(f"{i}.png" for i in range(6)), 3, "crop")
    (tmp_path / "5.png").unlink()

    def batch(number):
        return images.batch(np.arange(2 * number, 2 * number + 2), (32, 32))

    steps = ahead(batch, range(3), workers)
    for number in range(2):
        expected = [read(i).pixels[0] for i in (2 * number, 2 * number + 1)]
        assert np.array_equal(next(steps), expected)
    with pytest.raises(DataError, match=r"5\.png: expected the image that was readable"):
        next(steps)


SCRIPT = """
import signal, sys, time
import numpy as np
from compress.training.loader import ahead
# A shell that runs the tests in the background has Ctrl-C ignored, which is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
steps = ahead(lambda number: np.zeros(10**6), range(10**6), 2)
next(steps)
try:
    print("ready", flush=True)
    while sys.argv[1] == "wait":
        time.sleep(0.05)  # not pause(): a signal just before it would be waited for for ever
except KeyboardInterrupt:
    sys.exit(7)
"""


def start(what):
    """A program with two workers in a group of its own; they too hold its standard output."""
    program = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, what],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert program.stdout.readline() == "ready\n"
    return program


@pytest.mark.parametrize(
    ("what", "code"), [("ctrl-c", 7), ("kill", -signal.SIGKILL), ("leave open", 0)]
)
def test_however_a_program_ends_its_workers_end_with_it_and_print_nothing(what, code):
    program = start("end" if what == "leave open" else "wait")
    if what == "ctrl-c":
        os.killpg(program.pid, signal.SIGINT)
    if what == "kill":
        program.kill()
    assert program.communicate(timeout=60) == ("", "")  # at the end of file all holders are gone
    assert program.returncode == code
