"""The package's modules, folders and imports as a graph, and its figures.

    python -m tests.architecture

prints them; ``tests/test_architecture.py`` holds them to their limits. Which package may import which is in the
contracts of import-linter in ``pyproject.toml``.
"""

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAME = "pytest_py312"
PACKAGE = ROOT / NAME

Graph = Mapping[str, Set[str]]


CLOCK_CALLS = frozenset({"now", "utcnow", "today"})


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import: the imported module (dotted, complete), its line, and whether importing the importer makes it.

    ``name`` is what is imported from the module, if it is not a module itself.
    """

    module: str
    line: int
    eager: bool
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module of the package; ``name`` is below it (``runners.docker``), ``__init__`` ends the name of a folder."""

    name: str
    path: Path
    imports: tuple[Import, ...]
    public_classes: tuple[str, ...]
    clock_calls: tuple[str, ...]
    """Calls that read the clock, each with its line."""

    @property
    def folder(self) -> str:
        """The folder that the module lies in, dotted; empty for the root."""
        return self.name.rpartition(".")[0]

    @property
    def internal_imports(self) -> list[tuple[str, int]]:
        """Names (below the package) and lines of the modules of the package that it imports."""
        return [
            (entry.module.removeprefix(f"{NAME}."), entry.line) for entry in self.imports if is_internal(entry.module)
        ]

    @property
    def external_imports(self) -> list[tuple[str, Import]]:
        """Everything else that it imports, by the name of the top-level package."""
        return [(entry.module.split(".")[0], entry) for entry in self.imports if not is_internal(entry.module)]


def is_internal(module: str) -> bool:
    """Whether a dotted name is the package or below it."""
    return module == NAME or module.startswith(f"{NAME}.")


def read_imports(tree: ast.Module, modules: Set[str]) -> Iterator[Import]:
    """Yield every import, wherever it stands. Those inside functions and for type checkers are not eager.

    :param modules: complete names of all modules, to tell ``from package import module`` from other names.
    """
    pending: list[tuple[ast.AST, bool]] = [(tree, True)]
    while pending:
        node, eager = pending.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module=alias.name, line=node.lineno, eager=eager)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                module, name = (inner, "") if inner in modules else (node.module or "", alias.name)
                yield Import(module=module, line=node.lineno, eager=eager, name=name)
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        )
        pending += [(child, eager and not lazy) for child in ast.iter_child_nodes(node)]


def read_clock_calls(tree: ast.Module) -> Iterator[str]:
    """Yield every call of a method of ``datetime`` or ``date`` that reads the clock."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in CLOCK_CALLS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("datetime", "date")
        ):
            yield f"{node.lineno} calls {ast.unparse(node.func)}"


def read_module(name: str, path: Path, source: str, modules: Set[str]) -> Module:
    """Read what is to know of a module, but keep no syntax tree: all of them are more than a million objects.

    :param modules: as for :func:`read_imports`.
    """
    tree = ast.parse(source)
    classes = (node.name for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))
    return Module(
        name=name,
        path=path,
        imports=tuple(read_imports(tree, modules)),
        public_classes=tuple(classes),
        clock_calls=tuple(read_clock_calls(tree)),
    )


@cache
def all_modules() -> tuple[Module, ...]:
    """Read every module of the package."""
    paths = {path: ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in sorted(PACKAGE.rglob("*.py"))}
    complete = {f"{NAME}.{name.removesuffix('.__init__')}" for name in paths.values()}
    return tuple(read_module(name, path, path.read_text(encoding="utf-8"), complete) for path, name in paths.items())


def module_graph() -> Graph:
    """Module -> the modules that it imports, however late."""
    return {
        module.name.removesuffix(".__init__"): {name for name, _ in module.internal_imports if name != NAME}
        for module in all_modules()
    }


def folder_graph() -> Graph:
    """Folder -> the other folders that its modules import from. A folder and those inside it are different ones."""
    folders = {module.name.removesuffix(".__init__"): module.folder for module in all_modules()}
    graph: dict[str, set[str]] = defaultdict(set)
    for module in all_modules():
        graph[module.folder] |= {folders[name] for name, _ in module.internal_imports if name != NAME} - {module.folder}
    return graph


def package_graph() -> Graph:
    """Top-level package -> the other ones that it imports."""
    graph: dict[str, set[str]] = defaultdict(set)
    for module in all_modules():
        package = module.name.split(".")[0]
        graph[package] |= {name.split(".")[0] for name, _ in module.internal_imports if name != NAME} - {package}
    return graph


def find_loop(graph: Graph) -> tuple[str, ...]:
    """Return nodes that import each other in a loop, the first one again at the end; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return tuple(error.args[1])
    return ()


def longest_chain(graph: Graph) -> int:
    """Return how many nodes the longest chain of imports has. The graph must have no loop."""
    length: dict[str, int] = {}
    for node in TopologicalSorter(graph).static_order():
        length[node] = 1 + max((length[imported] for imported in graph.get(node, ())), default=0)
    return max(length.values())


def root_entries() -> list[str]:
    """Return the names of files and folders in the root of the package."""
    return sorted(path.name for path in PACKAGE.iterdir() if path.name != "__pycache__")


def modules_per_folder() -> Counter[str]:
    """Count the modules of each folder, package markers apart."""
    return Counter(module.folder for module in all_modules() if module.path.name != "__init__.py")


def public_classes() -> dict[str, list[str]]:
    """Public top-level class -> the modules that define one of that name."""
    classes: dict[str, list[str]] = defaultdict(list)
    for module in all_modules():
        for name in module.public_classes:
            classes[name].append(module.name)
    return classes


def main() -> int:
    """Print the figures; the exit code is 1 where there is a loop."""
    counts = modules_per_folder()
    module_loop, folder_loop = find_loop(module_graph()), find_loop(folder_graph())
    print(f"modules: {len(all_modules())}")
    print(f"entries in the root of the package: {len(root_entries())}")
    print(f"most modules in a folder: {max(counts.values())} ({counts.most_common(1)[0][0]})")
    print(f"loops of modules: {' -> '.join(module_loop) or 'none'}")
    print(f"loops of folders: {' -> '.join(folder_loop) or 'none'}")
    if module_loop or folder_loop:
        return 1
    print(f"layers of packages: {longest_chain(package_graph())}")
    print(f"layers of folders: {longest_chain(folder_graph())}")
    print(f"public class names used twice: {sum(len(modules) > 1 for modules in public_classes().values())}")
    print("import rules: run lint-imports")
    return 0


if __name__ == "__main__":
    sys.exit(main())
