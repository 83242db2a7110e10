"""Everything that blocks a set, found by asking an index about each requirement and a resolver about the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Confidence, Finding, Location, Severity
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.conflict_search import UNTOLD
from pytest_py312.dependencies.diagnosis.diagnose import all_blockers, is_foreseen, is_known_to_clash
from pytest_py312.dependencies.diagnosis.package_index import File, Index, Page, PageState, unknown
from pytest_py312.dependencies.resolution.conflict_cache import Parts
from pytest_py312.dependencies.resolution.lock import Unchecked, Wanted
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from tests.support.fakes import FakeRunner, build_of

TOGETHER = ("3.9", "3.10", "3.12")


class Cache(Enum):
    """What the resolver's cache holds: everything, nothing, or what makes it blame those who are not to blame."""

    FULL = "full"
    EMPTY = "empty"
    LYING = "lying"


class KnownIndex(Index):
    """An index that has ``pages``, and wheels for everything else."""

    def __init__(self, *pages: Page) -> None:
        super().__init__(cache=Path("/nowhere"), url=None, lock_hours=0.0)
        self.known = {page.name: page for page in pages}

    def page(self, name: str) -> Page:
        return self.known.get(name) or page_of(name, "1.0", "2.0.0", "2.2.0")

    def seen(self, name: str) -> Page | None:
        return self.known.get(name)


class Oracle(Resolver):
    """A resolver to which some projects clash: ``conflicts`` are sets of them. Each refusal names one set.

    ``said`` are names that it mentions beside it. ``broken`` are refusals by the project that is in the set. What it
    was asked about are the names in ``asked``, what could be built in ``built``.
    """

    def __init__(
        self,
        *conflicts: Sequence[str],
        said: Sequence[str] = (),
        broken: Mapping[str, Finding | Unchecked] | None = None,
        cached: Cache = Cache.FULL,
    ) -> None:
        super().__init__(cache=Path("/nowhere"), runner=FakeRunner(), uv_version="0", lock_hours=0.0)
        self.conflicts = conflicts
        self.said = tuple(said)
        self.broken = broken or {}
        self.cached = cached
        self.asked: list[frozenset[str]] = []
        self.built: set[str] = set()

    def guess(self, wanted: Wanted, build: InterpreterBuild, from_source: Sequence[str] = ()) -> Finding | None:
        names = names_of(wanted)
        self.built.update(from_source)
        if self.cached is Cache.EMPTY:
            return Finding(code="PY101", message="nothing is there")
        if self.cached is Cache.LYING:
            return Finding(code="PY102", message="nothing is there", names=tuple(sorted(names)[:2]))
        return self._clash(names, build)

    def _clash(self, names: frozenset[str], build: InterpreterBuild) -> Finding | None:
        for name in self.broken:
            if name in names:
                return Finding(code="PY104", message="a guess")
        for conflict in self.conflicts:
            if set(conflict) <= names:
                blamed = tuple(dict.fromkeys((*conflict, *(name for name in self.said if name in names))))
                message = f"the set conflicts on {build.interpreter}: they do not fit"
                return Finding(code="PY101", message=message, names=blamed)
        return None

    def refusal(self, wanted: Wanted, build: InterpreterBuild, from_source: Sequence[str] = ()) -> Finding | None:
        names = names_of(wanted)
        self.asked.append(names)
        self.built.update(from_source)
        assert set(from_source) <= names
        for name, broken in self.broken.items():
            if name in names:
                if isinstance(broken, Unchecked):
                    raise broken
                return broken
        return self._clash(names, build)


def names_of(wanted: Wanted) -> frozenset[str]:
    return frozenset(Requirement(line.partition(" --hash=")[0]).name for line in wanted.lines)


def page_of(name: str, *versions: str, tags: str = "py3-none-any", requires_python: str = "") -> Page:
    files = {version: (File(version, tags, requires_python, False, ""),) for version in versions}
    return Page(name=name, state=PageState.FOUND, files=files)


def wanting(*lines: str) -> Wanted:
    places = ((Requirement(line.partition(" --hash=")[0]).name, at) for at, line in enumerate(lines, 1))
    return Wanted(lines=lines, direct=tuple((name, Location(path="requirements.txt", line=at)) for name, at in places))


