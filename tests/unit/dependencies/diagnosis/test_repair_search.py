"""Which combinations of changes are tried, and in which order. A table stands in for the resolver."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from pytest_py312.core.model.findings import Finding, Location, Severity
from pytest_py312.dependencies.diagnosis.repair_search import (
    MAX_ATTEMPTS,
    MAX_EXCLUSION_ROUNDS,
    MAX_INSTALLATIONS,
    RequirementChange,
    find_repair,
    newer_than_pin,
)
from pytest_py312.repository.formats.requirements_file import RequirementEntry
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry


def entry(name: str, specifier: str, line: int = 1) -> LocatedEntry:
    text = f"{name}{specifier}"
    return LocatedEntry(
        entry=RequirementEntry(text=text, name=name, specifier=specifier, line=line, raw=text),
        location=Location(path="requirements.txt", line=line),
    )


class FakeTester:
    """The set resolves if every requirement has a specifier from ``works``; the other requirements are blamed.

    ``broken`` are specifiers that resolve and do not import, ``offers`` the candidates of each requirement.
    """

    def __init__(
        self,
        works: Mapping[str, set[str]],
        offers: Mapping[str, Sequence[str]],
        broken: Mapping[str, set[str]] | None = None,
    ) -> None:
        self.works = works
        self.offers = offers
        self.broken = broken or {}
        self.tried: list[dict[str, str]] = []
        self.installed: list[dict[str, str]] = []

    def candidates(self, item: LocatedEntry) -> Sequence[str]:
        return self.offers.get(item.name, ())

    def resolve(self, change: RequirementChange) -> Sequence[str] | None:
        now = {item.name: new for item, new in change.specifiers.items()}
        self.tried.append(now)
        present = [name for name in self.works if name not in change.without]
        return tuple(name for name in present if now.get(name, "unchanged") not in self.works[name]) or None

    def drop_baseline_constraint(self) -> bool:
        return False

    def install(self, change: RequirementChange) -> Collection[str]:
        now = {item.name: new for item, new in change.specifiers.items()}
        self.installed.append(now)
        return {name for name, bad in self.broken.items() if now.get(name, "unchanged") in bad}


def blocked(code: str, *names: str, **changes: Any) -> Finding:
    return Finding(code=code, names=names, **{"message": "it is blocked", **changes})


def specifiers(change: RequirementChange | None) -> dict[str, str]:
    return {item.name: new for item, new in change.specifiers.items()} if change else {}


def test_a_requirement_that_blocks_alone_takes_its_first_candidate() -> None:
    """A pin without a wheel moves to the lowest version that has one; nothing else changes."""
    tester = FakeTester({"numpy": {"==1.26.0", "==1.26.4"}}, {"numpy": ["==1.26.0", "==1.26.4"]})

    change = find_repair([blocked("PY104", "numpy")], [entry("numpy", "==1.24.3")], tester)

    assert specifiers(change) == {"numpy": "==1.26.0"}
    assert len(tester.tried) == len(tester.installed) == 1


def test_one_requirement_of_a_conflict_is_changed_if_that_suffices() -> None:
    tester = FakeTester({"pymongo": {"==4.5.0"}}, {"motor": ["==3.3.2"], "pymongo": ["==4.5.0", "==4.6.0"]})
    entries = [entry("motor", "==3.3.1"), entry("pymongo", "==4.3.3")]

    assert specifiers(find_repair([blocked("PY101", "motor", "pymongo")], entries, tester)) == {"pymongo": "==4.5.0"}


def test_two_requirements_are_changed_together_if_one_is_not_enough() -> None:
    """For example instrumentation that pins the matching release of a convention."""
    offers = {
        "sdk": ["==1.22.0", "==1.23.0"],
        "fastapi": ["==0.42b0", "==0.43b0"],
        "grpc": ["==0.42b0", "==0.43b0"],
    }
    tester = FakeTester({"fastapi": {"==0.42b0"}, "grpc": {"==0.42b0"}}, offers)
    entries = [entry("sdk", "==1.21.0"), entry("fastapi", "==0.41b0"), entry("grpc", "==0.41b0")]
    findings = [blocked("PY101", "sdk", "fastapi"), blocked("PY101", "sdk", "grpc")]

    assert specifiers(find_repair(findings, entries, tester)) == {"fastapi": "==0.42b0", "grpc": "==0.42b0"}


def test_a_requirement_that_is_to_blame_advances() -> None:
    """The first candidate has a wheel but conflicts with the others, so the next one is tried."""
    tester = FakeTester({"aiohttp": {"==3.9.3"}}, {"aiohttp": ["==3.9.0", "==3.9.1", "==3.9.3"]})

    change = find_repair([blocked("PY104", "aiohttp")], [entry("aiohttp", "==3.8.5")], tester)

    assert specifiers(change) == {"aiohttp": "==3.9.3"}


def test_the_requirement_with_most_conflicts_is_changed_first() -> None:
    """One change that resolves all conflicts is smaller than many, however far it goes."""
    steps = [f"==2.3.{number}" for number in range(4, 24)]
    offers = {"grpcio": [f"==1.6{number}" for number in range(10)], "tools": ["==1.61"], "pymilvus": steps}
    tester = FakeTester({"pymilvus": {steps[-1]}}, offers)
    entries = [entry("grpcio", "==1.60"), entry("tools", "==1.60"), entry("pymilvus", "==2.3.3")]
    findings = [blocked("PY101", "grpcio", "pymilvus"), blocked("PY101", "tools", "pymilvus")]

    assert specifiers(find_repair(findings, entries, tester)) == {"pymilvus": steps[-1]}


def test_a_source_that_cannot_be_built_on_this_machine_takes_a_version_with_a_wheel() -> None:
    """Otherwise the repaired set could not be proven; without such a version it stays in the set."""
    offers = {"numpy": ["==1.26.0"], "matplotlib": ["==3.7.3"]}
    tester = FakeTester({"numpy": {"==1.26.0"}, "matplotlib": {"==3.7.3"}}, offers)
    entries = [entry("numpy", "==1.24.3"), entry("matplotlib", "==3.7.2"), entry("dlib", "==19.24")]
    unbuilt = [
        blocked("PY112", name, message=f"{name} has no wheel, and its source cannot be built here: no cmake")
        for name in ("matplotlib", "dlib")
    ]

    change = find_repair([blocked("PY104", "numpy"), *unbuilt], entries, tester)

    assert specifiers(change) == {"numpy": "==1.26.0", "matplotlib": "==3.7.3"}
    assert change is not None
    assert not change.without
    assert find_repair(unbuilt, entries, tester) is None


def test_a_candidate_that_does_not_import_is_skipped() -> None:
    tester = FakeTester(
        {"consul": {"==1.2", "==1.3"}}, {"consul": ["==1.2", "==1.3"]}, broken={"consul": {"unchanged", "==1.2"}}
    )

    change = find_repair([blocked("PY105", "consul")], [entry("consul", "==1.1")], tester)

    assert specifiers(change) == {"consul": "==1.3"}
    assert tester.installed == [{"consul": "==1.2"}, {"consul": "==1.3"}]


def test_the_number_of_installations_is_limited() -> None:
    many = [f"==1.{number}" for number in range(30)]
    tester = FakeTester({"consul": set(many)}, {"consul": many}, broken={"consul": set(many)})

    find_repair([blocked("PY105", "consul")], [entry("consul", "==1.1")], tester)

    assert len(tester.installed) == MAX_INSTALLATIONS


@pytest.mark.parametrize("first_good", [1, 5, 12, 19])
def test_a_version_that_works_is_found_however_many_before_it_fail(first_good: int) -> None:
    """Steps grow, since only a few can be installed; what is returned was installed and works."""
    many = [f"==1.{number}" for number in range(20)]
    tester = FakeTester({"powertools": set(many)}, {"powertools": many}, broken={"powertools": set(many[:first_good])})

    change = find_repair([blocked("PY105", "powertools")], [entry("powertools", "==1")], tester)

    assert specifiers(change)["powertools"] in many[first_good:]
    assert specifiers(change) in tester.installed


def test_a_version_that_was_not_tried_is_not_returned_where_others_failed() -> None:
    """The last of many could fail as well."""
    many = [f"==1.{number}" for number in range(30)]
    tester = FakeTester({"powertools": set(many)}, {"powertools": many}, broken={"powertools": set(many)})

    assert find_repair([blocked("PY105", "powertools")], [entry("powertools", "==1")], tester) is None


def test_failures_of_unchanged_requirements_do_not_count() -> None:
    tester = FakeTester({"numpy": {"==1.26.0"}}, {"numpy": ["==1.26.0"]}, broken={"redis": {"unchanged"}})

    change = find_repair([blocked("PY104", "numpy")], [entry("numpy", "==1.24.3"), entry("redis", "==2")], tester)

    assert specifiers(change) == {"numpy": "==1.26.0"}


def test_a_project_that_no_version_repairs_is_left_out_and_listed() -> None:
    """A name that is not on the index must not prevent the repair of the others."""
    tester = FakeTester({"gone": set(), "numpy": {"==1.26.0"}}, {"numpy": ["==1.26.0"]})
    findings = [blocked("PY102", "gone"), blocked("PY104", "numpy")]

    change = find_repair(findings, [entry("gone", ""), entry("numpy", "==1.24.3")], tester)

    assert change is not None
    assert (specifiers(change), set(change.without)) == ({"numpy": "==1.26.0"}, {"gone"})


def test_a_conflict_that_no_change_resolves_is_left_out() -> None:
    works: dict[str, set[str]] = {"a": set(), "b": set(), "numpy": {"==1.26.0"}}
    tester = FakeTester(works, {"a": ["==2"], "numpy": ["==1.26.0"]})
    entries = [entry("a", "==1"), entry("b", "==1"), entry("numpy", "==1.24.3")]

    change = find_repair([blocked("PY101", "a", "b"), blocked("PY104", "numpy")], entries, tester)

    assert change is not None
    assert (specifiers(change), set(change.without)) == ({"numpy": "==1.26.0"}, {"a", "b"})


def test_a_requirement_that_conflicts_with_the_change_is_changed_as_well_if_necessary() -> None:
    """For example each torchvision needs a particular torch."""

    class Pair(FakeTester):
        def resolve(self, change: RequirementChange) -> Sequence[str] | None:
            now = {item.name: new for item, new in change.specifiers.items()}
            self.tried.append(now)
            fits = (now.get("torch"), now.get("torchvision")) == ("==2.2.0", "==0.17.0")
            return None if fits else ("torch", "torchvision")

    tester = Pair({}, {"torch": ["==2.2.0", "==2.2.1"], "torchvision": ["==0.16.3", "==0.17.0"]})
    entries = [entry("torch", "==2.1.2"), entry("torchvision", "==0.16.2")]

    change = find_repair([blocked("PY104", "torch")], entries, tester)

    assert specifiers(change) == {"torch": "==2.2.0", "torchvision": "==0.17.0"}


def test_a_conflict_is_resolved_by_one_requirement_however_far_it_has_to_change() -> None:
    """Advancing all members by little each would miss the combination."""
    far = [f"==2.{number}" for number in range(12)]
    tester = FakeTester(
        {"pymilvus": {"==2.9"}, "motor": {"==4"}}, {"pymilvus": far, "grpcio": ["==9"], "motor": ["==4"]}
    )
    entries = [entry("grpcio", "==1.60.0"), entry("pymilvus", "==2.0"), entry("motor", "==3")]

    class Conflicting(FakeTester):
        def resolve(self, change: RequirementChange) -> Sequence[str] | None:
            blamed = tester.resolve(change)
            return ("grpcio", "pymilvus") if blamed and "pymilvus" in blamed else blamed

        def candidates(self, item: LocatedEntry) -> Sequence[str]:
            return tester.candidates(item)

    findings = [blocked("PY101", "grpcio", "pymilvus"), blocked("PY101", "motor", "pymilvus")]

    assert specifiers(find_repair(findings, entries, Conflicting({}, {}))) == {"pymilvus": "==2.9", "motor": "==4"}


class Lockstep(FakeTester):
    """Two projects of which each version pins the other, and a third that has to move with them."""

    def resolve(self, change: RequirementChange) -> Sequence[str] | None:
        now = {item.name: new for item, new in change.specifiers.items()}
        self.tried.append(now)
        if "boto3" in change.without:
            return None
        pair = {name for name in ("boto3", "botocore") if name in now}
        if len(pair) == 1 or "==1.20.1" in now.values():
            return ("boto3", "botocore")
        return None if not pair or "s3transfer" in now else ("boto3", "s3transfer")


@pytest.mark.parametrize(("third", "works"), [("==0.5", True), (">=0.5,<0.6", False)])
def test_pins_that_fit_in_few_combinations_move_together(third: str, works: bool) -> None:
    """A bound is not a pin: it was set for a reason, and stays."""
    offers = {"boto3": ["==1.20.1"], "botocore": ["==1.23.1"], "s3transfer": ["==0.6"]}
    broken = {"boto3": {"unchanged"}, "botocore": {"unchanged"}}
    tester = Lockstep({}, offers if works else {**offers, "s3transfer": []}, broken)
    entries = [entry("boto3", "==1.20"), entry("botocore", "==1.23"), entry("s3transfer", third)]
    findings = [blocked("PY105", "boto3")]

    change = find_repair(findings, entries, tester)

    moved = {"boto3": ">1.20", "botocore": ">1.23", "s3transfer": ">0.5"}
    assert specifiers(change) == (moved if works else {})
    assert (find_repair(findings, entries, tester, may_free=False) is None) or works


@pytest.mark.parametrize(
    ("pin", "newer"),
    [("==2.0.1+cu118", ">2.0.1"), ("==1.0rc1", ">1.0rc1"), ("==1.*", ""), ("===1.0", ""), ("==1,!=2", ""), (">=1", "")],
)
def test_what_is_newer_than_a_pin_is_a_valid_specifier(pin: str, newer: str) -> None:
    assert newer_than_pin(entry("torch", pin)) == newer
    assert str(SpecifierSet(newer)) == newer


def test_a_project_that_takes_too_many_attempts_is_left_out() -> None:
    many = [f"==1.{number}" for number in range(200)]
    tester = FakeTester({"langchain": set(), "numpy": {"==1.26.0"}}, {"langchain": many, "numpy": ["==1.26.0"]})
    entries = [entry("langchain", "==0.1"), entry("numpy", "==1.24.3")]
    findings = [blocked("PY101", "langchain", "other"), blocked("PY104", "numpy")]

    change = find_repair(findings, entries, tester)

    assert change is not None
    assert (specifiers(change), set(change.without)) == ({"numpy": "==1.26.0"}, {"langchain"})


def test_an_unrepairable_set_has_no_change() -> None:
    tester = FakeTester({"numpy": set()}, {"numpy": ["==1.26.0"]})

    assert find_repair([blocked("PY104", "numpy")], [entry("numpy", "==1.24.3")], tester) is None


@pytest.mark.parametrize(
    "finding",
    [
        blocked("PY110", "numpy", severity=Severity.NOTE),
        blocked("PY107", "numpy"),
        blocked("PY105", "numpy", preexisting=True),
        blocked("PY104", "numpy", waived=True),
    ],
)
def test_findings_that_need_no_other_version_are_ignored(finding: Finding) -> None:
    tester = FakeTester({}, {"numpy": ["==1.26.0"]})

    assert find_repair([finding], [entry("numpy", "==1.24.3")], tester) is None
    assert tester.tried == []


@given(
    works=st.dictionaries(st.sampled_from("abcd"), st.sets(st.sampled_from(["==1", "==2", "unchanged"])), max_size=4),
    offers=st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from(["==1", "==2"]), unique=True), max_size=4),
    conflict=st.sets(st.sampled_from("abcd"), min_size=1),
)
def test_every_returned_change_works_and_the_search_terminates(
    works: dict[str, set[str]], offers: dict[str, list[str]], conflict: set[str]
) -> None:
    tester = FakeTester(works, offers)
    entries = [entry(name, "==0", line) for line, name in enumerate("abcd", 1)]
    code = "PY101" if len(conflict) > 1 else "PY104"

    change = find_repair([blocked(code, *sorted(conflict))], entries, tester)

    assert len(tester.tried) <= (MAX_ATTEMPTS + 1) * MAX_EXCLUSION_ROUNDS
    if change is not None:
        assert change.specifiers
        assert tester.resolve(change) is None
        assert not {item.name for item in change.specifiers} & change.without
