"""Collect the third-party imports of a service, its own module names, and the files that it runs."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from pytest_py312.analysis.files.file_kinds import is_runtime_file
from pytest_py312.analysis.libraries.import_graph import ImportRoot
from pytest_py312.analysis.libraries.summaries.import_context import likely_imports
from pytest_py312.analysis.libraries.summaries.summary import Likelihood
from pytest_py312.analysis.linking.link import ModuleIndex
from pytest_py312.analysis.scanner.facts.facts import FileFacts, ModuleImport
from pytest_py312.analysis.scanner.facts.stdlib_names import is_stdlib_module
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.repository.tree import Tree, join_path, leaves_root

ENTRY_POINT_FILES = frozenset(
    {"__main__.py", "app.py", "asgi.py", "main.py", "manage.py", "run.py", "server.py", "wsgi.py"}
)
"""Files that start a service."""


def external_imports(
    files: Sequence[FileFacts],
    contents: Mapping[str, bytes],
    own_names: Collection[str],
    version: tuple[int, int],
    is_installed: Callable[[str], bool] = lambda name: False,
) -> Iterator[ImportRoot]:
    """Yield the imports of third-party modules in all files of a service.

    :param contents: the content of each file by path.
    :param is_installed: whether a distribution has the module: it may be in a package that the service has as well.
    """
    own_pairs = {pair for facts in files for pair in _inner_pairs(facts.path)}

    def is_external(module_import: ModuleImport) -> bool:
        top = module_import.module.partition(".")[0]
        if not top or module_import.level or is_stdlib_module(top):
            return False
        inner = ".".join(member_name(module_import.module, module_import.name).split(".")[:2])
        return top not in own_names or ("." in inner and inner not in own_pairs and is_installed(inner))

    for facts in files:
        external = filter(is_external, facts.imports)
        for module_import, likelihood in likely_imports(external, facts, contents.get(facts.path, b""), version):
            target = member_name(module_import.module, module_import.name)
            yield ImportRoot(path=facts.path, line=module_import.line, target=target, likelihood=likelihood)


def _inner_pairs(path: str) -> Iterator[str]:
    """Yield the modules, each with the folder around it, that a path leads through: ``a.b`` and ``b.c``."""
    parts = path.removesuffix(".py").split("/")
    yield from (f"{outer}.{inner}" for outer, inner in pairwise(parts))


def run_time_imports(
    files: Sequence[FileFacts], contents: Mapping[str, bytes], cell: Cell, tree: Tree, neighbors: "NeighborModules"
) -> tuple[str, ...]:
    """Return the third-party names that the run-time files of a service import in any case, sorted.

    ``from package import name`` is ``package.name``.
    """
    service, version = cell.service, (cell.interpreter.major, cell.interpreter.minor)
    own_names = own_module_names(service, [facts.path for facts in files], tree, neighbors)
    run_time_files = [facts for facts in files if is_runtime_file(facts.path, service.path)]
    roots = external_imports(run_time_files, contents, own_names, version)
    return tuple(sorted({root.target for root in roots if root.likelihood == Likelihood.AT_IMPORT}))


def used_files(files: Sequence[FileFacts], service: str) -> frozenset[str]:
    """Return the files that start the service, and those that its run-time files import."""
    modules = ModuleIndex(files)
    used = set()
    for facts in files:
        if not is_runtime_file(facts.path, service):
            continue
        if facts.path.rpartition("/")[2] in ENTRY_POINT_FILES:
            used.add(facts.path)
        used.update(imported_files(facts, facts.imports, modules))
    return frozenset(used)


def imported_files(facts: FileFacts, imports: Iterable[ModuleImport], modules: ModuleIndex) -> Iterator[str]:
    """Yield the files of the service that ``imports``, some of those of a file, are of."""
    for module_import in imports:
        imported_module = "." * module_import.level + module_import.module
        for name in (member_name(imported_module, module_import.name), imported_module):
            imported = modules.find(name, facts.path) if name.strip(".") or module_import.level else None
            if imported is not None and imported.path != facts.path:
                yield imported.path


def member_name(module: str, name: str) -> str:
    """Return the dotted name of what ``from module import name`` takes, and of the module for ``*`` or no name."""
    if not name or name == "*":
        return module
    return f"{module}{name}" if module.endswith(".") or not module else f"{module}.{name}"


SHARED_FOLDERS = frozenset({"common", "lib", "libs", "packages", "python", "shared", "src"})
"""Names of folders in an ancestor of a service whose subfolders services share."""


def own_module_names(
    service: Service, files: Iterable[str], tree: Tree, neighbors: "NeighborModules | None" = None
) -> frozenset[str]:
    """Return the names of all modules and folders that may belong to the repository.

    These are the modules of the service (``files``), and those beside it, above it and in folders that it needs. These
    names are not looked up among the installed distributions, so too many are better than too few.

    :param neighbors: a cache for ``tree``, for callers that handle several services.
    """
    names: set[str] = set()
    prefix = "" if service.path == "." else f"{service.path}/"
    for path in files:
        *folders, name = path.removeprefix(prefix).split("/")
        names.update(folders)
        names.add(name.partition(".")[0])
    for folder in service.nested_folders:
        names.update(folder.split("/"))
        names |= _modules_in_folder(folder, tree)
    names |= (neighbors or NeighborModules(tree)).names(service)
    if service.distribution is not None:
        for root in service.distribution.source_roots:
            names |= _modules_in_folder(join_path(service.path, root), tree)
    return frozenset(name for name in names if name.isidentifier())


class NeighborModules:
    """Index of the modules in folders around services; folders that several services share are listed once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._names: dict[str, set[str]] = {}
        self._shared: dict[str, tuple[str, ...]] = {}

    def names(self, service: Service) -> set[str]:
        """Return those of :func:`own_module_names` that are beside the service, above it, in folders that it needs, or
        on its Python path.
        """
        names: set[str] = set()
        for folder in self._folders(service):
            if folder not in self._names:
                self._names[folder] = _modules_in_folder(folder, self._tree)
            names |= self._names[folder]
        return names

    def _folders(self, service: Service) -> Iterable[str]:
        parts = [] if service.path == "." else service.path.split("/")
        for count in range(len(parts)):
            ancestor = join_path(".", *parts[:count])
            if ancestor not in self._shared:
                folders = self._tree.list_folder(ancestor).folders
                self._shared[ancestor] = (
                    ancestor,
                    *(join_path(ancestor, name) for name in folders if name in SHARED_FOLDERS),
                )
            yield from self._shared[ancestor]
        for needed in service.settings.needs:
            yield from (needed, join_path(needed, ".."))  # a folder that is a package is imported from its parent
        for folder in (*service.python_path, *service.appended_path):
            path = join_path(service.path, folder)
            if not leaves_root(path):
                yield path


def _modules_in_folder(folder: str, tree: Tree) -> set[str]:
    """Return the modules and packages in a folder. Folders count if they or their subfolders contain Python files."""
    if leaves_root(folder):
        return set()
    listing = tree.list_folder(folder)
    names = {name.removesuffix(".py") for name in listing.files if name.endswith(".py")}
    for subfolder in listing.folders:
        subfolder_files = tree.scan_folder(join_path(folder, subfolder), depth=1, limit=500)
        if any(name.endswith(".py") for name in subfolder_files.files):
            names.add(subfolder)
    return names