def found_in(wanted: Wanted, oracle: Oracle, index: Index | None = None, on: str = "3.12") -> list[Finding]:
    return all_blockers(wanted, build_of(on), oracle, index or KnownIndex())


def told(findings: Sequence[Finding]) -> set[tuple[str, tuple[str, ...]]]:
    return {(finding.code, finding.names) for finding in findings}


# ---- requirements by themselves


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_all_that_fails_by_itself_is_told_at_once_with_its_line(interpreter: str) -> None:
    index = KnownIndex(
        Page(name="gone", state=PageState.MISSING),
        page_of("old", "1.0", requires_python="<3.9"),
        page_of("late", "1.0", "2.0"),
        page_of("windows", "1.0", tags="py3-none-win_amd64"),
    )

    findings = found_in(wanting("good", "gone", "late==3", "old==1.0", "windows"), Oracle(), index, interpreter)

    assert [(finding.code, finding.names, finding.location and finding.location.line) for finding in findings] == [
        ("PY102", ("gone",), 2),
        ("PY102", ("late",), 3),
        ("PY103", ("old",), 4),
        ("PY104", ("windows",), 5),
    ]
    assert findings[0].message == "gone is not on the index"
    assert findings[1].message == "no version of late fits late==3: the newest is 2.0"
    assert findings[2].message == f"old==1.0 says Requires-Python <3.9: pip refuses it on {interpreter}.1"
    assert findings[3].message == f"windows==1.0: no wheel for {interpreter}, and no source that could be built"
    assert all(finding.remedy and finding.blocks for finding in findings)


def test_what_holds_on_one_interpreter_only_is_told_there_only() -> None:
    index = KnownIndex(page_of("numpy", "1.24.3", requires_python="<3.12"))
    on = {name: told(found_in(wanting("numpy==1.24.3", "a", "b"), Oracle("ab"), index, name)) for name in TOGETHER}

    assert on["3.12"] - on["3.9"] == {("PY103", ("numpy",))}
    assert on["3.9"] == on["3.10"] == {("PY101", ("a", "b"))}


def test_the_remedy_names_the_first_version_that_would_do() -> None:
    page = Page(
        name="app",
        state=PageState.FOUND,
        files={
            "1.0": (File("1.0", "cp311-cp311-manylinux1_x86_64", "", False, ""),),
            "1.1": (File("1.1", "py3-none-any", "", False, ""),),
            "1.2": (File("1.2", "py3-none-any", "", False, ""),),
        },
    )
    (finding,) = found_in(wanting("app==1.0"), Oracle(), KnownIndex(page))

    assert (finding.code, finding.remedy) == (
        "PY104",
        "app==1.1 is the first after it that installs on 3.12 from a wheel",
    )
    assert "it has wheels for 3.11" in finding.message


def test_a_source_is_not_tried_in_a_set_that_is_blocked_and_that_is_said() -> None:
    source = page_of("slow", "1.0", tags="")
    oracle = Oracle("ab")

    findings = found_in(wanting("slow==1.0", "a", "b"), oracle, KnownIndex(source))

    (note,) = [finding for finding in findings if finding.names == ("slow",)]
    assert (note.code, note.severity) == ("PY112", Severity.WARNING)
    assert "was not tried" in note.message
    assert oracle.built == {"slow"}


def test_a_member_of_a_clash_without_a_wheel_is_told_as_both() -> None:
    """grpcio 1.51 beside companions that want 1.54, and on 3.12 its source does not build."""
    findings = found_in(
        wanting("slow==1.0", "a", "b"), Oracle(("a", "slow")), KnownIndex(page_of("slow", "1.0", tags=""))
    )

    assert told(findings) == {("PY101", ("a", "slow")), ("PY112", ("slow",))}


def test_a_pinned_version_that_was_yanked_is_noticed_and_does_not_block() -> None:
    yanked = Page(name="app", state=PageState.FOUND, files={"1.0": (File("1.0", "py3-none-any", "", True, ""),)})

    assert [
        (finding.code, finding.names, finding.severity)
        for finding in found_in(wanting("app==1.0", "a", "b"), Oracle("ab"), KnownIndex(yanked))
        if not finding.blocks
    ] == [("PY112", ("app",), Severity.WARNING)]


