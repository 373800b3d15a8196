"""Stage 1: a large teacher trains a small student."""
