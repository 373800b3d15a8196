"""Distillation losses, one file a method: the file's name is the value of --method.

A new file here is a new method; files that begin with _ are none. It has:

- a docstring: what it does in one line, and last a paragraph `Source:`;
- `NEEDS`, what it cannot do without (see signals.py);
- `Settings`, a frozen dataclass of numbers that only it knows;
- `SMALL_DATA` and `MANY_CLASSES`, its `Defaults`;
- `loss(signals, settings)`: a scalar, in the dtype that it is given, with no gradient to the
  teacher; reads only what NEEDS names, beside both networks' logits;
- where it fits `PAIRS`, `connector` and `advise` (see methods.py), and `RELATES_IMAGES = True`
  where it compares images with each other, so that it is no mean over the batch.
"""
