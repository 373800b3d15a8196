"""The teacher's logits on disk, so that it is asked once for each view of each image.

A folder of kept logits:

    logits.json          whose answers to which views, and in which form (folder.py)
    view-00000.logits    view 0: a record an image, in the order of the split (form.py)
    view-00000.blocks    which blocks of it are there, with their crc32 (blocks.py)

A block is a run of consecutive images that the teacher always answers as one batch, so that the
numbers depend neither on who asked nor on where it was stopped.
"""
