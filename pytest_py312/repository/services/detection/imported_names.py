"""Read which top-level modules the files of a folder import, without parsing: each service is read at every start."""

import re
from collections.abc import Iterator

from pytest_py312.repository.tree import Tree, join_path

FILE_LIMIT = 3_000
"""Files of a folder that are read."""
_IMPORT_LINE = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<source>[A-Za-z_][\w.]*)[ \t]+import\b|import[ \t]+(?P<names>[A-Za-z_][\w., \t]*))",
    re.MULTILINE | re.ASCII,
)


def imported_names(tree: Tree, path: str) -> set[str]:
    """Return the top-level modules that import lines of a file, or of the files of a folder, name."""
    if tree.is_file(path):
        return set(_imports_in(tree.read_or_none(path) or ""))
    files = [name for name in tree.scan_folder(path, depth=8).files if name.endswith(".py")]
    texts = (tree.read_or_none(join_path(path, name)) for name in files[:FILE_LIMIT])
    return {name for text in texts if text for name in _imports_in(text)}


def _imports_in(text: str) -> Iterator[str]:
    for match in _IMPORT_LINE.finditer(text):
        names = match["names"].split(",") if match["names"] else [match["source"]]
        yield from (name.split()[0].partition(".")[0] for name in names if name.strip())
