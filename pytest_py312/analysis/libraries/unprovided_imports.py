"""Imports that the service certainly runs and that its own requirements do not provide.

From the files that start the service, and from those that its suite collects, the imports that run in any case are
followed through the service. What they need has to be installed because the service requires it. A module that nothing
provides, and one that is there only because the gate or the tests brought it, leaves the service unproven.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.analysis.files.file_kinds import is_runtime_file, is_test
from pytest_py312.analysis.files.source_reader import PYTHON_SUFFIXES
from pytest_py312.analysis.libraries.import_graph import EnvironmentModules, ImportRoot
from pytest_py312.analysis.libraries.missing_requirements import GENERATED_SUFFIXES
from pytest_py312.analysis.libraries.service_imports import ENTRY_POINT_FILES
from pytest_py312.analysis.libraries.setuptools_state import DISTUTILS_REMOVED_IN
from pytest_py312.analysis.libraries.summaries.import_context import likely_imports
from pytest_py312.analysis.libraries.summaries.module_files import prefixes
from pytest_py312.analysis.libraries.summaries.summary import SETUPTOOLS_DEPENDENT_MODULES, Likelihood
from pytest_py312.analysis.linking.link import ModuleIndex
from pytest_py312.analysis.scanner.facts.facts import FileFacts, ModuleImport
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import SuiteKind
from pytest_py312.repository.recipes.suites.pytest_settings import PytestSettings
from pytest_py312.repository.services.detection.suites import collected_files
from pytest_py312.repository.tree import decode_text, join_path

MAX_ENTRY_DEPTH = 2
"""Folders below the service in which a file is taken for its start because of its name."""
MAX_NAMED_IMPORTS = 3
"""Imports that :func:`describe_unprovided` names."""

_SKIPS_MODULE = re.compile(rb"allow_module_level\s*=\s*True")
_OPTIONAL_IN_TESTS = re.compile(rb"importorskip\(\s*[\"']([A-Za-z_][\w.]*)[\"']")
_REPLACED_MODULE = re.compile(rb"sys\.modules(?:\[|\.setdefault\(\s*)\s*[\"']([A-Za-z_][\w.]*)[\"']")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReachedFiles:
    """The files of a service whose import certainly runs, from its start and from its suite."""

    from_start: frozenset[str]
    from_tests: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Providers:
    """Whose distributions are installed, as normalised names.

    ``gate_only``: neither the service nor its tests require them. ``run_time``: its run-time requirements with all of
    their dependencies, ``None`` if they are unknown. ``undeployed``: they are certainly not where the service runs.
    """

    gate_only: frozenset[str]
    run_time: frozenset[str] | None
    undeployed: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class UnprovidedImport:
    """An import that certainly runs. ``owner`` is the distribution that has it by chance; empty if none has it.

    ``at_run_time``: the start of the service runs it, not only its suite.
    """

    path: str
    line: int
    module: str
    owner: str = ""
    at_run_time: bool = True

    def __str__(self) -> str:
        requirer = "no run-time requirement" if self.at_run_time else "nothing"
        reason = (
            f"only {self.owner} provides, and {requirer} requires it"
            if self.owner
            else "nothing that is installed provides"
        )
        return f"{self.path}:{self.line} imports {self.module}, which {reason}"


def reached_files(
    files: Sequence[FileFacts],
    contents: Mapping[str, bytes],
    service: Service,
    interpreter: Interpreter,
    settings: PytestSettings,
) -> ReachedFiles:
    """Return the files whose import certainly runs when the service starts, and when its suite is collected."""
    graph = _OwnImports(files, contents)
    start = _starting_files(files, service, graph.modules) | _starting_scripts(files, contents, service)
    tests = _collected_files(files, contents, service, settings)
    version = (interpreter.major, interpreter.minor)
    return ReachedFiles(from_start=graph.closure(start, version), from_tests=graph.closure(tests, version))


def _starting_files(files: Sequence[FileFacts], service: Service, modules: ModuleIndex) -> set[str]:
    """Return the modules that start commands name; without any, files with the name of a start and the packages."""
    started = {
        join_path(service.path, module.folder, f"{module.name}.py")
        for module in service.start_modules
        if module.is_script and not module.is_additional
    }
    for program in service.programs:
        is_needed = program.is_module and not (program.is_script or program.is_additional)
        for name in (program.name, f"{program.name}.__main__") if is_needed else ():
            facts = modules.find(name, f"{service.path}/")
            if facts is not None:
                started.add(facts.path)
    for facts in files:
        *folders, name = _relative(facts.path, service.path).split("/")
        if not is_runtime_file(facts.path, service.path):
            continue
        is_package = name == "__init__.py" and (len(folders) == 1 or (len(folders) == 2 and folders[0] == "src"))
        is_start = not started and name in ENTRY_POINT_FILES and len(folders) <= MAX_ENTRY_DEPTH
        if is_package or is_start:
            started.add(facts.path)
    return started


def _starting_scripts(files: Sequence[FileFacts], contents: Mapping[str, bytes], service: Service) -> set[str]:
    """Return the scripts without the name of a module that start commands name, or that setup.py installs."""
    scripts = [facts.path for facts in files if not facts.path.endswith(PYTHON_SUFFIXES)]
    named = {program.name for program in service.programs if not program.is_module}
    setup = decode_text(contents.get(join_path(service.path, "setup.py"), b"")) if scripts else ""
    installed = set(re.findall(r"[\"']([^\"'\s]+)[\"']", setup))
    return {path for path in scripts if path.rpartition("/")[2] in named or _relative(path, service.path) in installed}


def _collected_files(
    files: Sequence[FileFacts], contents: Mapping[str, bytes], service: Service, settings: PytestSettings
) -> set[str]:
    """Return the files that the suite collects, except those that may skip themselves; pytest alone reads conftest."""
    if service.suite is None:
        return set()
    folder = service.suite.folder or service.path
    paths = {_relative(facts.path, folder): facts.path for facts in files}
    if service.suite.kind is not SuiteKind.PYTEST:
        paths = {path: name for path, name in paths.items() if path.rpartition("/")[2] != "conftest.py"}
    return {
        paths[path]
        for path in collected_files(list(paths), service.suite.arguments, settings)
        if is_test(path) and not _SKIPS_MODULE.search(contents.get(paths[path], b""))
    }


def _relative(path: str, service: str) -> str:
    return path if service == "." else path.removeprefix(f"{service}/")


class _OwnImports:
    """The imports between the files of a service that run in any case."""

    def __init__(self, files: Sequence[FileFacts], contents: Mapping[str, bytes]) -> None:
        self._facts = {facts.path: facts for facts in files}
        self._contents = contents
        self.modules = ModuleIndex(files)

    def closure(self, start: Iterable[str], version: tuple[int, int]) -> frozenset[str]:
        """Return ``start`` and all files that they certainly import."""
        reached: set[str] = set()
        pending = list(start)
        while pending:
            path = pending.pop()
            if path in reached or path not in self._facts:
                continue
            reached.add(path)
            pending += self._imported(self._facts[path], version)
        return frozenset(reached)

    def _imported(self, facts: FileFacts, version: tuple[int, int]) -> Iterator[str]:
        for module_import in certain_imports(facts, self._contents.get(facts.path, b""), version):
            dots = "." * module_import.level
            name = module_import.module
            if module_import.name and module_import.name != "*":
                name = f"{name}.{module_import.name}" if name else module_import.name
            for step in prefixes(name) if name else ():
                found = self.modules.find(f"{dots}{step}", facts.path)
                if found is not None:
                    yield found.path


def certain_imports(facts: FileFacts, content: bytes, version: tuple[int, int]) -> Iterator[ModuleImport]:
    """Yield the imports that run whenever the file is imported on ``version``."""
    for module_import, likelihood in likely_imports(facts.imports, facts, content, version):
        if likelihood == Likelihood.AT_IMPORT:
            yield module_import


def unprovided_imports(
    roots: Sequence[ImportRoot],
    reached: ReachedFiles,
    installed: EnvironmentModules,
    providers: Providers,
    contents: Mapping[str, bytes],
    *,
    is_incomplete: bool = False,
) -> list[UnprovidedImport]:
    """Return the imports of third-party modules among ``roots`` that the requirements do not provide.

    :param is_incomplete: whether something else is installed that could not be determined. Then an import in a function
        counts as well: it may need just that.
    """
    replaced = _names_in(contents.values(), _REPLACED_MODULE)
    unprovided = []
    for root in roots:
        in_start = root.path in reached.from_start
        is_run = root.likelihood == Likelihood.AT_IMPORT
        is_possible = is_incomplete and in_start and root.likelihood == Likelihood.WHEN_CALLED
        if not (is_run or is_possible) or not (in_start or root.path in reached.from_tests):
            continue
        top = root.target.partition(".")[0]
        steps = root.target.split(".")
        if top in SETUPTOOLS_DEPENDENT_MODULES or any(step.endswith(GENERATED_SUFFIXES) for step in steps):
            continue
        if top in replaced or top in _names_in([contents.get(root.path, b"")], _OPTIONAL_IN_TESTS):
            continue
        owners = sorted({library.name for library in installed.owners(root.target)})
        if not installed.provides(root.target):
            module = next((name for name in prefixes(root.target) if not installed.has(name)), root.target)
            unprovided.append(UnprovidedImport(path=root.path, line=root.line, module=module))
        elif owners and is_run and in_start and (providers.gate_only | providers.undeployed).issuperset(owners):
            unprovided.append(UnprovidedImport(path=root.path, line=root.line, module=top, owner=owners[0]))
    return unprovided


def unprovided_setuptools_imports(
    files: Sequence[FileFacts],
    contents: Mapping[str, bytes],
    reached: ReachedFiles,
    providers: Providers,
    interpreter: Interpreter,
    installed_names: Collection[str],
) -> list[UnprovidedImport]:
    """Return the imports of setuptools and of what it brings that work only with a setuptools that is there by chance.

    Environments of 3.12 have none of their own, so it has to be required: for the start of the service at run time.
    Without any setuptools such an import is PY209.
    """
    if interpreter < DISTUTILS_REMOVED_IN or "setuptools" not in installed_names:
        return []
    unprovided = []
    for facts in files:
        required_at_run_time = providers.run_time is None or "setuptools" in providers.run_time
        in_start = facts.path in reached.from_start and not required_at_run_time
        if not in_start and not (facts.path in reached.from_tests and "setuptools" in providers.gate_only):
            continue
        version = (interpreter.major, interpreter.minor)
        for module_import in certain_imports(facts, contents.get(facts.path, b""), version):
            top = module_import.module.partition(".")[0]
            if top in SETUPTOOLS_DEPENDENT_MODULES and not module_import.level:
                unprovided.append(
                    UnprovidedImport(
                        path=facts.path, line=module_import.line, module=top, owner="setuptools", at_run_time=in_start
                    )
                )
    return unprovided


def describe_unprovided(unprovided: Sequence[UnprovidedImport], interpreter: Interpreter) -> str:
    """Return why a service is unproven because of ``unprovided``; empty if there are none."""
    if not unprovided:
        return ""
    by_module: dict[str, UnprovidedImport] = {}
    for unprovided_import in unprovided:
        by_module.setdefault(unprovided_import.module, unprovided_import)
    named = [str(unprovided_import) for unprovided_import in list(by_module.values())[:MAX_NAMED_IMPORTS]]
    more = [f"and {len(by_module) - len(named)} more modules"] if len(by_module) > len(named) else []
    return (
        f"not everything that the service imports is required on {interpreter}: {'; '.join([*named, *more])}. "
        "Require the project that provides it, or name the file that does with `requirements` in the plan; if none "
        "does on any Python, fix or remove what imports it"
    )


def _names_in(texts: Iterable[bytes], pattern: re.Pattern[bytes]) -> frozenset[str]:
    """Return the top-level names of the modules that ``pattern`` finds."""
    return frozenset(match[1].decode().partition(".")[0] for text in texts for match in pattern.finditer(text))
