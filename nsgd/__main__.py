"""``python -m nsgd`` is the command ``nsgd``."""

import sys

from nsgd.cli import main

if __name__ == "__main__":
    sys.exit(main())
