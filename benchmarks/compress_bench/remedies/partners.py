"""The float32 and the int8 form of one network among the variants."""

from compress_bench.evidence import Evidence, Variant


def is_int8(variant: Variant) -> bool:
    """Whether a file computes in integers, as far as it or its name says."""
    return variant.precision == "int8" or (
        variant.precision is None and variant.role.endswith("int8")
    )


def quantised(evidence: Evidence, variant: str) -> str | None:
    """The int8 form of the same network among the variants."""
    return _partner(evidence, variant, int8=True)


def unquantised(evidence: Evidence, variant: str) -> str | None:
    """The float32 form of the same network among the variants."""
    return _partner(evidence, variant, int8=False)


def _partner(evidence: Evidence, variant: str, *, int8: bool) -> str | None:
    """By role: a baseline is the same network, yet has other weights."""
    subject = evidence.variants[variant]
    role = subject.role.removesuffix("_int8")
    for name, other in evidence.variants.items():
        same = other.role.removesuffix("_int8") == role and other.runtime == subject.runtime
        if name != variant and same and is_int8(other) == int8:
            return name
    return None
