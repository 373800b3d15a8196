"""Whether the files of a bench have a place."""

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = True

FAIL_BYTES, WARN_BYTES = 20 << 20, 200 << 20


def check(facts: Facts) -> Finding:
    """The temporary folder and the cache, whichever has less."""
    places = facts["disk"].values()
    shut = [place["path"] for place in places if not place["writable"]]
    if shut:
        return Finding(
            status="fail",
            found=f"{shut[0]} may not be written",
            why="the models and images of a bench are put there",
            what_to_do="mount it writable, or set TMPDIR and XDG_CACHE_HOME to another folder",
        )
    least = min(places, key=lambda place: int(place["free_bytes"]))
    free = least["free_bytes"]
    found = f"{free / 2**20:,.0f} MiB free in {least['path']}"
    if free >= WARN_BYTES:
        return Finding(status="ok", found=found)
    return Finding(
        status="fail" if free < FAIL_BYTES else "warn",
        found=found,
        why="the models and images of a bench are put there",
        what_to_do=f"make room in {least['path']}",
    )
