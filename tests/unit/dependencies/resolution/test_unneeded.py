"""Which requirements that cannot be had are needed by tests only, and by nothing that runs."""

import pytest

from pytest_py312.core.model.findings import Location, Severity
from pytest_py312.dependencies.resolution.unneeded import only_tests_require, unneeded_finding
from pytest_py312.repository.formats.requirements_file import read_requirements
from pytest_py312.repository.services.requirement_set import LocatedEntry, RequirementSet


def required(*lines: str) -> RequirementSet:
    entries = read_requirements("\n".join(lines), "requirements.txt").entries
    return RequirementSet(
        entries=tuple(
            LocatedEntry(entry=entry, location=Location(path="dev.txt", line=entry.line)) for entry in entries
        )
    )


@pytest.mark.parametrize(
    ("names", "requires", "expected"),
    [
        (["sphinx-theme"], [], True),
        (["sphinx-theme", "mkdocs"], ["idna>=2", 'sphinx-theme; extra == "docs"'], True),
        (["flask"], [], False),
        (["sphinx-theme"], ["Sphinx_Theme>=1"], False),
        (["sphinx-theme", "flask"], [], False),
        (["pytest-thing"], [], False),
        (["hypothesis-jsonschema"], [], False),
    ],
)
def test_only_tests_require_what_production_does_not(names: list[str], requires: list[str], expected: bool) -> None:
    """A plugin of pytest acts on tests that do not import it."""
    assert only_tests_require(names, required("Flask==2.0", "six"), requires) is expected


def test_the_note_names_place_and_reason() -> None:
    note = unneeded_finding(("theme",), "theme could not be fetched with git", required("six", "theme==1").entries)

    assert (note.code, note.severity, str(note.location)) == ("PY118", Severity.NOTE, "dev.txt:2")
    assert note.message.endswith("neither the service nor its tests import: theme could not be fetched with git")
