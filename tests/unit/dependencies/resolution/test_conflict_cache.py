"""The cache of conflicts and solutions: valid for one build and its options, for as long as a lock."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.dependencies.resolution import conflict_cache
from pytest_py312.dependencies.resolution.conflict_cache import ConflictCache
from pytest_py312.dependencies.resolution.known_solutions import Solution
from pytest_py312.dependencies.resolution.lock import ResolutionRequest
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from tests.support.fakes import FakeRunner, build_of

TOGETHER = ("3.9", "3.10", "3.12")
REQUEST = ResolutionRequest(lines=("a", "b", "c"))
DATED = replace(REQUEST, exclude_newer="2024-01-01T00:00:00Z")
CONFLICT = Finding(code="PY101", message="they do not fit", names=("a", "b"))
FITTING = Solution(lines=frozenset(["b", "c"]), versions={"b": "1", "c": "1", "d": "2"}, needs={"c": frozenset(["d"])})


def cache_in(cache: Path) -> ConflictCache:
    """Return the cache of another process."""
    return UvResolver(cache=cache, runner=FakeRunner(), uv_version="0", lock_hours=1.0).conflict_cache


def learn(cache: Path, request: ResolutionRequest = REQUEST, on: str = "3.12") -> ConflictCache:
    conflicts = cache_in(cache)
    scope = conflicts.scope_for(request, build_of(on))
    scope.add_conflict(["a", "b"], replace(CONFLICT, location=Location(path="a.txt", line=1)))
    scope.add_solution(FITTING)
    scope.save()
    return conflicts


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_later_run_has_the_conflicts_and_solutions(tmp_path: Path, interpreter: str) -> None:
    learn(tmp_path, on=interpreter)
    scope = cache_in(tmp_path).scope_for(REQUEST, build_of(interpreter))

    assert scope.conflicts_among(["a", "b", "other"]) == [(frozenset(["a", "b"]), CONFLICT)]
    assert scope.conflicts_among(["a", "other"]) == []
    assert scope.can_satisfy(["c"])
    assert not scope.can_satisfy(["a"])


def test_other_builds_and_options_have_other_scopes(tmp_path: Path) -> None:
    learn(tmp_path)
    others: Sequence[tuple[ResolutionRequest, str]] = [
        (REQUEST, "3.9"),
        (DATED, "3.12"),
        (replace(REQUEST, options=("--pre",)), "3.12"),
        (replace(REQUEST, constraints=("a<2",)), "3.12"),
        (replace(REQUEST, hashes=True), "3.12"),
    ]

    for request, interpreter in others:
        scope = cache_in(tmp_path).scope_for(request, build_of(interpreter))
        assert not scope.conflicts_among(REQUEST.lines)
        assert not scope.can_satisfy(["c"])


def test_old_files_are_removed_unless_there_is_a_cut_off_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learn(tmp_path)
    learn(tmp_path, DATED)
    now = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: now + 3601)

    assert not cache_in(tmp_path).scope_for(REQUEST, build_of("3.12")).conflicts_among(REQUEST.lines)
    assert cache_in(tmp_path).scope_for(DATED, build_of("3.12")).conflicts_among(REQUEST.lines)
    assert len(list((tmp_path / "parts").iterdir())) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"created": 9e99, "conflicts": [], "solutions": []}',
        '{"created": NOW, "conflicts": [["a", "b"]], "solutions": []}',
        '{"created": NOW, "conflicts": [], "solutions": [[["a"], {"a": "1"}, {"a": ["b"]}]]}',
    ],
)
def test_a_damaged_file_is_removed(tmp_path: Path, text: str) -> None:
    learn(tmp_path)
    (file,) = (tmp_path / "parts").iterdir()
    file.write_text(text.replace("NOW", str(clock.timestamp())))

    scope = cache_in(tmp_path).scope_for(REQUEST, build_of("3.12"))

    assert not scope.conflicts_among(REQUEST.lines)
    assert not scope.can_satisfy(["a"])
    assert not file.exists()


def test_the_oldest_of_many_files_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflict_cache, "MAX_FILES", 2)
    for _ in range(3):
        learn(tmp_path)
    cache_in(tmp_path).scope_for(REQUEST, build_of("3.12"))

    assert len(list((tmp_path / "parts").iterdir())) == 2


def test_an_unwritable_folder_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "parts").write_text("no folder")

    assert learn(tmp_path).scope_for(REQUEST, build_of("3.12")).conflicts_among(REQUEST.lines)


def test_a_conflict_on_one_interpreter_is_suspected_on_the_next(tmp_path: Path) -> None:
    conflicts = learn(tmp_path, on="3.9")

    assert conflicts.suspected_conflicts(REQUEST, build_of("3.12")) == [frozenset(["a", "b"])]
    assert conflicts.suspected_conflicts(replace(REQUEST, lines=("a", "c")), build_of("3.12")) == []
    assert conflicts.suspected_conflicts(replace(REQUEST, options=("--pre",)), build_of("3.12")) == []
    assert conflicts.suspected_conflicts(REQUEST, build_of("3.9")) == []  # known and not only suspected


def test_the_position_of_a_command_does_not_matter(tmp_path: Path) -> None:
    """The same set may be the second command of one service and the only one of another."""
    conflicts = learn(tmp_path, replace(REQUEST, position=1), on="3.9")

    assert conflicts.suspected_conflicts(REQUEST, build_of("3.9")) == []
    assert conflicts.suspected_conflicts(REQUEST, build_of("3.12")) == [frozenset(["a", "b"])]


def test_decided_conflicts_are_no_longer_suspected(tmp_path: Path) -> None:
    conflicts = learn(tmp_path, on="3.9")
    conflicts.scope_for(REQUEST, build_of("3.12")).add_conflict(["a"], CONFLICT)
    fits = Solution(lines=frozenset(["a", "b"]), versions={"a": "1", "b": "1"}, needs={})
    conflicts.scope_for(REQUEST, build_of("3.10")).add_solution(fits)

    assert conflicts.suspected_conflicts(REQUEST, build_of("3.12")) == []
    assert conflicts.suspected_conflicts(REQUEST, build_of("3.10")) == []
