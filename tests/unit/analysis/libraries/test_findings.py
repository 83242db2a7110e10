"""What of the installed distributions the target lacks, told for one service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from pytest_py312.analysis.judging.evidence import Witnesses
from pytest_py312.analysis.libraries.findings import findings_of, located, troubles_of
from pytest_py312.analysis.libraries.import_graph import Installed, Root
from pytest_py312.analysis.libraries.setuptools_state import Packaging
from pytest_py312.analysis.libraries.summary import How
from pytest_py312.core.model.findings import Confidence, Finding, Interpreter, Severity
from tests.unit.analysis.libraries.samples import GONE, answers_of, installed


@dataclass
class Cell:
    """Imports nothing: modules in ``failing`` fail. What it was asked to import is in ``tried``."""

    failing: Sequence[str] = ()
    failure: str = "ModuleNotFoundError: No module named 'imp'"
    tried: list[str] = field(default_factory=list)

    def __call__(self, modules: Sequence[str]) -> Mapping[str, str]:
        self.tried += modules
        return {name: f"  File x\n{self.failure}" if name in self.failing else "" for name in modules}


def judged(
    libraries: Mapping[str, Mapping[str, str]],
    *targets: str,
    here: Cell | None = None,
    before: Cell | None = None,
    versions: Mapping[str, str] | None = None,
    worked: Mapping[str, str] | None = None,
    how: int = How.AT_IMPORT,
) -> list[Finding]:
    """The findings of a service on 3.9 that imports ``targets``, where 3.12 lacks what ``GONE`` names."""
    found: Installed = installed(**libraries)
    texts = {path: text for files in libraries.values() for path, text in files.items()}
    witnesses = Witnesses(
        baseline=answers_of(9, (), texts), between=[answers_of(11, GONE[2:], texts)], target=answers_of(12, GONE, texts)
    )
    packaging = Packaging(
        target=Interpreter(3, 12),
        baseline=Interpreter(3, 9),
        here=versions or {},
        before={"setuptools": "58.1.0", **(versions or {})},
    )
    roots = [Root(path="services/a/main.py", line=1, target=target, how=how) for target in targets]
    troubles = located(troubles_of(found, witnesses, packaging), found.reach(roots))
    return findings_of(troubles, found.proven(worked or {}), here or Cell(targets), before or Cell())


OLD = {"old": {"old/__init__.py": "from old import core\n", "old/core.py": "import imp\n"}}


def test_what_fails_when_it_is_imported_is_an_error() -> None:
    """It names distribution, version, file, line, what is gone and since when, and where the service imports it."""
    (found,) = judged(OLD, "old")
    assert (found.code, found.severity, found.names) == ("PY240", Severity.ERROR, ("old",))
    assert found.message == ("old 1.0 fails when it is imported: the module imp is gone since 3.12 (old/core.py:1)")
    assert str(found.location) == "services/a/main.py:1"
    assert "from services/a/main.py:1 through old" in found.detail
    assert Cell.failure in found.detail
    assert found.blocks


def test_an_import_that_works_disproves_an_error() -> None:
    """However sure the scan is: what runs in the cell is what counts."""
    here = Cell(failing=())
    (found,) = judged(OLD, "old", here=here)
    assert here.tried == ["old"]
    assert (found.code, found.severity, found.confidence) == ("PY241", Severity.WARNING, Confidence.LIKELY)


def test_what_was_imported_already_is_not_tried_again() -> None:
    here = Cell(failing=["old"])
    assert [found.code for found in judged(OLD, "old", here=here, worked={"old": ""})] == ["PY241"]
    assert here.tried == []


def test_what_fails_on_the_baseline_as_well_does_not_block() -> None:
    (found,) = judged(OLD, "old", before=Cell(failing=["old"], failure="OSError: no libmagic"))
    assert found.preexisting
    assert not found.blocks


def test_what_fails_in_the_same_words_before_fails_of_something_else() -> None:
    """A module that is not installed at all hides what would come after it."""
    failure = "ModuleNotFoundError: No module named 'aiohttp'"
    (found,) = judged(OLD, "old", here=Cell(["old"], failure), before=Cell(["old"], failure))
    assert (found.code, found.severity) == ("PY241", Severity.WARNING)


def test_of_what_cannot_be_imported_no_more_is_told() -> None:
    """What it would do when it is used is another day's trouble."""
    libraries = {"old": {"old.py": "import imp\nimport inspect\ndef f():\n    return inspect.getargspec(g)\n"}}
    assert [found.code for found in judged(libraries, "old")] == ["PY240"]


