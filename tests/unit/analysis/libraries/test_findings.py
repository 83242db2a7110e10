"""Findings about what the installed distributions of a service use and the target lacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.libraries.findings import find_problems, library_findings, locate_problems
from pytest_py312.analysis.libraries.import_graph import EnvironmentModules, ImportRoot
from pytest_py312.analysis.libraries.setuptools_state import SetuptoolsState
from pytest_py312.analysis.libraries.summaries.summary import Likelihood
from pytest_py312.core.model.findings import Confidence, Finding, Interpreter, Severity
from tests.unit.analysis.libraries.samples import GONE, answers_of, installed


@dataclass
class FakeCell:
    """A cell that imports nothing: modules in ``failing`` fail. ``tried`` records the attempts."""

    failing: Sequence[str] = ()
    failure: str = "ModuleNotFoundError: No module named 'imp'"
    tried: list[str] = field(default_factory=list)

    def __call__(self, modules: Sequence[str]) -> Mapping[str, str]:
        self.tried += modules
        return {name: f"  File x\n{self.failure}" if name in self.failing else "" for name in modules}


def judged(
    libraries: Mapping[str, Mapping[str, str]],
    *targets: str,
    target_cell: FakeCell | None = None,
    baseline_cell: FakeCell | None = None,
    versions: Mapping[str, str] | None = None,
    worked: Mapping[str, str] | None = None,
    likelihood: int = Likelihood.AT_IMPORT,
    folders: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Return the findings of a service on 3.9 that imports ``targets``, where 3.12 lacks what ``GONE`` names."""
    modules = EnvironmentModules(
        [replace(library, folder=(folders or {}).get(library.name, "")) for library in installed(**libraries).libraries]
    )
    texts = {path: text for files in libraries.values() for path, text in files.items()}
    evidence = Evidence(
        baseline=answers_of(9, (), texts),
        intermediate=[answers_of(11, GONE[2:], texts)],
        target=answers_of(12, GONE, texts),
    )
    setuptools_state = SetuptoolsState(
        target=Interpreter(3, 12),
        baseline=Interpreter(3, 9),
        target_versions=versions or {},
        baseline_versions={"setuptools": "58.1.0", **(versions or {})},
    )
    roots = [ImportRoot(path="services/a/main.py", line=1, target=target, likelihood=likelihood) for target in targets]
    problems = locate_problems(find_problems(modules, evidence, setuptools_state), modules.import_chains(roots))
    return library_findings(
        problems, modules.proven_by(worked or {}), target_cell or FakeCell(targets), baseline_cell or FakeCell()
    )


OLD = {"old": {"old/__init__.py": "from old import core\n", "old/core.py": "import imp\n"}}


def test_what_fails_on_import_is_an_error() -> None:
    """It names distribution, version, file, line, what was removed and when, and the import of the service."""
    (finding,) = judged(OLD, "old")
    assert (finding.code, finding.severity, finding.names) == ("PY240", Severity.ERROR, ("old",))
    assert finding.message == ("old 1.0 fails on import: module 'imp' was removed in 3.12 (old/core.py:1)")
    assert str(finding.location) == "services/a/main.py:1"
    assert "from services/a/main.py:1 through old" in finding.detail
    assert FakeCell.failure in finding.detail
    assert finding.blocks


def test_what_is_built_from_the_repository_is_named_by_its_place_there() -> None:
    """Its own line has to change; another version of the index is none of it."""
    (finding,) = judged(OLD, "old", folders={"old": "libs/old/src"})
    assert finding.message == "old 1.0 fails on import: module 'imp' was removed in 3.12 (libs/old/src/old/core.py:1)"
    assert str(finding.location) == "libs/old/src/old/core.py:1"
    assert "newer version" not in finding.remedy
    assert "from services/a/main.py:1 through old" in finding.detail


def test_an_import_that_works_disproves_an_error() -> None:
    """A real import in the cell takes precedence over the scan."""
    target_cell = FakeCell(failing=())
    (found,) = judged(OLD, "old", target_cell=target_cell)
    assert target_cell.tried == ["old"]
    assert (found.code, found.severity, found.confidence) == ("PY241", Severity.WARNING, Confidence.LIKELY)


def test_what_was_imported_already_is_not_tried_again() -> None:
    target_cell = FakeCell(failing=["old"])
    assert [found.code for found in judged(OLD, "old", target_cell=target_cell, worked={"old": ""})] == ["PY241"]
    assert target_cell.tried == []


def test_what_fails_on_the_baseline_as_well_does_not_block() -> None:
    (found,) = judged(OLD, "old", baseline_cell=FakeCell(failing=["old"], failure="OSError: no libmagic"))
    assert found.preexisting
    assert not found.blocks


def test_the_same_failure_on_the_baseline_has_another_cause() -> None:
    """A module that is not installed hides later failures."""
    failure = "ModuleNotFoundError: No module named 'aiohttp'"
    (found,) = judged(OLD, "old", target_cell=FakeCell(["old"], failure), baseline_cell=FakeCell(["old"], failure))
    assert (found.code, found.severity) == ("PY241", Severity.WARNING)


def test_of_what_cannot_be_imported_nothing_else_is_reported() -> None:
    """Problems at run time do not matter before the import works."""
    libraries = {"old": {"old.py": "import imp\nimport inspect\ndef f():\n    return inspect.getargspec(g)\n"}}
    assert [found.code for found in judged(libraries, "old")] == ["PY240"]


