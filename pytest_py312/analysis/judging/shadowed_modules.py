"""Find modules of a service that have the name of a new standard library module.

Imports in the service are meant for its own module. A dependency that imports the new standard library module of that
name gets the service's file instead, if the folder of the service comes first on the import path.
"""

from collections.abc import Iterator, Mapping, Sequence

from pytest_py312.analysis.judging.evidence import Evidence, version_label
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_names import STDLIB_MODULES
from pytest_py312.analysis.scanner.facts.stdlib_queries import StdlibQuery
from pytest_py312.core.model.findings import Finding, Location, Severity


def find_shadowing_modules(files: Sequence[FileFacts], roots: Sequence[str]) -> Mapping[str, str]:
    """Return the top-level modules in the folders ``roots`` with a standard name, and their files."""
    folders = frozenset(roots)
    shadowing = {}
    for facts in files:
        folder, _, file = facts.path.removesuffix("/__init__.py").rpartition("/")
        name = file.removesuffix(".py")
        if name in STDLIB_MODULES and facts.path.endswith(".py") and (folder or ".") in folders:
            shadowing[name] = facts.path
    return shadowing


def shadowing_queries(names: Mapping[str, str]) -> Iterator[StdlibQuery]:
    """Yield what interpreters have to be asked to judge :func:`find_shadowing_modules`."""
    for name in names:
        yield StdlibQuery(module=name)


def shadowing_findings(names: Mapping[str, str], evidence: Evidence) -> Iterator[Finding]:
    """Report modules whose name is standard on the target and not on the baseline.

    What is standard on both is pre-existing.
    """
    for name, path in names.items():
        if evidence.target_answer(name, "").present and evidence.baseline_answer(name, "").present is False:
            yield Finding(
                code="PY208",
                message=f"{name} is a standard library module on {version_label(evidence.target.version)}: "
                "other code that imports it may get this file",
                remedy="rename it",
                severity=Severity.WARNING,
                location=Location(path=path, line=1),
                names=(name,),
            )
