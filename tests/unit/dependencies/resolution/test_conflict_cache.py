"""What is remembered of parts of sets: on the build and with the options that it was told for, while it holds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.dependencies.resolution import conflict_cache
from pytest_py312.dependencies.resolution.conflict_cache import Parts
from pytest_py312.dependencies.resolution.known_solutions import Solution
from pytest_py312.dependencies.resolution.lock import Wanted
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from tests.support.fakes import FakeRunner, build_of

TOGETHER = ("3.9", "3.10", "3.12")
WANTED = Wanted(lines=("a", "b", "c"))
DATED = replace(WANTED, exclude_newer="2024-01-01T00:00:00Z")
CLASH = Finding(code="PY101", message="they do not fit", names=("a", "b"))
FITTING = Solution(lines=frozenset(["b", "c"]), versions={"b": "1", "c": "1", "d": "2"}, needs={"c": frozenset(["d"])})


def parts_in(cache: Path) -> Parts:
    """As another process has them."""
    return Resolver(cache=cache, runner=FakeRunner(), uv_version="0", lock_hours=1.0).parts


def learn(cache: Path, wanted: Wanted = WANTED, on: str = "3.12") -> Parts:
    found = parts_in(cache)
    scope = found.of(wanted, build_of(on))
    scope.add_clash(["a", "b"], replace(CLASH, location=Location(path="a.txt", line=1)))
    scope.add_solution(FITTING)
    scope.keep()
    return found


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_later_run_knows_what_clashes_and_what_resolves(tmp_path: Path, interpreter: str) -> None:
    learn(tmp_path, on=interpreter)
    scope = parts_in(tmp_path).of(WANTED, build_of(interpreter))

    assert scope.clashes(["a", "b", "other"]) == [(frozenset(["a", "b"]), CLASH)]
    assert scope.clashes(["a", "other"]) == []
    assert scope.resolves(["c"])
    assert not scope.resolves(["a"])


def test_another_build_or_another_option_knows_nothing(tmp_path: Path) -> None:
    learn(tmp_path)
    others: Sequence[tuple[Wanted, str]] = [
        (WANTED, "3.9"),
        (DATED, "3.12"),
        (replace(WANTED, options=("--pre",)), "3.12"),
        (replace(WANTED, constraints=("a<2",)), "3.12"),
        (replace(WANTED, hashes=True), "3.12"),
    ]

    for wanted, interpreter in others:
        scope = parts_in(tmp_path).of(wanted, build_of(interpreter))
        assert not scope.clashes(WANTED.lines)
        assert not scope.resolves(["c"])


def test_what_is_too_old_is_forgotten_and_removed_unless_a_cut_off_date_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(tmp_path)
    learn(tmp_path, DATED)
    now = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: now + 3601)

    assert not parts_in(tmp_path).of(WANTED, build_of("3.12")).clashes(WANTED.lines)
    assert parts_in(tmp_path).of(DATED, build_of("3.12")).clashes(WANTED.lines)
    assert len(list((tmp_path / "parts").iterdir())) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"created": 9e99, "clashes": [], "solutions": []}',
        '{"created": NOW, "clashes": [["a", "b"]], "solutions": []}',
        '{"created": NOW, "clashes": [], "solutions": [[["a"], {"a": "1"}, {"a": ["b"]}]]}',
    ],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    learn(tmp_path)
    (file,) = (tmp_path / "parts").iterdir()
    file.write_text(text.replace("NOW", str(clock.timestamp())))

    scope = parts_in(tmp_path).of(WANTED, build_of("3.12"))

    assert not scope.clashes(WANTED.lines)
    assert not scope.resolves(["a"])
    assert not file.exists()


def test_of_many_files_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflict_cache, "MOST_FILES", 2)
    for _ in range(3):
        learn(tmp_path)
    parts_in(tmp_path).of(WANTED, build_of("3.12"))

    assert len(list((tmp_path / "parts").iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "parts").write_text("no folder")

    assert learn(tmp_path).of(WANTED, build_of("3.12")).clashes(WANTED.lines)


def test_what_clashes_on_one_interpreter_is_suspected_on_the_next(tmp_path: Path) -> None:
    known = learn(tmp_path, on="3.9")

    assert known.suspected(WANTED, build_of("3.12")) == [frozenset(["a", "b"])]
    assert known.suspected(replace(WANTED, lines=("a", "c")), build_of("3.12")) == []
    assert known.suspected(replace(WANTED, options=("--pre",)), build_of("3.12")) == []
    assert known.suspected(WANTED, build_of("3.9")) == []  # known, and not suspected


def test_what_was_told_is_suspected_no_more(tmp_path: Path) -> None:
    known = learn(tmp_path, on="3.9")
    known.of(WANTED, build_of("3.12")).add_clash(["a"], CLASH)
    fits = Solution(lines=frozenset(["a", "b"]), versions={"a": "1", "b": "1"}, needs={})
    known.of(WANTED, build_of("3.10")).add_solution(fits)

    assert known.suspected(WANTED, build_of("3.12")) == []
    assert known.suspected(WANTED, build_of("3.10")) == []