def test_what_runs_when_it_is_called_is_a_warning() -> None:
    libraries = {"old": {"old.py": "import asyncio\ndef f():\n    return asyncio.coroutine(g)\n"}}
    (found,) = judged(libraries, "old", target_cell=FakeCell())
    assert (found.code, found.severity) == ("PY241", Severity.WARNING)
    assert "asyncio.coroutine was removed in 3.11 (old.py:3)" in found.message
    assert "when called" in found.detail


def test_what_may_fail_when_used_is_imported() -> None:
    """If that fails on the target only, and the service imports it in any case, it is an error of that distribution."""
    old = "import asyncio\ndef f():\n    return asyncio.coroutine(g)\nf()\n"
    libraries = {"uses": {"uses.py": "import old\n"}, "old": {"old.py": old}}
    both = ("old", "uses")

    (finding,) = judged(libraries, "uses", target_cell=FakeCell(both))
    assert (finding.code, finding.severity, finding.names) == ("PY240", Severity.ERROR, ("old",))
    for only, baseline, worked in (("uses", (), {}), ("uses", both, {}), ("", (), {}), ("old", (), {"uses": ""})):
        cell = FakeCell([only])
        (finding,) = judged(libraries, "uses", target_cell=cell, baseline_cell=FakeCell(baseline), worked=worked)
        assert (finding.code, finding.severity) == ("PY241", Severity.WARNING)
        assert cell.tried == ([] if worked else ["old", "uses"])
    for likelihood in (Likelihood.CONDITIONAL, Likelihood.WHEN_CALLED):
        (finding,) = judged(libraries, "uses", target_cell=FakeCell(both), likelihood=likelihood)
        assert finding.code == "PY241"


@pytest.mark.parametrize("how", [Likelihood.CONDITIONAL, Likelihood.WHEN_CALLED])
def test_what_the_service_may_never_import_is_a_warning(how: int) -> None:
    assert [found.code for found in judged(OLD, "old", likelihood=how)] == ["PY241"]


def test_unreached_problems_are_one_note_per_distribution() -> None:
    (finding,) = judged({"old": {**OLD["old"], "old/more.py": "import asynchat\n", "fine.py": ""}}, "fine")
    assert (finding.code, finding.severity, finding.location) == ("PY242", Severity.NOTE, None)
    assert "2 modules" in finding.message
    assert "old/core.py:1" in finding.detail
    assert "old/more.py:1" in finding.detail


def test_unreached_functions_are_ignored() -> None:
    assert judged({"old": {"old.py": "def f():\n    import imp\n", "fine.py": ""}}, "fine") == []


def test_tests_of_distributions_are_ignored_and_vendored_copies_are_named() -> None:
    findings = judged(
        {
            "old": {
                "old/__init__.py": "",
                "old/tests/__init__.py": "",
                "old/_vendor/__init__.py": "import imp\n",
            }
        },
        "old",
    )
    assert [finding.code for finding in findings] == ["PY242"]
    assert "in a vendored copy of another project" in findings[0].detail


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import imp\nexcept ImportError:\n    imp = None\n",
        "import sys\nif sys.version_info < (3, 12):\n    import imp\n",
        "import inspect\nif hasattr(inspect, 'getargspec'):\n    spec = inspect.getargspec\n",
        "import inspect as i\ntry:\n    spec = i.signature\nexcept AttributeError:\n    spec = i.getargspec\n",
        "import typing\ndef f():\n    return typing._get_defaults\n",
    ],
)
def test_guarded_uses_and_private_names_in_functions_are_ignored(text: str) -> None:
    assert judged({"fine": {"fine.py": text}}, "fine") == []


def test_a_distribution_may_restore_a_removed_module() -> None:
    """There are such distributions for asynchat, asyncore, imp and others."""
    libraries = {"old": {"old.py": "import asynchat\n"}, "pyasynchat": {"asynchat/__init__.py": ""}}
    assert judged(libraries, "old") == []


DISTUTILS = {"old": {"old.py": "from distutils.version import StrictVersion\n"}}


def test_distutils_of_a_distribution_depends_on_setuptools() -> None:
    (found,) = judged(DISTUTILS, "old")
    assert (found.code, found.severity) == ("PY243", Severity.ERROR)
    assert found.remedy == "try a newer version of old"
    assert judged(DISTUTILS, "old", versions={"setuptools": "75.0"}) == []


def test_setuptools_for_building_other_projects_is_not_required() -> None:
    """If nothing certainly imports it."""
    libraries = {"old": {"old.py": "def build():\n    from setuptools import setup\n", "ext.py": "import setuptools\n"}}
    assert judged(libraries, "old") == []
    helper = "def build():\n    from distutils.core import setup\n    from distutils.dir_util import mkpath\n"
    assert judged({"old": {"old.py": helper}}, "old") == []
    libraries = {"old": {"old.py": "def f():\n    import pkg_resources\n"}}
    (found,) = judged(libraries, "old", target_cell=FakeCell())
    assert (found.code, found.severity) == ("PY243", Severity.WARNING)


def test_missing_setuptools_is_preexisting_without_it_on_the_baseline() -> None:
    libraries = {"old": {"old.py": "import pkg_resources\n"}}
    (found,) = judged(libraries, "old", versions={"setuptools": "82.0.0"})
    assert found.preexisting
    assert "setuptools 82.0.0 no longer includes pkg_resources" in found.message
