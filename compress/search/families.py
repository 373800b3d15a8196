"""The students that a search looks at: families by width, built once to see that they fit."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.data.dataset import Dataset
from compress.errors import CompressError, UsageError
from compress.models.build import BuiltModel
from compress.models.reference import parse_reference
from compress.progress import Progress
from compress.search.candidate import Candidate
from compress.settings import Network, Run, Searching
from compress.training.trainee import build_network

# Of the zoo's networks those that are small enough to be students; resnet20 is the largest that
# still differs from its neighbours.
FAMILIES = ("lenet5", "ds_cnn", "mobilenet", "resnet8", "resnet14", "resnet20")
TEACHER = "teacher"  # what its file is called; no candidate may be

_STRIDES = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Member:
    """A candidate that fits the images.

    Attributes:
        candidate: which network.
        built: the network, with random weights.
        parameters: learned values.
    """

    candidate: Candidate
    built: BuiltModel
    parameters: int


@dataclass(frozen=True, kw_only=True)
class Roster:
    """Who is looked at.

    Attributes:
        members: each network once.
        left_out: who is not, and why, in sentences.
    """

    members: tuple[Member, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Place:
    """What candidates must fit.

    Attributes:
        dataset: the images.
        network: the recipe's input size, and how a network is changed for the edge.
        run: seed and resize rule.
    """

    dataset: Dataset
    network: Network
    run: Run

    def build(self, candidate: Candidate) -> Member:
        """The network with random weights.

        Raises:
            CompressError: it cannot be built, or cannot take the images.
        """
        network = Network(
            input_size=self.network.input_size,
            model_args=str(candidate.flags().get("model_args", "{}")),
            for_edge=candidate.for_edge,
            edge_changes=self.network.edge_changes if candidate.for_edge else "all",
        )
        run = replace(self.run, device="cpu")
        built, _ = build_network(candidate.student, network, self.dataset, run, self.run.seed)
        return Member(candidate=candidate, built=built, parameters=count(built))


def count(built: BuiltModel) -> int:
    """Number of learned values."""
    return sum(parameter.numel() for parameter in built.module.parameters())


def layout(built: BuiltModel) -> str:
    """Its layers and the shapes of its parameters, by which two networks are told apart."""
    shapes = [(name, *value.shape) for name, value in built.module.named_parameters()]
    return f"{built.module!r} {shapes}"


def gather(searching: Searching, place: Place, most: int | None, progress: Progress) -> Roster:
    """Build every candidate; those that are the same network are one.

    Args:
        searching: families and widths; the zoo's where none are named.
        place: what they must fit.
        most: parameters of the teacher: of the zoo's families smaller ones are students. Families
            that the user named are all looked at. None: unknown.
        progress: shows the building.

    Raises:
        ModelError: a reference that is no network.
        UsageError: no candidate fits the images.
    """
    references = searching.students or FAMILIES
    for reference in references:
        parse_reference(reference)
    members: dict[str, Member] = {}
    left_out: list[str] = []
    with progress.task("building the candidates", total=len(references)) as advance:
        for reference in dict.fromkeys(references):
            found, said = _family(reference, searching.widths, place)
            members |= {f"{reference} {layout(m.built)}": m for m in found}
            left_out += said
            advance(1)
    kept = _named_apart(members.values())
    if most is not None and not searching.students:
        larger = [m.candidate.name for m in kept if m.parameters >= most]
        kept = [member for member in kept if member.parameters < most]
        left_out += [f"{', '.join(larger)}: no smaller than the teacher"] if larger else []
    if not kept:
        why = "; ".join(left_out)
        raise UsageError(f"--students: expected networks that fit the images, found none: {why}")
    return Roster(members=tuple(kept), left_out=tuple(dict.fromkeys(left_out)))


def _family(
    reference: str, widths: Iterable[float], place: Place
) -> tuple[list[Member], list[str]]:
    """Its distinct networks, each also as it is changed for the edge where that changes any."""
    found: dict[str, Member] = {}
    failed: dict[str, list[str]] = {}
    try_edge = True
    for plain in family(reference, widths):
        for candidate in (plain, _for_edge(plain))[: 2 if try_edge else 1]:
            try:
                member = place.build(candidate)
            except CompressError as error:
                failed.setdefault(str(error), []).append(candidate.name)
                break
            changes = candidate is plain or bool(member.built.edge)
            # The zoo's channels are multiples of 16 at any width; a user's may be at one only.
            try_edge = try_edge and (changes or reference not in FAMILIES)
            if not changes or found.setdefault(layout(member.built), member) is not member:
                break
    whole = not found  # then it is the family that does not fit, not one of its widths
    return list(found.values()), [
        f"{reference if whole else ', '.join(names)} is left out: {error}"
        for error, names in failed.items()
    ]


def _for_edge(candidate: Candidate) -> Candidate:
    return replace(candidate, name=f"{candidate.name}-edge", for_edge=True)


def family(reference: str, widths: Iterable[float]) -> Iterator[Candidate]:
    """A family's candidates; a family without a width is one.

    Source: a network's own arguments `width` and `first_stride`, read without importing it.
    """
    known = _arguments(reference)
    strides = _STRIDES if "first_stride" in known else (1,)
    for width in widths if "width" in known else (None,):
        for stride in strides:
            args: dict[str, Any] = {} if width is None else {"width": width}
            args |= {"first_stride": stride} if stride != 1 else {}
            yield Candidate(name=name_of(reference, args), student=reference, model_args=args)


def name_of(reference: str, args: Mapping[str, Any]) -> str:
    """What a network is called: resnet8-w50-s2 is resnet8 of half the width and stride 2."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", reference.rpartition(":")[2] or reference)
    width, stride = args.get("width"), args.get("first_stride", 1)
    wide = "" if width is None else f"-w{100 * width:.4g}".replace(".", "_")
    return f"{plain}{wide}" + (f"-s{stride}" if stride != 1 else "")


def _arguments(reference: str) -> set[str]:
    """Names of the arguments of a factory whose source is at hand."""
    parsed = parse_reference(reference)
    if parsed.path is None:
        return set()
    try:
        tree = ast.parse(Path(parsed.path).read_bytes())
    except (SyntaxError, ValueError):  # building it says what is wrong, and where
        return set()
    named = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == parsed.name]
    return {a.arg for f in named for a in (*f.args.args, *f.args.kwonlyargs)}


def _named_apart(members: Iterable[Member]) -> list[Member]:
    """Two factories of one name in two files get numbers."""
    taken = {TEACHER}
    named: list[Member] = []
    for member in members:
        name = wanted = member.candidate.name
        number = 2
        while name in taken:
            name, number = f"{wanted}-{number}", number + 1
        taken.add(name)
        named.append(replace(member, candidate=replace(member.candidate, name=name)))
    return named
