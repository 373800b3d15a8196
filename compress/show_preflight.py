"""What `--dry-run` found: a table on a terminal, a line each where a program reads."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from compress.data.wording import counted, duration_text, size_text
from compress.data.wording import some as some_of

if TYPE_CHECKING:
    from rich.console import Console

Found = dict[str, Any]


def show_preflight(found: Found, console: "Console") -> None:
    """Print the rows and the warnings of a preflight."""
    lines = list(rows(found))
    if console.is_terminal:
        _print_table(lines, found["warnings"], console)
        return
    for label, text in lines:
        console.print(f"{label}: {text}", markup=False, soft_wrap=True)
    for sentence in found["warnings"]:
        console.print(f"warning: {sentence}", markup=False, soft_wrap=True)


def _print_table(lines: list[tuple[str, str]], warnings: list[str], console: "Console") -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for label, text in lines:
        grid.add_row(label, Text(text))
    for sentence in warnings:
        grid.add_row(Text("warning", style="bold yellow"), Text(sentence))
    console.print(grid)


def rows(found: Found) -> Iterator[tuple[str, str]]:
    """Label and text of each row, in the order of a stage: images, teacher, student, cost."""
    yield from _data_rows(found["data"])
    if "teacher" in found:
        yield from _teacher_rows(found["teacher"])
    yield from _student_rows(found)
    for pair in found.get("layers", ()):
        student, teacher = (_layer(pair, whose) for whose in ("student", "teacher"))
        yield f"layers {pair['method']}", f"{student} from {teacher}"
    yield "memory", _memory_text(found["memory"])
    if found.get("disk", {}).get("kept_logits_bytes") is not None:
        yield "kept logits", f"{size_text(found['disk']['kept_logits_bytes'])} on disk"
    if "tuning" in found:
        yield "search", _search_text(found["tuning"])
    yield "time", _time_text(found["time"])


def _data_rows(data: Found) -> Iterator[tuple[str, str]]:
    splits = ", ".join(f"{count:,} {name}" for name, count in data["splits"].items())
    sides = _sides(data["image_size"]) if data["image_size"] else "of several sizes"
    yield "images", f"{data['reference']}: {splits}; {sides}, seen at {_sides(data['view_size'])}"
    taught, views = data["taught"], counted(data["views"], "view")
    labels = f"{taught['labelled']:,} of them with a label"
    yield "teaching", f"{counted(taught['images'], 'image')} in {views}, {labels}"
    classes = data["classes"]
    yield "classes", f"{len(classes)}: {some_of(classes, 5)}"


def _teacher_rows(teacher: Found) -> Iterator[tuple[str, str]]:
    yield "teacher", f"{teacher['name']}: {_inputs(teacher['inputs'])}"
    yield "its classes", _map_text(teacher["class_map"])
    yield "its accuracy", _accuracy_text(teacher["validation"])
    entropy = teacher["entropy"]
    yield (
        "its entropy",
        f"{entropy['nats']:.3f} nats, {entropy['nats_at_temperature']:.3f} at temperature "
        f"{entropy['temperature']:g}, of at most {entropy['largest']:.3f}",
    )


def _inputs(inputs: list[Found]) -> str:
    if not inputs:
        return "answers that were kept"
    return "; ".join(
        f"{_sides(one['size'])} x {one['channels']}, mean {_numbers(one['mean'])}, "
        f"scale {_numbers(one['scale'])}"
        for one in inputs
    )


def _map_text(class_map: list[list[int]] | None) -> str:
    if class_map is None:
        return "in the order of the data's"
    first = ", ".join(
        f"{k} <- {'+'.join(map(str, outputs))}" for k, outputs in enumerate(class_map[:4])
    )
    return f"mapped: {first}{', …' if len(class_map) > 4 else ''}"


def _accuracy_text(validation: Found | None) -> str:
    if validation is None:
        return "not known: it cannot answer labelled validation images"
    low, high = (100 * validation["interval"][key] for key in ("low", "high"))
    return (
        f"{100 * validation['accuracy']:.1f} % right ({low:.1f} to {high:.1f}) on "
        f"{counted(validation['n'], 'validation image')}"
    )


def _student_rows(found: Found) -> Iterator[tuple[str, str]]:
    student = found["student"]
    shape = " x ".join(map(str, student["input"]))
    trained = student["trained_parameters"]
    frozen = "" if trained == student["parameters"] else f" ({trained:,} are trained)"
    yield (
        "student",
        f"{student['parameters']:,} parameters{frozen}; input {shape}, output {student['output']}",
    )
    if "course" in found:
        yield "loss", found["course"]["sentence"]
    for name, term in found["terms"].items():
        yield f"term {name}", f"{term['value']:.4g}, gradient {term['gradient_norm']:.3g}"
    for pair, ratio in found["gradient_ratios"].items():
        if ratio is not None:
            yield f"gradients {pair}", f"{ratio:.3g}"


def _memory_text(memory: Found) -> str:
    parts = [
        f"{size_text(memory['process_peak_bytes'])} at most so far",
        f"weights {size_text(memory['parameters_bytes'])}",
        f"gradients {size_text(memory['gradients_bytes'])}",
        f"optimiser {size_text(memory['optimizer_bytes'])}",
    ]
    if memory["device_peak_bytes"] is not None:
        parts.append(f"GPU {size_text(memory['device_peak_bytes'])}")
    return ", ".join(parts)


def _time_text(time: Found) -> str:
    steps = f"{time['epochs']} epochs x {counted(time['steps_per_epoch'], 'step')}"
    students = duration_text(time["students_seconds"])
    text = (
        f"about {duration_text(time['total_seconds'])}: {counted(time['networks'], 'network')} x "
    )
    text += f"{steps} of {1000 * time['step_seconds']:.3g} ms take {students}"
    if "search_seconds" in time:
        text += f", the search {duration_text(time['search_seconds'])}"
    if "teacher_seconds" in time:
        text += f", the teacher {duration_text(time['teacher_seconds'])}"
    return text


def _search_text(tuning: Found) -> str:
    teachers = f" of {counted(len(tuning['teachers']), 'teacher')}" * (len(tuning["teachers"]) > 1)
    rungs = " and ".join(str(epoch) for epoch in tuning["rungs"])
    ends = f"; the weaker ones end after {rungs}" if rungs else ""
    return (
        f"{', '.join(tuning['tune'])}, by {', '.join(tuning['methods'])}{teachers}: "
        f"{counted(tuning['epochs'], 'student epoch')}{ends}"
    )


def _layer(pair: Found, whose: str) -> str:
    return f"{pair[whose]} {' x '.join(map(str, pair[f'{whose}_shape']))}"


def _sides(size: list[int]) -> str:
    return f"{size[0]} x {size[1]}"


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:g}" for value in values)
