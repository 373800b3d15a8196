"""What each change of --for-edge brings on this machine: measured before the network learns.

Time and size do not depend on weights. So the network is exported as it is and after each change,
untrained, and the int8 files of neighbours are timed in turns.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compress.artifacts import MANIFEST, header, write_json
from compress.data.open import open_dataset
from compress.errors import ExportError, MissingExtraError
from compress.extras import needs
from compress.launched import is_first
from compress.progress import Progress
from compress.settings import Export, Network, Run
from compress.settings.edge_names import ALL
from compress.show_edge import EDGE, Effect, sentences, table
from compress.stage import RECIPE, is_ours

if TYPE_CHECKING:
    from compress.models.spec import BuiltModel
    from compress_export.untrained import Untrained

_THREADS = 1  # as everywhere else where files are timed against each other
_INT8_SECONDS, _FLOAT32_SECONDS = 1.0, 0.5  # of timing, for each pair of neighbours


@dataclass(frozen=True, kw_only=True)
class Version:
    """A network after some of the changes.

    Attributes:
        change: the last of them; empty for the network as it is.
        notes: what it changed, in sentences.
        parameters: learned values.
        int8_bytes: size of the int8 file.
        float32_bytes: size of the float32 file.
        int8_seconds: median of one inference; of later versions by their ratios, since from one
            pair to the next the load of the machine may change.
        float32_seconds: the same of the float32 file.
        int8_ratio: time of the version before over this one's, with its interval; above 1 this one
            is faster; None for the network as it is.
        float32_ratio: the same of the float32 files.
        verdict: of int8: faster, slower or no clear difference.
    """

    change: str
    notes: tuple[str, ...]
    parameters: int
    int8_bytes: int
    float32_bytes: int
    int8_seconds: float = 0.0
    float32_seconds: float = 0.0
    int8_ratio: Mapping[str, float] | None = None
    float32_ratio: Mapping[str, float] | None = None
    verdict: str = ""


def show_effects(
    reference: str, network: Network, run: Run, progress: Progress
) -> tuple[Effect, ...]:
    """Measure the changes of --for-edge and say what each brings; nothing without the flag.

    A training that is finished is not measured again, and one that cannot be measured goes on.

    Args:
        reference: which network.
        network: how it starts, and which changes are asked for.
        run: data, seed, and the folder that the training writes.
        progress: says the table.

    Returns:
        A mapping for each version: the fields of `Version`.
    """
    if not network.for_edge or not is_first():
        return ()
    if run.out is not None and not _is_begun_here(run.out, force=run.force):
        return ()
    try:
        with needs("export"):
            versions = measure_effects(reference, network, run, progress)
    except (MissingExtraError, ExportError) as error:
        progress.say(f"--for-edge: the effect of each change is not measured: {error}")
        return ()
    if not versions:
        progress.say(f"--for-edge: nothing in {reference} is to be changed")
    content = [asdict(version) for version in versions]
    progress.say_all((*table(content), *sentences(content)))
    return tuple(content)


def _is_begun_here(out: Path, *, force: bool) -> bool:
    """Whether a training in the folder may begin or go on: neither finished nor to be refused."""
    if is_ours(out / RECIPE):
        return force or not any((out / name).is_file() for name in (EDGE, MANIFEST))
    return not out.exists() or (out.is_dir() and not any(out.iterdir()))


@contextmanager
def effects_shown(reference: str, network: Network, run: Run, progress: Progress) -> Iterator[None]:
    """Show the effects, train inside, and find them in the folder afterwards: edge.json.

    Raises:
        UsageError: --for-edge without a folder for the result.
    """
    if network.for_edge:
        run.require_out()
    effects = show_effects(reference, network, run, progress)
    yield
    if effects and run.out is not None:
        write_json(run.out / EDGE, header("edge") | {"edge": list(effects)})


def measure_effects(
    reference: str, network: Network, run: Run, progress: Progress
) -> tuple[Version, ...]:
    """The network as it is, and after each change that does something to it, in their order.

    Raises:
        CompressError: as building the network does.
    """
    from compress.training.torch_setup import set_up_torch
    from compress.training.trainee import build_network
    from compress_export.untrained import export_untrained

    run = replace(set_up_torch(run.resolved()), device="cpu")
    dataset = open_dataset(run.data_reference(), **run.splitting(), progress=progress)
    whole, _ = build_network(reference, network, dataset, run, run.seed)
    if not whole.edge:
        return ()
    versions: list[Version] = []
    stages = len(whole.edge) + 1
    with (
        tempfile.TemporaryDirectory() as folder,
        progress.task("measuring what each change brings", stages) as advance,
    ):
        before: Untrained | None = None
        for count in range(stages):
            asked = replace(
                network, for_edge=count > 0, edge_changes=",".join(whole.edge[:count]) or ALL
            )
            built, _ = build_network(reference, asked, dataset, run, run.seed)
            files = export_untrained(
                built,
                dataset.classes,
                Path(folder),
                f"version-{count}",
                settings=Export(int8=True),
                dataset=dataset,
                threads=run.threads,
            )
            change = whole.edge[count - 1] if count else ""
            versions.append(_version(change, built, files))
            if before is not None:
                versions[-2:] = _timed(versions[-2], versions[-1], before, files)
            before = files
            advance(1)
    return tuple(versions)


def _version(change: str, built: "BuiltModel", files: "Untrained") -> Version:
    """What is known of a version before it is timed."""
    assert files.int8 is not None  # the settings ask for it
    said = f"{change}: "
    return Version(
        change=change,
        notes=tuple(n.removeprefix(said) for n in built.notes if change and n.startswith(said)),
        parameters=files.parameters,
        int8_bytes=files.int8.stat().st_size,
        float32_bytes=files.float32.stat().st_size,
    )


def _timed(
    before: Version, after: Version, older: "Untrained", newer: "Untrained"
) -> tuple[Version, Version]:
    """Two neighbours with the times of their files, taken in turns."""
    from compress_export.proof.latency import race
    from compress_export.session import open_session, session_options

    assert older.int8 is not None
    assert newer.int8 is not None
    session = open_session(older.int8, session_options(_THREADS), subject=older.int8.name)
    (only,) = session.get_inputs()
    shape = [1 if not isinstance(size, int) else size for size in only.shape]
    pixels = np.random.default_rng(0).integers(0, 256, shape)
    feed = {only.name: ((pixels - 128) / 64).astype(np.float32)}
    whole = race(older.float32, newer.float32, feed, _THREADS, _FLOAT32_SECONDS)
    small = race(older.int8, newer.int8, feed, _THREADS, _INT8_SECONDS)
    if not before.change:
        before = replace(
            before, int8_seconds=small.float32_seconds, float32_seconds=whole.float32_seconds
        )
    after = replace(
        after,
        int8_seconds=before.int8_seconds / small.ratio.value,
        float32_seconds=before.float32_seconds / whole.ratio.value,
        int8_ratio=small.ratio.to_dict(),
        float32_ratio=whole.ratio.to_dict(),
        verdict=small.verdict,
    )
    return before, after