def test_what_runs_when_it_is_called_is_a_warning() -> None:
    (found,) = judged({"old": {"old.py": "import asyncio\ndef f():\n    return asyncio.coroutine(g)\n"}}, "old")
    assert (found.code, found.severity) == ("PY241", Severity.WARNING)
    assert "asyncio.coroutine is gone since 3.11 (old.py:3)" in found.message
    assert "when it is called" in found.detail


@pytest.mark.parametrize("how", [How.PERHAPS, How.WHEN_CALLED])
def test_what_the_service_may_never_import_is_a_warning(how: int) -> None:
    assert [found.code for found in judged(OLD, "old", how=how)] == ["PY241"]


def test_where_no_import_leads_is_a_note_for_each_distribution() -> None:
    (found,) = judged({"old": {**OLD["old"], "old/more.py": "import asynchat\n", "fine.py": ""}}, "fine")
    assert (found.code, found.severity, found.location) == ("PY242", Severity.NOTE, None)
    assert "2 modules" in found.message
    assert "old/core.py:1" in found.detail
    assert "old/more.py:1" in found.detail


def test_where_no_import_leads_functions_are_passed_over() -> None:
    assert judged({"old": {"old.py": "def f():\n    import imp\n", "fine.py": ""}}, "fine") == []


def test_tests_of_distributions_are_passed_over_and_copies_are_named() -> None:
    found = judged(
        {
            "old": {
                "old/__init__.py": "",
                "old/tests/__init__.py": "",
                "old/_vendor/__init__.py": "import imp\n",
            }
        },
        "old",
    )
    assert [one.code for one in found] == ["PY242"]
    assert "in its copy of another project" in found[0].detail


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
def test_guarded_uses_and_private_names_in_functions_are_nothing(text: str) -> None:
    assert judged({"fine": {"fine.py": text}}, "fine") == []


def test_a_distribution_that_brings_a_module_back_heals() -> None:
    """There are some for asynchat, asyncore, imp and others."""
    libraries = {"old": {"old.py": "import asynchat\n"}, "pyasynchat": {"asynchat/__init__.py": ""}}
    assert judged(libraries, "old") == []


DISTUTILS = {"old": {"old.py": "from distutils.version import StrictVersion\n"}}


def test_distutils_of_a_distribution_hangs_on_setuptools() -> None:
    (found,) = judged(DISTUTILS, "old")
    assert (found.code, found.severity) == ("PY243", Severity.ERROR)
    assert found.remedy == "try a newer version of old, or require setuptools"
    assert judged(DISTUTILS, "old", versions={"setuptools": "75.0"}) == []


def test_setuptools_for_building_others_is_nobodys_need() -> None:
    """Where nothing imports it for sure."""
    libraries = {"old": {"old.py": "def build():\n    from setuptools import setup\n", "ext.py": "import setuptools\n"}}
    assert judged(libraries, "old") == []
    helper = "def build():\n    from distutils.core import setup\n    from distutils.dir_util import mkpath\n"
    assert judged({"old": {"old.py": helper}}, "old") == []
    (found,) = judged({"old": {"old.py": "def f():\n    import pkg_resources\n"}}, "old")
    assert (found.code, found.severity) == ("PY243", Severity.WARNING)


def test_a_service_that_never_ran_with_setuptools_has_lost_nothing() -> None:
    libraries = {"old": {"old.py": "import pkg_resources\n"}}
    (found,) = judged(libraries, "old", versions={"setuptools": "82.0.0"})
    assert found.preexisting
    assert "setuptools 82.0.0 has no pkg_resources any more" in found.message
