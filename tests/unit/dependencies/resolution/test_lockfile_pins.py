"""The pins of a lock file on one interpreter: which apply, which are required, and where it is stale."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.dependencies.resolution.lock import DependencyLock, Pin, ResolutionRequest
from pytest_py312.dependencies.resolution.lockfile_pins import (
    LOCKED_VERSION_CODE,
    STALE_LOCK_CODE,
    attribute_to_locks,
    describe_regeneration,
    lines_at_commits,
    pinned_constraints,
    regeneration_finding,
    required_pins,
    stale_lock_findings,
    with_locked_pins,
)
from pytest_py312.repository.formats.lockfiles import LockedDependency, LockedPin, LockFileText
from pytest_py312.repository.formats.requirements_file import RequirementEntry, parse_requirement
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry, read_requirement_set
from tests.support.fakes import service_tree

TOGETHER = tuple(map(Interpreter.parse, ("3.9", "3.10", "3.12")))
ON39, ON310, ON312 = TOGETHER
OLD, NEW = "python_full_version < '3.10'", "python_full_version >= '3.10'"


def pin(name: str, version: str = "1.0", *needs: LockedDependency, line: int = 1, **more: object) -> LockedPin:
    return replace(LockedPin(name=name, version=version, line=line, dependencies=needs), **more)  # type: ignore[arg-type]  # any field


def lock(*pins: LockedPin, path: str = "a/uv.lock", **more: object) -> LockFileText:
    return replace(LockFileText(path=path, pins=pins), **more)  # type: ignore[arg-type]  # any field


def entry(text: str, path: str = "a/pyproject.toml") -> LocatedEntry:
    parsed = parse_requirement(text, 3, text)
    assert isinstance(parsed, RequirementEntry)
    return LocatedEntry(entry=parsed, location=Location(path=path, line=3))


@pytest.mark.parametrize("on", TOGETHER)
def test_a_pin_applies_where_its_marker_does(on: Interpreter) -> None:
    forked = lock(pin("numpy", "1.26", markers=(OLD,)), pin("numpy", "2.2", markers=(NEW,)), pin("six", "1.16"))

    assert set(pinned_constraints([forked], [], on)) == {"numpy==1.26" if on == ON39 else "numpy==2.2", "six==1.16"}


@pytest.mark.parametrize(
    "pins",
    [
        (pin("six", "1"), pin("six", "2")),
        (pin("six", "1", source="git"),),
        (pin("six", ""),),
        (pin("six", "1", markers=("extra == 'a' and",)),),
    ],
    ids=["two without markers", "not from an index", "without a version", "an invalid marker"],
)
def test_ambiguous_pins_are_no_constraints(pins: tuple[LockedPin, ...]) -> None:
    assert list(pinned_constraints([lock(*pins)], [], ON312)) == []


@pytest.mark.parametrize(
    ("required", "locked"),
    [
        ("lib @ git+https://host/lib", "lib @ git+https://host/lib@COMMIT"),
        ("lib @ git+https://host/lib.git@main", "lib @ git+https://host/lib.git@COMMIT"),
        (
            "lib[a] @ git+ssh://git@host/x/lib@a/b#subdirectory=s",
            "lib[a] @ git+ssh://git@host/x/lib@COMMIT#subdirectory=s",
        ),
        ("lib @ git+file:///x/lib@v1 ; os_name != 'nt'", "lib @ git+file:///x/lib@COMMIT ; os_name != 'nt'"),
        ("lib @ https://host/lib-1.0.tar.gz", ""),
        ("lib @ git+https://host/lib ; python_version < '3.9'", ""),
        ("other @ git+https://host/lib", ""),
    ],
)
@pytest.mark.parametrize("on", TOGETHER)
def test_a_requirement_from_git_is_installed_at_the_commit_of_the_lock(
    on: Interpreter, required: str, locked: str
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    lock_file = lock(pin("lib", source="git", commit=commit), pin("six", "1"))

    lines = list(lines_at_commits([lock_file], [entry(required)], on))

    assert lines == ([locked.replace("COMMIT", commit)] if locked else [])
    forked = lock(*lock_file.pins, pin("lib", source="git", commit="f" * 40))
    assert list(lines_at_commits([forked], [entry(required)], on)) == []


@pytest.mark.parametrize("on", TOGETHER)
def test_of_several_locks_the_last_one_decides(on: Interpreter) -> None:
    """`cd sdk && poetry install`, then `cd server && poetry install`: the second replaces what the first installed."""
    first, last = lock(pin("six", "1.15"), pin("attrs", "23")), lock(pin("six", "1.16", line=7), path="b/uv.lock")
    assert list(pinned_constraints([first, last], [], on)) == ["six==1.16", "attrs==23"]

    request = with_locked_pins(ResolutionRequest(lines=("six", "attrs")), [first, last], [], on)
    assert request.lines == ("six", "attrs", "attrs==23", "six==1.16")
    assert str(request.location_of("six")) == "b/uv.lock:7"


def test_a_pin_that_a_requirement_excludes_is_stale_and_no_constraint() -> None:
    entries = [entry("six>=2"), entry("numpy<2 ; python_version < '3.10'")]
    lock_file = lock(pin("six", "1.16", line=7), pin("numpy", "2.2"))

    assert list(pinned_constraints([lock_file], entries, ON312)) == ["numpy==2.2"]
    assert list(pinned_constraints([lock_file], entries, ON39)) == []
    (finding,) = stale_lock_findings([lock_file], entries, ON312)
    assert (finding.code, finding.names, finding.location) == (
        STALE_LOCK_CODE,
        ("six",),
        Location(path="a/uv.lock", line=7),
    )
    assert {stale.names for stale in stale_lock_findings([lock_file], entries, ON39)} == {("six",), ("numpy",)}


def test_a_lock_is_stale_only_for_requirements_it_was_made_from() -> None:
    """Not for requirements files beside it, other services, and requirements by URL."""
    others = [
        entry("six>=2", "a/requirements-test.txt"),
        entry("six>=2", "b/pyproject.toml"),
        entry("six @ https://x/six-2.zip"),
    ]

    assert list(stale_lock_findings([lock(pin("six"))], others, ON312)) == []
    assert (
        len(list(stale_lock_findings([lock(pin("six"), path="uv.lock")], [entry("six>=2", "b/pyproject.toml")], ON312)))
        == 1
    )


def test_a_requirement_is_locked_by_the_nearest_lock() -> None:
    """An image may install several projects, one after the other."""
    locks = [lock(pin("six"), path="uv.lock"), lock(pin("attrs"), path="b/uv.lock")]
    entries = [entry("six>=1", "pyproject.toml"), entry("attrs>=1", "b/pyproject.toml")]
    assert list(stale_lock_findings(locks, entries, ON312)) == []
    assert len(list(stale_lock_findings(locks, [entry("six>=1", "b/pyproject.toml")], ON312))) == 1


def test_a_requirement_that_is_missing_in_the_lock_is_stale() -> None:
    (finding,) = stale_lock_findings([lock()], [entry("six")], ON312)

    assert "a/uv.lock does not have it" in finding.message
    assert finding.location == Location(path="a/pyproject.toml", line=3)
    assert list(stale_lock_findings([lock(path="a/pylock.toml", all_pins_required=True)], [entry("six")], ON312)) == []


@pytest.mark.parametrize(
    ("requires", "stale_on"),
    [(">=3.9", []), (">=3.9,<3.12", [ON312]), ("^3.10", [ON39]), ("==3.9.*", [ON310, ON312]), ("nonsense", [])],
)
def test_a_lock_is_stale_for_pythons_that_it_does_not_support(requires: str, stale_on: list[Interpreter]) -> None:
    stale = [on for on in TOGETHER if list(stale_lock_findings([lock(requires_python=requires)], [], on))]

    assert stale == stale_on


@pytest.mark.parametrize(("on", "names"), [(ON39, ["a", "b", "c", "e"]), (ON312, ["a", "b"])])
def test_required_pins_follow_from_the_requirements(on: Interpreter, names: list[str]) -> None:
    """Markers and extras are respected, and circular requirements terminate."""
    lock_file = lock(
        pin("a", "1", LockedDependency(name="b", extras=("x",)), LockedDependency(name="c", marker=OLD)),
        pin(
            "b",
            "1",
            LockedDependency(name="a"),
            LockedDependency(name="d", required_by_extra="y"),
            LockedDependency(name="e", required_by_extra="x", marker=OLD),
        ),
        pin("c"),
        pin("d"),
        pin("e"),
    )

    assert [required.name for required in required_pins(lock_file, ["a>=1"], on)] == names
    assert required_pins(lock_file, ["zzz", "a ; python_version < '3'", "not a requirement !"], on) == []


def test_all_applicable_pins_of_a_pylock_are_required() -> None:
    lock_file = lock(pin("a"), pin("b", markers=(OLD,)), path="a/pylock.toml", all_pins_required=True)

    assert [required.name for required in required_pins(lock_file, [], ON312)] == ["a"]


def test_pins_as_requirements_are_located_in_the_lock_file() -> None:
    unlocked = ResolutionRequest(lines=("a>=1",), direct=(("a", Location(path="a/pyproject.toml", line=3)),))

    locked = with_locked_pins(
        unlocked, [lock(pin("a", "1", LockedDependency(name="b")), pin("b", "2", line=9))], [entry("a>=1")], ON312
    )

    assert locked.lines == ("a>=1", "a==1", "b==2")
    assert locked.location_of("b") == Location(path="a/uv.lock", line=9)


FREE = DependencyLock(pins=(Pin(name="six", version="2.0", line="six==2.0"),))
BLOCKS = Finding(code="PY104", message="no wheel", remedy="replace it", names=("six",))


def test_a_finding_is_about_the_lock_if_the_requirements_resolve_without_it() -> None:
    (finding,) = attribute_to_locks([BLOCKS], [lock(pin("six", "1.0", line=4))], FREE, ON312)

    assert (finding.code, finding.location) == (LOCKED_VERSION_CODE, Location(path="a/uv.lock", line=4))
    assert finding.message == "a/uv.lock pins six to 1.0: no wheel"
    assert finding.remedy == (
        "regenerate a/uv.lock: `uv lock --upgrade-package six` "
        "(verified: the requirements resolve on 3.12 with six 2.0)"
    )


@pytest.mark.parametrize(
    ("finding", "version"),
    [(BLOCKS, "2.0"), (replace(BLOCKS, names=("other",)), "1.0"), (replace(BLOCKS, severity=Severity.WARNING), "1.0")],
    ids=["the same version without it", "not locked", "not an error"],
)
def test_other_findings_stay_unchanged(finding: Finding, version: str) -> None:
    assert list(attribute_to_locks([finding], [lock(pin("six", version))], FREE, ON312)) == [finding]


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
def test_the_command_that_regenerates_a_lock(path: str, names: tuple[str, ...], command: str) -> None:
    assert command in describe_regeneration(lock(path=path), *names)


def test_a_lock_of_blocked_requirements_needs_regeneration_as_well() -> None:
    finding = regeneration_finding([lock()])

    assert (finding.code, finding.severity) == (LOCKED_VERSION_CODE, Severity.WARNING)


# ---- which lock files are read

PROJECT = '[project]\nname = "x"\nversion = "1"\ndependencies = ["six"]\n'
LOCKED_SIX = '[[package]]\nname = "six"\nversion = "1.16.0"\n'
MEMBER = '[[package]]\nname = "x"\nversion = "1"\nsource = { editable = "services/a" }\n'


@pytest.mark.parametrize(
    ("files", "lock_files"),
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
def test_the_lock_file_of_a_table(tmp_path: Path, files: dict[str, str], lock_files: list[str]) -> None:
    service_tree(tmp_path, {**files, "services/a/pyproject.toml": PROJECT})
    sources = [RequirementSource(path="services/a/pyproject.toml", table="project.dependencies")]

    requirements = read_requirement_set(tmp_path, sources, with_locks=True)

    assert [lock_file.path for lock_file in requirements.locks] == lock_files
    assert set(lock_files) <= set(requirements.files)
    assert read_requirement_set(tmp_path, sources).locks == ()


def test_a_lock_file_may_be_the_only_source_of_requirements(tmp_path: Path) -> None:
    text = (
        'lock-version = "1.0"\n[[packages]]\nname = "six"\nversion = "1.16.0"\nmarker = "python_version < \'3.10\'"\n'
    )
    service_tree(tmp_path, {"a/pylock.toml": text})

    (located,) = read_requirement_set(tmp_path, [RequirementSource(path="a/pylock.toml")]).entries

    assert (located.name, located.entry.specifier, located.entry.marker) == (
        "six",
        "==1.16.0",
        'python_version < "3.10"',
    )
    assert located.location == Location(path="a/pylock.toml", line=3, column=1)


MARKERS = st.sampled_from([OLD, NEW, "", "nonsense", "extra == 'x'", "os_name == 'posix'"])
PINS = st.builds(
    pin,
    st.sampled_from("abc"),
    st.sampled_from(["1", "2", ""]),
    st.builds(
        LockedDependency, name=st.sampled_from("abcd"), marker=MARKERS, required_by_extra=st.sampled_from(["", "x"])
    ),
    markers=st.lists(MARKERS, max_size=2).map(tuple),
)


@given(st.lists(PINS, max_size=8), st.sampled_from(TOGETHER), st.sampled_from(["a", "b>=2", "c<2", "a==1"]))
def test_constraints_are_unique_and_agree_with_the_requirements(
    pins: list[LockedPin], on: Interpreter, required: str
) -> None:
    entries = [entry(required)]
    constraints = list(pinned_constraints([lock(*pins)], entries, on))
    constrained = {line.partition("==")[0] for line in constraints}

    assert len(constrained) == len(constraints)
    stale_names = {name for finding in stale_lock_findings([lock(*pins)], entries, on) for name in finding.names}
    assert not stale_names & constrained
    locked = with_locked_pins(ResolutionRequest(lines=(required,)), [lock(*pins)], entries, on)
    assert set(locked.lines) <= {required, *constraints}
