"""What each operator of a network costs, from onnxruntime's own profile.

The runner profiles in a process of its own; here its events are read. The graph that runs is
optimised for this machine, so its operators may bear other names than those of the file.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compress.errors import ArtifactError, BenchError
from compress_bench.graph.macs import Macs, count_macs
from compress_bench.graph.onnx_wire import Graph, read_graph
from compress_bench.graph.profiled import ProfiledNode, Value
from compress_bench.targets import Stream, local

# Kernels that lay their weights out anew no longer tell their shape.
_PLAIN_WEIGHTS = {"session.disable_prepacking": "1"}


def _not_counted() -> Macs:
    return Macs(None, {}, "they were not counted")


@dataclass(frozen=True)
class Profiled:
    """A network's operators, timed.

    Attributes:
        variant: whose.
        runs: inferences that were timed.
        nodes: in the order of execution.
        graph: the file's own operators, which tell torch modules; empty where it cannot be read.
        macs: multiply-adds of one image.
    """

    variant: str
    runs: int
    nodes: tuple[ProfiledNode, ...]
    graph: Graph = field(default_factory=Graph)
    macs: Macs = field(default_factory=_not_counted)


def profile(
    target: Stream, job: Mapping[str, Any], runs: int = 40, budget_seconds: float = 1.0
) -> Profiled:
    """Time one file's operators, and count their multiply-adds.

    Args:
        target: starts the runner.
        job: threads, batch_size, seed, runtimes, and models: one.
        runs: inferences that count, at most.
        budget_seconds: after which no further inference is begun, once five count.

    Raises:
        BenchError: the file cannot be opened or run, or this onnxruntime's profile is empty.
    """
    (model,) = job["models"]
    asked = profile_job(job, runs, budget_seconds)
    found = read_layers(_heard(target, asked))
    if not found.nodes:
        raise BenchError(
            f"{found.variant}: expected operators in onnxruntime's profile, found none; "
            "take a version that can profile"
        )
    return replace(found, graph=_graph(Path(model["path"])), macs=_count(target, asked))


def profile_job(
    job: Mapping[str, Any], runs: int = 40, budget_seconds: float = 1.0
) -> dict[str, Any]:
    """The job that times operators; see `profile`."""
    asked = {"kind": "layers", "optimization": "all"}
    return {**job, **asked, "runs": runs, "budget_seconds": budget_seconds}


def macs_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """The one after it: a single inference of the graph as the file has it."""
    (model,) = job["models"]
    session = {**model.get("session", {}), **_PLAIN_WEIGHTS}
    models = [{**model, "session": session}]
    return {**job, "models": models, "runs": 1, "optimization": "disabled"}


def read_layers(event: Mapping[str, Any]) -> Profiled:
    """A profile from the runner's event."""
    nodes = (
        ProfiledNode(
            name=node["name"],
            operator=node["operator"],
            microseconds=tuple(node["microseconds"]),
            inputs=tuple(Value(kind, tuple(shape)) for kind, shape in node["inputs"]),
            outputs=tuple(Value(kind, tuple(shape)) for kind, shape in node["outputs"]),
            executions=node.get("executions", 1),
        )
        for node in event["nodes"]
    )
    return Profiled(event["variant"], event["runs"], tuple(nodes))


def _heard(target: Stream, job: Mapping[str, Any]) -> dict[str, Any]:
    """The job's one `layers` event."""
    with closing(target(job)) as events:
        (found,) = (event for event in events if event["event"] == "layers")
    return found


def _graph(path: Path) -> Graph:
    try:
        return read_graph(path)
    except ArtifactError:  # onnxruntime has opened it: a format of its own
        return Graph()


def _count(target: Stream, job: Mapping[str, Any]) -> Macs:
    """Multiply-adds of one image, from one inference of the graph as the file has it."""
    try:
        found = read_layers(_heard(target, macs_job(job)))
    except BenchError as error:
        return Macs(None, {}, f"it does not run without optimisation ({error})")
    return count_macs(found.nodes, job["batch_size"])


def layer_seconds(
    path: Path, shapes: Mapping[str, Sequence[int]], threads: int | None, runs: int = 40
) -> dict[str, ProfiledNode]:
    """One file's operators by name, in the order of execution.

    Args:
        path: ONNX file.
        shapes: of its inputs, by name.
        threads: onnxruntime's; all cores if None.
        runs: inferences that count, at most.

    Raises:
        BenchError: the file cannot be opened or run.
    """
    model = {
        "variant": path.name,
        "path": str(path.resolve()),
        "shapes": {name: list(shape) for name, shape in shapes.items()},
    }
    job = {
        "kind": "layers",
        "threads": threads or 0,
        "batch_size": 1,
        "seed": 0,
        "runtimes": {},
        "models": [model],
        "runs": runs,
        "budget_seconds": 1.0,
        "optimization": "all",
    }
    return {node.name: node for node in read_layers(_heard(local.stream, job)).nodes}
