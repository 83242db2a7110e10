"""The requirement to which a finding about an installed distribution leads."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import Cell, InstallRecipe, InstallStep, RequirementSource
from pytest_py312.dependencies.installation.findings import installation_findings
from pytest_py312.dependencies.installation.requests import requirement_of
from pytest_py312.dependencies.store.distribution_store import StoredDistribution
from pytest_py312.repository.formats.requirements_file import read_requirements
from pytest_py312.repository.services.requirement_set import LocatedEntry
from tests.support.fakes import cell_of, installation_of

FAILURE = "ModuleNotFoundError: No module named 'pkg_resources'"


def entries(*lines: str) -> list[LocatedEntry]:
    read = read_requirements("\n".join(lines), "requirements.txt").entries
    return [
        LocatedEntry(entry=entry, location=Location(path="requirements.txt", line=number))
        for number, entry in enumerate(read, start=1)
    ]


def installed(name: str, *requires: str) -> StoredDistribution:
    return StoredDistribution(name=name, version="1", folder=Path("/nowhere"), requires=requires)


SET = (
    installed("distro", "Instrumentation==0.33b0", "api>=1.2; python_version >= '3.9'"),
    installed("instrumentation", "setuptools>=16"),
    installed("flask", "click", 'instrumentation; extra == "trace"'),
)


@pytest.mark.parametrize(
    ("project", "requirement"),
    [("instrumentation", "distro"), ("setuptools", "distro"), ("api", "distro"), ("flask", "flask"), ("wheel", "")],
)
def test_what_brings_a_distribution_in_is_the_nearest_requirement(project: str, requirement: str) -> None:
    """Not one that would require it for an extra."""
    located = requirement_of(project, entries("flask==2.3.3", "distro==0.33b0"), SET)

    assert (located.name if located else "") == requirement


@pytest.mark.parametrize("interpreter", ["3.10", "3.12"])
def test_a_failing_import_names_the_requirement_that_brings_its_project_in(interpreter: str) -> None:
    versions = {"instrumentation": "0.33b0", "distro": "0.33b0"}
    installation = installation_of(interpreter, versions, distributions=SET, imports={"instrumentation": FAILURE})

    (finding,) = installation_findings(cell_of(interpreter), installation, entries("flask==2.3.3", "distro==0.33b0"))

    assert finding.location == Location(path="requirements.txt", line=2)
    assert finding.message.endswith(f"fails: {FAILURE} (distro requires it)")
    assert finding.names == ("instrumentation",)


def setup_script(*, packages: tuple[str, ...] = (), tests: str = "", conditional: bool = False) -> Cell:
    """A cell whose Dockerfile runs setup.py after other steps."""
    steps = [
        InstallStep(tool="pip", location=Location(path="Dockerfile", line=2), files=("requirements.txt",)),
        InstallStep(tool="apt", location=Location(path="Dockerfile", line=3), system_packages=packages),
        InstallStep(tool="setup.py", location=Location(path="Dockerfile", line=4), conditional=conditional),
    ]
    cell = cell_of("3.12")
    sources = [RequirementSource(path=path) for path in ("requirements.txt", tests) if path]
    service = replace(
        cell.service,
        recipe=InstallRecipe(source="Dockerfile", steps=tuple(steps)),
        requirements=tuple(sources[:1]),
        test_requirements=tuple(sources[1:]),
    )
    return replace(cell, service=service)


def findings_on_setup(cell: Cell, *lines: str, seeds: tuple[str, ...] = ()) -> list[str]:
    installation = installation_of("3.12", {"flask": "1"}, distributions=SET, imports={})
    assert installation.build is not None
    installation = replace(installation, build=replace(installation.build, preinstalled=seeds))
    return [
        f"{finding.code} {finding.location}" for finding in installation_findings(cell, installation, entries(*lines))
    ]


def test_setup_py_needs_a_setuptools_that_production_has() -> None:
    """`python setup.py install` in a Dockerfile fails on an image of 3.12, where `pip install .` works."""
    assert findings_on_setup(setup_script(), "flask==1") == ["PY106 Dockerfile:4"]
    assert findings_on_setup(setup_script(), "flask==1", seeds=("setuptools==65.5.0",)) == []
    assert findings_on_setup(setup_script(), "flask==1", "setuptools==69") == []
    assert findings_on_setup(setup_script(), "distro==1") == [], "it requires setuptools"


def test_setup_py_is_not_judged_where_something_else_may_bring_setuptools() -> None:
    assert findings_on_setup(setup_script(packages=("python3-setuptools",)), "flask==1") == []
    assert findings_on_setup(setup_script(conditional=True), "flask==1") == []
    assert findings_on_setup(cell_of("3.12"), "flask==1") == []


def test_a_setuptools_of_the_tests_does_not_help_production() -> None:
    """The entries of this file are those of the tests."""
    cell = setup_script(tests="requirements.txt")
    cell = replace(cell, service=replace(cell.service, requirements=(RequirementSource(path="other.txt"),)))
    assert findings_on_setup(cell, "setuptools==69") == ["PY106 Dockerfile:4"]