# ---- conflicts


def test_every_conflict_is_told_with_all_that_clash_and_no_more() -> None:
    """The resolver names one at a time, and others with it that have no part in it."""
    oracle = Oracle("ab", "cde", said="xy")

    findings = found_in(wanting("a==1", "b>2", "c", "d", "e", "x", "y", "z"), oracle)

    assert told(findings) == {("PY101", ("a", "b")), ("PY101", ("c", "d", "e"))}
    assert findings[0].message == "a==1 and b>2 clash on 3.12: they do not fit"
    assert findings[0].remedy == "loosen one of a, b"
    assert findings[1].message == "c, d and e clash on 3.12: they do not fit"
    assert all(finding.confidence is Confidence.CERTAIN for finding in findings)


def test_a_member_of_one_conflict_may_clash_with_others_too() -> None:
    """grpcio 1.51 with two of its companions, which want 1.54."""
    assert told(
        found_in(wanting("grpcio", "health", "reflection"), Oracle(("grpcio", "health"), ("grpcio", "reflection")))
    ) == {
        ("PY101", ("grpcio", "health")),
        ("PY101", ("grpcio", "reflection")),
    }


def test_members_of_two_conflicts_may_clash_with_each_other_too() -> None:
    """Both are out of the way of the rest, so the rest does not show it."""
    conflicts = ["ab", "cd", "ac", "bde"]

    assert told(found_in(wanting(*"abcdefg"), Oracle(*conflicts))) == {
        ("PY101", tuple(conflict)) for conflict in conflicts
    }


def test_one_requirement_that_cannot_be_had_because_of_what_it_needs() -> None:
    (finding,) = found_in(wanting("a==1", "b"), Oracle("a"))

    assert finding.message == "a==1 cannot be had on 3.12: they do not fit"
    assert finding.names == ("a",)


def test_two_lines_of_one_project_may_clash() -> None:
    (finding,) = found_in(wanting("pandas==2.2.0", "pandas==2.0.0", "six"), Oracle(["pandas"]))

    assert finding.message.startswith("pandas==2.2.0 and pandas==2.0.0 clash on 3.12")
    assert finding.names == ("pandas",)


def test_what_fails_by_itself_is_out_of_the_way_of_conflicts() -> None:
    index = KnownIndex(Page(name="gone", state=PageState.MISSING))
    oracle = Oracle("ab", ["gone", "a"])

    assert told(found_in(wanting("gone", "a", "b"), oracle, index)) == {("PY102", ("gone",)), ("PY101", ("a", "b"))}
    assert not any("gone" in names for names in oracle.asked)


def test_hashes_and_lines_that_do_not_apply_are_no_trouble() -> None:
    index = KnownIndex(Page(name="gone", state=PageState.MISSING))
    wanted = wanting('gone; python_version < "3.9"', "a==1 --hash=sha256:00", "b", "c")

    assert told(found_in(wanted, Oracle("ab"), index)) == {("PY101", ("a", "b"))}


def test_names_that_do_not_clash_by_themselves_are_likely_and_not_certain() -> None:
    """The words of the resolver were not understood: it has refused something else."""

    class Vague(Oracle):
        def refusal(self, wanted: Wanted, build: InterpreterBuild, from_source: Sequence[str] = ()) -> Finding | None:
            found = super().refusal(wanted, build, from_source)
            return found and replace(found, names=("a",))

    findings = found_in(wanting("a", "b", "c"), Vague("ab", cached=Cache.EMPTY))

    assert told(findings) == {("PY101", ("a",))}
    assert findings[0].confidence is Confidence.LIKELY


def test_what_does_not_resolve_from_the_cache_is_asked_with_the_network() -> None:
    """A cache in which nothing is found makes no conflict, and none larger than it is."""
    assert found_in(wanting("a", "b", "c"), Oracle(cached=Cache.EMPTY)) == []
    findings = found_in(wanting("a", "b", "c", "x"), Oracle("ab", said="cx", cached=Cache.EMPTY))
    assert told(findings) == {("PY101", ("a", "b"))}


