"""The requirement to which a finding about an installed distribution leads."""

from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Location
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
