"""The packed file's first lines, which Pythons older than the rest can read too."""

import sys

if __name__ == "__main__":
    if sys.version_info < (3, 8):
        found = "%d.%d" % (sys.version_info[0], sys.version_info[1])
        sys.stderr.write(
            "%s: expected Python 3.8 or newer, found %s; start it with a newer python3\n"
            % (sys.argv[0], found)
        )
        sys.exit(1)
    from pathlib import Path

    from compress_bench.pack.board.main import main

    sys.exit(main(str(Path(__file__).resolve().parent), sys.argv[1:]))
