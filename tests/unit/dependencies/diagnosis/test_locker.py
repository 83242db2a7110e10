"""Locking a set, or diagnosing it; a second run uses the cache."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.process import CommandResult
from pytest_py312.dependencies.diagnosis.locker import Locker
from pytest_py312.dependencies.resolution.failure_cache import FORMAT_VERSION, FailureCache, with_locations
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from tests.support.fakes import FakeRunner, build_of, command_run_of

TOGETHER = ("3.9", "3.10", "3.12")
CONFLICT = """\
error: No solution found when resolving dependencies
  cause: Because fastapi==0.110.0 depends on starlette>=0.36.3,<0.37.0 and you require fastapi==0.110.0, we can \
conclude that you require starlette>=0.36.3,<0.37.0.
         And because you require starlette==0.27.0, we can conclude that your requirements are unsatisfiable.
"""
NO_COMPILER = """\
error: Failed to build `mysqlclient==2.0`
  cause: The build backend returned an error

         [stderr]
         mysql_config not found
"""
LINES = ("fastapi==0.110.0", "six", "starlette==0.27.0")
REQUEST = ResolutionRequest(
    lines=LINES, direct=tuple((line.split("=")[0], Location(path="a.txt", line=at)) for at, line in enumerate(LINES, 1))
)


class FakeUv(FakeRunner):
    """A fake of uv that fails for the sets of this module as uv does. ``sets`` are the sets that it resolved."""

    def __init__(self) -> None:
        super().__init__()
        self.sets: list[frozenset[str]] = []

    def run_tool(
        self, build: object, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        if "--emit-index-url" in argv:
            return command_run_of("# no index on the web\n--index-url file:///srv/simple\n")
        self.tools.append(tuple(argv))
        lines = Path(argv[-1]).read_text().split()
        self.sets.append(frozenset(lines))
        if "mysqlclient" in lines:
            return command_run_of(stderr=NO_COMPILER, exit_code=1)
        if {"fastapi==0.110.0", "starlette==0.27.0"} <= set(lines):
            return command_run_of(stderr=CONFLICT, exit_code=1)
        return command_run_of("six==1.16.0\n")


def locker_and_runner(cache: Path, hours: float = 24.0) -> tuple[Locker, FakeUv]:
    runner = FakeUv()
    resolver = UvResolver(cache=cache, runner=runner, uv_version="0.9.0", lock_hours=hours)
    return Locker(cache=cache, resolver=resolver, single_flight=SingleFlight(None), lock_hours=hours), runner


def blocked(locker: Locker, request: ResolutionRequest = REQUEST, on: str = "3.12") -> tuple[Finding, ...]:
    with pytest.raises(Unresolvable) as caught:
        locker.lock(request, build_of(on))
    return caught.value.findings


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_an_unresolvable_set_is_diagnosed_completely_and_once(tmp_path: Path, interpreter: str) -> None:
    first, _ = locker_and_runner(tmp_path)
    second, runner = locker_and_runner(tmp_path)

    (finding,) = blocked(first, on=interpreter)

    assert finding.code == "PY101"
    assert finding.names == ("fastapi", "starlette")
    assert finding.message.startswith(
        f"fastapi==0.110.0 and starlette==0.27.0 conflict on {interpreter}: fastapi==0.110.0"
    )
    assert blocked(second, on=interpreter) == (finding,)
    assert runner.tools == []


def test_a_set_that_resolves_needs_only_the_resolver(tmp_path: Path) -> None:
    locker, runner = locker_and_runner(tmp_path)

    assert locker.lock(ResolutionRequest(lines=("six",)), build_of()).versions == {"six": "1.16.0"}
    assert len(runner.tools) == 1
    assert not (tmp_path / "simple").exists()


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_an_edited_set_is_blocked_by_its_cached_conflict(tmp_path: Path, interpreter: str) -> None:
    (finding,) = blocked(locker_and_runner(tmp_path)[0], on=interpreter)
    again, runner = locker_and_runner(tmp_path)

    assert blocked(again, replace(REQUEST, lines=(*LINES, "attrs")), on=interpreter) == (finding,)
    assert runner.sets != []
    assert not any({"fastapi==0.110.0", "starlette==0.27.0"} <= lines for lines in runner.sets)


def test_a_conflict_on_one_interpreter_is_tried_first_on_the_next(tmp_path: Path) -> None:
    locker, runner = locker_and_runner(tmp_path)
    blamed = {on: blocked(locker, on=on)[0].names for on in ("3.9", "3.10")}
    count = len(runner.sets)
    blamed["3.12"] = blocked(locker)[0].names

    assert set(blamed.values()) == {("fastapi", "starlette")}
    assert runner.sets[count] == {"fastapi==0.110.0", "starlette==0.27.0"}
    assert frozenset(LINES) not in runner.sets[count:]


def test_cached_findings_have_the_locations_of_the_request(tmp_path: Path) -> None:
    """Two services may have the same requirements, and lines may move."""
    blocked(locker_and_runner(tmp_path)[0])
    moved = replace(REQUEST, direct=tuple((name, Location(path="b.txt", line=9)) for name, _ in REQUEST.direct))

    (finding,) = blocked(locker_and_runner(tmp_path)[0], moved)

    assert finding.location == Location(path="b.txt", line=9)


def test_cached_findings_expire_unless_there_is_a_cut_off_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dated = replace(REQUEST, exclude_newer="2024-01-01T00:00:00Z")
    for request in (REQUEST, dated):
        blocked(locker_and_runner(tmp_path, hours=1.0)[0], request)
    now = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: now + 3601)

    again, runner = locker_and_runner(tmp_path, hours=1.0)
    blocked(again, dated)
    assert runner.tools == []
    blocked(again, REQUEST)
    assert runner.tools != []


def test_a_failed_build_expires_even_with_a_cut_off_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it builds depends on the machine as well."""
    runner = FakeUv()
    resolver = UvResolver(cache=tmp_path, runner=runner, uv_version="0.9.0", lock_hours=1.0)
    failures = FailureCache(cache=tmp_path, resolver=resolver, lock_hours=1.0)
    dated = replace(REQUEST, exclude_newer="2024-01-01T00:00:00Z")
    failures.put(dated, build_of(), [Finding(code="PY104", message="it fails to build", names=("six",))])
    assert [finding.names for finding in failures.get(dated, build_of())] == [("six",)]
    now = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: now + 3601)

    assert failures.get(dated, build_of()) == ()


