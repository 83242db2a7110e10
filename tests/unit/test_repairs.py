"""Which combination of changes is tried, and in which order. The resolver is a table here."""

from collections.abc import Mapping

from pytest_py312.model import Finding, Location, Severity, SpecifierChange
from pytest_py312.readers.requirements import Entry
from pytest_py312.repairs import Culprit, search, with_changes
from pytest_py312.requirements import LocatedEntry


def entry(name: str, specifier: str, line: int = 1) -> LocatedEntry:
    text = f"{name}{specifier}"
    return LocatedEntry(
        entry=Entry(text=text, name=name, specifier=specifier, line=line, raw=text),
        location=Location(path="requirements.txt", line=line),
    )


class Resolver:
    """Resolves when every requirement has one of the versions that ``works`` names; blames the others."""

    def __init__(self, works: Mapping[str, set[str]], present: Mapping[str, str]) -> None:
        self.works = works
        self.present = present
        self.asked: list[dict[str, str]] = []

    def __call__(self, changes: Mapping[LocatedEntry, str]) -> tuple[str, ...] | None:
        now = {**self.present, **{item.name: new for item, new in changes.items()}}
        self.asked.append({item.name: new for item, new in changes.items()})
        return tuple(name for name, good in self.works.items() if now[name] not in good) or None


def test_what_blocks_alone_takes_its_first_candidate() -> None:
    """A pin without a wheel goes to the lowest version that has one, and nothing else is touched."""
    numpy = entry("numpy", "==1.24.3")
    resolver = Resolver({"numpy": {"==1.26.0", "==1.26.4"}}, {"numpy": "==1.24.3"})

    found = search([Culprit(entry=numpy, specifiers=["==1.26.0", "==1.26.4"], blocks_alone=True)], resolver)

    assert found == {numpy: "==1.26.0"}
    assert len(resolver.asked) == 1


def test_of_a_clash_one_requirement_is_changed_where_one_will_do() -> None:
    motor, pymongo = entry("motor", "==3.3.1"), entry("pymongo", "==4.3.3")
    resolver = Resolver({"pymongo": {"==4.5.0"}}, {"motor": "==3.3.1", "pymongo": "==4.3.3"})
    culprits = [
        Culprit(entry=motor, specifiers=["==3.3.2"]),
        Culprit(entry=pymongo, specifiers=["==4.5.0", "==4.6.0"]),
    ]

    assert search(culprits, resolver) == {pymongo: "==4.5.0"}


def test_two_are_changed_together_where_one_is_not_enough() -> None:
    """As with instrumentation of one release that pins a convention of another."""
    present = {"sdk": "==1.21.0", "fastapi": "==0.41b0", "grpc": "==0.41b0"}
    resolver = Resolver({"fastapi": {"==0.42b0"}, "grpc": {"==0.42b0"}}, present)
    items = {name: entry(name, specifier) for name, specifier in present.items()}
    culprits = [
        Culprit(entry=items["sdk"], specifiers=["==1.22.0", "==1.23.0"]),
        Culprit(entry=items["fastapi"], specifiers=["==0.42b0", "==0.43b0"]),
        Culprit(entry=items["grpc"], specifiers=["==0.42b0", "==0.43b0"]),
    ]

    assert search(culprits, resolver) == {items["fastapi"]: "==0.42b0", items["grpc"]: "==0.42b0"}


def test_who_is_to_blame_is_moved_on() -> None:
    """The first candidate has a wheel but clashes with the rest: the next one is tried."""
    aiohttp = entry("aiohttp", "==3.8.5")
    resolver = Resolver({"aiohttp": {"==3.9.3"}}, {"aiohttp": "==3.8.5"})

    culprit = Culprit(entry=aiohttp, specifiers=["==3.9.0", "==3.9.1", "==3.9.3"], blocks_alone=True)

    assert search([culprit], resolver) == {aiohttp: "==3.9.3"}


def test_no_way_out_is_said_to_be_none() -> None:
    numpy = entry("numpy", "==1.24.3")

    assert (
        search(
            [Culprit(entry=numpy, specifiers=["==1.26.0"], blocks_alone=True)],
            Resolver({"numpy": set()}, {"numpy": ""}),
        )
        == {}
    )


def test_a_change_becomes_the_remedy_of_the_finding_that_it_mends() -> None:
    """One that would cut off the way back says so."""
    change = SpecifierChange(path="requirements.txt", line=2, name="numpy", old="==1.24.3", new="==1.26.0")
    blocked = Finding(code="PY104", message="no wheel", names=("numpy",))
    other = Finding(code="PY110", message="built", severity=Severity.NOTE, names=("jieba",))

    mended, untouched = with_changes([blocked, other], [change], also=False, baseline="3.9", target="3.12")

    assert mended.changes == (change,)
    assert "numpy==1.24.3 -> ==1.26.0" in mended.remedy
    assert "not on 3.9: there is no way back" in mended.remedy
    assert untouched == other
