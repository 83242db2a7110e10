"""``python -m pytest_py312`` is ``py312``."""

import sys

from pytest_py312.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
