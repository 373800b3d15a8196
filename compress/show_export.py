"""What a bundle holds and what was proven of it: tables on a terminal, a line each when piped."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.data.wording import counted
from compress.show_cores import HEADER, TITLE, core_rows

if TYPE_CHECKING:
    from rich.console import Console

Found = Mapping[str, Any]
Row = tuple[str, ...]

_SHOWN_ISLANDS = 8
_FAULTS = {
    "saturated_biases": "biases cut off",
    "overflowing_sums": "sums that can overflow",
    "unlike_scales": "biases of another scale",
}


def render_bundle(out: Path, bundle: Found, console: "Console") -> None:
    """Print the files, the proof of int8, its islands, how it was calibrated, and the advice.

    Args:
        out: the bundle's folder.
        bundle: what bundle.json holds.
        console: tables where it is a terminal, lines elsewhere.
    """
    console.print(f"{out}:", markup=False, soft_wrap=True)
    for title, header, lines in tables(bundle):
        if console.is_terminal:
            _print_table(title, header, lines, console)
        else:
            for line in lines:
                text = ", ".join(part for part in line[1:] if part)
                console.print(f"  {line[0]}: {text}", markup=False, soft_wrap=True)
    for sentence in sentences(bundle):
        console.print(f"  {sentence}", markup=False, soft_wrap=True)


def _print_table(title: str, header: Row, lines: Sequence[Row], console: "Console") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in header:
        table.add_column(name)
    for line in lines:
        table.add_row(*(Text(part) for part in line))
    console.print(table)


def tables(bundle: Found) -> Iterator[tuple[str, Row, list[Row]]]:
    """Title, header and rows of each table that the bundle has something for."""
    yield "Files", ("file", "role", "size", "right on validation"), list(_files(bundle))
    yield from _int8_tables(bundle)
    cores = list(core_rows(bundle))
    if cores:
        yield TITLE, HEADER, cores


def _int8_tables(bundle: Found) -> Iterator[tuple[str, Row, list[Row]]]:
    int8 = bundle["checks"].get("int8")
    if not int8:
        return
    max_drop = bundle.get("provenance", {}).get("settings", {}).get("max_drop")
    yield "Proof of int8", ("checked", "found", "verdict"), list(proof_rows(int8, max_drop))
    if int8.get("islands"):
        header = ("island", "operator", "cost", "why")
        yield "Float islands", header, list(_islands(int8["islands"]))
    tried = int8.get("calibration", {}).get("tried")
    if tried:
        columns = ("calibration", "KL to float32", "agreement")
        yield "Ranges of activations", columns, list(_calibration(int8["calibration"]))
    repaired = int8.get("repair")
    if repaired and len(repaired["steps"]) > 1:
        heads = ("repair", "points lost on validation", "KL to float32", "took", "what was done")
        yield repair_title(repaired), heads, list(_repair(repaired["steps"]))


def sentences(bundle: Found) -> Iterator[str]:
    """The advice, and which file to deploy."""
    yield from bundle.get("advice", [])
    recommended = bundle.get("recommended")
    if recommended and recommended["reason"]:
        file = bundle["variants"][recommended["variant"]]["file"]
        yield f"deploy {file}: {recommended['reason']}"


def _files(bundle: Found) -> Iterator[Row]:
    for name, variant in bundle["variants"].items():
        accuracy = variant["metrics"].get("validation", {}).get("accuracy")
        right = "" if accuracy is None else f"{100 * accuracy:.2f} % right"
        yield variant["file"], name, f"{variant['size_bytes']:,} bytes", right


def proof_rows(int8: Found, max_drop: float | None = None) -> Iterator[Row]:
    """What was checked, what was found, and what that means; what a bundle lacks is left out.

    Args:
        int8: checks["int8"] of bundle.json.
        max_drop: points of accuracy that int8 may cost.
    """
    yield from _integer_rows(int8)
    yield from _exactness_rows(int8)
    if "quality" in int8:
        yield from _quality_rows(int8["quality"], max_drop)
    if int8.get("latency"):
        yield _latency_row(int8["latency"])


def _integer_rows(int8: Found) -> Iterator[Row]:
    for kind, name in (("convolutions", "convolutions"), ("products", "matrix products")):
        total, whole = int8[kind], int8[f"integer_{kind}"]
        if total:
            verdict = "all in integers" if whole == total else f"{total - whole} in float"
            yield name, f"{whole} of {total} in integers", verdict
    islands = int8.get("islands", [])
    steps = f"{int8['quantize_nodes']} to integers, {int8['dequantize_nodes']} back"
    yield (
        "changes of type",
        steps,
        counted(len(islands), "float island") if islands else "none inside",
    )


def _exactness_rows(int8: Found) -> Iterator[Row]:
    pairs = int8["saturating_pairs"]
    verdict = "differs from CPU to CPU" if pairs else "the same on every CPU"
    yield "16-bit pairs", f"{pairs} can overflow", verdict
    sums = int8.get("sums")
    if sums:
        faults = [f"{sums[key]} {words}" for key, words in _FAULTS.items() if sums[key]]
        largest = f"the largest takes {_percent(sums['largest_sum'])} of the range"
        yield "32-bit sums", ", ".join(faults) or largest, "can overflow" if faults else "exact"


def _quality_rows(quality: Found, max_drop: float | None) -> Iterator[Row]:
    before, after, drop = (quality[key] for key in ("float32", "int8", "drop"))
    found = f"{_percent(before['value'])} float32, {_percent(after['value'])} int8"
    lost = f"drop {100 * drop['value']:.2f} points ({_bounds(drop)}), {quality['n']} images"
    yield "accuracy", f"{found}: {lost}", _drop_verdict(drop, max_drop)
    yield "agreement", f"{_percent(quality['agreement']['value'])} with float32", _teacher(quality)
    flips = [f"{quality['float32_flips']} that float32 has right"]
    if quality["teacher_flips"] is not None:
        flips.append(f"{quality['teacher_flips']} that the teacher has right")
    yield "wrong in int8", ", ".join(flips), f"of {counted(quality['n'], 'image')}"
    worst = quality["worst_class"]
    yield (
        "worst class",
        f"{worst['name']} loses {100 * worst['drop']:.1f} points",
        (f"of {counted(worst['n'], 'image')}"),
    )
    ratio = quality["sqnr_db"]
    noise = "equal" if ratio is None else f"{ratio:.1f} dB above their noise"
    yield "logits", noise, f"KL {quality['mean_kl']:.2g} nats"


def _drop_verdict(drop: Found, max_drop: float | None) -> str:
    if max_drop is None:
        return ""
    if drop["low"] is not None and 100 * drop["low"] > max_drop:
        return f"more than {max_drop:g}"
    if drop["high"] is not None and 100 * drop["high"] < max_drop:
        return f"at most {max_drop:g}"
    return f"undecided against {max_drop:g}"


def _teacher(quality: Found) -> str:
    taught = quality["teacher_agreement"]
    return "" if taught is None else f"{_percent(taught['value'])} with the teacher"


def _latency_row(latency: Found) -> Row:
    times = [_seconds(latency[f"{name}_seconds"]) for name in ("float32", "int8")]
    ratio, threads = latency["ratio"], latency["threads"]
    bounds = "" if ratio["low"] is None else f" ({ratio['low']:.2f} to {ratio['high']:.2f})"
    cores = "all cores" if threads is None else counted(threads, "thread")
    found = f"{times[0]} float32, {times[1]} int8: {ratio['value']:.2f} times as fast{bounds}"
    return "latency", f"{found}, {cores}", latency["verdict"]


def _islands(islands: Sequence[Found]) -> Iterator[Row]:
    for island in islands[:_SHOWN_ISLANDS]:
        cost = ""
        if island["seconds"] is not None:
            cost = f"{_seconds(island['seconds'])}, {_percent(island['share'])}"
        yield island["module"], island["operator"], cost, island["reason"]
    if len(islands) > _SHOWN_ISLANDS:
        more = islands[_SHOWN_ISLANDS:]
        cost = ""
        if all(island["seconds"] is not None for island in more):
            share = _percent(sum(island["share"] for island in more))
            cost = f"{_seconds(sum(island['seconds'] for island in more))}, {share}"
        yield f"{len(more)} more", "", cost, ""


def _calibration(calibration: Found) -> Iterator[Row]:
    for row in calibration["tried"]:
        chosen = " (taken)" if row["method"] == calibration["method"] else ""
        same = f"agrees on {_percent(row['agreement'])}"
        yield f"{row['method']}{chosen}", f"KL {row['kl']:.2g} nats", same


def repair_title(repaired: Found) -> str:
    """The budget of a repair, and whether it was met."""
    met = "met" if repaired["met"] else "not met"
    return f"Repair: {100 * repaired['max_drop']:g} points allowed, {met}"


def _repair(steps: Sequence[Found]) -> Iterator[Row]:
    for step in steps:
        drop = kl = took = ""
        if step["drop"] is not None:
            drop = f"{100 * step['drop']['value']:.2f} points ({_bounds(step['drop'])})"
            kl, took = f"KL {step['kl']:.2g} nats", _seconds(step["seconds"])
        delivered = "delivered" if step.get("delivered") else step["status"]
        yield f"{step['title']} ({delivered})", drop, kl, took, step["said"]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _bounds(interval: Found) -> str:
    if interval["low"] is None or interval["high"] is None:
        return "not bounded"
    return f"{100 * interval['low']:.2f} to {100 * interval['high']:.2f}"


def _seconds(value: float) -> str:
    """Three digits in a unit that fits."""
    if value >= 1:
        return f"{value:.3g} s"
    return (
        f"{1e3 * value:.3g} ms"
        if value >= 1e-3
        else f"{1e6 * value:.3g} \N{GREEK SMALL LETTER MU}s"
    )
