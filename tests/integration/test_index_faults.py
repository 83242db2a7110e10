"""A failing index, through uv and through the pre-check of index pages, never leads to a verdict."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis import package_index
from pytest_py312.dependencies.diagnosis.locker import Locker
from pytest_py312.dependencies.diagnosis.package_index import IndexPage, PackageIndex, PageState
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.fake_index import Server, running
from tests.integration.local_runners import local_runner

TOGETHER = ("3.9", "3.10", "3.12")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """Run an index that uv is configured to use; the pre-check has short time limits."""
    monkeypatch.setattr(clock, "pause", lambda seconds: None)
    monkeypatch.setattr(package_index, "SILENCE_LIMIT", 0.5)
    monkeypatch.setattr(package_index, "PAGE_LIMIT", 0.5)
    monkeypatch.setattr(package_index, "SIZE_LIMIT", 50_000)
    with running(tmp_path / "uv", monkeypatch) as made:
        yield made


def page(server: Server, tmp_path: Path, name: str = "lib") -> IndexPage:
    return PackageIndex(cache=tmp_path / "cache", url=server.url, lock_hours=1.0).page(name)


@pytest.mark.parametrize(
    ("fault", "reason", "attempts"),
    [
        ("500", "the index answered with status 500", 3),
        ("denied", "the index answered with status 403", 1),
        ("garbage", "the index's answer is truncated or not JSON", 3),
        ("truncated", "the index's answer is truncated or not JSON", 3),
        ("cut off", "the index did not answer (ProtocolError)", 3),
        ("html", "the index does not offer JSON pages", 1),
        ("large", "its page is larger than 0 MiB", 1),
        ("silent", "the index did not answer (ReadTimeout)", 3),
        ("drip", "its page took longer than 0.5 s", 1),
    ],
)
def test_an_invalid_answer_is_unknown_after_a_few_attempts(
    server: Server, tmp_path: Path, fault: str, reason: str, attempts: int
) -> None:
    server.fault = fault

    index_page = page(server, tmp_path)

    assert (index_page.state, index_page.reason) == (PageState.UNKNOWN, reason)
    assert server.asked["/simple/lib/"] == attempts
    assert not (tmp_path / "cache").exists()


def test_an_index_that_recovers_is_used(server: Server, tmp_path: Path) -> None:
    server.fault = "500 at first"

    assert list(page(server, tmp_path).files) == ["1.0", "2.0"]
    assert page(server, tmp_path, "missing").state is PageState.MISSING


def test_an_unreachable_index_is_given_up(server: Server, tmp_path: Path) -> None:
    server.shutdown()
    server.server_close()
    index = PackageIndex(cache=tmp_path / "cache", url=server.url, lock_hours=1.0)

    pages = [index.page(f"lib{number}") for number in range(6)]

    assert {index_page.state for index_page in pages} == {PageState.UNKNOWN}
    assert pages[0].reason == "the index did not answer (ConnectionError)"
    assert pages[-1].reason == "the index did not answer for other projects either"
    assert "secret" not in repr(pages)


# ---- through uv


def build_of(runner: LocalRunner, interpreter: str) -> InterpreterBuild:
    try:
        return runner.find_interpreter(Interpreter.parse(interpreter))
    except CellUnavailable as reason:
        pytest.skip(str(reason))


def outcome(tmp_path: Path, interpreter: str, *lines: str) -> tuple[Finding, ...] | str:
    """Return the findings that block ``lines``, why the result is undetermined, or nothing if they resolve."""
    cache = tmp_path / "cache"
    runner = local_runner(cache, tmp_path)
    try:
        resolver = UvResolver(cache=cache, runner=runner, uv_version="test", lock_hours=1.0)
        locker = Locker(cache=cache, resolver=resolver, single_flight=SingleFlight(None), lock_hours=1.0)
        locker.lock(ResolutionRequest(lines=lines), build_of(runner, interpreter))
    except Unresolvable as blocked:
        return blocked.findings
    except Undetermined as reason:
        return str(reason)
    finally:
        runner.close()
    return ()


def codes_and_names(blocking: tuple[Finding, ...] | str) -> set[tuple[str, tuple[str, ...]]]:
    assert not isinstance(blocking, str), blocking
    return {(finding.code, finding.names) for finding in blocking}


ALL_PROBLEMS = {("PY102", ("gone",)), ("PY102", ("lib",)), ("PY101", ("one", "two"))}


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_all_blockers_are_reported_and_a_second_run_needs_no_index(
    server: Server, tmp_path: Path, interpreter: str
) -> None:
    lines = ("fine", "gone", "lib==3", "one", "two")

    first = outcome(tmp_path, interpreter, *lines)
    server.asked.clear()

    assert codes_and_names(first) == ALL_PROBLEMS
    assert outcome(tmp_path, interpreter, *lines) == first
    assert not server.asked
    assert "secret" not in repr(first)
    assert b"secret" not in b"".join(file.read_bytes() for file in (tmp_path / "cache").rglob("*.json"))


@pytest.mark.parametrize("fault", ["500", "garbage", "truncated", "html", "silent"])
def test_without_the_pre_check_the_resolver_finds_the_same(server: Server, tmp_path: Path, fault: str) -> None:
    server.fault, server.screen_only = fault, True

    assert codes_and_names(outcome(tmp_path, "3.12", "fine", "gone", "lib==3", "one", "two")) == ALL_PROBLEMS


@pytest.mark.parametrize("fault", ["500", "garbage", "truncated", "cut off", "silent", "denied"])
def test_a_failing_index_gives_no_verdict(server: Server, tmp_path: Path, fault: str) -> None:
    server.fault = fault

    reason = outcome(tmp_path, "3.12", "fine", "one")

    assert isinstance(reason, str), reason
    assert reason
    assert "secret" not in reason


def test_a_resolvable_set_needs_no_pre_check(server: Server, tmp_path: Path) -> None:
    assert outcome(tmp_path, "3.12", "fine", "one") == ()
    assert not (tmp_path / "cache" / "simple").exists()


def test_uv_settings_above_the_cache_are_ignored(server: Server, tmp_path: Path) -> None:
    """The user's settings apply; those of a repository that contains the cache do not."""
    (tmp_path / "uv.toml").write_text("no-index = true")

    assert outcome(tmp_path, "3.12", "fine", "one") == ()


def test_a_page_is_requested_once_for_all_resolutions(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even without cache headers, unless the index is named by a variable: then uv requests it again."""
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
