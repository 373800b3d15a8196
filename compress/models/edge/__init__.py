"""Changes for int8 on a CPU, one file each, which --for-edge makes before a network learns.

A file has TITLE and `apply(module, sample, *, trained)`, which gives the network, changed in place
or as it was, and sentences about what was changed. Its name is a value of --edge-changes; nothing
else has to know of a new file. Files that begin with an underscore are parts of these.
"""
