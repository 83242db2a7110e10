"""Which combination of changes is tried, and in which order. The resolver is a table here."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Finding, Location, Severity
from pytest_py312.dependencies.diagnosis.repair_search import (
    MOST_ATTEMPTS,
    MOST_INSTALLATIONS,
    MOST_LEFT_OUT,
    Change,
    find_repair,
)
from pytest_py312.repository.formats.requirements_file import Entry
from pytest_py312.repository.services.requirement_set import LocatedEntry


def entry(name: str, specifier: str, line: int = 1) -> LocatedEntry:
    text = f"{name}{specifier}"
    return LocatedEntry(
        entry=Entry(text=text, name=name, specifier=specifier, line=line, raw=text),
        location=Location(path="requirements.txt", line=line),
    )


class Trying:
    """The set resolves when every requirement has one of the specifiers that ``works`` names; the others are blamed.

    ``broken`` are specifiers that resolve and do not import, ``offers`` what the index has for each requirement.
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
        self.asked: list[dict[str, str]] = []
        self.installed: list[dict[str, str]] = []

    def candidates(self, item: LocatedEntry) -> Sequence[str]:
        return self.offers.get(item.name, ())

    def resolve(self, change: Change) -> Sequence[str] | None:
        now = {item.name: new for item, new in change.specifiers.items()}
        self.asked.append(now)
        here = [name for name in self.works if name not in change.without]
        return tuple(name for name in here if now.get(name, "as it is") not in self.works[name]) or None

    def no_way_back(self) -> bool:
        return False

    def install(self, change: Change) -> Collection[str]:
        now = {item.name: new for item, new in change.specifiers.items()}
        self.installed.append(now)
        return {name for name, bad in self.broken.items() if now.get(name, "as it is") in bad}


def blocked(code: str, *names: str, **changes: Any) -> Finding:
    return Finding(code=code, names=names, **{"message": "it is blocked", **changes})


def specifiers(found: Change | None) -> dict[str, str]:
    return {item.name: new for item, new in found.specifiers.items()} if found else {}


def test_what_blocks_alone_takes_its_first_candidate() -> None:
    """A pin without a wheel goes to the lowest version that has one, and nothing else is touched."""
    trying = Trying({"numpy": {"==1.26.0", "==1.26.4"}}, {"numpy": ["==1.26.0", "==1.26.4"]})

    found = find_repair([blocked("PY104", "numpy")], [entry("numpy", "==1.24.3")], trying)

    assert specifiers(found) == {"numpy": "==1.26.0"}
    assert len(trying.asked) == len(trying.installed) == 1


def test_of_a_clash_one_requirement_is_changed_where_one_will_do() -> None:
    trying = Trying({"pymongo": {"==4.5.0"}}, {"motor": ["==3.3.2"], "pymongo": ["==4.5.0", "==4.6.0"]})
    entries = [entry("motor", "==3.3.1"), entry("pymongo", "==4.3.3")]

    assert specifiers(find_repair([blocked("PY101", "motor", "pymongo")], entries, trying)) == {"pymongo": "==4.5.0"}


def test_two_are_changed_together_where_one_is_not_enough() -> None:
    """As with instrumentation of one release that pins a convention of another."""
    offers = {
        "sdk": ["==1.22.0", "==1.23.0"],
        "fastapi": ["==0.42b0", "==0.43b0"],
        "grpc": ["==0.42b0", "==0.43b0"],
    }
    trying = Trying({"fastapi": {"==0.42b0"}, "grpc": {"==0.42b0"}}, offers)
    entries = [entry("sdk", "==1.21.0"), entry("fastapi", "==0.41b0"), entry("grpc", "==0.41b0")]
    findings = [blocked("PY101", "sdk", "fastapi"), blocked("PY101", "sdk", "grpc")]

    assert specifiers(find_repair(findings, entries, trying)) == {"fastapi": "==0.42b0", "grpc": "==0.42b0"}


def test_who_is_to_blame_is_moved_on() -> None:
    """The first candidate has a wheel but clashes with the rest: the next one is tried."""
    trying = Trying({"aiohttp": {"==3.9.3"}}, {"aiohttp": ["==3.9.0", "==3.9.1", "==3.9.3"]})

    found = find_repair([blocked("PY104", "aiohttp")], [entry("aiohttp", "==3.8.5")], trying)

    assert specifiers(found) == {"aiohttp": "==3.9.3"}


