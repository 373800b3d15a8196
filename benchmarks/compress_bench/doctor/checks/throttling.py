"""What a Raspberry Pi's firmware says of its supply and its warmth."""

from compress_bench.doctor import Facts, Finding

NEEDS_HARDWARE = True

# Source: https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
BITS = {
    0: "under-voltage",
    1: "ARM clock capped",
    2: "throttled",
    3: "soft temperature limit",
}
_EVER = 16  # the same bits of the time since it was switched on
_SUPPLY = "take the official power supply (5 V 3 A; 5 A for a Raspberry Pi 5) and a short cable"
_WARMTH = "add a heat sink or a fan"


def check(facts: Facts) -> Finding | None:
    """Nothing on other machines."""
    value = facts["firmware"]["throttled"]
    if value is None:
        return None
    now, ever = set_bits(value), set_bits(value >> _EVER)
    khz = facts["firmware"]["khz"]
    clock = f"; the ARM cores' clock is {khz * 1e-6:.2f} GHz" if khz else ""
    if not now and not ever:
        found = "not throttled, now or since it was switched on"
        return Finding(status="ok", found=found + clock)
    said = [f"{', '.join(now)} now"] if now else []
    said += [f"{', '.join(ever)} since it was switched on"] if ever else []
    supply = BITS[0] in now + ever
    return Finding(
        status="warn",
        found=f"{'; '.join(said)} (get_throttled {value:#x}){clock}",
        why="the firmware lowers the clock by itself, and the kernel's clock does not show it",
        what_to_do=(_SUPPLY if supply else _WARMTH) + "; a restart clears what was",
    )


def set_bits(value: int) -> list[str]:
    """The words of the lowest four bits."""
    return [word for bit, word in BITS.items() if value >> bit & 1]
