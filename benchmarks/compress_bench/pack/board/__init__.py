"""What the packed file runs on a board: Python 3.8 syntax, the standard library, and numpy late."""
