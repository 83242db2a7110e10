"""Which installed modules a service's imports lead to, how surely, and by which way. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.analysis.libraries.summary import Digest, How, Module


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """An installed distribution: its normalised name, its version, its digest."""

    name: str
    version: str
    digest: Digest

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Root:
    """An import of the service: where it stands, what it names (dotted), how it runs."""

    path: str
    line: int
    target: str
    how: int
    in_tests: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """How a module is reached: how surely, from which import of the service, through which modules before it."""

    how: int
    root: Root
    way: tuple[str, ...]


class Installed:
    """All modules of an environment. Where two distributions have the same one, the first stays, as when installed."""

    def __init__(self, libraries: Sequence[Library]) -> None:
        self.libraries = tuple(libraries)
        self._modules: dict[str, Module] = {}
        self._owners: dict[str, list[Library]] = {}
        self._folders: set[str] = set()
        for library in libraries:
            for module in library.digest.modules:
                self._modules.setdefault(module.name, module)
                self._own(module.name, library)
            for name in library.digest.compiled:
                self._own(name, library)

    def _own(self, name: str, library: Library) -> None:
        self._owners.setdefault(name, []).append(library)
        above = name.rpartition(".")[0]
        while above and above not in self._folders:
            self._folders.add(above)
            above = above.rpartition(".")[0]

    def module(self, name: str) -> Module | None:
        return self._modules.get(name)

    def has(self, name: str) -> bool:
        """Whether there is a module, a package or a folder of packages of this name."""
        return name in self._owners or name in self._folders

    def owners(self, name: str) -> tuple[Library, ...]:
        """The distributions that an import of ``name`` leads into; empty where no module is found.

        A folder without code of its own (a namespace package) belongs to nobody: what is in it decides.
        """
        found: Sequence[Library] = ()
        for step in prefixes(name):
            if step in self._owners:
                found = self._owners[step]
            elif step not in self._folders:
                break
        return tuple(found)

    def on_the_way(self, name: str) -> list[str]:
        """The modules that an import of ``name`` runs, outermost first."""
        return [step for step in prefixes(name) if step in self._modules]

    def reach(self, roots: Iterable[Root]) -> dict[str, Reached]:
        """Every module that ``roots`` lead to, by the surest way."""
        found: dict[str, Reached] = {}
        levels: dict[int, list[tuple[str, Root, tuple[str, ...]]]] = {
            How.AT_IMPORT: [],
            How.PERHAPS: [],
            How.WHEN_CALLED: [],
        }
        for root in roots:
            levels[root.how].append((root.target, root, ()))
        for how, pending in levels.items():
            for target, root, way in pending:  # grows while it is walked through
                for name in self.on_the_way(target):
                    if name in found:
                        continue
                    found[name] = Reached(how=how, root=root, way=way)
                    for further, inner in self._modules[name].imports.items():
                        levels[min(how, inner)].append((further, root, (*way, name)))
        return found

    def proven(self, imports: Mapping[str, str]) -> frozenset[str]:
        """Modules that were run when those of ``imports`` (module to traceback) were imported without a failure."""
        worked = [
            Root(path="", line=0, target=name, how=How.AT_IMPORT) for name, failure in imports.items() if not failure
        ]
        return frozenset(name for name, reached in self.reach(worked).items() if reached.how == How.AT_IMPORT)


def prefixes(name: str) -> list[str]:
    """A dotted name and all above it, outermost first."""
    steps = name.split(".")
    return [".".join(steps[:count]) for count in range(1, len(steps) + 1)]
