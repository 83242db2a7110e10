"""The service's own files as far as imports go: what they import from outside, and which of them are run. Pure.

Which top-level names are modules of the repository itself, wherever a service may put them on its path.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_py312.analysis.libraries.import_context import TOP, Surroundings, how_run, surroundings_of
from pytest_py312.analysis.libraries.import_graph import Root
from pytest_py312.analysis.libraries.module_files import part_of
from pytest_py312.analysis.libraries.summary import How, Part
from pytest_py312.analysis.linking.link import Modules
from pytest_py312.analysis.scanner.facts.facts import FileFacts, ModuleImport
from pytest_py312.analysis.scanner.facts.stdlib_names import is_standard
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.tree import Tree, escapes, join

BESIDE_THE_CODE = frozenset(
    {"alembic", "bench", "benchmark", "benchmarks", "ci", "demo", "demos", "deploy", "deployment", "dev", "doc", "docs",
     "example", "examples", "hack", "k8s", "migrations", "notebooks", "sample", "samples", "script", "scripts", "tool",
     "tools", "utils_dev"}
)  # fmt: skip
"""Folders of programs that do not run where the service does."""
TOOL_FILES = frozenset({"conftest.py", "fabfile.py", "locustfile.py", "noxfile.py", "setup.py", "tasks.py"})
STARTS = frozenset({"__main__.py", "app.py", "asgi.py", "main.py", "manage.py", "run.py", "server.py", "wsgi.py"})
"""Files by which a service is started."""


def is_test(path: str) -> bool:
    """Whether a file of a service is part of its tests."""
    return part_of(path) == Part.TESTS or path.rpartition("/")[2] == "conftest.py"


def is_run_time(path: str, service: str) -> bool:
    """Whether a file is code that runs where the service does, by its name and its folders."""
    inner = path if service == "." else path.removeprefix(f"{service}/")
    *folders, name = inner.split("/")
    return not is_test(inner) and name not in TOOL_FILES and BESIDE_THE_CODE.isdisjoint(folders)


def foreign_roots(files: Sequence[FileFacts], local: Collection[str], version: tuple[int, int]) -> Iterator[Root]:
    """The imports of what is neither standard nor the service's own, in all of its files. See also :func:`refined`."""
    for facts in files:
        tests = is_test(facts.path)
        for one in facts.imports:
            if not is_foreign(one, local):
                continue
            how = how_run(one, facts.guards, version)
            if how is None:
                continue
            target = f"{one.module}.{one.name}" if one.name and one.name != "*" else one.module
            yield Root(path=facts.path, line=one.line, target=target, how=how, in_tests=tests)


def refined(roots: Sequence[Root], contents: Mapping[str, bytes]) -> tuple[Root, ...]:
    """``roots`` with what the text of their files (path to content) says of the conditions that they stand under."""
    around: dict[str, Mapping[int, Surroundings]] = {}
    done = []
    for root in roots:
        if root.how == How.AT_IMPORT:
            if root.path not in around:
                around[root.path] = surroundings_of(contents.get(root.path, b""))
            if around[root.path].get(root.line, TOP).conditional:
                root = replace(root, how=How.PERHAPS)
        done.append(root)
    return tuple(done)


def is_foreign(one: ModuleImport, local: Collection[str]) -> bool:
    """Whether an import is of a module from outside."""
    top = one.module.partition(".")[0]
    return bool(top) and not one.level and one.place != "type checking" and not is_standard(top) and top not in local


def used_files(files: Sequence[FileFacts], service: str) -> frozenset[str]:
    """The files by which the service is started, and those that its other run-time files import."""
    modules = Modules(files)
    used = set()
    for facts in files:
        if not is_run_time(facts.path, service):
            continue
        if facts.path.rpartition("/")[2] in STARTS:
            used.add(facts.path)
        for one in facts.imports:
            start = "." * one.level + one.module
            for name in (_inner(start, one.name), start):
                found = modules.find(name, facts.path) if name.strip(".") or one.level else None
                if found is not None and found.path != facts.path:
                    used.add(found.path)
    return frozenset(used)


def _inner(module: str, name: str) -> str:
    if not name or name == "*":
        return module
    return f"{module}{name}" if module.endswith(".") or not module else f"{module}.{name}"


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