def test_what_has_a_part_in_most_clashes_is_moved_first() -> None:
    """However far: one change that undoes them all is smaller than many."""
    steps = [f"==2.3.{number}" for number in range(4, 24)]
    offers = {"grpcio": [f"==1.6{number}" for number in range(10)], "tools": ["==1.61"], "pymilvus": steps}
    trying = Trying({"pymilvus": {steps[-1]}}, offers)
    entries = [entry("grpcio", "==1.60"), entry("tools", "==1.60"), entry("pymilvus", "==2.3.3")]
    findings = [blocked("PY101", "grpcio", "pymilvus"), blocked("PY101", "tools", "pymilvus")]

    assert specifiers(find_repair(findings, entries, trying)) == {"pymilvus": steps[-1]}


def test_a_source_that_cannot_be_built_on_this_machine_takes_a_version_with_a_wheel() -> None:
    """Else the mended set could not be proven; where there is none it stays in the set."""
    offers = {"numpy": ["==1.26.0"], "matplotlib": ["==3.7.3"]}
    trying = Trying({"numpy": {"==1.26.0"}, "matplotlib": {"==3.7.3"}}, offers)
    entries = [entry("numpy", "==1.24.3"), entry("matplotlib", "==3.7.2"), entry("dlib", "==19.24")]
    unbuilt = [
        blocked("PY112", name, message=f"{name} has no wheel, and its source cannot be built here: no cmake")
        for name in ("matplotlib", "dlib")
    ]

    found = find_repair([blocked("PY104", "numpy"), *unbuilt], entries, trying)

    assert specifiers(found) == {"numpy": "==1.26.0", "matplotlib": "==3.7.3"}
    assert found is not None
    assert not found.without
    assert find_repair(unbuilt, entries, trying) is None


def test_what_resolves_and_does_not_import_is_moved_on() -> None:
    trying = Trying(
        {"consul": {"==1.2", "==1.3"}}, {"consul": ["==1.2", "==1.3"]}, broken={"consul": {"as it is", "==1.2"}}
    )

    found = find_repair([blocked("PY105", "consul")], [entry("consul", "==1.1")], trying)

    assert specifiers(found) == {"consul": "==1.3"}
    assert trying.installed == [{"consul": "==1.2"}, {"consul": "==1.3"}]


def test_few_are_installed_however_many_resolve() -> None:
    many = [f"==1.{number}" for number in range(30)]
    trying = Trying({"consul": set(many)}, {"consul": many}, broken={"consul": set(many)})

    find_repair([blocked("PY105", "consul")], [entry("consul", "==1.1")], trying)

    assert len(trying.installed) == MOST_INSTALLATIONS


def test_what_fails_beside_the_change_is_no_reason_against_it() -> None:
    trying = Trying({"numpy": {"==1.26.0"}}, {"numpy": ["==1.26.0"]}, broken={"redis": {"as it is"}})

    found = find_repair([blocked("PY104", "numpy")], [entry("numpy", "==1.24.3"), entry("redis", "==2")], trying)

    assert specifiers(found) == {"numpy": "==1.26.0"}


def test_what_no_version_mends_is_left_out_and_said_to_be() -> None:
    """A name that is not on the index must not keep the others from being mended."""
    trying = Trying({"gone": set(), "numpy": {"==1.26.0"}}, {"numpy": ["==1.26.0"]})
    findings = [blocked("PY102", "gone"), blocked("PY104", "numpy")]

    found = find_repair(findings, [entry("gone", ""), entry("numpy", "==1.24.3")], trying)

    assert found is not None
    assert (specifiers(found), set(found.without)) == ({"numpy": "==1.26.0"}, {"gone"})


def test_a_clash_that_nothing_undoes_is_left_out() -> None:
    works: dict[str, set[str]] = {"a": set(), "b": set(), "numpy": {"==1.26.0"}}
    trying = Trying(works, {"a": ["==2"], "numpy": ["==1.26.0"]})
    entries = [entry("a", "==1"), entry("b", "==1"), entry("numpy", "==1.24.3")]

    found = find_repair([blocked("PY101", "a", "b"), blocked("PY104", "numpy")], entries, trying)

    assert found is not None
    assert (specifiers(found), set(found.without)) == ({"numpy": "==1.26.0"}, {"a", "b"})


