"""Find extension modules and bytecode in a service that are compiled for other Pythons than the target. Pure.

The suffix of an extension module names the Python that it was compiled for (PEP 3149): the import system of another
CPython does not look for it. Suffixes without a version (``.abi3.so``, ``.so``) are found by every Python. Bytecode
without a source (``app/secret.pyc``) begins with a magic number that only one version of CPython accepts.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pytest_py312.analysis.judging.evidence import Evidence, location_of, version_label
from pytest_py312.analysis.judging.reachability import Reachability
from pytest_py312.analysis.judging.unused_files import package_of
from pytest_py312.analysis.scanner.facts.facts import IMPORT_ERRORS, FileFacts, ModuleImport
from pytest_py312.core.model.findings import Finding, Location, Severity

_TAG = re.compile(r"(?:cpython-|cp)(\d)(\d+)[a-z]?\b")

_MAGIC_NUMBERS: Mapping[int, tuple[int, int]] = {
    3413: (3, 8), 3425: (3, 9), 3439: (3, 10), 3495: (3, 11), 3531: (3, 12), 3571: (3, 13), 3627: (3, 14),
}  # fmt: skip
"""Of the final releases; https://github.com/python/cpython/blob/main/Include/internal/pycore_magic_number.h."""
_BYTECODE = ".pyc"

_Version = tuple[int, int]
_Parts = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledModule:
    """A compiled module: ``folder/name``, the CPython versions that it is compiled for, and one of its files."""

    folder: str
    name: str
    versions: frozenset[_Version]
    path: str

    @property
    def parts(self) -> _Parts:
        """The names of the folders and of the module."""
        return (*filter(None, self.folder.split("/")), self.name)


def find_compiled_modules(
    compiled: Iterable[str], sources: Iterable[str], bytecode: Mapping[str, int] = MappingProxyType({})
) -> tuple[CompiledModule, ...]:
    """Return the modules that some CPython versions cannot import, because only files for others are there.

    :param compiled: the extension modules of a service.
    :param sources: its Python files. A module or a package of the same name is what other versions import.
    :param bytecode: its modules that have no source, with their magic numbers.
    """
    versions: dict[tuple[str, str], set[_Version]] = {}
    examples: dict[tuple[str, str], str] = {}
    for_every_python = {_place(path.removesuffix("/__init__.py").removesuffix(".py")) for path in sources}
    for path in sorted(compiled):
        stem, _, suffix = path.rpartition("/")[2].partition(".")
        place = _place(path[: -len(suffix) - 1])
        tag = _TAG.match(suffix)
        if tag is None:
            for_every_python.add(place)
        elif stem.isidentifier():
            versions.setdefault(place, set()).add((int(tag[1]), int(tag[2])))
            examples[place] = path
    for path, number in sorted(bytecode.items()):
        if number in _MAGIC_NUMBERS and path.rpartition("/")[2].removesuffix(_BYTECODE).isidentifier():
            place = _place(path.removesuffix(_BYTECODE))
            versions.setdefault(place, set()).add(_MAGIC_NUMBERS[number])
            examples[place] = path
    return tuple(
        CompiledModule(folder=folder, name=name, versions=frozenset(tagged), path=examples[folder, name])
        for (folder, name), tagged in versions.items()
        if (folder, name) not in for_every_python
    )


def _place(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def compiled_module_findings(
    modules: Sequence[CompiledModule], files: Sequence[FileFacts], evidence: Evidence
) -> Iterator[Finding]:
    """Report modules that are compiled for the baseline and not for the target, where the service imports them.

    An error, unless the import may fail: it is caught, or nothing imports the module.
    """
    lost = {
        module.parts: module
        for module in modules
        if evidence.baseline.version in module.versions and evidence.target.version not in module.versions
    }
    if not lost:
        return
    by_name: dict[str, list[CompiledModule]] = {}
    for module in lost.values():
        by_name.setdefault(module.name, []).append(module)
    imported: set[str] = set()
    for facts in files:
        reachability = Reachability(facts.guards, evidence.target, lambda _: None)
        for module_import in facts.imports:
            if module_import.scope == "type checking" or not reachability.may_run(module_import.guard):
                continue
            for module in _imported_modules(facts.path, module_import, by_name):
                imported.add(module.path)
                caught = reachability.is_caught(module_import.guard, IMPORT_ERRORS)
                severity = Severity.WARNING if caught else Severity.ERROR
                yield _finding(module, evidence, severity, location_of(facts.path, module_import))
    for module in lost.values():
        if module.path not in imported:
            yield _finding(module, evidence, Severity.WARNING, Location(path=module.path))


def _imported_modules(
    path: str, module_import: ModuleImport, modules: Mapping[str, Sequence[CompiledModule]]
) -> Iterator[CompiledModule]:
    """Yield the modules whose path ends with the imported name; a relative import has to be that path."""
    base = package_of(path, module_import)
    module = tuple(filter(None, module_import.module.split(".")))
    for names in {module, (*module, module_import.name)} - {(), ("",)}:
        for candidate in modules.get(names[-1], ()):
            full = (*base, *names)
            if candidate.parts == full or (not module_import.level and candidate.parts[-len(names) :] == names):
                yield candidate


def _finding(module: CompiledModule, evidence: Evidence, severity: Severity, location: Location) -> Finding:
    versions = ", ".join(map(version_label, sorted(module.versions)))
    where = "" if location.path == module.path else f" ({module.path})"
    target = version_label(evidence.target.version)
    kind = "bytecode of the module" if module.path.endswith(_BYTECODE) else "extension module"
    return Finding(
        code="PY211",
        message=f"{kind} {module.name} is compiled for {versions} only: {target} cannot import it{where}",
        remedy=f"add the file that is compiled for {target}, or install the project from the index",
        severity=severity,
        location=location,
        names=(module.name,),
    )
