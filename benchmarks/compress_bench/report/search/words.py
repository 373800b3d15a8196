"""A search in words: its outcome in a sentence, its goals, tiles, and how it went about it."""

from compress.data.wording import counted, duration_text
from compress_bench.metrics import goal_words
from compress_bench.report import facts
from compress_bench.report.facts import dig
from compress_bench.report.filling import Tile
from compress_bench.report.format import Estimate, count, percent, ratio, seconds, size
from compress_bench.report.search import reading
from compress_bench.report.search.reading import Aim, Content, Tried

_TRAINED = {
    "pass": "{} is the smallest student found that meets every goal on the validation images.",
    "fail": "No candidate meets every goal on the validation images.",
    "inconclusive": "No candidate was shown to meet every goal on the validation images.",
}


def page_title(content: Content) -> str:
    """Which student was found, or which are looked for, and on which images."""
    found, teacher = reading.winner(content), reading.teacher(content)
    of = "" if teacher is None else f" of {teacher.name}"
    name = f"Students{of}" if found is None else f"{found.name}, student{of}"
    data = _images(content)
    return name + (f" on {data}" if data else "")


def _images(content: Content) -> str:
    """The images' reference, of a path its last part."""
    return str(dig(content, "data") or "").rstrip("/").rpartition("/")[2]


def outcome(content: Content) -> str:
    """What came of it, in one sentence."""
    found, status = reading.winner(content), reading.status(content)
    if found is not None and status != "pass":
        return f"{found.name} comes nearest to the goals."
    if not reading.is_trained(content):
        return _before_training(content)
    return _TRAINED.get(status, _TRAINED["inconclusive"]).format(found.name if found else "One")


def _before_training(content: Content) -> str:
    """Which share of the candidates may meet the goals, and that none was trained."""
    every, promising = reading.candidates(content), reading.promising(content)
    if not promising:
        return f"None of {counted(len(every), 'candidate')} can meet the goals; none was trained."
    return (
        f"{len(promising):,} of {counted(len(every), 'candidate')} may meet the goals; "
        "none was trained."
    )


def aim_words(aim: Aim) -> str:
    """A goal as a phrase: "student_int8 size at most 50 kB"."""
    return goal_words(aim.variant, aim.metric, aim.bound, aim.written, aim.vs)


def said(content: Content) -> tuple[str, ...]:
    """What the search remarked, or else its outcome; then the distances to goals not met."""
    found = reading.sentences(content, "sentences") or (outcome(content),)
    every = dict.fromkeys((*found, *reading.distances(content)))
    return tuple(map(_sentence, every))


def _sentence(text: str) -> str:
    """With a full stop, and a capital where it does not begin with a name such as ds_cnn-w50."""
    is_name = any(not letter.isalpha() for letter in text.partition(" ")[0].rstrip(",:;"))
    capital = text if is_name else text[0].upper() + text[1:]
    return capital if text.endswith((".", "!", "?")) else f"{capital}."


# --------------------------------------------------------------------------------------- tiles


def tiles(content: Content) -> list[Tile]:
    """Numbers of the winner, or of the one to start with, and what it took to find it."""
    found = reading.best(content)
    own = [] if found is None else _own_tiles(found, reading.teacher(content))
    return [*own, *_effort_tiles(content)][:4]


def _own_tiles(found: Tried, teacher: Tried | None) -> list[Tile]:
    tiles = []
    if found.size_bytes is not None:
        than = None if teacher is None else teacher.size_bytes
        detail = "" if than is None else f"the teacher {size(than)}"
        tiles.append(Tile(size(found.size_bytes), named(found), detail))
    if found.accuracy is not None:
        shown = percent(found.accuracy)
        tiles.append(Tile(shown.text, "right on validation, as deployed", _bounds(shown.bounds)))
    if found.latency is not None:
        time = seconds(found.latency)
        tiles.append(Tile(time.text, "p50 latency", _bounds(time.bounds)))
    return tiles


def named(found: Tried) -> str:
    """The best candidate's name, and why it is the best."""
    if found.won:
        return found.name
    why = "the smallest that may meet the goals" if found.epochs is None else "the nearest"
    return f"{found.name}, {why}"


def _bounds(bounds: str) -> str:
    return f"({bounds})" if bounds else ""


def _effort_tiles(content: Content) -> list[Tile]:
    every = reading.candidates(content)
    promising = len(reading.promising(content))
    trained = sum(bool(tried.epochs) for tried in every)
    epochs = facts.number(content, "epochs")
    found = [Tile(f"{len(every):,}", _plural(len(every)), f"{promising:,} may meet the goals")]
    if trained:
        whole = sum(bool(tried.epochs) and not tried.is_partial for tried in every)
        taken = "" if epochs is None else f", {epochs:,.0f} epochs in all"
        found.append(Tile(f"{trained:,}", "trained", f"{whole:,} of them to the end{taken}"))
    return found


def _plural(number: int) -> str:
    return "candidate looked at" if number == 1 else "candidates looked at"


# ---------------------------------------------------------------------------------- what it did


def how(content: Content) -> tuple[tuple[str, str], ...]:
    """Goals, images, teacher and effort, as pairs."""
    teacher, epochs = reading.teacher(content), facts.number(content, "epochs")
    images = facts.number(content, "images")
    rungs = ", ".join(f"{rung}" for rung in facts.listed(content, "rungs"))
    pairs = [("Goal", aim_words(aim)) for aim in reading.aims(content)]
    pairs += [("Images", _images(content)), ("Image size", _image(content))]
    pairs += [
        ("Validation images", "" if images is None else count(images)),
        ("Measured on", str(dig(content, "target") or "")),
        ("Teacher", "" if teacher is None else _teacher_words(teacher)),
        ("Compared after epochs", rungs),
        ("Epochs in all", "" if epochs is None else count(epochs)),
        *_durations(content),
    ]
    return tuple((label, value) for label, value in pairs if value)


def _image(content: Content) -> str:
    """Height, width and channels."""
    sides = facts.listed(content, "image")
    return " \N{MULTIPLICATION SIGN} ".join(map(str, sides))


def _teacher_words(teacher: Tried) -> str:
    parts = [teacher.name]
    parts += [] if teacher.size_bytes is None else [size(teacher.size_bytes)]
    parts += [] if teacher.latency is None else [seconds(teacher.latency).full]
    parts += [] if teacher.accuracy is None else [f"{percent(teacher.accuracy).full} right"]
    return ", ".join(parts)


def _durations(content: Content) -> list[tuple[str, str]]:
    titles = {"screening": "Screening", "teacher": "Training of the teacher"}
    titles |= {"training": "Training of students", "judging": "Exports and judging"}
    found = {title: facts.number(content, "seconds", key) for key, title in titles.items()}
    return [(title, duration_text(value)) for title, value in found.items() if value is not None]


def epochs_words(tried: Tried) -> str:
    """As "9 of 30"; "" where it was not trained."""
    if tried.epochs is None:
        return ""
    return f"{tried.epochs} of {tried.planned}" if tried.planned else f"{tried.epochs}"


def speed_words(tried: Tried, teacher: Tried | None) -> str:
    """How many times faster than the teacher by p50, or "" where it is not known."""
    if tried.speedup is not None:
        return ratio(tried.speedup).text
    if teacher is None or teacher.latency is None or tried.latency is None:
        return ""
    return ratio(Estimate(teacher.latency.value / tried.latency.value)).text
