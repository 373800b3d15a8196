"""One file that measures and checks itself on a board, and the way back of what it writes there."""
