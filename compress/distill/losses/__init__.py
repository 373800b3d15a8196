"""Distillation losses, one file a method: the file's name is the value of --method."""
