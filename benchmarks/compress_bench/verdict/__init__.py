"""Goals, and whether the measured intervals keep them: pass, fail, inconclusive."""
