"""Which top-level names are modules of the repository itself, wherever a service may put them on its path."""

from collections.abc import Iterable

from pytest_py312.model import Service
from pytest_py312.tree import Tree, escapes, join

SHARED = frozenset({"common", "lib", "libs", "packages", "python", "shared", "src"})
"""Folders above a service whose own folders are shared by services."""


def own_names(service: Service, files: Iterable[str], tree: Tree, around: "Around | None" = None) -> frozenset[str]:
    """Names of all modules and folders of the service (``files`` are its Python files), and of those that lie beside
    it, above it, or in a folder that it needs. Rather too many than too few: they are not looked for among what is
    installed.

    :param around: of ``tree``, for callers that ask about several services.
    """
    names: set[str] = set()
    prefix = "" if service.path == "." else f"{service.path}/"
    for path in files:
        *folders, name = path.removeprefix(prefix).split("/")
        names.update(folders)
        names.add(name.partition(".")[0])
    for folder in service.inner:
        names.update(folder.split("/"))
        names |= _names_in(folder, tree)
    names |= (around or Around(tree)).names(service)
    if service.distribution is not None:
        for root in service.distribution.source_roots:
            names |= _names_in(join(service.path, root), tree)
    return frozenset(name for name in names if name.isidentifier())


class Around:
    """Which modules lie around services; what several of them have around them is listed once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._names: dict[str, set[str]] = {}
        self._shared: dict[str, tuple[str, ...]] = {}

    def names(self, service: Service) -> set[str]:
        """Those of :func:`own_names` that lie beside the service, above it, or in a folder that it needs."""
        names: set[str] = set()
        for folder in self._folders(service):
            if folder not in self._names:
                self._names[folder] = _names_in(folder, self._tree)
            names |= self._names[folder]
        return names

    def _folders(self, service: Service) -> Iterable[str]:
        steps = [] if service.path == "." else service.path.split("/")
        for count in range(len(steps)):
            above = join(".", *steps[:count])
            if above not in self._shared:
                folders = self._tree.listing(above).folders
                self._shared[above] = (above, *(join(above, name) for name in folders if name in SHARED))
            yield from self._shared[above]
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
