"""What `--check-cpu` found, a row for each file on each type of core."""

from collections.abc import Iterator, Mapping
from typing import Any

Found = Mapping[str, Any]
Row = tuple[str, ...]

TITLE = "Core types, emulated"
HEADER = ("core", "file", "answers", "coverage", "work", "verdict")


def core_rows(bundle: Found) -> Iterator[Row]:
    """Rows of `HEADER`'s columns.

    Args:
        bundle: what bundle.json holds; without checks of cores there are no rows.
    """
    for check in bundle["checks"].get("cpu", ()):
        core = f"{check['core']}, emulated"
        if not check["variants"]:
            skipped = check["status"] == "skipped"
            yield core, "", "", "", "", "not checked" if skipped else "does not run"
        for role, file in check["variants"].items():
            name = bundle["variants"][role]["file"]
            yield core, name, _answers(file), _integers(file), _work(file), file["status"]


def _answers(file: Found) -> str:
    parity = file["parity"]
    if parity is None:
        return "none"
    steps, same = parity["max_steps"], parity["agreement"]
    apart = f"{parity['max_abs']:.2g} apart" if steps is None else f"{steps:.3g} steps apart"
    agree = "" if same is None else f", {100 * same:.4g} % the same class"
    return f"{parity['n']} images: at most {apart}{agree}"


def _integers(file: Found) -> str:
    """Of what counts: convolutions and matrix products; nothing of a float file."""
    coverage = file["coverage"]
    if coverage is None or not coverage["integer"]:
        return ""
    kinds = {"convolutions": "convolutions", "products": "matrix products"}
    counts = {name: coverage[kind] for kind, name in kinds.items()}
    said = " and ".join(f"{n} of {total} {name}" for name, (n, total) in counts.items() if total)
    return f"{said} in integers" if said else ""


def _work(file: Found) -> str:
    counted = file["instructions"]
    if counted is None:
        return ""
    return f"an estimated {counted['value'] / 1e6:.3g} million instructions an inference"