def test_what_is_known_to_resolve_is_not_asked_about_again() -> None:
    """That each of a pair can be had without the other shows when conflicts are put back."""
    oracle = Oracle("ab", "cd")

    found_in(wanting(*"abcdefg"), oracle)

    assert not any(len(names) == 1 for names in oracle.asked)
    assert len(oracle.asked) == len(set(oracle.asked))


def test_what_two_sets_ask_alike_is_asked_once() -> None:
    oracle, once = Oracle("ab"), Once(None)

    for rest in ("cd", "ef"):
        wanted = wanting("a", "b", *rest)
        found = all_blockers(wanted, build_of("3.12"), oracle, KnownIndex(), once=once)
        assert told(found) == {("PY101", ("a", "b"))}
        assert all(finding.location for finding in found)

    assert oracle.asked.count(frozenset("ab")) == 1


# ---- what is known already


def found_with(parts: Parts, oracle: Oracle, wanted: Wanted, on: str = "3.12") -> list[Finding]:
    """All that blocks ``wanted`` where ``parts`` are known from other sets."""
    oracle.parts = parts
    return all_blockers(wanted, build_of(on), oracle, KnownIndex())


def test_a_set_that_was_edited_is_asked_about_once_more_and_its_conflicts_are_not() -> None:
    first, again = Oracle("ab", "cd", "ac"), Oracle("ab", "cd", "ac")
    before = found_in(wanting(*"abcdef"), first)

    assert found_with(first.parts, again, wanting(*"abcdefz")) == before
    assert not any(len(names) <= 2 for names in again.asked)
    assert len(again.asked) == 1


def test_what_clashes_on_one_interpreter_is_tried_first_on_the_next() -> None:
    """By itself, before the whole set is; where it does not clash there, nothing is said of it."""
    first, again = Oracle("ab", "cd"), Oracle("cd", "ef")
    found_in(wanting(*"abcdefg"), first, on="3.9")

    assert told(found_with(first.parts, again, wanting(*"abcdefg"))) == {
        ("PY101", ("c", "d")),
        ("PY101", ("e", "f")),
    }
    assert [frozenset("ab"), frozenset("cd")] == again.asked[:2]


def test_a_clash_of_lines_of_which_the_set_has_more_is_not_taken_for_the_smallest() -> None:
    """``b==1`` and ``b==2`` clash by themselves, whatever ``a`` and ``b==1`` do."""
    parts = Oracle().parts
    parts.of(wanting("a"), build_of("3.12")).add_clash(
        ["a", "b==1"], Finding(code="PY101", message="they do not fit", names=("a", "b"))
    )

    assert told(found_with(parts, Oracle(["b"]), wanting("a", "b==1", "b==2", "c"))) == {("PY101", ("b",))}


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_set_is_known_to_clash_by_another_set_or_by_another_interpreter(interpreter: str) -> None:
    oracle = Oracle("ab")
    found_in(wanting(*"abc"), oracle, on="3.11")
    asked = len(oracle.asked)

    def clashes(*lines: str, on: str = interpreter, by: Oracle = oracle) -> bool:
        return is_known_to_clash(wanting(*lines), build_of(on), by, KnownIndex())

    assert clashes(*"abx", on="3.11")
    assert not clashes(*"acx")
    assert len(oracle.asked) == asked
    assert clashes(*"abx")
    assert oracle.asked[asked:] == [frozenset("ab")]
    other = Oracle()
    other.parts = oracle.parts
    assert not clashes(*"abx", by=other)


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_set_is_foreseen_as_blocked_only_by_pages_that_are_there_already(interpreter: str) -> None:
    index = KnownIndex(
        Page(name="gone", state=PageState.MISSING),
        page_of("late", "1.0"),
        page_of("windows", "1.0", tags="py3-none-win_amd64"),
        page_of("excluded", "1.0", requires_python="<3.9"),
        page_of("source", "1.0", tags=""),
        unknown("silent", "the index is away"),
        page_of("good", "1.0"),
    )

    def foreseen(*lines: str) -> bool:
        return is_foreseen(wanting(*lines), build_of(interpreter), index)

    assert [foreseen("good", one) for one in ("gone", "late==3", "windows")] == [True] * 3
    assert not foreseen("good", "source", "silent", "unheard-of==9", 'gone; python_version < "3.9"')
    assert not foreseen("excluded")  # uv takes it
    assert not foreseen("gone @ https://example.org/gone-1.0-py3-none-any.whl")