def test_settings_of_uv_are_part_of_the_cache_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a project is missing on one index, the cached finding does not count for another index."""
    blocked(locker_and_runner(tmp_path)[0])
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://user:secret@index.example/simple")
    again, runner = locker_and_runner(tmp_path)

    blocked(again)

    assert runner.tools != []
    assert "secret" not in "".join(file.read_text() + file.name for file in (tmp_path / "locks").iterdir())


@pytest.mark.parametrize(
    "damage", ["", "[]", "{", '{"created": 1, "findings": [3]}', '{"created": [], "findings": []}']
)
def test_a_damaged_cache_file_is_ignored(tmp_path: Path, damage: str) -> None:
    findings = blocked(locker_and_runner(tmp_path)[0])
    for file in (tmp_path / "locks").glob("*.refused.json"):
        file.write_text(damage)
    again, runner = locker_and_runner(tmp_path)

    assert blocked(again) == findings
    assert runner.tools != []


def test_an_incomplete_diagnosis_is_not_cached(tmp_path: Path) -> None:
    """A source that cannot be built on this machine does not hide other blockers."""
    request = replace(
        REQUEST, lines=(*LINES, "mysqlclient"), direct=(*REQUEST.direct, ("mysqlclient", Location(path="a")))
    )

    findings = blocked(locker_and_runner(tmp_path)[0], request)

    assert {(finding.code, finding.names) for finding in findings} == {
        ("PY101", ("fastapi", "starlette")),
        ("PY113", ("mysqlclient",)),
    }
    assert not list((tmp_path / "locks").glob("*.refused.json"))


def test_a_set_blocked_only_by_a_source_that_cannot_be_built_here_is_undetermined(tmp_path: Path) -> None:
    request = ResolutionRequest(lines=("mysqlclient", "six"))

    with pytest.raises(Undetermined, match="mysql_config not found"):
        locker_and_runner(tmp_path)[0].lock(request, build_of())


@pytest.mark.parametrize("lines", [(), ("six",)])
def test_what_a_platform_provides_blocks_nothing(tmp_path: Path, lines: tuple[str, ...]) -> None:
    """Nobody installs it: that it cannot be had here says nothing about the service."""
    locker, _ = locker_and_runner(tmp_path)
    provided = replace(REQUEST, provided=True, position=1)

    with pytest.raises(Undetermined, match="what the platform provides cannot be resolved"):
        locker.lock(ResolutionRequest(lines=lines, others=(provided,)), build_of())


def test_what_a_platform_provides_is_not_blamed_beside_what_blocks(tmp_path: Path) -> None:
    provided = ResolutionRequest(lines=("mysqlclient",), provided=True, position=1)

    assert {
        finding.names for finding in blocked(locker_and_runner(tmp_path)[0], replace(REQUEST, others=(provided,)))
    } == {("fastapi", "starlette")}


def test_a_failed_attempt_is_not_diagnosed(tmp_path: Path) -> None:
    locker, runner = locker_and_runner(tmp_path)

    assert locker.try_lock(REQUEST, build_of()) is None
    assert locker.try_lock(REQUEST, build_of()) is None
    assert len(runner.tools) == 1
    assert locker.try_lock(ResolutionRequest(lines=("six",)), build_of()) is not None


def test_a_failed_attempt_is_diagnosed_when_locking(tmp_path: Path) -> None:
    """The cached first finding does not count as everything that blocks."""
    locker_and_runner(tmp_path)[0].try_lock(REQUEST, build_of())
    locker, runner = locker_and_runner(tmp_path)

    assert blocked(locker)[0].message.startswith("fastapi==0.110.0 and starlette==0.27.0 conflict")
    assert runner.tools != []


def test_findings_are_sorted_by_line() -> None:
    request = ResolutionRequest(
        lines=(), direct=(("b", Location(path="r.txt", line=10)), ("a", Location(path="r.txt", line=9)))
    )
    findings = [
        Finding(code="PY113", message="?"),
        *(Finding(code="PY102", message=name, names=(name,)) for name in "ba"),
    ]

    assert [finding.message for finding in with_locations(findings, request)] == ["a", "b", "?"]


def test_cached_findings_are_readable_json(tmp_path: Path) -> None:
    blocked(locker_and_runner(tmp_path)[0])
    (file,) = (tmp_path / "locks").glob("*.refused.json")

    assert json.loads(file.read_text())["findings"][0]["names"] == ["fastapi", "starlette"]


# ---- preinstalled distributions


class WithSetuptools(FakeRunner):
    """A fake of uv, for a set that allows only the version ``allows`` of setuptools as a constraint.

    ``older`` is the version of another project that this needs; the newest one is 2.
    """

    def __init__(self, allows: str, older: str) -> None:
        super().__init__()
        self._allows = allows
        self._older = older

    def run_tool(
        self, build: object, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        if "--emit-index-url" in argv:
            return command_run_of("--index-url file:///srv/simple\n")
        constraints = Path(argv[argv.index("--constraint") + 1]).read_text() if "--constraint" in argv else ""
        if constraints and self._allows not in constraints:
            return command_run_of(stderr=CONFLICT, exit_code=1)
        lib = self._older if constraints else "2"
        return command_run_of(f"lib=={lib}\n{constraints.strip() or 'setuptools==82.0.0'}\n")


@pytest.mark.parametrize(
    ("seed", "allows", "older", "expected"),
    [
        (("setuptools==58.1.0",), "58.1.0", "2", "58.1.0"),
        (("setuptools==58.1.0",), "65.0.0", "2", "82.0.0"),
        (("setuptools==58.1.0",), "58.1.0", "1", "82.0.0"),
        ((), "", "2", "82.0.0"),
    ],
    ids=["it suffices", "the set needs a newer one", "the newest of another project needs a newer one", "none on 3.12"],
)
def test_preinstalled_distributions_stay_if_the_set_allows_it(
    tmp_path: Path, seed: tuple[str, ...], allows: str, older: str, expected: str
) -> None:
    """pip does the same, and takes no older version of another project for it. A second run uses the cache."""
    build = replace(build_of("3.9"), preinstalled=seed)
    runner = WithSetuptools(allows, older)
    resolver = UvResolver(cache=tmp_path, runner=runner, uv_version="0.9.0", lock_hours=24.0)
    locker = Locker(cache=tmp_path, resolver=resolver, single_flight=SingleFlight(None), lock_hours=24.0)

    def request_with(constraints: tuple[str, ...]) -> ResolutionRequest:
        return ResolutionRequest(lines=("pyramid",), constraints=constraints)

    lock = locker.keep_preinstalled(locker.lock(request_with(()), build), build, request_with)

    assert lock.versions == {"lib": "2", "setuptools": expected}
    assert locker.keep_preinstalled_from_cache(lock, build, request_with) == lock


def test_cached_findings_of_another_format_are_ignored(tmp_path: Path) -> None:
    """They come from another version of this tool with the same cache."""
    resolver = UvResolver(cache=tmp_path, runner=FakeUv(), uv_version="0.9.0", lock_hours=24.0)
    failures = FailureCache(cache=tmp_path, resolver=resolver, lock_hours=24.0)
    failures.put(REQUEST, build_of(), [Finding(code="PY101", message="six conflicts", names=("six",))])
    assert failures.get(REQUEST, build_of())
    (file,) = (tmp_path / "locks").glob("*.refused.json")
    file.write_text(file.read_text().replace(f'"form": {FORMAT_VERSION}', '"form": 0'))
    assert not failures.get(REQUEST, build_of())
