"""PY120 and PY121: imports that nothing of the service requires."""

from collections.abc import Mapping

import pytest

from pytest_py312.analysis.libraries.import_graph import Root
from pytest_py312.analysis.libraries.missing_requirements import OwnImports, declared, missing_names, needs_findings
from pytest_py312.analysis.libraries.summary import How
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


def told(
    *roots: Root,
    run_time: Mapping[str, tuple[str, ...]] | None = None,
    was_there: Mapping[str, bool] | None = None,
) -> list[Finding]:
    """The findings of a service that requires fastapi, and pytest for its tests."""
    environment = installed(**INSTALLED)
    own = OwnImports(roots=roots, used=frozenset({"services/a/main.py"}))
    required = declared(run_time or {"fastapi": ()}, {"fastapi", "pytest"}, ENTRIES, TARGET)
    names = missing_names(own, environment)
    return needs_findings(own, required, environment, TARGET, dict.fromkeys(names, False) | dict(was_there or {}))


def root(target: str, path: str = "services/a/main.py", how: int = How.AT_IMPORT) -> Root:
    return Root(path=path, line=7, target=target, how=how)


def test_what_is_required_is_not_spoken_of() -> None:
    assert told(root("fastapi.FastAPI"), root("pytest")) == []


def test_what_comes_in_by_chance_is_a_warning_that_names_by_whom() -> None:
    anyio, starlette = told(root("starlette.requests"), root("anyio"))
    assert (starlette.code, starlette.severity, starlette.names) == ("PY121", Severity.WARNING, ("starlette",))
    assert starlette.message == (
        "starlette is imported, and nothing requires starlette: it comes in only because fastapi requires it"
    )
    assert anyio.message.endswith("it comes in only because starlette requires it")
    assert str(starlette.location) == "services/a/main.py:7"


def test_what_an_extra_brings_is_asked_for() -> None:
    assert told(root("yaml"), run_time={"fastapi": ("all",)}) == []
    assert [found.names for found in told(root("yaml"))] == [("pyyaml",)]


def test_what_only_tests_bring_is_not_there_where_the_service_runs() -> None:
    (found,) = told(root("iniconfig"))
    assert found.message.endswith("it is there only because of what the tests require")


def test_what_nothing_has_is_as_bad_before_where_the_baseline_has_it_no_more() -> None:
    (found,) = told(root("consul.aio"))
    assert (found.code, found.severity, found.names) == ("PY120", Severity.ERROR, ("consul",))
    assert found.preexisting
    assert not found.blocks


def test_what_the_baseline_has_by_chance_and_the_target_not_blocks() -> None:
    """A requirement of another project for older Pythons: it works today, and is gone with the move."""
    (found,) = told(root("importlib_metadata"), was_there={"importlib_metadata": True})
    assert found.blocks
    assert "on the baseline another project brings it" in found.message


def test_a_file_that_nothing_uses_is_a_warning() -> None:
    (found,) = told(root("consul", path="services/a/old.py"))
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize(
    "target",
    ["users_pb2", "users_pb2_grpc.UserStub", "proto.users_pb2", "setuptools", "pkg_resources"],
)
def test_what_is_generated_or_of_setuptools_is_for_others(target: str) -> None:
    assert told(root(target)) == []


@pytest.mark.parametrize("how", [How.PERHAPS, How.WHEN_CALLED])
def test_what_is_imported_perhaps_may_be_missing(how: int) -> None:
    assert told(root("consul", how=how)) == []


def test_places_are_told_together() -> None:
    (found,) = told(root("consul"), root("consul.aio", path="services/a/b.py"), root("consul.base"))
    assert found.detail.splitlines() == ["services/a/main.py:7", "services/a/b.py:7"]
