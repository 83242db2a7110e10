"""What a change is said to have been tried for, and what is found beside it. The installer is a table here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Location, Severity, SpecifierChange
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.package_index import File, Page, PageState
from pytest_py312.dependencies.diagnosis.repair_search import Change
from pytest_py312.dependencies.diagnosis.version_candidates import ANY
from pytest_py312.dependencies.installation.installer import Installation, Installer
from pytest_py312.dependencies.installation.repair import ONCE_MENDED, SEARCH_LIMIT, repair
from pytest_py312.dependencies.resolution.lock import Lock, Pin, Unchecked
from pytest_py312.repository.formats.requirements_file import read_requirements
from pytest_py312.repository.services.requirement_set import LocatedEntry, RequirementSet
from tests.support.fakes import build_of, cell_of, installation_of

PATH = "services/user-service/requirements.txt"
BLOCKED = Finding(
    code="PY104", message="numpy==1.24.3: no wheel", names=("numpy",), location=Location(path=PATH, line=1)
)


def required(*lines: str, path: str = PATH) -> tuple[LocatedEntry, ...]:
    found = read_requirements("\n".join(lines), path).entries
    return tuple(LocatedEntry(entry=entry, location=Location(path=path, line=entry.line)) for entry in found)


def page(*versions: str) -> Page:
    """Versions from 2 on have a wheel for everything, earlier ones for 3.9 alone."""
    files = {
        version: (File(version, "py3-none-any" if version >= "2" else "cp39-cp39-any", "", False, ""),)
        for version in versions
    }
    return Page(name="numpy", state=PageState.FOUND, files=files)


@dataclass(kw_only=True)
class Table:
    """Stands for the installer. ``blamed`` and ``installed`` answer by interpreter and the changed specifiers."""

    entries: tuple[LocatedEntry, ...] = field(default_factory=lambda: required("numpy==1.24.3", "flask==2"))
    repeats: tuple[LocatedEntry, ...] = ()
    computed: tuple[Location, ...] = ()
    versions: Sequence[str] = ("1.24.3", "2.0", "2.1")
    blamed: Callable[[str, dict[str, str]], tuple[str, ...] | None] = lambda on, now: None
    installed: Callable[[str, dict[str, str]], Installation] = lambda on, now: installation_of(on, {"numpy": "2.0"})
    attempts: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def demands(self) -> Any:
        found = RequirementSet(entries=self.entries, repeats=self.repeats, computed=self.computed)
        return SimpleNamespace(requirements=lambda service: found)

    def build(self, cell: Cell) -> InterpreterBuild:
        return build_of(str(cell.interpreter))

    def index(self, cell: Cell) -> Any:
        return SimpleNamespace(page=lambda name: page(*self.versions))

    def blame(self, cell: Cell, change: Change) -> tuple[str, ...] | None:
        return self.blamed(str(cell.interpreter), {item.name: new for item, new in change.specifiers.items()})

    def attempt(self, cell: Cell, change: Change) -> Installation:
        now = {item.name: new for item, new in change.specifiers.items()}
        self.attempts.append((str(cell.interpreter), now))
        return self.installed(str(cell.interpreter), now)


def told(table: Table, *findings: Finding, interpreter: str = "3.12") -> list[Finding]:
    return repair(cast("Installer", table), cell_of(interpreter), findings or (BLOCKED,), "")


def test_what_was_done_is_said_for_both_sides() -> None:
    table = Table()

    (finding,) = told(table)

    assert finding.remedy == (
        "change numpy==1.24.3 -> ==2.0 (tried: the set resolves, installs and imports on 3.12 and 3.9)"
    )
    assert [
        (change.name, change.old, change.new, change.line)
        for change in finding.changes
        if isinstance(change, SpecifierChange)
    ] == [("numpy", "==1.24.3", "==2.0", 1)]
    assert sorted(table.attempts) == [("3.12", {"numpy": "==2.0"}), ("3.9", {"numpy": "==2.0"})]


def test_a_version_that_goes_back_is_taken_before_one_that_does_not() -> None:
    table = Table(blamed=lambda on, now: ("numpy",) if on == "3.9" and now["numpy"] == "==2.0" else None)

    (finding,) = told(table)

    assert "==2.1 (tried: the set resolves, installs and imports on 3.12 and 3.9)" in finding.remedy


def test_where_there_is_no_way_back_that_is_said() -> None:
    table = Table(blamed=lambda on, now: ("numpy",) if on == "3.9" else None)

    (finding,) = told(table)

    assert "==2.0 (tried: the set resolves, installs and imports on 3.12, but not on 3.9: there is no way back)" in (
        finding.remedy
    )


def test_a_version_that_does_not_import_is_passed_over() -> None:
    def installed(on: str, now: dict[str, str]) -> Installation:
        detail = "ImportError: no" if on == "3.12" and now["numpy"] == "==2.0" else ""
        return replace(installation_of(on, {"numpy": "2.0"}), imports={"numpy": detail})

    (finding,) = told(Table(installed=installed))

    assert "==2.1 (tried: the set resolves, installs and imports" in finding.remedy


def test_what_shows_only_then_is_found_as_well() -> None:
    """A project beside it that does not import: the change stands, and the other thing is told."""

    def installed(on: str, now: dict[str, str]) -> Installation:
        detail = "ImportError: no" if on == "3.12" else ""
        return replace(installation_of(on, {"flask": "2"}), imports={"flask": detail})

    mended, other = told(Table(installed=installed))

    assert "resolves and installs on 3.12, and resolves, installs and imports on 3.9" in mended.remedy
    assert (other.code, other.names, other.preexisting) == ("PY105", ("flask",), False)
    assert other.location == Location(path=PATH, line=2)
    assert ONCE_MENDED in other.detail


def test_what_the_baseline_shows_as_well_was_there_before() -> None:
    def installed(on: str, now: dict[str, str]) -> Installation:
        return replace(installation_of(on, {"flask": "2"}), imports={"flask": "ImportError: no"})

    _, other = told(Table(installed=installed))

    assert other.preexisting


def test_what_could_not_be_tried_is_not_said_to_be() -> None:
    table = Table(installed=lambda on, now: Installation(unchecked="no room on the disk"))

    (finding,) = told(table)

    assert "tried: the set resolves on 3.12 and 3.9; more could not be told: no room on the disk" in finding.remedy


def test_what_is_left_out_is_said_to_be() -> None:
    gone = Finding(code="PY102", message="gone", names=("gone",))
    table = Table(entries=required("numpy==1.24.3", "gone @ https://example.org/gone.whl"))

    finding, unmended = told(table, BLOCKED, gone)

    assert "the set without gone, which no change that was tried mends, resolves, installs" in finding.remedy
    assert unmended.changes == ()


def test_every_line_that_says_the_same_is_changed() -> None:
    again = required("", "", "numpy==1.24.3")
    (finding,) = told(Table(repeats=again))

    assert [change.line for change in finding.changes] == [1, 3]


def test_a_source_that_was_not_tried_before_is_settled_by_the_trial() -> None:
    note = Finding(code="PY112", message="jieba", names=("jieba",), severity=Severity.WARNING)

    def installed(on: str, now: dict[str, str]) -> Installation:
        made = installation_of(on, {"jieba": "1"})
        return replace(made, entries=tuple(replace(entry, from_source=True) for entry in made.entries))

    assert [finding.code for finding in told(Table(installed=installed), BLOCKED, note)] == ["PY104"]


def test_a_bound_is_named_and_not_moved() -> None:
    table = Table(entries=required("numpy>=1.24,<2"))

    (finding,) = told(table)

    assert finding.changes == ()
    assert "no version that numpy>=1.24,<2 allows has a wheel for 3.12; numpy<3,>=2.0 has one" in finding.remedy


def test_without_an_answer_the_findings_stay_as_they_are() -> None:
    def away(on: str, now: dict[str, str]) -> None:
        raise Unchecked("no network")

    assert told(Table(blamed=away)) == [BLOCKED]


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_each_interpreter_may_be_the_one_to_mend(interpreter: str) -> None:
    (finding,) = told(Table(), interpreter=interpreter)

    on = interpreter if interpreter == "3.9" else f"{interpreter} and 3.9"
    assert finding.remedy.endswith(f"imports on {on})")
    assert Path(finding.changes[0].path) == Path(PATH)


def test_what_code_requires_has_to_be_changed_by_hand() -> None:
    """It stands in no line; the place is that of the code."""
    place = Location(path="services/user-service/setup.py", line=3)
    blocked = replace(BLOCKED, location=None, remedy="require a newer one")

    (finding,) = told(Table(entries=(), computed=(place,)), blocked)

    assert finding.location == place
    assert finding.remedy == ("require a newer one; code says what is required here, so this has to be changed by hand")
    assert finding.changes == ()


MISSING = replace(BLOCKED, code="PY102", message="no version of numpy fits", remedy="require one that exists")


def taking(**versions: str) -> Callable[[str, dict[str, str]], Installation]:
    """What is installed where the rest of the set decides: ``taking(py39="2.0", py312="2.1")``."""

    def installed(on: str, now: dict[str, str]) -> Installation:
        written = now["numpy"].lstrip("=>").split(",")[0]
        version = written or versions[f"py{on.replace('.', '')}"]
        lock = Lock(pins=(Pin(name="numpy", version=version, line=f"numpy=={version}"),))
        return installation_of(on, {"numpy": version}, lock=lock)

    return installed


@pytest.mark.parametrize(("old", "new"), [("==9.0", "==2.1"), (">=9.0", ">=2.1"), ("<10,>=9.0", "<10,>=2.1")])
def test_what_never_had_such_a_version_gets_the_one_that_the_rest_of_the_set_takes(old: str, new: str) -> None:
    """And is told apart: it may be another project than was meant."""
    table = Table(
        entries=required(f"numpy{old}"), versions=("2.0", "2.1"), installed=taking(py39="2.1", py310="2.1", py312="2.1")
    )

    (finding,) = told(table, MISSING)

    assert finding.remedy == (
        f"change numpy{old} -> {new} (tried: the set resolves, installs and imports on 3.12 and 3.9); "
        "no such version was ever there: see that this is the project that was meant"
    )
    assert [change.new for change in finding.changes if isinstance(change, SpecifierChange)] == [new]


def test_what_fails_beside_it_is_no_reason_against_the_version_that_the_others_take() -> None:
    def installed(on: str, now: dict[str, str]) -> Installation:
        made = taking(py39="2.1", py312="2.1")(on, now)
        return replace(
            installation_of(on, {"numpy": "2.1", "flask": "2"}, lock=made.lock),
            imports={"flask": "ImportError: no" if on == "3.12" else "", "numpy": ""},
        )

    found = told(
        Table(entries=required("numpy==9.0", "flask==2"), versions=("2.0", "2.1"), installed=installed), MISSING
    )

    assert [(one.code, one.names, len(one.changes)) for one in found] == [
        ("PY102", ("numpy",), 1),
        ("PY105", ("flask",), 0),
    ]


def test_of_what_target_and_baseline_take_that_one_is_written_which_both_take() -> None:
    table = Table(
        entries=required("numpy==9.0"),
        versions=("2.0", "2.1"),
        installed=taking(py39="2.0", py312="2.1"),
        blamed=lambda on, now: ("numpy",) if (on, now["numpy"]) == ("3.9", "==2.1") else None,
    )

    (finding,) = told(table, MISSING)

    assert "-> ==2.0 (tried: the set resolves, installs and imports on 3.12 and 3.9)" in finding.remedy


def test_where_they_take_nothing_in_common_there_is_no_way_back() -> None:
    only = {"3.9": ("", "==2.0"), "3.12": ("", "==2.1")}
    table = Table(
        entries=required("numpy==9.0"),
        versions=("2.0", "2.1"),
        installed=taking(py39="2.0", py312="2.1"),
        blamed=lambda on, now: None if now["numpy"] in only[on] else ("numpy",),
    )

    (finding,) = told(table, MISSING)

    assert "-> ==2.1 (tried: the set resolves, installs and imports on 3.12, but not on 3.9: there is" in finding.remedy


def test_what_does_not_hold_once_it_is_written_is_told_and_not_written() -> None:
    table = Table(
        entries=required("numpy==9.0"),
        versions=("2.0", "2.1"),
        installed=taking(py39="2.1", py312="2.1"),
        blamed=lambda on, now: None if now.get("numpy", ANY) == ANY else ("numpy",),
    )

    (finding,) = told(table, MISSING)

    assert finding.remedy == "require one that exists; numpy==2.1 is the latest that there is"
    assert finding.changes == ()


@pytest.mark.parametrize(
    ("name", "instead"),
    [("numpy", "replace it"), ("psycopg2", "require psycopg2-binary in its place, which is the same")],
)
def test_of_what_never_had_a_wheel_none_is_asked_for(name: str, instead: str) -> None:
    """A remedy that nobody can follow is none."""
    table = Table(entries=required(f"{name}==1.24.3"), versions=("1.24.3",))

    (finding,) = told(table, replace(BLOCKED, names=(name,)))

    assert finding.remedy.startswith(
        f"no version has a wheel for 3.12: require one whose source builds there, or {instead}"
    )


def test_a_search_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of its resolutions may take minutes; what blocks is told without a change then."""
    asked: list[dict[str, str]] = []

    def clashes(on: str, now: dict[str, str]) -> tuple[str, ...]:
        asked.append(now)
        return ("numpy",)

    table = Table(versions=("1.24.3", *(f"2.{minor}" for minor in range(9))), blamed=clashes)
    moments = iter(range(0, 100_000, int(SEARCH_LIMIT // 3)))
    monkeypatch.setattr(clock, "stopwatch", lambda: float(next(moments)))

    assert told(table) == [BLOCKED]
    assert asked == [{"numpy": "==2.0"}, {"numpy": "==2.1"}, {"numpy": "==2.2"}]
