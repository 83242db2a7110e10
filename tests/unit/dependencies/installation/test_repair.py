"""Verified repairs: what the remedy says of a trial, and which findings are added. The installer is a fake."""

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
from pytest_py312.dependencies.diagnosis.package_index import DistributionFile, IndexPage, PageState
from pytest_py312.dependencies.diagnosis.repair_search import RequirementChange
from pytest_py312.dependencies.diagnosis.version_candidates import ANY_VERSION
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.dependencies.installation.remedies import AFTER_REPAIR
from pytest_py312.dependencies.installation.repair import repair
from pytest_py312.dependencies.installation.repair_trials import SEARCH_LIMIT
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.resolution.lock import DependencyLock, Pin, Undetermined
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.formats.requirements_file import read_requirements
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry, RequirementSet
from tests.support.fakes import build_of, cell_of, installation_of

PATH = "services/user-service/requirements.txt"
BLOCKED = Finding(
    code="PY104", message="numpy==1.24.3: no wheel", names=("numpy",), location=Location(path=PATH, line=1)
)


def required(*lines: str, path: str = PATH) -> tuple[LocatedEntry, ...]:
    found = read_requirements("\n".join(lines), path).entries
    return tuple(LocatedEntry(entry=entry, location=Location(path=path, line=entry.line)) for entry in found)


def page(*versions: str) -> IndexPage:
    """Return an index page: versions from 2 on have a wheel for everything, earlier ones only for 3.9."""
    files = {
        version: (DistributionFile(version, "py3-none-any" if version >= "2" else "cp39-cp39-any", "", False, ""),)
        for version in versions
    }
    return IndexPage(name="numpy", state=PageState.FOUND, files=files)


