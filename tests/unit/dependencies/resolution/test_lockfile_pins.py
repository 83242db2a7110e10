"""What a lock file holds on one interpreter, what of it is wanted there, and where it is stale."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.dependencies.resolution.lock import Lock, Pin, Wanted
from pytest_py312.dependencies.resolution.lockfile_pins import (
    LOCKED,
    STALE,
    afterwards,
    as_locked,
    held,
    pinned,
    reached,
    remedy,
    stale,
)
from pytest_py312.repository.formats.lockfiles import LockedPin, LockText, Need
from pytest_py312.repository.formats.requirements_file import Entry, requirement_of
from pytest_py312.repository.services.requirement_set import LocatedEntry, requirement_set
from tests.support.fakes import service_tree

TOGETHER = tuple(map(Interpreter.parse, ("3.9", "3.10", "3.12")))
ON39, ON310, ON312 = TOGETHER
OLD, NEW = "python_full_version < '3.10'", "python_full_version >= '3.10'"


def pin(name: str, version: str = "1.0", *needs: Need, line: int = 1, **more: object) -> LockedPin:
    return replace(LockedPin(name=name, version=version, line=line, needs=needs), **more)  # type: ignore[arg-type]  # any field


def lock(*pins: LockedPin, path: str = "a/uv.lock", **more: object) -> LockText:
    return replace(LockText(path=path, pins=pins), **more)  # type: ignore[arg-type]  # any field


def entry(text: str, path: str = "a/pyproject.toml") -> LocatedEntry:
    found = requirement_of(text, 3, text)
    assert isinstance(found, Entry)
    return LocatedEntry(entry=found, location=Location(path=path, line=3))


@pytest.mark.parametrize("on", TOGETHER)
def test_a_version_holds_where_it_is_meant(on: Interpreter) -> None:
    forked = lock(pin("numpy", "1.26", markers=(OLD,)), pin("numpy", "2.2", markers=(NEW,)), pin("six", "1.16"))

    assert set(held([forked], [], on)) == {"numpy==1.26" if on == ON39 else "numpy==2.2", "six==1.16"}


@pytest.mark.parametrize(
    "pins",
    [
        (pin("six", "1"), pin("six", "2")),
        (pin("six", "1", source="git"),),
        (pin("six", ""),),
        (pin("six", "1", markers=("extra == 'a' and",)),),
    ],
    ids=["two without markers", "from elsewhere", "without a version", "a marker that is none"],
)
def test_what_is_not_sure_is_not_held(pins: tuple[LockedPin, ...]) -> None:
    assert list(held([lock(*pins)], [], ON312)) == []


def test_what_a_requirement_excludes_is_not_held_but_stale() -> None:
    wanted = [entry("six>=2"), entry("numpy<2 ; python_version < '3.10'")]
    found = lock(pin("six", "1.16", line=7), pin("numpy", "2.2"))

    assert list(held([found], wanted, ON312)) == ["numpy==2.2"]
    assert list(held([found], wanted, ON39)) == []
    (finding,) = stale([found], wanted, ON312)
    assert (finding.code, finding.names, finding.location) == (STALE, ("six",), Location(path="a/uv.lock", line=7))
    assert {one.names for one in stale([found], wanted, ON39)} == {("six",), ("numpy",)}


def test_a_lock_is_not_stale_for_what_it_was_not_made_from() -> None:
    """Requirements files beside it, other services, and what comes from a url."""
    others = [
        entry("six>=2", "a/requirements-test.txt"),
        entry("six>=2", "b/pyproject.toml"),
        entry("six @ https://x/six-2.zip"),
    ]

    assert list(stale([lock(pin("six"))], others, ON312)) == []
    assert len(list(stale([lock(pin("six"), path="uv.lock")], [entry("six>=2", "b/pyproject.toml")], ON312))) == 1


def test_what_a_lock_does_not_have_is_missing() -> None:
    (finding,) = stale([lock()], [entry("six")], ON312)

    assert "a/uv.lock does not have it" in finding.message
    assert finding.location == Location(path="a/pyproject.toml", line=3)
    assert list(stale([lock(path="a/pylock.toml", each_is_wanted=True)], [entry("six")], ON312)) == []


@pytest.mark.parametrize(
    ("requires", "stale_on"),
    [(">=3.9", []), (">=3.9,<3.12", [ON312]), ("^3.10", [ON39]), ("==3.9.*", [ON310, ON312]), ("nonsense", [])],
)
def test_a_lock_says_for_which_pythons_it_was_made(requires: str, stale_on: list[Interpreter]) -> None:
    found = [on for on in TOGETHER if list(stale([lock(requires_python=requires)], [], on))]

    assert found == stale_on


@pytest.mark.parametrize(("on", "names"), [(ON39, ["a", "b", "c", "e"]), (ON312, ["a", "b"])])
def test_what_is_wanted_is_reached_from_the_requirements(on: Interpreter, names: list[str]) -> None:
    """By way of markers and extras; a circle has an end."""
    found = lock(
        pin("a", "1", Need(name="b", extras=("x",)), Need(name="c", marker=OLD)),
        pin("b", "1", Need(name="a"), Need(name="d", only_with="y"), Need(name="e", only_with="x", marker=OLD)),
        pin("c"),
        pin("d"),
        pin("e"),
    )

    assert [one.name for one in reached(found, ["a>=1"], on)] == names
    assert reached(found, ["zzz", "a ; python_version < '3'", "not a requirement !"], on) == []


def test_all_that_pylock_means_is_wanted() -> None:
    found = lock(pin("a"), pin("b", markers=(OLD,)), path="a/pylock.toml", each_is_wanted=True)

    assert [one.name for one in reached(found, [], ON312)] == ["a"]


def test_the_pins_as_requirements_stand_in_the_lock_file() -> None:
    loose = Wanted(lines=("a>=1",), direct=(("a", Location(path="a/pyproject.toml", line=3)),))

    strict = pinned(loose, [lock(pin("a", "1", Need(name="b")), pin("b", "2", line=9))], [entry("a>=1")], ON312)

    assert strict.lines == ("a>=1", "a==1", "b==2")
    assert strict.where("b") == Location(path="a/uv.lock", line=9)


FREE = Lock(pins=(Pin(name="six", version="2.0", line="six==2.0"),))
BLOCKS = Finding(code="PY104", message="no wheel", remedy="replace it", names=("six",))


def test_a_finding_is_the_locks_where_the_requirements_resolve_without_it() -> None:
    (finding,) = as_locked([BLOCKS], [lock(pin("six", "1.0", line=4))], FREE, ON312)

    assert (finding.code, finding.location) == (LOCKED, Location(path="a/uv.lock", line=4))
    assert finding.message == "a/uv.lock holds six at 1.0: no wheel"
    assert finding.remedy == (
        "make a/uv.lock anew: `uv lock --upgrade-package six` (tried: the requirements resolve on 3.12 with six 2.0)"
    )


@pytest.mark.parametrize(
    ("finding", "version"),
    [(BLOCKS, "2.0"), (replace(BLOCKS, names=("other",)), "1.0"), (replace(BLOCKS, severity=Severity.WARNING), "1.0")],
    ids=["the same version without it", "not locked", "no error"],
)
def test_all_else_stays_as_it_is_told(finding: Finding, version: str) -> None:
    assert list(as_locked([finding], [lock(pin("six", version))], FREE, ON312)) == [finding]


@pytest.mark.parametrize(
    ("path", "names", "command"),
    [
        ("uv.lock", (), "`uv lock`"),
        ("uv.lock", ("a", "b"), "`uv lock --upgrade-package a --upgrade-package b`"),
        ("poetry.lock", (), "`poetry lock`"),
        ("poetry.lock", ("a", "b"), "`poetry update --lock a b`"),
        ("Pipfile.lock", (), "`pipenv lock`"),
        ("Pipfile.lock", ("a",), "`pipenv upgrade a`"),
        ("pylock.toml", ("a",), "with the tool that wrote it"),
    ],
)
def test_the_way_to_make_it_anew(path: str, names: tuple[str, ...], command: str) -> None:
    assert command in remedy(lock(path=path), *names)


def test_where_the_requirements_are_blocked_the_lock_comes_afterwards() -> None:
    finding = afterwards([lock()])

    assert (finding.code, finding.severity) == (LOCKED, Severity.WARNING)


# ---- which lock files are read

PROJECT = '[project]\nname = "x"\nversion = "1"\ndependencies = ["six"]\n'
LOCKED_SIX = '[[package]]\nname = "six"\nversion = "1.16.0"\n'
MEMBER = '[[package]]\nname = "x"\nversion = "1"\nsource = { editable = "services/a" }\n'


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"services/a/uv.lock": LOCKED_SIX, "services/a/poetry.lock": LOCKED_SIX}, ["services/a/uv.lock"]),
        ({"services/a/poetry.lock": LOCKED_SIX, "uv.lock": MEMBER}, ["services/a/poetry.lock"]),
        ({"uv.lock": MEMBER + LOCKED_SIX}, ["uv.lock"]),
        ({"uv.lock": LOCKED_SIX}, []),
        ({"services/a/Pipfile.lock": "{}"}, []),
        ({}, []),
    ],
    ids=["beside", "beside before above", "of the workspace", "of another workspace", "of another file", "none"],
)
def test_the_lock_that_goes_with_a_table(tmp_path: Path, files: dict[str, str], found: list[str]) -> None:
    service_tree(tmp_path, {**files, "services/a/pyproject.toml": PROJECT})
    sources = [RequirementSource(path="services/a/pyproject.toml", table="project.dependencies")]

    read = requirement_set(tmp_path, sources, with_locks=True)

    assert [one.path for one in read.locks] == found
    assert set(found) <= set(read.files)
    assert requirement_set(tmp_path, sources).locks == ()


def test_a_lock_alone_is_what_is_required(tmp_path: Path) -> None:
    text = (
        'lock-version = "1.0"\n[[packages]]\nname = "six"\nversion = "1.16.0"\nmarker = "python_version < \'3.10\'"\n'
    )
    service_tree(tmp_path, {"a/pylock.toml": text})

    (found,) = requirement_set(tmp_path, [RequirementSource(path="a/pylock.toml")]).entries

    assert (found.name, found.entry.specifier, found.entry.marker) == ("six", "==1.16.0", 'python_version < "3.10"')
    assert found.location == Location(path="a/pylock.toml", line=3, column=1)


MARKERS = st.sampled_from([OLD, NEW, "", "nonsense", "extra == 'x'", "os_name == 'posix'"])
PINS = st.builds(
    pin,
    st.sampled_from("abc"),
    st.sampled_from(["1", "2", ""]),
    st.builds(Need, name=st.sampled_from("abcd"), marker=MARKERS, only_with=st.sampled_from(["", "x"])),
    markers=st.lists(MARKERS, max_size=2).map(tuple),
)


@given(st.lists(PINS, max_size=8), st.sampled_from(TOGETHER), st.sampled_from(["a", "b>=2", "c<2", "a==1"]))
def test_nothing_is_held_twice_or_against_the_requirements(
    pins: list[LockedPin], on: Interpreter, required: str
) -> None:
    wanted = [entry(required)]
    found = list(held([lock(*pins)], wanted, on))

    assert len({one.partition("==")[0] for one in found}) == len(found)
    stale_names = {name for finding in stale([lock(*pins)], wanted, on) for name in finding.names}
    assert not stale_names & {one.partition("==")[0] for one in found}
    strict = pinned(Wanted(lines=(required,)), [lock(*pins)], wanted, on)
    assert set(strict.lines) <= {required, *found}
