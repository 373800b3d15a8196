"""`python -m compress`, for machines where another package owns the name `compress`."""

import sys

from compress.cli import main

if __name__ == "__main__":
    sys.exit(main())