# ---- what could not be told


def test_an_index_that_does_not_answer_leaves_the_word_to_the_resolver() -> None:
    index = KnownIndex(*(unknown(name, "the index is away") for name in "abc"))

    assert told(found_in(wanting("a", "b", "c"), Oracle("ab"), index)) == {("PY101", ("a", "b"))}


def test_a_source_that_this_machine_cannot_build_does_not_hide_the_rest() -> None:
    oracle = Oracle("ab", broken={"mysql": Unchecked("no mysql_config here", names=["mysql"])})

    findings = found_in(wanting("mysql", "a", "b"), oracle)

    assert told(findings) == {("PY101", ("a", "b")), (UNTOLD, ("mysql",))}


def test_a_resolver_that_fails_ends_the_search_and_that_is_said() -> None:
    class Failing(Oracle):
        def refusal(self, wanted: Wanted, build: InterpreterBuild, from_source: Sequence[str] = ()) -> Finding | None:
            if len(self.asked) >= 2:
                raise Unchecked("the network is gone")
            return super().refusal(wanted, build, from_source)

    findings = found_in(wanting(*"abcdefgh"), Failing("ab", "cd", "ef"))

    assert ("PY101", ("a", "b")) in told(findings)
    assert (UNTOLD, ()) in told(findings)
    assert any("the network is gone" in finding.message for finding in findings)


def test_a_refusal_that_names_nothing_that_is_required_is_kept() -> None:
    findings = found_in(wanting("a", "b"), Oracle(broken={"a": Finding(code="PY104", message="deep", names=("deep",))}))

    assert told(findings) == {("PY104", ("deep",)), (UNTOLD, ())}


def test_the_search_is_bounded() -> None:
    names = [f"p{number}" for number in range(60)]
    oracle = Oracle(*([one, other] for one, other in zip(names[::2], names[1::2], strict=True)))

    findings = found_in(wanting(*names), oracle)

    assert any(finding.code == UNTOLD for finding in findings)
    assert len(oracle.asked) <= 320


# ---- what holds for all sets


@settings(deadline=None)  # on a busy machine one example may take its time
@given(
    st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=3), max_size=4),
    st.sets(st.sampled_from("abcdefgh")),
    st.sampled_from(Cache),
)
def test_what_is_told_clashes_and_what_is_left_does_not(
    conflicts: list[set[str]], said: set[str], cached: Cache
) -> None:
    least = [one for one in conflicts if not any(other < one for other in conflicts)]
    oracle = Oracle(*(sorted(one) for one in conflicts), said=sorted(said), cached=cached)

    findings = found_in(wanting(*"abcdefgh"), oracle)

    blamed = {name for finding in findings for name in finding.names}
    assert bool(findings) == bool(conflicts)
    pairs = {tuple(sorted(one)) for one in least if len(one) > 1}
    assert pairs - {finding.names for finding in findings} == set()
    assert not any(one <= set("abcdefgh") - blamed for one in conflicts)
    for finding in findings:
        assert any(one <= set(finding.names) for one in conflicts)
        assert set(finding.names) in least


some_conflicts = st.lists(st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3), max_size=4)


@settings(deadline=None)  # on a busy machine one example may take its time
@given(some_conflicts, some_conflicts, st.sampled_from(Cache))
def test_what_is_known_changes_nothing_but_what_is_asked(
    conflicts: list[set[str]], elsewhere: list[set[str]], cached: Cache
) -> None:
    """What another interpreter clashed on, and what this one did in a smaller set."""
    oracles = [Oracle(*(sorted(one) for one in conflicts), cached=cached) for _ in range(3)]
    oracles[1].parts = oracles[2].parts = Oracle().parts
    other = Oracle(*(sorted(one) for one in elsewhere))
    found_with(oracles[1].parts, other, wanting(*"abcdef"), on="3.9")
    found_with(oracles[1].parts, oracles[2], wanting(*"abcd"))

    plain, knowing = (
        found_in(wanting(*"abcdef"), oracles[0]),
        found_with(oracles[1].parts, oracles[1], wanting(*"abcdef")),
    )

    assert told(plain) == told(knowing)
