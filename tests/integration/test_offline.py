"""Offline runs use the cache only: correct results or none, and no request to an index."""

from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_py312.core import clock
from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan, with_resolution
from pytest_py312.dependencies.diagnosis.locker import Locker
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.offline import OfflineRunner
from pytest_py312.dependencies.resolution.resolvers import make_resolver
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.fake_index import running
from tests.integration.gate_runs import gate
from tests.integration.local_runners import local_runner
from tests.support.fakes import service_tree

TOGETHER = ("3.9", "3.10", "3.12")


class Side(NamedTuple):
    """The locker and runner of a run, online or offline."""

    locking: Locker
    runner: LocalRunner

    def build(self, interpreter: str) -> InterpreterBuild:
        try:
            return self.runner.find_interpreter(Interpreter.parse(interpreter))
        except CellUnavailable as reason:
            pytest.skip(str(reason))

    def versions(self, interpreter: str, *lines: str, exclude_newer: str = "") -> dict[str, str]:
        request = ResolutionRequest(lines=lines, exclude_newer=exclude_newer)
        return self.locking.lock(request, self.build(interpreter)).versions


def side(folder: Path, *, offline: bool, resolver: str = "uv") -> Side:
    cache = folder / "cache"
    plain = local_runner(cache, folder)
    runner = OfflineRunner(plain) if offline else plain
    plan = with_resolution(Plan(root=folder), resolver=resolver, offline=offline)
    uv = UvResolver(cache=cache, runner=runner, uv_version="test", lock_hours=plan.lock_hours)
    engine = make_resolver(plan, uv, cache=cache, runner=runner)
    return Side(
        locking=Locker(cache=cache, resolver=engine, single_flight=SingleFlight(None), lock_hours=plan.lock_hours),
        runner=plain,
    )


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_cached_locks_are_used_whatever_their_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    with running(tmp_path / "uv", monkeypatch) as server:
        online_versions = side(tmp_path, offline=False).versions(interpreter, "fine", "one")
        asked = server.asked.total()
        later = clock.timestamp() + 400 * 24 * 3600
        monkeypatch.setattr(clock, "timestamp", lambda: later)

        assert side(tmp_path, offline=True).versions(interpreter, "fine", "one") == online_versions
        assert server.asked.total() == asked


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_new_set_of_cached_projects_resolves_and_is_not_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    """Online uv might choose newer versions, so the lock must not be reused."""
    with running(tmp_path / "uv", monkeypatch) as server:
        side(tmp_path, offline=False).versions(interpreter, "fine", "one")
        kept, asked = set((tmp_path / "cache" / "locks").iterdir()), server.asked.total()

        assert side(tmp_path, offline=True).versions(interpreter, "one") == {"lib": "1.0", "one": "1.0"}
        assert set((tmp_path / "cache" / "locks").iterdir()) == kept
        assert server.asked.total() == asked


@pytest.mark.parametrize("interpreter", TOGETHER)
@pytest.mark.parametrize("lines", [("fine",), ("lib==3",), ("one", "two"), ("gone", "one")])
def test_uncached_projects_are_undetermined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str, lines: tuple[str, ...]
) -> None:
    """Also if uv reports that there is no version: it used only the cache."""
    with running(tmp_path / "uv", monkeypatch) as server:
        side(tmp_path, offline=False).versions(interpreter, "one")
        asked = server.asked.total()

        with pytest.raises(Undetermined, match=r"^offline"):
            side(tmp_path, offline=True).versions(interpreter, *lines)
        assert server.asked.total() == asked


def test_missing_projects_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path / "uv", monkeypatch), pytest.raises(Undetermined) as caught:
        side(tmp_path, offline=True).versions("3.12", "fine")

    assert str(caught.value) == "offline, and fine is not in the cache"
    assert caught.value.names == ("fine",)


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_recent_answers_of_the_index_still_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    """Until they are too old: a version may have been released since."""
    with running(tmp_path / "uv", monkeypatch) as server:
        with pytest.raises(Unresolvable):
            side(tmp_path, offline=False).versions(interpreter, "gone", "fine")
        asked = server.asked.total()

        with pytest.raises(Unresolvable) as caught:
            side(tmp_path, offline=True).versions(interpreter, "gone", "one")
        assert ("PY102", ("gone",)) in {(found.code, found.names) for found in caught.value.findings}
        later = clock.timestamp() + 2 * 24 * 3600
        monkeypatch.setattr(clock, "timestamp", lambda: later)
        for lines in (("gone", "fine"), ("gone", "one")):
            with pytest.raises(Undetermined, match=r"^offline"):
                side(tmp_path, offline=True).versions(interpreter, *lines)
        assert server.asked.total() == asked


def test_an_unreachable_proxy_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path / "uv", monkeypatch):
        online_versions = side(tmp_path, offline=False).versions("3.12", "fine", "one")
    monkeypatch.delenv("NO_PROXY")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert side(tmp_path, offline=True).versions("3.12", "fine", "one") == online_versions
    with pytest.raises(Undetermined, match=r"^offline, and two is not in the cache$"):
        side(tmp_path, offline=True).versions("3.12", "two")


def test_pip_compile_is_undetermined_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path / "uv", monkeypatch) as server:
        with pytest.raises(
            Undetermined, match="offline, and pip-compile, which has no offline mode, has not resolved this set before"
        ):
            side(tmp_path, offline=True, resolver="pip-tools").versions("3.12", "fine")
        assert server.asked.total() == 0


@pytest.mark.parametrize("resolver", ["uv", "pip-tools"])
def test_the_whole_gate_sends_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolver: str) -> None:
    """What is cached passes as before; what is new could not be checked, which is no pass."""
    root, cache = tmp_path / "repository", tmp_path / "cache"
    requirements = root / "services" / "app" / "requirements.txt"
    service_tree(
        root, {"services/app/requirements.txt": "fine\n", "services/app/Dockerfile": "FROM python:3.12-slim\n"}
    )
    if resolver == "pip-tools":  # the tool itself comes from the real index, where there is a large project named fine
        requirements.write_text("iniconfig\n")
        gate(root, cache, f"--py312-resolver={resolver}")
        requirements.write_text("fine\n")
    with running(tmp_path / "uv", monkeypatch) as server:
        online = gate(root, cache, f"--py312-resolver={resolver}")
        asked = server.asked.total()
        again = gate(root, cache, f"--py312-resolver={resolver}", "--py312-offline", "--py312-no-cache")
        requirements.write_text("fine\ntwo\n")
        new = gate(root, cache, f"--py312-resolver={resolver}", "--py312-offline", "--py312-no-cache")

        assert server.asked.total() == asked > 0
    assert (online.returncode, again.returncode) == (0, 0), online.stdout + again.stdout
    assert ", offline\n" in again.stdout
    assert new.returncode == 1
    assert "could not be checked" in new.stdout
    assert "offline, and " in new.stdout
