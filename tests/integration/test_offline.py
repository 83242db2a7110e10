"""Nothing but the cache: sound where it says yes, silent where it does not know, and not one request to an index."""

from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_py312.core import clock
from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan, plan_with
from pytest_py312.dependencies.diagnosis.locker import Locking
from pytest_py312.dependencies.resolution.lock import Blocked, Unchecked, Wanted
from pytest_py312.dependencies.resolution.offline import OfflineRunner
from pytest_py312.dependencies.resolution.resolvers import engine_of
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.fake_index import running
from tests.integration.gate_runs import gate
from tests.integration.local_runners import local_runner
from tests.support.fakes import service_tree

TOGETHER = ("3.9", "3.10", "3.12")


class Side(NamedTuple):
    """What a run of the gate would ask, with or without the network."""

    locking: Locking
    runner: LocalRunner

    def build(self, interpreter: str) -> InterpreterBuild:
        try:
            return self.runner.find(Interpreter.parse(interpreter))
        except CellUnavailable as reason:
            pytest.skip(str(reason))

    def versions(self, interpreter: str, *lines: str, exclude_newer: str = "") -> dict[str, str]:
        wanted = Wanted(lines=lines, exclude_newer=exclude_newer)
        return self.locking.lock(wanted, self.build(interpreter)).versions


def side(folder: Path, *, offline: bool, resolver: str = "uv") -> Side:
    cache = folder / "cache"
    plain = local_runner(cache, folder)
    runner = OfflineRunner(plain) if offline else plain
    plan = plan_with(Plan(root=folder), resolver=resolver, offline=offline)
    uv = Resolver(cache=cache, runner=runner, uv_version="test", lock_hours=plan.lock_hours)
    engine = engine_of(plan, uv, cache=cache, runner=runner)
    return Side(
        locking=Locking(cache=cache, resolver=engine, once=Once(None), lock_hours=plan.lock_hours), runner=plain
    )


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_what_was_resolved_before_holds_whatever_its_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    with running(tmp_path / "uv", monkeypatch) as server:
        before = side(tmp_path, offline=False).versions(interpreter, "fine", "one")
        asked = server.asked.total()
        later = clock.timestamp() + 400 * 24 * 3600
        monkeypatch.setattr(clock, "timestamp", lambda: later)

        assert side(tmp_path, offline=True).versions(interpreter, "fine", "one") == before
        assert server.asked.total() == asked


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_new_set_of_known_projects_resolves_and_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    """With the network uv might take newer versions, so this lock is good for nobody else."""
    with running(tmp_path / "uv", monkeypatch) as server:
        side(tmp_path, offline=False).versions(interpreter, "fine", "one")
        kept, asked = set((tmp_path / "cache" / "locks").iterdir()), server.asked.total()

        assert side(tmp_path, offline=True).versions(interpreter, "one") == {"lib": "1.0", "one": "1.0"}
        assert set((tmp_path / "cache" / "locks").iterdir()) == kept
        assert server.asked.total() == asked


@pytest.mark.parametrize("interpreter", TOGETHER)
@pytest.mark.parametrize("lines", [("fine",), ("lib==3",), ("one", "two"), ("gone", "one")])
def test_what_the_cache_does_not_know_is_neither_green_nor_red(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str, lines: tuple[str, ...]
) -> None:
    """Also where uv says that there is no version: it looked at nothing but the cache."""
    with running(tmp_path / "uv", monkeypatch) as server:
        side(tmp_path, offline=False).versions(interpreter, "one")
        asked = server.asked.total()

        with pytest.raises(Unchecked, match=r"^offline"):
            side(tmp_path, offline=True).versions(interpreter, *lines)
        assert server.asked.total() == asked


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path / "uv", monkeypatch), pytest.raises(Unchecked) as caught:
        side(tmp_path, offline=True).versions("3.12", "fine")

    assert str(caught.value) == "offline, and fine is not in the cache"
    assert caught.value.names == ("fine",)


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_what_the_index_said_lately_still_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    """Until it is too old: a version may have come since."""
    with running(tmp_path / "uv", monkeypatch) as server:
        with pytest.raises(Blocked):
            side(tmp_path, offline=False).versions(interpreter, "gone", "fine")
        asked = server.asked.total()

        with pytest.raises(Blocked) as caught:
            side(tmp_path, offline=True).versions(interpreter, "gone", "one")
        assert ("PY102", ("gone",)) in {(found.code, found.names) for found in caught.value.findings}
        later = clock.timestamp() + 2 * 24 * 3600
        monkeypatch.setattr(clock, "timestamp", lambda: later)
        for lines in (("gone", "fine"), ("gone", "one")):
            with pytest.raises(Unchecked, match=r"^offline"):
                side(tmp_path, offline=True).versions(interpreter, *lines)
        assert server.asked.total() == asked


def test_a_proxy_that_nobody_can_reach_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path / "uv", monkeypatch):
        before = side(tmp_path, offline=False).versions("3.12", "fine", "one")
    monkeypatch.delenv("NO_PROXY")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert side(tmp_path, offline=True).versions("3.12", "fine", "one") == before
    with pytest.raises(Unchecked, match=r"^offline, and two is not in the cache$"):
        side(tmp_path, offline=True).versions("3.12", "two")


def test_pip_compile_has_no_way_to_do_without_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path / "uv", monkeypatch) as server:
        with pytest.raises(Unchecked, match="offline, and pip-compile has not resolved this set before"):
            side(tmp_path, offline=True, resolver="pip-tools").versions("3.12", "fine")
        assert server.asked.total() == 0


@pytest.mark.parametrize("resolver", ["uv", "pip-tools"])
def test_the_whole_gate_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolver: str) -> None:
    """What is installed proves as much as before; what is new could not be checked, which is no pass."""
    root, cache = tmp_path / "repository", tmp_path / "cache"
    requirements = root / "services" / "app" / "requirements.txt"
    service_tree(
        root, {"services/app/requirements.txt": "fine\n", "services/app/Dockerfile": "FROM python:3.12-slim\n"}
    )
    if resolver == "pip-tools":  # the tool itself comes from the real index
        gate(root, cache, f"--py312-resolver={resolver}")
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
