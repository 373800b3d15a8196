"""Test images that teacher and student see differently, as cards."""

import base64
import binascii
import struct
from dataclasses import dataclass
from typing import Any

from compress_bench.report import facts
from compress_bench.report.facts import Report

_PNG = b"\x89PNG\r\n\x1a\n"
_SMALL = 96  # pixels up to which an image is shown enlarged with hard edges


@dataclass(frozen=True)
class Answer:
    """What one variant said.

    Attributes:
        variant: its name.
        answer: class name.
        confidence: "58 %", or "".
        right: whether it is the true class.
    """

    variant: str
    answer: str
    confidence: str
    right: bool


@dataclass(frozen=True)
class Card:
    """One image.

    Attributes:
        source: data: URI of the PNG.
        small: whether it is shown enlarged with hard edges.
        truth: true class.
        index: position in the test images.
        answers: one per variant.
    """

    source: str
    small: bool
    truth: str
    index: str
    answers: tuple[Answer, ...]


def gallery(report: Report) -> tuple[Card, ...]:
    """A card per disagreement whose image can be read."""
    cards = []
    for entry in facts.listed(report, "disagreements"):
        encoded = str(facts.dig(entry, "png") or "")
        sides = _image_sides(encoded)
        if sides is None:
            continue
        cards.append(
            Card(
                source=f"data:image/png;base64,{encoded}",
                small=max(sides) <= _SMALL,
                truth=_class_name(report, facts.dig(entry, "label")),
                index=str(facts.dig(entry, "index")),
                answers=_answers(report, entry),
            )
        )
    return tuple(cards)


def _image_sides(encoded: str) -> tuple[int, int] | None:
    """Width and height from a PNG's header; None where it is no base64 of a PNG."""
    try:
        content = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    if len(content) < 24 or not content.startswith(_PNG):
        return None
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def _answers(report: Report, entry: Any) -> tuple[Answer, ...]:
    predictions = facts.dig(entry, "predictions") or {}
    answers = []
    for name in facts.variants(report):
        if predictions.get(name) is None:
            continue
        sure = facts.number(entry, "confidence", name)
        answers.append(
            Answer(
                variant=name,
                answer=_class_name(report, predictions[name]),
                confidence="" if sure is None else f"{sure * 100:.0f} %",
                right=predictions[name] == facts.dig(entry, "label"),
            )
        )
    return tuple(answers)


def _class_name(report: Report, index: Any) -> str:
    names = facts.listed(report, "data", "classes")
    known = isinstance(index, int) and 0 <= index < len(names)
    return str(names[index]) if known else f"class {index}"
