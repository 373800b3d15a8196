"""Whether the very same file gives the same answers, in integers, on other types of core."""
