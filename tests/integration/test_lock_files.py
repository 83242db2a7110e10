"""Lock files beside requirements, with uv and a small index: their versions are resolved and judged."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Finding, Location, Severity
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.diagnosis.locker import Locker
from pytest_py312.dependencies.installation.lockfile_diagnosis import LockFileDiagnosis
from pytest_py312.dependencies.requests.request_builder import RequestBuilder
from pytest_py312.dependencies.resolution.lock import DependencyLock, Unresolvable
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.fake_index import running
from tests.integration.local_runners import local_runner
from tests.support.fakes import cell_of, service, service_tree

TOGETHER = ("3.9", "3.10", "3.12")
PLACE = "services/user-service"
HEAD = 'version = 1\nrequires-python = ">=3.9"\n'


def uv_lock_entry(name: str, version: str, *needs: str, more: str = "") -> str:
    listed = ", ".join(f'{{ name = "{need}" }}' for need in needs)
    source = '{ registry = "https://index/simple" }'
    return (
        f'\n[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {source}\ndependencies = [{listed}]\n{more}'
    )


def poetry_lock_entry(name: str, version: str, *needs: str) -> str:
    listed = "".join(f'{need} = "*"\n' for need in needs)
    return f'[[package]]\nname = "{name}"\nversion = "{version}"\n[package.dependencies]\n{listed}\n'


class LockedService:
    """A service with a lock file, and the resolver."""

    def __init__(self, folder: Path) -> None:
        self.root, cache = folder / "repository", folder / "cache"
        self.runner = local_runner(cache, folder)
        self._cache = cache

    def resolve(
        self, interpreter: str, table: str = "project.dependencies", **files: str
    ) -> DependencyLock | tuple[Finding, ...]:
        """Return the lock of a service with these ``files`` (``_`` in names is ``.``), or the blocking findings."""
        texts = {name.replace("_", "."): text for name, text in files.items()}
        service_tree(self.root / PLACE, texts)
        manifest = "Pipfile" if "Pipfile" in texts else "pyproject.toml"
        source = RequirementSource(path=f"{PLACE}/{manifest}", table=table)
        self.cell = cell_of(interpreter, replace(service(), requirements=(source,), suite=None))
        resolver = UvResolver(cache=self._cache, runner=self.runner, uv_version="test", lock_hours=1.0)
        locker = Locker(cache=self._cache, resolver=resolver, single_flight=SingleFlight(None), lock_hours=1.0)
        self.verdicts = LockFileDiagnosis(RequestBuilder(plan=Plan(root=self.root), cache=self._cache), locker)
        try:
            return self.verdicts.resolve(self.cell, self.runner.find_interpreter(self.cell.interpreter), ())
        except CellUnavailable as reason:
            pytest.skip(str(reason))
        except Unresolvable as blocked:
            return blocked.findings


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LockedService]:
    with running(tmp_path / "uv", monkeypatch):
        made = LockedService(tmp_path)
        yield made
        made.runner.close()


def pyproject(*lines: str) -> str:
    return f'[project]\nname = "demo"\nversion = "1"\ndependencies = {list(lines)}\n'


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_locked_versions_are_resolved(locked: LockedService, interpreter: str) -> None:
    lock = locked.resolve(interpreter, pyproject_toml=pyproject("lib"), uv_lock=HEAD + uv_lock_entry("lib", "1.0"))

    assert isinstance(lock, DependencyLock), lock
    assert lock.versions == {"lib": "1.0"}
    assert locked.verdicts.stale_lock_findings(locked.cell) == ()


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_forks_of_a_lock_follow_their_markers(locked: LockedService, interpreter: str) -> None:
    fork = "resolution-markers = [\"python_full_version {} '3.10'\"]\n"
    text = (
        HEAD + uv_lock_entry("lib", "1.0", more=fork.format("<")) + uv_lock_entry("lib", "2.0", more=fork.format(">="))
    )

    lock = locked.resolve(interpreter, pyproject_toml=pyproject("lib"), uv_lock=text)

    assert isinstance(lock, DependencyLock), lock
    assert lock.versions == {"lib": "1.0" if interpreter == "3.9" else "2.0"}


@pytest.mark.parametrize("interpreter", ["3.10", "3.12"])
def test_a_locked_version_without_a_wheel_is_reported_with_its_line(locked: LockedService, interpreter: str) -> None:
    """Only the lock file names it, and the remedy is to update the lock."""
    text = HEAD + uv_lock_entry("needs-old", "1.0", "old") + uv_lock_entry("old", "1.0")

    on39 = locked.resolve("3.9", pyproject_toml=pyproject("needs-old"), uv_lock=text)
    blocking = locked.resolve(interpreter, pyproject_toml=pyproject("needs-old"), uv_lock=text)

    assert isinstance(on39, DependencyLock), on39
    assert on39.versions == {"needs-old": "1.0", "old": "1.0"}
    assert isinstance(blocking, tuple), blocking
    (finding,) = blocking
    assert (finding.code, finding.names) == ("PY115", ("old",))
    assert finding.location == Location(path=f"{PLACE}/uv.lock", line=11)
    assert finding.message.startswith(f"{PLACE}/uv.lock pins old to 1.0: ")
    assert "`uv lock --upgrade-package old`" in finding.remedy
    assert "old 2.0" in finding.remedy


def test_versions_for_other_pythons_do_not_block(locked: LockedService) -> None:
    """A marker excludes the dependency on 3.12, where it has no wheel."""
    marked = '{ name = "old", marker = "python_full_version < \'3.10\'" }'
    text = (
        HEAD
        + uv_lock_entry("fine", "1.0").replace("[]", f"[{marked}]")
        + uv_lock_entry("old", "1.0")
        + uv_lock_entry("lib", "3.0")
    )

    blocking = locked.resolve("3.12", pyproject_toml=pyproject("fine", "lib"), uv_lock=text)

    assert isinstance(blocking, tuple), blocking
    assert {finding.names for finding in blocking if finding.severity is Severity.ERROR} == {("lib",)}


def test_blocked_requirements_are_reported_rather_than_the_lock(locked: LockedService) -> None:
    text = HEAD + uv_lock_entry("old", "1.0")

    blocking = locked.resolve("3.12", pyproject_toml=pyproject("old==1.0"), uv_lock=text)

    assert isinstance(blocking, tuple), blocking
    blocks, note = blocking
    assert (blocks.code, blocks.names) == ("PY104", ("old",))
    assert blocks.location is not None
    assert blocks.location.path == f"{PLACE}/pyproject.toml"
    assert (note.code, note.severity) == ("PY115", Severity.WARNING)
    assert "`uv lock`" in note.remedy


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_stale_lock_is_a_finding_and_the_rest_is_judged(locked: LockedService, interpreter: str) -> None:
    text = HEAD + uv_lock_entry("lib", "1.0") + uv_lock_entry("old", "2.0")

    lock = locked.resolve(interpreter, pyproject_toml=pyproject("lib>=2", "old", "fine"), uv_lock=text)

    assert isinstance(lock, DependencyLock), lock
    assert lock.versions == {"lib": "2.0", "old": "2.0", "fine": "1.0"}
    older, missing = locked.verdicts.stale_lock_findings(locked.cell)
    assert (older.code, older.names, older.location) == (
        "PY116",
        ("lib",),
        Location(path=f"{PLACE}/uv.lock", line=5),
    )
    assert "lib>=2 is required, but services/user-service/uv.lock has 1.0" in older.message
    assert (missing.names, "does not have it" in missing.message) == (("fine",), True)
    assert "`uv lock`" in older.remedy


def test_a_lock_that_excludes_a_python_is_reported_there(locked: LockedService) -> None:
    text = poetry_lock_entry("lib", "1.0") + '[metadata]\npython-versions = ">=3.9,<3.11"\n'
    poetry = '[tool.poetry.dependencies]\npython = ">=3.9,<3.11"\nlib = "^1.0"\n'

    for interpreter in TOGETHER:
        locked.resolve(interpreter, "tool.poetry.dependencies", pyproject_toml=poetry, poetry_lock=text)
        stale = locked.verdicts.stale_lock_findings(locked.cell)
        assert [(finding.code, finding.names) for finding in stale] == (
            [("PY116", ())] if interpreter == "3.12" else []
        )
    assert "was made for Python >=3.9,<3.11, which excludes 3.12" in stale[0].message


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_poetry_lock_file(locked: LockedService, interpreter: str) -> None:
    poetry = '[tool.poetry.dependencies]\npython = "^3.9"\nneeds-old = "*"\n'
    text = poetry_lock_entry("needs-old", "1.0", "old") + poetry_lock_entry("old", "1.0")

    result = locked.resolve(interpreter, "tool.poetry.dependencies", pyproject_toml=poetry, poetry_lock=text)

    if interpreter == "3.9":
        assert isinstance(result, DependencyLock)
        assert result.versions == {"needs-old": "1.0", "old": "1.0"}
        return
    assert isinstance(result, tuple), result
    (finding,) = result
    assert (finding.code, finding.location) == ("PY115", Location(path=f"{PLACE}/poetry.lock", line=8))
    assert "`poetry update --lock old`" in finding.remedy


def test_pipenv_lock_file(locked: LockedService) -> None:
    text = '{\n"default": {\n"old": {\n"version": "==1.0"}}}'

    blocking = locked.resolve("3.12", "packages", Pipfile='[packages]\nold = "*"\n', Pipfile_lock=text)

    assert isinstance(blocking, tuple), blocking
    (finding,) = blocking
    assert (finding.code, finding.location) == ("PY115", Location(path=f"{PLACE}/Pipfile.lock", line=3))
    assert "`pipenv upgrade old`" in finding.remedy


def test_an_invalid_lock_is_reported_with_its_line_and_ignored(locked: LockedService) -> None:
    lock = locked.resolve("3.12", pyproject_toml=pyproject("lib"), uv_lock="version = 1\n[[package\n")

    assert isinstance(lock, DependencyLock), lock
    assert lock.versions == {"lib": "2.0"}
    builder = RequestBuilder(plan=Plan(root=locked.root), cache=locked.root)
    (problem,) = builder.requirements.of(locked.cell.service).problems
    assert problem.location == Location(path=f"{PLACE}/uv.lock", line=2, column=1)


def commit_project(folder: Path, version: str, *requires: str) -> str:
    """Commit a project, named as its folder, to the repository in it. Return the hash of the commit."""
    folder.mkdir(parents=True, exist_ok=True)
    head = f'[project]\nname = "{folder.name}"\nversion = "{version}"\ndependencies = {list(requires)}\n'
    (folder / "pyproject.toml").write_text(head)
    (folder / f"{folder.name}.py").touch()
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*author, "commit", "-q", "-m", version)):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    head_commit = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    )
    return head_commit.stdout.strip()


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_project_from_git_is_resolved_at_the_commit_of_its_lock(locked: LockedService, interpreter: str) -> None:
    """Also where another project requires its branch."""
    lib, plugin = locked.root / "lib", locked.root / "plugin"
    locked_commit = commit_project(lib, "1.0")
    commit_project(lib, "2.0", "nosuch==1")
    plugin_commit = commit_project(plugin, "1.0", f"lib @ git+{lib.as_uri()}@main")
    requirements = (f"lib @ git+{lib.as_uri()}@main", f"plugin @ git+{plugin.as_uri()}@main")
    lock_file = HEAD + "".join(
        f'[[package]]\nname = "{folder.name}"\nversion = "1"\nsource = {{ git = "{folder.as_uri()}?rev=main#{at}" }}\n'
        for folder, at in ((lib, locked_commit), (plugin, plugin_commit))
    )

    lock = locked.resolve(interpreter, pyproject_toml=pyproject(*requirements), uv_lock=lock_file)

    assert isinstance(lock, DependencyLock), lock
    assert [pin.line.rpartition("@")[2] for pin in lock.pins] == [locked_commit, plugin_commit]
