"""Imports the modules of this package as Python does, from the byte code that their installation has made.

pytest rewrites the assert statements of all modules of a plugin's distribution. Here are none that a test would see,
and where no byte code may be written (``PYTHONDONTWRITEBYTECODE``, a read-only installation), each run would parse and
compile more than two hundred modules again: a second of processor time.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

PACKAGE = __name__.partition(".")[0]


class PlainFinder(MetaPathFinder):
    """Finds the modules of this package before pytest's finder does."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(fullname, path, target) if fullname.startswith(f"{PACKAGE}.") else None


def import_plainly() -> None:
    """From now on pytest does not rewrite the modules of this package."""
    if not any(isinstance(finder, PlainFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, PlainFinder())
