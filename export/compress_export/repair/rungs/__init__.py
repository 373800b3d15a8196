"""The rungs, one file each; `repair.RUNGS` has their order."""
