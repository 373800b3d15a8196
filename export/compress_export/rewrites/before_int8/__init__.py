"""Rewrites of the copy that is quantised: float operators become ones with integer kernels."""
