"""Which top-level names are modules of the repository itself, wherever a service may put them on its path."""

from collections.abc import Iterable

from pytest_py312.model import Service
from pytest_py312.tree import Tree, escapes, join

SHARED = frozenset({"common", "lib", "libs", "packages", "python", "shared", "src"})
"""Folders above a service whose own folders are shared by services."""


def own_names(service: Service, files: Iterable[str], tree: Tree) -> frozenset[str]:
    """Names of all modules and folders of the service (``files`` are its Python files), and of those that lie beside
    it, above it, or in a folder that it needs. Rather too many than too few: they are not looked for among what is
    installed.
    """
    names: set[str] = set()
    prefix = "" if service.path == "." else f"{service.path}/"
    for path in files:
        *folders, name = path.removeprefix(prefix).split("/")
        names.update(folders)
        names.add(name.partition(".")[0])
    for folder in _folders_around(service, tree):
        names |= _names_in(folder, tree)
    if service.distribution is not None:
        for root in service.distribution.source_roots:
            names |= _names_in(join(service.path, root), tree)
    return frozenset(name for name in names if name.isidentifier())


def _folders_around(service: Service, tree: Tree) -> Iterable[str]:
    steps = [] if service.path == "." else service.path.split("/")
    for count in range(len(steps)):
        above = join(".", *steps[:count])
        yield above
        yield from (join(above, name) for name in tree.listing(above).folders if name in SHARED)
    for needed in service.settings.needs:
        yield from (needed, join(needed, ".."))
    for folder in service.python_path:
        path = join(service.path, folder)
        if not escapes(path):
            yield path


def _names_in(folder: str, tree: Tree) -> set[str]:
    """The modules and packages in a folder; of folders only those that hold Python files, or folders with some."""
    if escapes(folder):
        return set()
    listing = tree.listing(folder)
    names = {name.removesuffix(".py") for name in listing.files if name.endswith(".py")}
    for inner in listing.folders:
        below = tree.scan(join(folder, inner), depth=1, limit=500)
        if any(name.endswith(".py") for name in below.files):
            names.add(inner)
    return names
