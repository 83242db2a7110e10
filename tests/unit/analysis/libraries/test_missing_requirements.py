"""PY120 and PY121: imports without a requirement."""

from collections.abc import Mapping

import pytest

from pytest_py312.analysis.libraries.import_graph import ImportRoot
from pytest_py312.analysis.libraries.missing_requirements import (
    ExcludedRequirement,
    OwnImports,
    declared_requirements,
    excluded_requirements,
    missing_modules,
    requirement_findings,
)
from pytest_py312.analysis.libraries.summaries.summary import Likelihood
from pytest_py312.core.model.findings import Finding, Interpreter, Severity
from tests.unit.analysis.libraries.samples import entries, installed

TARGET = Interpreter(3, 12)
INSTALLED = {
    "fastapi": {"fastapi/__init__.py": ""},
    "starlette": {"starlette/__init__.py": ""},
    "anyio": {"anyio/__init__.py": ""},
    "pyyaml": {"yaml/__init__.py": ""},
    "httptools": {"httptools/__init__.py": ""},
    "pytest": {"pytest/__init__.py": ""},
    "iniconfig": {"iniconfig.py": ""},
}
ENTRIES = entries(
    {
        "fastapi": ("starlette>=0.4", "pyyaml ; extra == 'all'", "importlib-metadata ; python_version < '3.10'"),
        "starlette": ("anyio",),
        "anyio": (),
        "pyyaml": (),
        "httptools": (),
        "pytest": ("iniconfig",),
        "iniconfig": (),
    }
)


def reported(
    *roots: ImportRoot,
    run_time: Mapping[str, tuple[str, ...]] | None = None,
    was_there: Mapping[str, bool] | None = None,
) -> list[Finding]:
    """Return the findings of a service that requires fastapi, and pytest for its tests."""
    environment = installed(**INSTALLED)
    own = OwnImports(roots=roots, used_files=frozenset({"services/a/main.py"}))
    required = declared_requirements(run_time or {"fastapi": ()}, {"fastapi", "pytest"}, ENTRIES, TARGET)
    names = missing_modules(own, environment)
    return requirement_findings(own, required, environment, TARGET, dict.fromkeys(names, False) | dict(was_there or {}))


def root(target: str, path: str = "services/a/main.py", how: int = Likelihood.AT_IMPORT) -> ImportRoot:
    return ImportRoot(path=path, line=7, target=target, likelihood=how)


def test_required_projects_are_not_reported() -> None:
    assert reported(root("fastapi.FastAPI"), root("pytest")) == []


def test_a_transitive_requirement_is_a_warning_that_names_its_requirer() -> None:
    anyio, starlette = reported(root("starlette.requests"), root("anyio"))
    assert (starlette.code, starlette.severity, starlette.names) == ("PY121", Severity.WARNING, ("starlette",))
    assert starlette.message == (
        "starlette is imported, but nothing requires starlette: it is installed only because fastapi requires it"
    )
    assert anyio.message.endswith("it is installed only because starlette requires it")
    assert str(starlette.location) == "services/a/main.py:7"


def test_projects_of_a_requested_extra_are_required() -> None:
    assert reported(root("yaml"), run_time={"fastapi": ("all",)}) == []
    assert [found.names for found in reported(root("yaml"))] == [("pyyaml",)]


def test_test_requirements_are_not_installed_in_production() -> None:
    (found,) = reported(root("iniconfig"))
    assert found.message.endswith("it is installed only because of test requirements")


def test_a_module_missing_on_both_is_preexisting() -> None:
    (found,) = reported(root("consul.aio"))
    assert (found.code, found.severity, found.names) == ("PY120", Severity.ERROR, ("consul",))
    assert found.preexisting
    assert not found.blocks


def test_a_module_that_only_the_baseline_has_blocks() -> None:
    """A requirement of another project for older Python versions: it works today and is missing after the migration."""
    (found,) = reported(root("importlib_metadata"), was_there={"importlib_metadata": True})
    assert found.blocks
    assert "on the baseline another project provides it" in found.message


def test_a_missing_module_in_an_unused_file_is_a_warning() -> None:
    (found,) = reported(root("consul", path="services/a/old.py"))
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize(
    "target",
    ["users_pb2", "users_pb2_grpc.UserStub", "proto.users_pb2", "setuptools", "pkg_resources"],
)
def test_generated_modules_and_those_of_setuptools_are_ignored(target: str) -> None:
    assert reported(root(target)) == []


@pytest.mark.parametrize("how", [Likelihood.CONDITIONAL, Likelihood.WHEN_CALLED])
def test_conditional_imports_may_be_missing(how: int) -> None:
    assert reported(root("consul", how=how)) == []


def test_places_are_listed_together() -> None:
    (found,) = reported(root("consul"), root("consul.aio", path="services/a/b.py"), root("consul.base"))
    assert found.detail.splitlines() == ["services/a/main.py:7", "services/a/b.py:7"]


@pytest.mark.parametrize("baseline", ["3.8", "3.9"])
def test_a_marker_that_keeps_a_requirement_away_is_the_cause(baseline: str) -> None:
    """Of the service's own line, or of a project that it requires; a line that applies as well settles it."""
    on = Interpreter.parse(baseline)
    own = [("app/requirements.txt:3", 'importlib-metadata; python_version < "3.10"'), ("a:1", "fastapi")]
    excluded = excluded_requirements(own, ENTRIES, baseline=on, target=TARGET)
    assert excluded["importlib-metadata"].reason == (
        'app/requirements.txt:3 requires importlib-metadata only where python_version < "3.10"'
    )
    assert "remove that marker" in excluded["importlib-metadata"].remedy
    (transitive,) = excluded_requirements([], ENTRIES, baseline=on, target=TARGET).values()
    assert transitive.reason == "fastapi requires importlib-metadata only where python_version < '3.10'"
    assert transitive.remedy == "require importlib-metadata"
    both = [*own, ("a:2", "importlib-metadata; python_version >= '3.10'")]
    assert "importlib-metadata" not in excluded_requirements(both, [], baseline=on, target=TARGET)
    assert excluded_requirements(own, [], baseline=TARGET, target=TARGET) == {}


def test_the_finding_names_the_marker() -> None:
    """Instead of saying that nothing provides the module."""
    marker = ExcludedRequirement(name="importlib-metadata", marker="python_version < '3.10'", origin="a:3", is_own=True)
    own = OwnImports(roots=(root("importlib_metadata"),), used_files=frozenset({"services/a/main.py"}))
    required = declared_requirements({}, (), ENTRIES, TARGET)
    (finding,) = requirement_findings(
        own, required, installed(**INSTALLED), TARGET, {"importlib_metadata": True}, {"importlib_metadata": marker}
    )
    assert finding.message.endswith(": a:3 requires importlib-metadata only where python_version < '3.10'")
    assert (finding.remedy, finding.preexisting) == ("remove that marker of importlib-metadata", False)
