"""Which threads and session settings each file runs with: the user's, else those found best.

A sweep keeps what it recommends in bundle.json as onnxruntime's own settings; here they become
a variant's `threads` and `session`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from compress_bench.evidence import Variant

THREADS = "intra_op_num_threads"
SPINNING = "session.intra_op.allow_spinning"


def spins(session: Mapping[str, Any]) -> bool:
    """Whether idle threads wait in a loop; if nothing is said they sleep."""
    return str(session.get(SPINNING, "0")) == "1"


def settle(
    variants: Sequence[Variant], threads: int | None
) -> tuple[tuple[Variant, ...], tuple[str, ...]]:
    """Variants with the threads that they run with.

    Args:
        variants: `session` as bundle.json holds it.
        threads: `--threads`, which goes before what is recommended; None: not given.

    Returns:
        The variants, and a note where recommended settings are left aside.
    """
    if threads is None:
        return tuple(_recommended(variant) for variant in variants), ()
    settled = tuple(replace(v, threads=threads, session=_others(v)) for v in variants)
    aside = [v.name for v in variants if _differs(v, threads)]
    if not aside:
        return settled, ()
    return settled, (
        f"--threads {threads}: the settings that the bundle recommends for {', '.join(aside)} "
        "are left aside; leave --threads out to measure with them",
    )


def _recommended(variant: Variant) -> Variant:
    session = _others(variant) | {k: v for k, v in variant.session.items() if k == SPINNING}
    return replace(variant, threads=recommended_threads(variant.session), session=session)


def recommended_threads(session: Mapping[str, Any]) -> int:
    """The number that bundle.json recommends; one if it says nothing."""
    return int(session.get(THREADS, 1))


def _others(variant: Variant) -> dict[str, Any]:
    """What is said beside threads and waiting."""
    return {k: v for k, v in variant.session.items() if k not in (THREADS, SPINNING)}


def _differs(variant: Variant, threads: int) -> bool:
    said = variant.session.keys() & {THREADS, SPINNING}
    same = recommended_threads(variant.session) == threads and not spins(variant.session)
    return bool(said) and not same
