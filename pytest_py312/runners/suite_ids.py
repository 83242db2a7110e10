"""Make the ids of tests comparable between runs: without folders of the run, its interpreter and memory addresses.

The id of a parametrized test contains the texts of its parameters. One that names the scratch folder, the environment
or the standard library is different in every run or on every interpreter, although the test is the same.
"""

import re
from collections.abc import Iterable, Mapping

FOLDERS = ("<scratch>", "<site-packages>", "<environment>", "<stdlib>", "<python>")
"""Names by which folders of a run are replaced. The probe's ``start`` record says where they are."""

ADDRESS = " at 0x..."
"""Replaces the memory address in the default ``repr`` of an object."""

UNPAIRED = "<unpaired "
"""Begins the name, in brackets, of a test of which only the function and a number are known to be the same."""

MAX_FOLDER_LENGTH = 4096
"""Characters of a folder in a record; longer ones are ignored, since a suite may write anything into its records."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_RANDOM_FOLDER = re.compile(r"(?<=<scratch>/tmp/)tmp[a-z0-9_]{8}(?![a-z0-9_])")  # as tempfile.mkdtemp names them


class SuiteIds:
    """Returns the comparable id for each id of one run.

    Several ids that differ only in what is replaced are numbered in the order in which they are asked for, which is the
    order in which they ran: ``test_a[<object at 0x...>]``, ``test_a[<object at 0x...>]#2``.
    """

    def __init__(self, folders: Mapping[str, str] | None = None) -> None:
        """
        :param folders: name (one of :data:`FOLDERS`) to absolute path.
        """
        self._patterns = tuple(_folder_patterns(folders or {}))
        self._known: dict[str, str] = {}
        self._used: set[str] = set()

    def comparable(self, name: str) -> str:
        """Return the id for ``name``, the same one each time."""
        if name not in self._known:
            replaced = name
            for pattern, folder in self._patterns:
                replaced = pattern.sub(folder, replaced)
            replaced = _RANDOM_FOLDER.sub("tmp*", _ADDRESS.sub(ADDRESS, replaced))
            comparable, number = replaced, 1
            while comparable in self._used:
                number += 1
                comparable = f"{replaced}#{number}"
            self._used.add(comparable)
            self._known[name] = comparable
        return self._known[name]


def _folder_patterns(folders: Mapping[str, str]) -> Iterable[tuple[re.Pattern[str], str]]:
    """Yield a pattern for each folder, the longest first, because one may be inside of another."""
    usable = {
        path.rstrip("/"): name
        for name, path in folders.items()
        if name in FOLDERS and len(path.rstrip("/")) > 1 and path.startswith("/") and len(path) <= MAX_FOLDER_LENGTH
    }
    for path in sorted(usable, key=len, reverse=True):
        # not behind or before a further part of a name: /tmp/a is no part of /tmp/a-b or /var/tmp/a
        yield re.compile(rf"(?<![\w.~-]){re.escape(path)}(?![\w.~-])"), usable[path]


def read_folders(record: Mapping[str, object]) -> dict[str, str]:
    """Return the folders that a ``start`` record names; what is not a text is left out."""
    folders = record.get("folders")
    if not isinstance(folders, Mapping):
        return {}
    return {name: path for name, path in folders.items() if isinstance(name, str) and isinstance(path, str)}


def selection_of(name: str) -> str:
    """Return what pytest can select to run the test again: its id or, where that differs between runs, its function.

    Empty if only the whole suite contains it for certain.
    """
    if not any(mark in name for mark in (*FOLDERS, ADDRESS, UNPAIRED)):
        return name
    function = function_of(name)
    return "" if function == name or any(mark in function for mark in (*FOLDERS, ADDRESS)) else function


def function_of(name: str) -> str:
    """Return the id of the test function: ``name`` without its parameters."""
    file, separator, rest = name.partition("::")
    return file + separator + rest.partition("[")[0]