@dataclass(kw_only=True)
class FakeInstaller:
    """A fake installer, which is its own ``locks`` and ``trials``.

    ``blamed`` and ``installed`` answer by interpreter and the changed specifiers.
    """

    entries: tuple[LocatedEntry, ...] = field(default_factory=lambda: required("numpy==1.24.3", "flask==2"))
    repeats: tuple[LocatedEntry, ...] = ()
    computed: tuple[Location, ...] = ()
    versions: Sequence[str] = ("1.24.3", "2.0", "2.1")
    blamed: Callable[[str, dict[str, str]], tuple[str, ...] | None] = lambda on, now: None
    installed: Callable[[str, dict[str, str]], Installation] = lambda on, now: installation_of(on, {"numpy": "2.0"})
    attempts: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    imports: Callable[[str, str], str | None] = lambda added, module: None
    advised_with: list[dict[str, str]] = field(default_factory=list)
    current: Installation = field(default_factory=lambda: installation_of("3.9"))
    is_compiled: bool = False
    undetermined: list[Cell] = field(default_factory=list)

    @property
    def locks(self) -> "FakeInstaller":
        return self

    @property
    def trials(self) -> "FakeInstaller":
        return self

    def attribute_to_lock_files(self, cell: Cell, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        return tuple(findings)  # there are none

    def builds_without_compiler(self, installation: Installation, distribution: StoredDistribution) -> bool:
        return False

    def mark_undetermined(self, cell: Cell) -> None:
        self.undetermined.append(cell)

    def imports_with(
        self, cell: Cell, added: Sequence[str], modules: Sequence[str], change: RequirementChange
    ) -> dict[str, str] | None:
        self.advised_with.append({item.name: new for item, new in change.specifiers.items()})
        results = {module: self.imports(added[0], module) for module in modules}
        return None if None in results.values() else cast("dict[str, str]", results)

    @property
    def requirements(self) -> Any:
        requirements = RequirementSet(entries=self.entries, duplicates=self.repeats, computed=self.computed)
        return SimpleNamespace(of=lambda service: requirements, is_compiled=lambda path: self.is_compiled)

    def installation(self, cell: Cell) -> Installation:
        return self.current

    def build(self, cell: Cell) -> InterpreterBuild:
        return build_of(str(cell.interpreter))

    def index(self, cell: Cell) -> Any:
        return SimpleNamespace(page=lambda name: page(*self.versions))

    def blamed_projects(self, cell: Cell, change: RequirementChange) -> tuple[str, ...] | None:
        return self.blamed(str(cell.interpreter), {item.name: new for item, new in change.specifiers.items()})

    def try_change(self, cell: Cell, change: RequirementChange) -> Installation:
        now = {item.name: new for item, new in change.specifiers.items()}
        self.attempts.append((str(cell.interpreter), now))
        return self.installed(str(cell.interpreter), now)


def repaired(table: FakeInstaller, *findings: Finding, interpreter: str = "3.12") -> list[Finding]:
    return repair(cast("Installer", table), cell_of(interpreter), findings or (BLOCKED,), "")


def test_the_remedy_describes_the_trial_on_both_sides() -> None:
    table = FakeInstaller()

    (finding,) = repaired(table)

    assert finding.remedy == ("numpy==1.24.3 -> numpy==2.0 (verified: resolves, installs and imports on 3.12 and 3.9)")
    assert [
        (change.name, change.old, change.new, change.line)
        for change in finding.changes
        if isinstance(change, SpecifierChange)
    ] == [("numpy", "==1.24.3", "==2.0", 1)]
    assert sorted(table.attempts) == [("3.12", {"numpy": "==2.0"}), ("3.9", {"numpy": "==2.0"})]


def test_what_moves_with_a_requirement_is_part_of_its_change() -> None:
    """It has no finding of its own, and without it the file would not resolve."""
    table = FakeInstaller(
        blamed=lambda on, now: None if "flask" in now else ("numpy", "flask"),
        installed=lambda on, now: installation_of(on, {"numpy": "2.0", "flask": "2.1"}),
    )

    (finding,) = repaired(table)

    assert [change.name for change in finding.changes if isinstance(change, SpecifierChange)] == ["numpy", "flask"]
    assert finding.remedy.startswith("numpy==1.24.3 -> numpy==2.0, flask==2 -> flask==2.1 (verified: resolves")


def test_pins_that_fit_only_together_are_one_change() -> None:
    """The version of each is the one that the rest of the set allows."""

    def blamed(on: str, now: dict[str, str]) -> tuple[str, ...] | None:
        return None if set(now.values()) == {">1.24.3", ">1"} or set(now.values()) == {"==2.1"} else ("numpy", "flask")

    def installed(on: str, now: dict[str, str]) -> Installation:
        lock = DependencyLock(
            pins=tuple(Pin(name=name, version="2.1", line=f"{name}==2.1") for name in ("numpy", "flask"))
        )
        return installation_of(on, {"numpy": "2.1", "flask": "2.1"}, lock=lock)

    pins = required("numpy==1.24.3", "flask==1")
    table = FakeInstaller(entries=pins, versions=("1.24.3", "2.0"), blamed=blamed, installed=installed)
    found = repaired(table, BLOCKED, replace(BLOCKED, names=("flask",), location=Location(path=PATH, line=2)))

    assert [finding.remedy for finding in found] == [
        "numpy==1.24.3 -> numpy==2.1, flask==1 -> flask==2.1 (verified: resolves, installs and imports on 3.12 and 3.9)"
    ] * 2


URLLIB3 = Finding(code="PY105", message="urllib3==1.25.11: import urllib3 fails", names=("urllib3",))


def requests_with_urllib3(
    works: Callable[[str, dict[str, str]], bool], requires: Sequence[str] = ("urllib3<1.26", "urllib3<1.26")
) -> FakeInstaller:
    """Return an installer with pins of requests and a client that require an old urllib3, which fails on 3.12."""
    requirers = tuple(
        StoredDistribution(name=name, version="1.24.3", folder=Path("/nowhere"), requires=(line,))
        for name, line in zip(("requests", "client"), requires, strict=True)
    )

    def installed(on: str, now: dict[str, str]) -> Installation:
        lock = DependencyLock(pins=tuple(Pin(name=name, version="2.1", line="") for name in ("requests", "client")))
        detail = "" if works(on, now) else "ImportError: six.moves"
        return replace(installation_of(on, {"urllib3": "1.26"}, lock=lock), imports={"urllib3": detail})

    return FakeInstaller(
        entries=required("requests==1.24.3", "client==1.24.3"),
        current=replace(installation_of("3.12"), distributions=requirers, build=build_of("3.12")),
        installed=installed,
    )


@pytest.mark.parametrize(
    ("limits", "change"),
    [
        (("urllib3<1.26", "urllib3<1.26"), "requests==1.24.3 -> requests==2.1, client==1.24.3 -> client==2.1"),
        (("urllib3<1.26", "urllib3<3"), "requests==1.24.3 -> requests==2.1"),
    ],
)
def test_what_keeps_a_project_old_that_no_file_names_is_raised(limits: Sequence[str], change: str) -> None:
    """And nothing that would take a newer one."""
    installer = requests_with_urllib3(lambda on, now: on == "3.9" or "requests" in now, limits)

    (finding,) = repaired(installer, URLLIB3)

    assert finding.remedy == f"{change} (verified: resolves, installs and imports on 3.12 and 3.9)"


@pytest.mark.parametrize("fails_on", [("3.12",), ("3.9", "3.12"), ("3.9",)])
def test_requirements_stay_if_what_they_bring_in_fails_in_newer_versions_too(fails_on: Sequence[str]) -> None:
    def works(on: str, now: dict[str, str]) -> bool:
        return on not in (fails_on if now else ("3.12",))

    assert repaired(requests_with_urllib3(works), URLLIB3) == [URLLIB3]


def test_an_index_that_does_not_answer_for_one_project_takes_no_advice_from_others() -> None:
    class Unreachable(FakeInstaller):
        def index(self, cell: Cell) -> Any:
            def pages(name: str) -> Any:
                if name == "urllib3":
                    raise Undetermined("the index does not answer")
                return page(*self.versions)

            return SimpleNamespace(page=pages)

    template = requests_with_urllib3(lambda on, now: True)
    installer = Unreachable(entries=required("numpy==1.24.3"), installed=template.installed, current=template.current)

    numpy, urllib3 = repaired(installer, BLOCKED, URLLIB3)

    assert numpy.remedy.startswith("numpy==1.24.3 -> numpy==2.0")
    assert urllib3 == URLLIB3


@pytest.mark.parametrize("is_compiled", [True, False])
def test_a_hashed_pin_changes_if_its_file_is_compiled_again(is_compiled: bool) -> None:
    """A file that people write has nothing that would make the other hashes."""
    hashed = required(f"numpy==1.24.3 --hash=sha256:{'0' * 64}")

    (finding,) = repaired(FakeInstaller(entries=hashed, is_compiled=is_compiled))

    assert [change.new for change in finding.changes if isinstance(change, SpecifierChange)] == ["==2.0"] * is_compiled
    assert finding.remedy.endswith(f"; compile {PATH} again for the hashes") is is_compiled


def test_a_version_that_resolves_on_the_baseline_is_preferred() -> None:
    table = FakeInstaller(blamed=lambda on, now: ("numpy",) if on == "3.9" and now["numpy"] == "==2.0" else None)

    (finding,) = repaired(table)

    assert "==2.1 (verified: resolves, installs and imports on 3.12 and 3.9)" in finding.remedy


def test_a_change_that_breaks_the_baseline_says_so() -> None:
    table = FakeInstaller(blamed=lambda on, now: ("numpy",) if on == "3.9" else None)

    (finding,) = repaired(table)

    assert "==2.0 (verified: resolves, installs and imports on 3.12, but breaks rollback to 3.9)" in (finding.remedy)


def test_a_version_that_does_not_import_is_skipped() -> None:
    def installed(on: str, now: dict[str, str]) -> Installation:
        detail = "ImportError: no" if on == "3.12" and now["numpy"] == "==2.0" else ""
        return replace(installation_of(on, {"numpy": "2.0"}), imports={"numpy": detail})

    (finding,) = repaired(FakeInstaller(installed=installed))

    assert "==2.1 (verified: resolves, installs and imports" in finding.remedy


def test_findings_of_the_trial_are_added() -> None:
    """Another project does not import: the change is offered, and the import is reported."""

    def installed(on: str, now: dict[str, str]) -> Installation:
        detail = "ImportError: no" if on == "3.12" else ""
        return replace(installation_of(on, {"flask": "2"}), imports={"flask": detail})

    fixed, other = repaired(FakeInstaller(installed=installed))

    assert "resolves and installs on 3.12, and resolves, installs and imports on 3.9" in fixed.remedy
    assert (other.code, other.names, other.preexisting) == ("PY105", ("flask",), False)
    assert other.location == Location(path=PATH, line=2)
    assert AFTER_REPAIR in other.detail


def test_advice_on_a_finding_of_the_trial_is_tried_with_the_change() -> None:
    """Without the change, nothing can be installed that the advice could be tried in."""

    def installed(on: str, now: dict[str, str]) -> Installation:
        detail = "ModuleNotFoundError: No module named 'pkg_resources'" if on == "3.12" else ""
        return replace(installation_of(on, {"flask": "2"}), imports={"flask": detail})

    table = FakeInstaller(installed=installed, imports=lambda added, module: "")

    _, other = repaired(table)

    assert other.remedy == "require setuptools<82 (verified: with it flask imports on 3.12)"
    assert table.advised_with == [{"numpy": "==2.0"}]


def test_a_finding_of_the_trial_on_both_sides_is_preexisting() -> None:
    def installed(on: str, now: dict[str, str]) -> Installation:
        return replace(installation_of(on, {"flask": "2"}), imports={"flask": "ImportError: no"})

    _, other = repaired(FakeInstaller(installed=installed))

    assert other.preexisting


def test_an_untried_change_is_not_reported_as_tried() -> None:
    table = FakeInstaller(installed=lambda on, now: Installation(unchecked="no room on the disk"))

    (finding,) = repaired(table)

    assert "verified: resolves on 3.12 and 3.9; not verified further: no room on the disk" in finding.remedy


def test_projects_left_out_of_the_trial_are_named() -> None:
    gone = Finding(code="PY102", message="gone", names=("gone",))
    table = FakeInstaller(entries=required("numpy==1.24.3", "gone @ https://example.org/gone.whl"))

    finding, unchanged = repaired(table, BLOCKED, gone)

    assert "verified without gone, which no change fixes: resolves, installs" in finding.remedy
    assert unchanged.changes == ()


def test_every_line_of_a_repeated_requirement_is_changed() -> None:
    again = required("", "", "numpy==1.24.3")
    (finding,) = repaired(FakeInstaller(repeats=again))

    assert [change.line for change in finding.changes] == [1, 3]


def test_a_trial_that_builds_an_untried_source_drops_its_finding() -> None:
    note = Finding(code="PY112", message="jieba", names=("jieba",), severity=Severity.WARNING)

    def installed(on: str, now: dict[str, str]) -> Installation:
        made = installation_of(on, {"jieba": "1"})
        return replace(made, distributions=tuple(replace(entry, from_source=True) for entry in made.distributions))

    assert [finding.code for finding in repaired(FakeInstaller(installed=installed), BLOCKED, note)] == ["PY104"]


def test_a_version_is_named_for_a_line_with_hashes() -> None:
    """Which is not changed: other files have other hashes."""
    table = FakeInstaller(entries=required(f"numpy==1.24.3 --hash=sha256:{'0' * 64}"))

    (finding,) = repaired(table)

    assert finding.changes == ()
    assert finding.remedy == (
        "numpy==2.0 has a wheel for 3.12 (not tried): require it where the file is compiled from, and compile it again "
        "with hashes"
    )


def test_a_version_of_a_hashed_line_that_was_tried_is_not_called_untried() -> None:
    """Its file is compiled again by a command, so the versions are tried like others; here none resolves."""
    hashed = required(f"numpy==1.24.3 --hash=sha256:{'0' * 64}")

    (finding,) = repaired(FakeInstaller(entries=hashed, is_compiled=True, blamed=lambda on, now: ("numpy",)))

    assert finding.changes == ()
    assert "not tried" not in finding.remedy


def test_a_version_beyond_an_upper_bound_is_only_mentioned() -> None:
    table = FakeInstaller(entries=required("numpy>=1.24,<2"))

    (finding,) = repaired(table)

    assert finding.changes == ()
    assert "no version that numpy>=1.24,<2 allows has a wheel for 3.12; numpy<3,>=2.0 has one" in finding.remedy


def test_without_network_the_findings_are_unchanged() -> None:
    def away(on: str, now: dict[str, str]) -> None:
        raise Undetermined("no network")

    installer = FakeInstaller(blamed=away)
    assert repaired(installer) == [BLOCKED]
    assert installer.undetermined
    works = FakeInstaller()
    repaired(works)
    assert not works.undetermined


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_either_interpreter_may_need_the_repair(interpreter: str) -> None:
    (finding,) = repaired(FakeInstaller(), interpreter=interpreter)

    on = interpreter if interpreter == "3.9" else f"{interpreter} and 3.9"
    assert finding.remedy.endswith(f"imports on {on})")
    assert Path(finding.changes[0].path) == Path(PATH)


def test_computed_requirements_are_changed_manually() -> None:
    """The finding has the location of the code, as there is no line of a requirement."""
    place = Location(path="services/user-service/setup.py", line=3)
    blocked = replace(BLOCKED, location=None, remedy="require a newer one")

    (finding,) = repaired(FakeInstaller(entries=(), computed=(place,)), blocked)

    assert finding.location == place
    assert finding.remedy == (
        "require a newer one; the requirements are computed by code here, so change them manually"
    )
    assert finding.changes == ()


MISSING = replace(BLOCKED, code="PY102", message="no version of numpy fits", remedy="require one that exists")


def taking(**versions: str) -> Callable[[str, dict[str, str]], Installation]:
    """Install the versions that the rest of the set decides on: ``taking(py39="2.0", py312="2.1")``."""

    def installed(on: str, now: dict[str, str]) -> Installation:
        written = now["numpy"].lstrip("=>").split(",")[0]
        version = written or versions[f"py{on.replace('.', '')}"]
        lock = DependencyLock(pins=(Pin(name="numpy", version=version, line=f"numpy=={version}"),))
        return installation_of(on, {"numpy": version}, lock=lock)

    return installed


@pytest.mark.parametrize(("old", "new"), [("==9.0", "==2.1"), (">=9.0", ">=2.1"), ("<10,>=9.0", "<10,>=2.1")])
def test_a_version_that_never_existed_is_replaced_by_the_one_that_the_set_allows(old: str, new: str) -> None:
    """The remedy asks to check the project: another one may have been intended."""
    table = FakeInstaller(
        entries=required(f"numpy{old}"), versions=("2.0", "2.1"), installed=taking(py39="2.1", py310="2.1", py312="2.1")
    )

    (finding,) = repaired(table, MISSING)

    assert finding.remedy == (
        f"numpy{old} -> numpy{new} (verified: resolves, installs and imports on 3.12 and 3.9); "
        "no such version ever existed: check that this is the intended project"
    )
    assert [change.new for change in finding.changes if isinstance(change, SpecifierChange)] == [new]


def test_an_unrelated_failing_import_does_not_refute_the_chosen_version() -> None:
    def installed(on: str, now: dict[str, str]) -> Installation:
        made = taking(py39="2.1", py312="2.1")(on, now)
        return replace(
            installation_of(on, {"numpy": "2.1", "flask": "2"}, lock=made.lock),
            imports={"flask": "ImportError: no" if on == "3.12" else "", "numpy": ""},
        )

    findings = repaired(
        FakeInstaller(entries=required("numpy==9.0", "flask==2"), versions=("2.0", "2.1"), installed=installed), MISSING
    )

    assert [(finding.code, finding.names, len(finding.changes)) for finding in findings] == [
        ("PY102", ("numpy",), 1),
        ("PY105", ("flask",), 0),
    ]


def test_the_version_that_works_on_both_sides_is_chosen() -> None:
    table = FakeInstaller(
        entries=required("numpy==9.0"),
        versions=("2.0", "2.1"),
        installed=taking(py39="2.0", py312="2.1"),
        blamed=lambda on, now: ("numpy",) if (on, now["numpy"]) == ("3.9", "==2.1") else None,
    )

    (finding,) = repaired(table, MISSING)

    assert "-> numpy==2.0 (verified: resolves, installs and imports on 3.12 and 3.9)" in finding.remedy


def test_without_a_common_version_the_baseline_is_dropped() -> None:
    only = {"3.9": ("", "==2.0"), "3.12": ("", "==2.1")}
    table = FakeInstaller(
        entries=required("numpy==9.0"),
        versions=("2.0", "2.1"),
        installed=taking(py39="2.0", py312="2.1"),
        blamed=lambda on, now: None if now["numpy"] in only[on] else ("numpy",),
    )

    (finding,) = repaired(table, MISSING)

    assert "-> numpy==2.1 (verified: resolves, installs and imports on 3.12, but breaks rollback" in finding.remedy


def test_a_pin_that_fails_once_written_is_reported_and_not_offered() -> None:
    table = FakeInstaller(
        entries=required("numpy==9.0"),
        versions=("2.0", "2.1"),
        installed=taking(py39="2.1", py312="2.1"),
        blamed=lambda on, now: None if now.get("numpy", ANY_VERSION) == ANY_VERSION else ("numpy",),
    )

    (finding,) = repaired(table, MISSING)

    assert finding.remedy == "require one that exists; the latest version is numpy==2.1"
    assert finding.changes == ()


@pytest.mark.parametrize(
    ("name", "instead"),
    [("numpy", "replace it"), ("psycopg2", "require psycopg2-binary instead, which has the same code")],
)
def test_without_any_wheel_the_remedy_requires_none(name: str, instead: str) -> None:
    table = FakeInstaller(entries=required(f"{name}==1.24.3"), versions=("1.24.3",))

    (finding,) = repaired(table, replace(BLOCKED, names=(name,)))

    assert finding.remedy.startswith(
        f"no version has a wheel for 3.12: require one whose source builds there, or {instead}"
    )


def test_a_search_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolution may take minutes; the findings are then reported without a change."""
    asked: list[dict[str, str]] = []

    def conflicts(on: str, now: dict[str, str]) -> tuple[str, ...]:
        asked.append(now)
        return ("numpy",)

    table = FakeInstaller(versions=("1.24.3", *(f"2.{minor}" for minor in range(9))), blamed=conflicts)
    moments = iter(range(0, 100_000, int(SEARCH_LIMIT // 3)))
    monkeypatch.setattr(clock, "stopwatch", lambda: float(next(moments)))

    assert repaired(table) == [BLOCKED]
    assert asked == [{"numpy": "==2.0"}, {"numpy": "==2.1"}, {"numpy": "==2.2"}]


# ---- setuptools


@pytest.mark.parametrize("interpreter", ["3.10", "3.12"])
@pytest.mark.parametrize(
    ("missing", "needed"), [("pkg_resources", "setuptools<82"), ("distutils", "setuptools"), ("os.path", "")]
)
@pytest.mark.parametrize("result", ["", "ImportError: still", None])
def test_setuptools_is_offered_if_the_import_works_with_it(
    interpreter: str, missing: str, needed: str, result: str | None
) -> None:
    message = f"web3==6.11 installs, but `import web3.auto` fails: ModuleNotFoundError: No module named '{missing}'"
    lacks = Finding(code="PY105", message=message, names=("web3",), remedy="replace it")
    tried: list[str] = []

    def imports(added: str, module: str) -> str | None:
        tried.append(f"{added} {module}")
        return result

    installer = cast(Installer, FakeInstaller(entries=required("web3==6.11"), versions=(), imports=imports))
    (explained,) = repair(installer, cell_of(interpreter), [lacks], "")

    assert tried == ([f"{needed} web3.auto"] if needed else [])
    verified = f"require {needed} (verified: with it web3.auto imports on {interpreter})"
    assert explained.remedy == (verified if needed and result == "" else "replace it")


@pytest.mark.parametrize(
    ("line", "change"),
    [
        ("setuptools", ("", "<82")),
        ("setuptools>=40", (">=40", ">=40,<82")),
        ("setuptools==84.0", None),
        ("setuptools<90", None),
        ("setuptools @ https://example.org/setuptools.zip", None),
    ],
)
def test_a_line_that_requires_setuptools_gets_the_bound(line: str, change: tuple[str, str] | None) -> None:
    """Before another version of what is imported, whose finding it belongs to."""
    message = "numpy==1.24.3 installs, but `import numpy` fails: ModuleNotFoundError: No module named 'pkg_resources'"
    lacks = Finding(code="PY105", message=message, names=("numpy",), remedy="replace it")
    installer = FakeInstaller(entries=required("numpy==1.24.3", line), imports=lambda added, module: "")

    (explained,) = repaired(installer, lacks)

    if change is None:
        assert "numpy==1.24.3 -> numpy==2.0 (verified" in explained.remedy
    else:
        assert explained.remedy == "require setuptools<82 (verified: with it numpy imports on 3.12)"
        assert explained.changes == (
            SpecifierChange(path=PATH, line=2, name="setuptools", old=change[0], new=change[1]),
        )


def test_what_cannot_be_had_here_is_left_out_of_the_trial() -> None:
    """As it is left out of the verdict: it takes no remedy of another requirement with it."""
    left_out: list[frozenset[str]] = []

    class Recording(FakeInstaller):
        def blamed_projects(self, cell: Cell, change: RequirementChange) -> tuple[str, ...] | None:
            left_out.append(change.without)
            if "private" not in change.without:
                raise Undetermined("private cannot be fetched")
            return None

    installer = Recording(entries=required("numpy==1.24.3", "private @ git+https://example.org/private"))
    (finding,) = repair(cast("Installer", installer), cell_of("3.12"), [BLOCKED], "", frozenset({"private"}))

    assert set(left_out) == {frozenset({"private"})}
    assert finding.remedy == (
        "numpy==1.24.3 -> numpy==2.0 (verified without private, which could not be checked here: "
        "resolves, installs and imports on 3.12 and 3.9)"
    )


ZONEINFO = replace(BLOCKED, message="backports-zoneinfo==0.2.1: no wheel", names=("backports-zoneinfo",))


def backport_on_3_9(lock: DependencyLock | None) -> FakeInstaller:
    """Return an installer with a pin that Django requires up to 3.9."""
    django = StoredDistribution(
        name="django", version="4.2", folder=Path("/nowhere"), requires=('backports.zoneinfo; python_version < "3.10"',)
    )
    return FakeInstaller(
        entries=required("backports-zoneinfo==0.2.1", "django==4.2"),
        versions=(),
        current=replace(installation_of("3.9"), distributions=(django,)),
        installed=lambda on, now: replace(installation_of(on, {"django": "4.2"}), lock=lock),
    )


def test_a_backport_that_the_target_does_not_need_gets_its_marker() -> None:
    (finding,) = repaired(backport_on_3_9(DependencyLock(pins=())), ZONEINFO)

    assert finding.remedy.startswith(
        'backports-zoneinfo==0.2.1 ; python_version < "3.10" (verified: without it, the set installs on 3.12): django '
        "requires it with this marker"
    )


BACKPORT = Pin(name="backports-zoneinfo", version="0.2.1", line="backports-zoneinfo==0.2.1")


@pytest.mark.parametrize("lock", [DependencyLock(pins=(BACKPORT,)), None], ids=["taken anyway", "not resolved"])
def test_a_backport_that_the_target_may_need_gets_no_marker(lock: DependencyLock | None) -> None:
    (finding,) = repaired(backport_on_3_9(lock), ZONEINFO)

    assert "python_version" not in finding.remedy


def test_what_a_change_lets_appear_is_repaired_with_it() -> None:
    """Another pin fails on import once the first is out of the way: both changes are tried together."""

    def installed(on: str, now: dict[str, str]) -> Installation:
        detail = "ImportError: no" if on == "3.12" and now.get("flask") != "==2.1" else ""
        return replace(installation_of(on, {"numpy": "2.0", "flask": "2"}), imports={"flask": detail})

    first, second = repaired(FakeInstaller(installed=installed))

    assert first.remedy == "numpy==1.24.3 -> numpy==2.0 (verified: resolves, installs and imports on 3.12 and 3.9)"
    assert second.remedy == "flask==2 -> flask==2.1 (verified: resolves, installs and imports on 3.12 and 3.9)"
    assert AFTER_REPAIR in second.detail
    assert [
        change.new for finding in (first, second) for change in finding.changes if isinstance(change, SpecifierChange)
    ] == [
        "==2.0",
        "==2.1",
    ]


def test_a_change_that_was_found_stays_if_the_next_search_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(on: str, now: dict[str, str]) -> Installation:
        seconds[0] += SEARCH_LIMIT / 2 + 1
        return replace(
            installation_of(on, {"flask": "2"}), imports={"flask": "ImportError: no" if on == "3.12" else ""}
        )

    seconds = [0.0]
    monkeypatch.setattr(clock, "stopwatch", lambda: seconds[0])
    table = FakeInstaller(installed=installed)
    first, second = repaired(table)

    assert first.remedy.startswith("numpy==1.24.3 -> numpy==2.0 (verified: resolves and installs on 3.12")
    assert not second.changes
    assert table.undetermined == []


def test_an_import_that_fails_for_another_finding_of_the_trial_is_not_added() -> None:
    """``flask`` fails in ``wrapt``, which fails alike when it is imported alone: one finding is about it."""
    frame = '  File "/e/lib/python3.12/site-packages/wrapt/decorators.py", line 34, in <module>'
    reason = f"{frame}\nImportError: no formatargspec"

    def installed(on: str, now: dict[str, str]) -> Installation:
        imports = {"flask": reason, "wrapt": reason, "wrapt.decorators": reason} if on == "3.12" else {}
        made = installation_of(on, {"numpy": "2.0", "flask": "2", "wrapt": "1.12.1"})
        assert made.environment is not None
        modules = {"flask": ("flask",), "wrapt": ("wrapt",)}
        return replace(made, imports=imports, environment=replace(made.environment, modules=modules))

    entries = required("numpy==1.24.3", "flask==2", "wrapt==1.12.1")
    found = repaired(FakeInstaller(entries=entries, installed=installed))

    assert [finding.names for finding in found] == [("numpy",), ("wrapt",)]
