"""An index that fails in all the ways in which indexes fail, through uv and through the screen: never a verdict."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis import package_index
from pytest_py312.dependencies.diagnosis.locker import Locking
from pytest_py312.dependencies.diagnosis.package_index import Index, Page, PageState
from pytest_py312.dependencies.resolution.lock import Blocked, Unchecked, Wanted
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.fake_index import Server, running
from tests.integration.local_runners import local_runner

TOGETHER = ("3.9", "3.10", "3.12")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A running index, which uv is told to use; the screen has little patience."""
    monkeypatch.setattr(clock, "pause", lambda seconds: None)
    monkeypatch.setattr(package_index, "SILENCE_LIMIT", 0.5)
    monkeypatch.setattr(package_index, "PAGE_LIMIT", 0.5)
    monkeypatch.setattr(package_index, "SIZE_LIMIT", 50_000)
    with running(tmp_path / "uv", monkeypatch) as made:
        yield made


def page(server: Server, tmp_path: Path, name: str = "lib") -> Page:
    return Index(cache=tmp_path / "cache", url=server.url, lock_hours=1.0).page(name)


@pytest.mark.parametrize(
    ("fault", "reason", "attempts"),
    [
        ("500", "the index answered with status 500", 3),
        ("denied", "the index answered with status 403", 1),
        ("garbage", "the index's answer is cut short or no JSON", 3),
        ("truncated", "the index's answer is cut short or no JSON", 3),
        ("cut off", "the index did not answer (ProtocolError)", 3),
        ("html", "the index does not speak JSON", 1),
        ("large", "its page is larger than 0 MiB", 1),
        ("silent", "the index did not answer (ReadTimeout)", 3),
        ("drip", "its page took longer than 0.5 s", 1),
    ],
)
def test_an_answer_that_is_none_is_unknown_after_a_few_attempts(
    server: Server, tmp_path: Path, fault: str, reason: str, attempts: int
) -> None:
    server.fault = fault

    found = page(server, tmp_path)

    assert (found.state, found.reason) == (PageState.UNKNOWN, reason)
    assert server.asked["/simple/lib/"] == attempts
    assert not (tmp_path / "cache").exists()


def test_an_index_that_recovers_is_believed(server: Server, tmp_path: Path) -> None:
    server.fault = "500 at first"

    assert list(page(server, tmp_path).files) == ["1.0", "2.0"]
    assert page(server, tmp_path, "missing").state is PageState.MISSING


def test_an_index_that_is_away_is_not_asked_for_ever(server: Server, tmp_path: Path) -> None:
    server.shutdown()
    server.server_close()
    asked = Index(cache=tmp_path / "cache", url=server.url, lock_hours=1.0)

    pages = [asked.page(f"lib{number}") for number in range(6)]

    assert {found.state for found in pages} == {PageState.UNKNOWN}
    assert pages[0].reason == "the index did not answer (ConnectionError)"
    assert pages[-1].reason == "the index did not answer for other projects either"
    assert "secret" not in repr(pages)


# ---- through uv


def build_of(runner: LocalRunner, interpreter: str) -> InterpreterBuild:
    try:
        return runner.find(Interpreter.parse(interpreter))
    except CellUnavailable as reason:
        pytest.skip(str(reason))


def outcome(tmp_path: Path, interpreter: str, *lines: str) -> tuple[Finding, ...] | str:
    """What blocks ``lines``; in words, where that could not be told; nothing, where they resolve."""
    cache = tmp_path / "cache"
    runner = local_runner(cache, tmp_path)
    try:
        resolver = Resolver(cache=cache, runner=runner, uv_version="test", lock_hours=1.0)
        locking = Locking(cache=cache, resolver=resolver, once=Once(None), lock_hours=1.0)
        locking.lock(Wanted(lines=lines), build_of(runner, interpreter))
    except Blocked as blocked:
        return blocked.findings
    except Unchecked as reason:
        return str(reason)
    finally:
        runner.close()
    return ()


def told(found: tuple[Finding, ...] | str) -> set[tuple[str, tuple[str, ...]]]:
    assert not isinstance(found, str), found
    return {(finding.code, finding.names) for finding in found}


EVERYTHING = {("PY102", ("gone",)), ("PY102", ("lib",)), ("PY101", ("one", "two"))}


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_all_that_blocks_is_told_and_a_second_run_asks_nothing(
    server: Server, tmp_path: Path, interpreter: str
) -> None:
    lines = ("fine", "gone", "lib==3", "one", "two")

    first = outcome(tmp_path, interpreter, *lines)
    server.asked.clear()

    assert told(first) == EVERYTHING
    assert outcome(tmp_path, interpreter, *lines) == first
    assert not server.asked
    assert "secret" not in repr(first)
    assert b"secret" not in b"".join(file.read_bytes() for file in (tmp_path / "cache").rglob("*.json"))


@pytest.mark.parametrize("fault", ["500", "garbage", "truncated", "html", "silent"])
def test_where_the_screen_is_blind_the_resolver_finds_the_same(server: Server, tmp_path: Path, fault: str) -> None:
    server.fault, server.screen_only = fault, True

    assert told(outcome(tmp_path, "3.12", "fine", "gone", "lib==3", "one", "two")) == EVERYTHING


@pytest.mark.parametrize("fault", ["500", "garbage", "truncated", "cut off", "silent", "denied"])
def test_an_index_that_fails_for_all_is_no_verdict(server: Server, tmp_path: Path, fault: str) -> None:
    server.fault = fault

    found = outcome(tmp_path, "3.12", "fine", "one")

    assert isinstance(found, str), found
    assert found
    assert "secret" not in found


def test_a_set_that_resolves_asks_no_page_for_the_screen(server: Server, tmp_path: Path) -> None:
    assert outcome(tmp_path, "3.12", "fine", "one") == ()
    assert not (tmp_path / "cache" / "simple").exists()


def test_settings_that_lie_above_the_cache_are_nobodys(server: Server, tmp_path: Path) -> None:
    """The user's own hold; those of a repository that the cache happens to lie in do not."""
    (tmp_path / "uv.toml").write_text("no-index = true")

    assert outcome(tmp_path, "3.12", "fine", "one") == ()


def test_a_page_is_asked_for_once_by_all_resolutions(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of an index that does not say how long its answers hold, unless a variable names it: uv then asks anew."""
    settings = tmp_path / "config" / "uv" / "uv.toml"
    settings.parent.mkdir(parents=True)
    address = server.url.replace("user:secret@", "")
    settings.write_text(f'[[index]]\nurl = "{address}"\ndefault = true\n')
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    for lines in (("fine", "one"), ("one", "lib"), ("fine", "two")):
        assert outcome(tmp_path, "3.12", *lines) == ()

    pages = [count for path, count in server.asked.items() if path.startswith("/simple/")]
    assert len(pages) == 4
    assert set(pages) == {1}