def test_what_clashes_with_the_change_is_changed_as_well_where_nothing_else_will_do() -> None:
    """torchvision is made for one version of torch."""

    class Pair(Trying):
        def resolve(self, change: Change) -> Sequence[str] | None:
            now = {item.name: new for item, new in change.specifiers.items()}
            self.asked.append(now)
            fits = (now.get("torch"), now.get("torchvision")) == ("==2.2.0", "==0.17.0")
            return None if fits else ("torch", "torchvision")

    trying = Pair({}, {"torch": ["==2.2.0", "==2.2.1"], "torchvision": ["==0.16.3", "==0.17.0"]})
    entries = [entry("torch", "==2.1.2"), entry("torchvision", "==0.16.2")]

    found = find_repair([blocked("PY104", "torch")], entries, trying)

    assert specifiers(found) == {"torch": "==2.2.0", "torchvision": "==0.17.0"}


def test_a_clash_is_undone_by_one_requirement_however_far_it_has_to_move() -> None:
    """Moving all that clash by little each would pass the combination by."""
    far = [f"==2.{number}" for number in range(12)]
    trying = Trying({"pymilvus": {"==2.9"}, "motor": {"==4"}}, {"pymilvus": far, "grpcio": ["==9"], "motor": ["==4"]})
    entries = [entry("grpcio", "==1.60.0"), entry("pymilvus", "==2.0"), entry("motor", "==3")]

    class Clash(Trying):
        def resolve(self, change: Change) -> Sequence[str] | None:
            blamed = trying.resolve(change)
            return ("grpcio", "pymilvus") if blamed and "pymilvus" in blamed else blamed

        def candidates(self, item: LocatedEntry) -> Sequence[str]:
            return trying.candidates(item)

    findings = [blocked("PY101", "grpcio", "pymilvus"), blocked("PY101", "motor", "pymilvus")]

    assert specifiers(find_repair(findings, entries, Clash({}, {}))) == {"pymilvus": "==2.9", "motor": "==4"}


def test_what_takes_too_many_attempts_is_left_out_so_that_the_rest_is_mended() -> None:
    many = [f"==1.{number}" for number in range(200)]
    trying = Trying({"langchain": set(), "numpy": {"==1.26.0"}}, {"langchain": many, "numpy": ["==1.26.0"]})
    entries = [entry("langchain", "==0.1"), entry("numpy", "==1.24.3")]
    findings = [blocked("PY101", "langchain", "other"), blocked("PY104", "numpy")]

    found = find_repair(findings, entries, trying)

    assert found is not None
    assert (specifiers(found), set(found.without)) == ({"numpy": "==1.26.0"}, {"langchain"})


def test_no_way_out_is_said_to_be_none() -> None:
    trying = Trying({"numpy": set()}, {"numpy": ["==1.26.0"]})

    assert find_repair([blocked("PY104", "numpy")], [entry("numpy", "==1.24.3")], trying) is None


@pytest.mark.parametrize(
    "finding",
    [
        blocked("PY110", "numpy", severity=Severity.NOTE),
        blocked("PY107", "numpy"),
        blocked("PY105", "numpy", preexisting=True),
        blocked("PY104", "numpy", waived=True),
    ],
)
def test_what_blocks_nobody_or_is_no_matter_of_versions_is_left_alone(finding: Finding) -> None:
    trying = Trying({}, {"numpy": ["==1.26.0"]})

    assert find_repair([finding], [entry("numpy", "==1.24.3")], trying) is None
    assert trying.asked == []


@given(
    works=st.dictionaries(st.sampled_from("abcd"), st.sets(st.sampled_from(["==1", "==2", "as it is"])), max_size=4),
    offers=st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from(["==1", "==2"]), unique=True), max_size=4),
    clash=st.sets(st.sampled_from("abcd"), min_size=1),
)
def test_whatever_is_found_works_and_the_search_ends(
    works: dict[str, set[str]], offers: dict[str, list[str]], clash: set[str]
) -> None:
    trying = Trying(works, offers)
    entries = [entry(name, "==0", line) for line, name in enumerate("abcd", 1)]
    code = "PY101" if len(clash) > 1 else "PY104"

    found = find_repair([blocked(code, *sorted(clash))], entries, trying)

    assert len(trying.asked) <= (MOST_ATTEMPTS + 1) * MOST_LEFT_OUT
    if found is not None:
        assert found.specifiers
        assert trying.resolve(found) is None
        assert not {item.name for item in found.specifiers} & found.without
