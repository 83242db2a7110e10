"""Lock files beside requirements, through uv and a small index: what they hold is what is resolved and judged."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Finding, Location, Severity
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.diagnosis.locker import Locking
from pytest_py312.dependencies.installation.lockfile_diagnosis import LockVerdicts
from pytest_py312.dependencies.installation.requests import Demands
from pytest_py312.dependencies.resolution.lock import Blocked, Lock
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.fake_index import running
from tests.integration.local_runners import local_runner
from tests.support.fakes import cell_of, service, service_tree

TOGETHER = ("3.9", "3.10", "3.12")
PLACE = "services/user-service"
HEAD = 'version = 1\nrequires-python = ">=3.9"\n'


def of_uv(name: str, version: str, *needs: str, more: str = "") -> str:
    listed = ", ".join(f'{{ name = "{need}" }}' for need in needs)
    source = '{ registry = "https://index/simple" }'
    return (
        f'\n[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {source}\ndependencies = [{listed}]\n{more}'
    )


def of_poetry(name: str, version: str, *needs: str) -> str:
    listed = "".join(f'{need} = "*"\n' for need in needs)
    return f'[[package]]\nname = "{name}"\nversion = "{version}"\n[package.dependencies]\n{listed}\n'


class Asking:
    """A service with a lock file, and an index that serves what it asks for."""

    def __init__(self, folder: Path) -> None:
        self.root, cache = folder / "repository", folder / "cache"
        self.runner = local_runner(cache, folder)
        self._cache = cache

    def ask(self, interpreter: str, table: str = "project.dependencies", **files: str) -> Lock | tuple[Finding, ...]:
        """The lock of a service with these ``files`` (``.`` in their names is ``_``), or what blocks."""
        texts = {name.replace("_", "."): text for name, text in files.items()}
        service_tree(self.root / PLACE, texts)
        of = "Pipfile" if "Pipfile" in texts else "pyproject.toml"
        source = RequirementSource(path=f"{PLACE}/{of}", table=table)
        self.cell = cell_of(interpreter, replace(service(), requirements=(source,), suite=None))
        resolver = Resolver(cache=self._cache, runner=self.runner, uv_version="test", lock_hours=1.0)
        locking = Locking(cache=self._cache, resolver=resolver, once=Once(None), lock_hours=1.0)
        self.verdicts = LockVerdicts(Demands(plan=Plan(root=self.root), cache=self._cache), locking)
        try:
            return self.verdicts.lock(self.cell, self.runner.find(self.cell.interpreter), ())
        except CellUnavailable as reason:
            pytest.skip(str(reason))
        except Blocked as blocked:
            return blocked.findings


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    with running(tmp_path / "uv", monkeypatch):
        made = Asking(tmp_path)
        yield made
        made.runner.close()


def requiring(*lines: str) -> str:
    return f'[project]\nname = "demo"\nversion = "1"\ndependencies = {list(lines)}\n'


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_the_locked_versions_are_what_is_resolved(asking: Asking, interpreter: str) -> None:
    lock = asking.ask(interpreter, pyproject_toml=requiring("lib"), uv_lock=HEAD + of_uv("lib", "1.0"))

    assert isinstance(lock, Lock), lock
    assert lock.versions == {"lib": "1.0"}
    assert asking.verdicts.stale(asking.cell) == ()


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_fork_of_the_lock_holds_where_its_marker_does(asking: Asking, interpreter: str) -> None:
    fork = "resolution-markers = [\"python_full_version {} '3.10'\"]\n"
    text = HEAD + of_uv("lib", "1.0", more=fork.format("<")) + of_uv("lib", "2.0", more=fork.format(">="))

    lock = asking.ask(interpreter, pyproject_toml=requiring("lib"), uv_lock=text)

    assert isinstance(lock, Lock), lock
    assert lock.versions == {"lib": "1.0" if interpreter == "3.9" else "2.0"}


@pytest.mark.parametrize("interpreter", ["3.10", "3.12"])
def test_a_locked_version_without_a_wheel_is_told_with_its_line_and_the_lock_is_to_be_made_anew(
    asking: Asking, interpreter: str
) -> None:
    """It is not required directly: nothing but the lock file names it."""
    text = HEAD + of_uv("needs-old", "1.0", "old") + of_uv("old", "1.0")

    on39 = asking.ask("3.9", pyproject_toml=requiring("needs-old"), uv_lock=text)
    found = asking.ask(interpreter, pyproject_toml=requiring("needs-old"), uv_lock=text)

    assert isinstance(on39, Lock), on39
    assert on39.versions == {"needs-old": "1.0", "old": "1.0"}
    assert isinstance(found, tuple), found
    (finding,) = found
    assert (finding.code, finding.names) == ("PY115", ("old",))
    assert finding.location == Location(path=f"{PLACE}/uv.lock", line=11)
    assert finding.message.startswith(f"{PLACE}/uv.lock holds old at 1.0: ")
    assert "`uv lock --upgrade-package old`" in finding.remedy
    assert "old 2.0" in finding.remedy


def test_what_the_lock_has_for_other_pythons_only_does_not_block(asking: Asking) -> None:
    """Its edge has a marker: on 3.12 nobody wants it, and it could not be had there."""
    marked = '{ name = "old", marker = "python_full_version < \'3.10\'" }'
    text = HEAD + of_uv("fine", "1.0").replace("[]", f"[{marked}]") + of_uv("old", "1.0") + of_uv("lib", "3.0")

    found = asking.ask("3.12", pyproject_toml=requiring("fine", "lib"), uv_lock=text)

    assert isinstance(found, tuple), found
    assert {finding.names for finding in found if finding.severity is Severity.ERROR} == {("lib",)}


def test_where_the_requirements_are_blocked_themselves_they_are_what_is_told(asking: Asking) -> None:
    text = HEAD + of_uv("old", "1.0")

    found = asking.ask("3.12", pyproject_toml=requiring("old==1.0"), uv_lock=text)

    assert isinstance(found, tuple), found
    blocks, note = found
    assert (blocks.code, blocks.names) == ("PY104", ("old",))
    assert blocks.location is not None
    assert blocks.location.path == f"{PLACE}/pyproject.toml"
    assert (note.code, note.severity) == ("PY115", Severity.WARNING)
    assert "`uv lock`" in note.remedy


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_lock_that_is_older_than_its_requirements_is_a_finding_and_the_rest_is_still_judged(
    asking: Asking, interpreter: str
) -> None:
    text = HEAD + of_uv("lib", "1.0") + of_uv("old", "2.0")

    lock = asking.ask(interpreter, pyproject_toml=requiring("lib>=2", "old", "fine"), uv_lock=text)

    assert isinstance(lock, Lock), lock
    assert lock.versions == {"lib": "2.0", "old": "2.0", "fine": "1.0"}
    older, missing = asking.verdicts.stale(asking.cell)
    assert (older.code, older.names, older.location) == (
        "PY116",
        ("lib",),
        Location(path=f"{PLACE}/uv.lock", line=5),
    )
    assert "lib>=2 is required, and services/user-service/uv.lock has 1.0" in older.message
    assert (missing.names, "does not have it" in missing.message) == (("fine",), True)
    assert "`uv lock`" in older.remedy


def test_a_lock_that_was_not_made_for_a_python_says_so_there(asking: Asking) -> None:
    text = of_poetry("lib", "1.0") + '[metadata]\npython-versions = ">=3.9,<3.11"\n'
    poetry = '[tool.poetry.dependencies]\npython = ">=3.9,<3.11"\nlib = "^1.0"\n'

    for interpreter in TOGETHER:
        asking.ask(interpreter, "tool.poetry.dependencies", pyproject_toml=poetry, poetry_lock=text)
        found = asking.verdicts.stale(asking.cell)
        assert [(one.code, one.names) for one in found] == ([("PY116", ())] if interpreter == "3.12" else [])
    assert "was made for Python >=3.9,<3.11, which 3.12 is not" in found[0].message


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_poetrys_lock_beside_poetrys_table(asking: Asking, interpreter: str) -> None:
    poetry = '[tool.poetry.dependencies]\npython = "^3.9"\nneeds-old = "*"\n'
    text = of_poetry("needs-old", "1.0", "old") + of_poetry("old", "1.0")

    found = asking.ask(interpreter, "tool.poetry.dependencies", pyproject_toml=poetry, poetry_lock=text)

    if interpreter == "3.9":
        assert isinstance(found, Lock)
        assert found.versions == {"needs-old": "1.0", "old": "1.0"}
        return
    assert isinstance(found, tuple), found
    (finding,) = found
    assert (finding.code, finding.location) == ("PY115", Location(path=f"{PLACE}/poetry.lock", line=8))
    assert "`poetry update --lock old`" in finding.remedy


def test_pipenvs_lock_beside_a_pipfile(asking: Asking) -> None:
    text = '{\n"default": {\n"old": {\n"version": "==1.0"}}}'

    found = asking.ask("3.12", "packages", Pipfile='[packages]\nold = "*"\n', Pipfile_lock=text)

    assert isinstance(found, tuple), found
    (finding,) = found
    assert (finding.code, finding.location) == ("PY115", Location(path=f"{PLACE}/Pipfile.lock", line=3))
    assert "`pipenv upgrade old`" in finding.remedy


def test_a_lock_that_cannot_be_read_is_a_problem_with_its_line_and_holds_nothing(asking: Asking) -> None:
    lock = asking.ask("3.12", pyproject_toml=requiring("lib"), uv_lock="version = 1\n[[package\n")

    assert isinstance(lock, Lock), lock
    assert lock.versions == {"lib": "2.0"}
    demands = Demands(plan=Plan(root=asking.root), cache=asking.root)
    (problem,) = demands.requirements(asking.cell.service).problems
    assert problem.location == Location(path=f"{PLACE}/uv.lock", line=2, column=1)
