"""A board behind ssh: what runs there for the length of a bench, and how the host talks with it."""
