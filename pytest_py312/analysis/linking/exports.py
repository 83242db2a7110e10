"""Resolve names that are imported from other files of the service to the standard library names that they stand for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pytest_py312.analysis.linking.import_effects import FindModule, ImportTarget, files_run_before
from pytest_py312.analysis.scanner.evaluation.values import STDLIB, Value, stdlib_result
from pytest_py312.analysis.scanner.facts.facts import Condition, ExportedName, FileFacts, Monkeypatch
from pytest_py312.analysis.scanner.facts.stdlib_names import IMPORTABLE_SUBMODULES

MAX_HOPS = 8
"""Files through which a name is followed."""
MAX_RESOLVED = 8
CALL_INDEPENDENT_FUNCTIONS = frozenset({"getLogger"})
"""Functions whose result has the same class for all arguments."""
ResolveCondition = Callable[[Condition, FileFacts], Condition]
"""Returns a condition of a file with the flags of other files resolved."""
ReassignedNames = frozenset[tuple[str, str]]
"""(path, name) of names that were assigned by another file than the one that defines them."""


class ResolvedExport(NamedTuple):
    """A standard library name: a module and a path in it.

    Another file already reports the first ``named_steps`` steps of the path.
    """

    module: str
    path: str
    named_steps: int
    condition: Condition
    sure: bool


class NameResolver:
    """Resolver of the names of one file that another file uses."""

    def __init__(self, files: Sequence[FileFacts], find: FindModule, resolve_condition: ResolveCondition) -> None:
        self._library_names = _names_leading_to_library(export for facts in files for export in facts.exported_names)
        self._find = find
        self._resolve_condition = resolve_condition
        self._exports: dict[str, dict[str, list[ExportedName]]] = {}
        self._modules: dict[str, frozenset[str]] = {}
        self._resolved: dict[tuple[str, str, ReassignedNames, int], tuple[ResolvedExport, ...]] = {}

    def resolve(
        self, name: str, importing_file: FileFacts, reassigned: ReassignedNames = frozenset()
    ) -> tuple[ResolvedExport, ...]:
        """Return everything that a dotted name (with leading dots) in ``importing_file`` may stand for."""
        if self._library_names.isdisjoint(_steps(name)):
            return ()  # true of most names: they belong to the service itself
        return self._resolve_cached(name, importing_file, reassigned, MAX_HOPS)

    def _resolve_cached(
        self, name: str, importing_file: FileFacts, reassigned: ReassignedNames, hops_left: int
    ) -> tuple[ResolvedExport, ...]:
        cache_key = (
            name,
            importing_file.path,
            reassigned,
            hops_left,
        )  # without a cache, eight candidates per hop multiply to 8**hops
        resolved = self._resolved.get(cache_key)
        if resolved is None:
            resolved = self._resolved[cache_key] = tuple(self._resolve(name, importing_file, reassigned, hops_left))[
                :MAX_RESOLVED
            ]
        return resolved

    def reassigned_names(
        self, files: Sequence[FileFacts], imported: Mapping[str, Sequence[ImportTarget]]
    ) -> dict[str, ReassignedNames]:
        """Return, by path, the names of other files that a file or those that run before it assign."""
        reassigning = {facts.path: facts for facts in files if facts.overwritten_names}
        if not reassigning:
            return {}
        own_names = {
            path: frozenset(
                defined for name in facts.overwritten_names for defined in self._defining_files(facts, name)
            )
            for path, facts in reassigning.items()
        }
        files_before = files_run_before(files, reassigning, imported, self._find)
        return {
            path: frozenset().union(*[own_names[file.path] for file in earlier_files])
            for path, earlier_files in files_before.items()
        }

    def find_patches(self, facts: FileFacts) -> Iterator[Monkeypatch]:
        """Yield standard library names that a file assigns through another file: ``compat.inspect.getargspec = ...``"""
        for name in facts.overwritten_names:
            for resolved in self.resolve(name, facts):
                if resolved.path and "()" not in resolved.path and len(resolved.path.split(".")) > resolved.named_steps:
                    yield Monkeypatch(resolved.module, resolved.path)

    def _defining_files(self, importing_file: FileFacts, name: str) -> Iterator[tuple[str, str]]:
        """Yield the files that may define a name, with its name there, and with ``""`` for any name of the file."""
        for file, steps, _ in self._candidate_files(name, importing_file):
            yield file.path, ".".join(steps)
            yield file.path, ""

    def _candidate_files(self, name: str, importing_file: FileFacts) -> Iterator[tuple[FileFacts, Sequence[str], str]]:
        """Yield the files that a dotted name may start with, the remaining steps, and the name of the first of them as
        a module.
        """
        parts = name.lstrip(".").split(".")
        dots = name[: len(name) - len(name.lstrip("."))]
        for count in range(0 if dots else 1, len(parts)):
            file = self._find(dots + ".".join(parts[:count]), importing_file.path)
            if file is not None:
                yield file, parts[count:], dots + ".".join(parts[: count + 1])

    def _resolve(
        self, name: str, importing_file: FileFacts, reassigned: ReassignedNames, hops_left: int
    ) -> Iterator[ResolvedExport]:
        for file, steps, submodule in self._candidate_files(name, importing_file):
            if (file.path, "") in reassigned and any(
                (file.path, ".".join(steps[:count])) in reassigned for count in range(1, len(steps) + 1)
            ):
                continue
            exports, remaining_steps = self._exports_for(file, steps)
            if exports and self._find(submodule, importing_file.path) is not None:
                # once it is imported, a submodule replaces the name of the same spelling in the package
                if any(not export.is_reexport for export in exports):
                    return
                continue
            for export in exports:
                yield from self._resolve_export(export, remaining_steps, file, reassigned, hops_left)
            if exports:
                return

    def _resolve_export(
        self, export: ExportedName, steps: Sequence[str], file: FileFacts, reassigned: ReassignedNames, hops_left: int
    ) -> Iterator[ResolvedExport]:
        condition = self._resolve_condition(export.condition, file)
        if not export.is_reexport:
            module, path = self._split_submodule(export, steps, file)
            if module and not (module.startswith("unittest.mock") and "()" in path):
                yield ResolvedExport(
                    module, path, export.path.count(".") + 1 if export.path else 0, condition, export.sure
                )
        elif hops_left:
            name = ".".join([export.module, *steps]) if export.module.strip(".") else export.module + ".".join(steps)
            for resolved in self._resolve_cached(name, file, reassigned, hops_left - 1):
                conditions = tuple(filter(None, (condition, resolved.condition)))
                yield resolved._replace(
                    condition=("and", *conditions) if len(conditions) > 1 else conditions[0] if conditions else (),
                    sure=export.sure and resolved.sure,
                )

    def _split_submodule(self, export: ExportedName, steps: Sequence[str], file: FileFacts) -> tuple[str, str]:
        """Return the module and the path of a name, where the first steps may be submodules of a package."""
        module, path = export.module, [*export.path.split("."), *steps] if export.path else list(steps)
        submodules = self._modules.get(file.path)
        if submodules is None:
            submodules = self._modules[file.path] = IMPORTABLE_SUBMODULES | {
                imported.module for imported in file.imports
            }
        while path and f"{module}.{path[0]}" in submodules:
            module = f"{module}.{path.pop(0)}"
        return module, ".".join(path)

    def _exports_for(self, file: FileFacts, steps: Sequence[str]) -> tuple[Sequence[ExportedName], Sequence[str]]:
        """Return what the first steps of a name are in a file, and the remaining steps."""
        by_name = self._exports.get(file.path)
        if by_name is None:
            by_name = self._exports[file.path] = {}
            for export in file.exported_names:
                if export.is_reexport and self._library_names.isdisjoint(_steps(export.module)):
                    continue
                by_name.setdefault(export.name, []).append(export)
        first, remaining_steps = steps[0], steps[1:]
        exports = by_name.get(first)
        if exports is not None:
            return exports, remaining_steps
        if remaining_steps:  # an attribute of a class or of its instance
            exports = by_name.get(f"{first}.{remaining_steps[0]}") or by_name.get(
                f"{first.removesuffix('()')}.{remaining_steps[0]}"
            )
        if exports is not None:
            return exports, remaining_steps[1:]
        callables = by_name.get(first.removesuffix("()"), ()) if first.endswith("()") else ()
        return [_call_result(export) for export in callables], remaining_steps


def _steps(name: str) -> list[str]:
    return name.replace("()", "").split(".")


def _names_leading_to_library(exported: Iterable[ExportedName]) -> set[str]:
    """Return the names that lead to the standard library, through any number of files."""
    leading: set[str] = set()
    unresolved: list[tuple[str, list[str]]] = []
    for export in exported:
        first = export.name.partition(".")[0].removesuffix("()")
        if export.is_reexport:
            unresolved.append((first, _steps(export.module)))
        else:
            leading.add(first)
    for _ in range(MAX_HOPS):
        still_unresolved = []
        for first, steps in unresolved:
            if leading.isdisjoint(steps):
                still_unresolved.append((first, steps))
            else:
                leading.add(first)
        if len(still_unresolved) == len(unresolved):
            break
        unresolved = still_unresolved
    return leading


def _call_result(export: ExportedName) -> ExportedName:
    """Return what a call of an exported name returns."""
    if export.is_reexport:
        return export._replace(module=f"{export.module}()")
    last = export.path.rpartition(".")[2]
    if not (last[:1].isupper() or last in CALL_INDEPENDENT_FUNCTIONS):
        return export._replace(module="")  # the result of a function may depend on its arguments
    result = stdlib_result(Value(STDLIB, export.module, export.path))
    return export._replace(module=result.module, path=result.path)
