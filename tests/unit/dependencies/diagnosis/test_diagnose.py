"""Diagnosing everything that blocks a set, with an index for single requirements and a resolver for conflicts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Confidence, Finding, Location, Severity
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.conflict_search import UNDETERMINED_CODE
from pytest_py312.dependencies.diagnosis.diagnose import (
    excluded_requirements,
    find_all_conflicts,
    has_known_conflict,
    is_known_unsatisfiable,
)
from pytest_py312.dependencies.diagnosis.package_index import (
    DistributionFile,
    IndexPage,
    PackageIndex,
    PageState,
    unknown_page,
)
from pytest_py312.dependencies.resolution.conflict_cache import ConflictCache
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from tests.support.fakes import FakeRunner, build_of

TOGETHER = ("3.9", "3.10", "3.12")


class Cache(Enum):
    """The content of the resolver's cache: everything, nothing, or something that makes it blame the wrong projects."""

    FULL = "full"
    EMPTY = "empty"
    MISLEADING = "misleading"


class KnownIndex(PackageIndex):
    """An index with ``pages``, and wheels for all other projects."""

    def __init__(self, *pages: IndexPage) -> None:
        super().__init__(cache=Path("/nowhere"), url=None, lock_hours=0.0)
        self.known_pages = {page.name: page for page in pages}

    def page(self, name: str) -> IndexPage:
        return self.known_pages.get(name) or page_of(name, "1.0", "2.0.0", "2.2.0")

    def page_if_fetched(self, name: str) -> IndexPage | None:
        return self.known_pages.get(name)


class Oracle(UvResolver):
    """A resolver for which sets of projects conflict (``conflicts``). Each refusal names one of them.

    ``mentioned`` are further names in its refusals. ``broken`` maps projects to the refusal of every set with them.
    ``queries`` are the names in each query, ``built`` the projects that could be built.
    """

    def __init__(
        self,
        *conflicts: Sequence[str],
        mentioned: Sequence[str] = (),
        broken: Mapping[str, Finding | Undetermined] | None = None,
        cached: Cache = Cache.FULL,
    ) -> None:
        super().__init__(cache=Path("/nowhere"), runner=FakeRunner(), uv_version="0", lock_hours=0.0)
        self.conflicts = conflicts
        self.mentioned = tuple(mentioned)
        self.broken = broken or {}
        self.cached = cached
        self.queries: list[frozenset[str]] = []
        self.built: set[str] = set()

    def explain_offline(
        self, request: ResolutionRequest, build: InterpreterBuild, from_source: Sequence[str] = ()
    ) -> Finding | None:
        names = names_of(request)
        self.built.update(from_source)
        if self.cached is Cache.EMPTY:
            return Finding(code="PY101", message="nothing is there")
        if self.cached is Cache.MISLEADING:
            return Finding(code="PY102", message="nothing is there", names=tuple(sorted(names)[:2]))
        return self._conflict_in(names, build)

    def _conflict_in(self, names: frozenset[str], build: InterpreterBuild) -> Finding | None:
        for name in self.broken:
            if name in names:
                return Finding(code="PY104", message="a guess")
        for conflict in self.conflicts:
            if set(conflict) <= names:
                blamed = tuple(dict.fromkeys((*conflict, *(name for name in self.mentioned if name in names))))
                message = f"the set conflicts on {build.interpreter}: they do not fit"
                return Finding(code="PY101", message=message, names=blamed)
        return None

    def explain(
        self, request: ResolutionRequest, build: InterpreterBuild, from_source: Sequence[str] = ()
    ) -> Finding | None:
        names = names_of(request)
        self.queries.append(names)
        self.built.update(from_source)
        assert set(from_source) <= names
        for name, broken in self.broken.items():
            if name in names:
                if isinstance(broken, Undetermined):
                    raise broken
                return broken
        return self._conflict_in(names, build)


def names_of(request: ResolutionRequest) -> frozenset[str]:
    return frozenset(Requirement(line.partition(" --hash=")[0]).name for line in request.lines)


def page_of(name: str, *versions: str, tags: str = "py3-none-any", requires_python: str = "") -> IndexPage:
    files = {version: (DistributionFile(version, tags, requires_python, False, ""),) for version in versions}
    return IndexPage(name=name, state=PageState.FOUND, files=files)


def request_for(*lines: str) -> ResolutionRequest:
    located = ((Requirement(line.partition(" --hash=")[0]).name, number) for number, line in enumerate(lines, 1))
    return ResolutionRequest(
        lines=lines, direct=tuple((name, Location(path="requirements.txt", line=line)) for name, line in located)
    )


def findings_in(
    request: ResolutionRequest, oracle: Oracle, index: PackageIndex | None = None, on: str = "3.12"
) -> list[Finding]:
    return find_all_conflicts(request, build_of(on), oracle, index or KnownIndex())


def codes_and_names(findings: Sequence[Finding]) -> set[tuple[str, tuple[str, ...]]]:
    return {(finding.code, finding.names) for finding in findings}


# ---- single requirements


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_all_unusable_requirements_are_reported_at_once_with_their_lines(interpreter: str) -> None:
    index = KnownIndex(
        IndexPage(name="gone", state=PageState.MISSING),
        page_of("old", "1.0", requires_python="<3.9"),
        page_of("late", "1.0", "2.0"),
        page_of("windows", "1.0", tags="py3-none-win_amd64"),
    )

    findings = findings_in(request_for("good", "gone", "late==3", "old==1.0", "windows"), Oracle(), index, interpreter)

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


def test_a_blocker_on_one_interpreter_is_reported_only_there() -> None:
    index = KnownIndex(page_of("numpy", "1.24.3", requires_python="<3.12"))
    on = {
        name: codes_and_names(findings_in(request_for("numpy==1.24.3", "a", "b"), Oracle("ab"), index, name))
        for name in TOGETHER
    }

    assert on["3.12"] - on["3.9"] == {("PY103", ("numpy",))}
    assert on["3.9"] == on["3.10"] == {("PY101", ("a", "b"))}


def test_the_remedy_names_the_first_version_that_installs() -> None:
    page = IndexPage(
        name="app",
        state=PageState.FOUND,
        files={
            "1.0": (DistributionFile("1.0", "cp311-cp311-manylinux1_x86_64", "", False, ""),),
            "1.1": (DistributionFile("1.1", "py3-none-any", "", False, ""),),
            "1.2": (DistributionFile("1.2", "py3-none-any", "", False, ""),),
        },
    )
    (finding,) = findings_in(request_for("app==1.0"), Oracle(), KnownIndex(page))

    assert (finding.code, finding.remedy) == (
        "PY104",
        "app==1.1 is the first after it that installs on 3.12 from a wheel",
    )
    assert "it has wheels for 3.11" in finding.message


def test_a_source_in_a_blocked_set_is_reported_as_not_tried() -> None:
    source = page_of("slow", "1.0", tags="")
    oracle = Oracle("ab")

    findings = findings_in(request_for("slow==1.0", "a", "b"), oracle, KnownIndex(source))

    (note,) = [finding for finding in findings if finding.names == ("slow",)]
    assert (note.code, note.severity) == ("PY112", Severity.WARNING)
    assert "was not tried" in note.message
    assert oracle.built == {"slow"}


def test_a_member_of_a_conflict_without_a_wheel_has_two_findings() -> None:
    """For example grpcio 1.51 with companions that need 1.54; on 3.12 its source does not build."""
    findings = findings_in(
        request_for("slow==1.0", "a", "b"), Oracle(("a", "slow")), KnownIndex(page_of("slow", "1.0", tags=""))
    )

    assert codes_and_names(findings) == {("PY101", ("a", "slow")), ("PY112", ("slow",))}


def test_a_pinned_version_that_was_yanked_is_a_warning() -> None:
    yanked = IndexPage(
        name="app", state=PageState.FOUND, files={"1.0": (DistributionFile("1.0", "py3-none-any", "", True, ""),)}
    )

    assert [
        (finding.code, finding.names, finding.severity)
        for finding in findings_in(request_for("app==1.0", "a", "b"), Oracle("ab"), KnownIndex(yanked))
        if not finding.blocks
    ] == [("PY112", ("app",), Severity.WARNING)]


# ---- conflicts


def test_every_conflict_is_reported_with_exactly_its_members() -> None:
    """The resolver names one conflict at a time, together with bystanders."""
    oracle = Oracle("ab", "cde", mentioned="xy")

    findings = findings_in(request_for("a==1", "b>2", "c", "d", "e", "x", "y", "z"), oracle)

    assert codes_and_names(findings) == {("PY101", ("a", "b")), ("PY101", ("c", "d", "e"))}
    assert findings[0].message == "a==1 and b>2 conflict on 3.12: they do not fit"
    assert findings[0].remedy == "relax one of: a, b"
    assert findings[1].message == "c, d and e conflict on 3.12: they do not fit"
    assert all(finding.confidence is Confidence.CERTAIN for finding in findings)


def test_a_project_may_be_a_member_of_several_conflicts() -> None:
    """For example grpcio 1.51 with two of its companions, which need 1.54."""
    assert codes_and_names(
        findings_in(
            request_for("grpcio", "health", "reflection"), Oracle(("grpcio", "health"), ("grpcio", "reflection"))
        )
    ) == {
        ("PY101", ("grpcio", "health")),
        ("PY101", ("grpcio", "reflection")),
    }


def test_members_of_two_conflicts_may_conflict_with_each_other() -> None:
    """Leaving a member of each conflict out does not reveal it."""
    conflicts = ["ab", "cd", "ac", "bde"]

    assert codes_and_names(findings_in(request_for(*"abcdefg"), Oracle(*conflicts))) == {
        ("PY101", tuple(conflict)) for conflict in conflicts
    }


def test_a_requirement_may_be_unresolvable_because_of_its_own_requirements() -> None:
    (finding,) = findings_in(request_for("a==1", "b"), Oracle("a"))

    assert finding.message == "a==1 cannot be resolved on 3.12: they do not fit"
    assert finding.names == ("a",)


def test_requirements_that_pip_refuses_are_named_without_a_resolution() -> None:
    """uv ignores the upper bound, and meets another one that does not build."""
    index = KnownIndex(page_of("tools", "0.1.4", requires_python=">=3.9,<3.11"), page_of("six", "1.16"))
    request = request_for("tools==0.1.4", "six", 'tools==0.1.4; python_version < "3.9"')

    (finding,) = excluded_requirements(request, build_of("3.12"), index)

    assert (finding.code, finding.names) == ("PY103", ("tools",))
    assert finding.message == "tools==0.1.4 says Requires-Python >=3.9,<3.11: pip refuses it on 3.12.1"
    assert excluded_requirements(request, build_of("3.10"), index) == []


def test_one_requirement_in_two_forms_does_not_conflict_with_itself() -> None:
    (finding,) = findings_in(request_for("a<5,>=1", "a>=1,<5", "b"), Oracle(["a"]))

    assert finding.message == "a<5,>=1 cannot be resolved on 3.12: they do not fit"
    assert finding.remedy == "require another version of a"


def test_two_lines_of_one_project_may_conflict() -> None:
    (finding,) = findings_in(request_for("pandas==2.2.0", "pandas==2.0.0", "six"), Oracle(["pandas"]))

    assert finding.message.startswith("pandas==2.2.0 and pandas==2.0.0 conflict on 3.12")
    assert finding.names == ("pandas",)


def test_unusable_requirements_do_not_disturb_the_search_for_conflicts() -> None:
    index = KnownIndex(IndexPage(name="gone", state=PageState.MISSING))
    oracle = Oracle("ab", ["gone", "a"])

    assert codes_and_names(findings_in(request_for("gone", "a", "b"), oracle, index)) == {
        ("PY102", ("gone",)),
        ("PY101", ("a", "b")),
    }
    assert not any("gone" in names for names in oracle.queries)


def test_hashes_and_lines_that_do_not_apply_are_supported() -> None:
    index = KnownIndex(IndexPage(name="gone", state=PageState.MISSING))
    request = request_for('gone; python_version < "3.9"', "a==1 --hash=sha256:00", "b", "c")

    assert codes_and_names(findings_in(request, Oracle("ab"), index)) == {("PY101", ("a", "b"))}


def test_a_conflict_that_is_not_confirmed_is_only_likely() -> None:
    """The resolver's message was misunderstood: its reason was another one."""

    class Vague(Oracle):
        def explain(
            self, request: ResolutionRequest, build: InterpreterBuild, from_source: Sequence[str] = ()
        ) -> Finding | None:
            refusal = super().explain(request, build, from_source)
            return refusal and replace(refusal, names=("a",))

    findings = findings_in(request_for("a", "b", "c"), Vague("ab", cached=Cache.EMPTY))

    assert codes_and_names(findings) == {("PY101", ("a",))}
    assert findings[0].confidence is Confidence.LIKELY


def test_a_set_that_does_not_resolve_from_the_cache_is_resolved_with_the_network() -> None:
    """An empty cache neither causes nor enlarges a conflict."""
    assert findings_in(request_for("a", "b", "c"), Oracle(cached=Cache.EMPTY)) == []
    findings = findings_in(request_for("a", "b", "c", "x"), Oracle("ab", mentioned="cx", cached=Cache.EMPTY))
    assert codes_and_names(findings) == {("PY101", ("a", "b"))}


def test_sets_that_are_known_to_resolve_are_not_resolved_again() -> None:
    """The variants have already shown that each member of a pair resolves alone."""
    oracle = Oracle("ab", "cd")

    findings_in(request_for(*"abcdefg"), oracle)

    assert not any(len(names) == 1 for names in oracle.queries)
    assert len(oracle.queries) == len(set(oracle.queries))


def test_equal_queries_of_two_sets_run_once() -> None:
    oracle, single_flight = Oracle("ab"), SingleFlight(None)

    for others in ("cd", "ef"):
        request = request_for("a", "b", *others)
        findings = find_all_conflicts(request, build_of("3.12"), oracle, KnownIndex(), single_flight=single_flight)
        assert codes_and_names(findings) == {("PY101", ("a", "b"))}
        assert all(finding.location for finding in findings)

    assert oracle.queries.count(frozenset("ab")) == 1


# ---- cached conflicts


def findings_with(
    conflicts: ConflictCache, oracle: Oracle, request: ResolutionRequest, on: str = "3.12"
) -> list[Finding]:
    """Return everything that blocks ``request``, with the ``conflicts`` cached for other sets."""
    oracle.conflict_cache = conflicts
    return find_all_conflicts(request, build_of(on), oracle, KnownIndex())


def test_an_edited_set_reuses_its_cached_conflicts() -> None:
    first, again = Oracle("ab", "cd", "ac"), Oracle("ab", "cd", "ac")
    original = findings_in(request_for(*"abcdef"), first)

    assert findings_with(first.conflict_cache, again, request_for(*"abcdefz")) == original
    assert not any(len(names) <= 2 for names in again.queries)
    assert len(again.queries) == 1


def test_a_conflict_on_one_interpreter_is_tried_first_on_the_next() -> None:
    """It is tried alone, before the whole set, and reported only if it is confirmed."""
    first, again = Oracle("ab", "cd"), Oracle("cd", "ef")
    findings_in(request_for(*"abcdefg"), first, on="3.9")

    assert codes_and_names(findings_with(first.conflict_cache, again, request_for(*"abcdefg"))) == {
        ("PY101", ("c", "d")),
        ("PY101", ("e", "f")),
    }
    assert [frozenset("ab"), frozenset("cd")] == again.queries[:2]


def test_a_cached_conflict_counts_only_with_all_lines_of_its_projects() -> None:
    """``b==1`` and ``b==2`` conflict alone, so ``a`` is not to blame."""
    conflicts = Oracle().conflict_cache
    conflicts.scope_for(request_for("a"), build_of("3.12")).add_conflict(
        ["a", "b==1"], Finding(code="PY101", message="they do not fit", names=("a", "b"))
    )

    assert codes_and_names(findings_with(conflicts, Oracle(["b"]), request_for("a", "b==1", "b==2", "c"))) == {
        ("PY101", ("b",))
    }


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_known_conflicts_come_from_other_sets_and_other_interpreters(interpreter: str) -> None:
    oracle = Oracle("ab")
    findings_in(request_for(*"abc"), oracle, on="3.11")
    count = len(oracle.queries)

    def has_conflict(*lines: str, on: str = interpreter, by: Oracle = oracle) -> bool:
        return has_known_conflict(request_for(*lines), build_of(on), by, KnownIndex())

    assert has_conflict(*"abx", on="3.11")
    assert not has_conflict(*"acx")
    assert len(oracle.queries) == count
    assert has_conflict(*"abx")
    assert oracle.queries[count:] == [frozenset("ab")]
    other = Oracle()
    other.conflict_cache = oracle.conflict_cache
    assert not has_conflict(*"abx", by=other)


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_only_fetched_pages_make_a_set_known_as_unsatisfiable(interpreter: str) -> None:
    index = KnownIndex(
        IndexPage(name="gone", state=PageState.MISSING),
        page_of("late", "1.0"),
        page_of("windows", "1.0", tags="py3-none-win_amd64"),
        page_of("excluded", "1.0", requires_python="<3.9"),
        page_of("source", "1.0", tags=""),
        unknown_page("silent", "the index is away"),
        page_of("good", "1.0"),
    )

    def is_unsatisfiable(*lines: str) -> bool:
        return is_known_unsatisfiable(request_for(*lines), build_of(interpreter), index)

    assert [is_unsatisfiable("good", line) for line in ("gone", "late==3", "windows")] == [True] * 3
    assert not is_unsatisfiable("good", "source", "silent", "not-fetched==9", 'gone; python_version < "3.9"')
    assert not is_unsatisfiable("excluded")  # uv ignores the upper bound
    assert not is_unsatisfiable("gone @ https://example.org/gone-1.0-py3-none-any.whl")


# ---- undetermined results


def test_without_an_answer_of_the_index_the_resolver_decides() -> None:
    index = KnownIndex(*(unknown_page(name, "the index is away") for name in "abc"))

    assert codes_and_names(findings_in(request_for("a", "b", "c"), Oracle("ab"), index)) == {("PY101", ("a", "b"))}


def test_a_source_that_this_machine_cannot_build_does_not_hide_conflicts() -> None:
    oracle = Oracle("ab", broken={"mysql": Undetermined("no mysql_config here", names=["mysql"])})

    findings = findings_in(request_for("mysql", "a", "b"), oracle)

    assert codes_and_names(findings) == {("PY101", ("a", "b")), (UNDETERMINED_CODE, ("mysql",))}


def test_a_failing_resolver_ends_the_search_with_a_warning() -> None:
    class Failing(Oracle):
        def explain(
            self, request: ResolutionRequest, build: InterpreterBuild, from_source: Sequence[str] = ()
        ) -> Finding | None:
            if len(self.queries) >= 2:
                raise Undetermined("the network is gone")
            return super().explain(request, build, from_source)

    findings = findings_in(request_for(*"abcdefgh"), Failing("ab", "cd", "ef"))

    assert ("PY101", ("a", "b")) in codes_and_names(findings)
    assert (UNDETERMINED_CODE, ()) in codes_and_names(findings)
    assert any("the network is gone" in finding.message for finding in findings)


def test_a_refusal_without_a_required_project_is_reported() -> None:
    findings = findings_in(
        request_for("a", "b"), Oracle(broken={"a": Finding(code="PY104", message="deep", names=("deep",))})
    )

    assert codes_and_names(findings) == {("PY104", ("deep",)), (UNDETERMINED_CODE, ())}


def test_the_search_is_bounded() -> None:
    names = [f"p{number}" for number in range(60)]
    oracle = Oracle(*([first, second] for first, second in zip(names[::2], names[1::2], strict=True)))

    findings = findings_in(request_for(*names), oracle)

    assert any(finding.code == UNDETERMINED_CODE for finding in findings)
    assert len(oracle.queries) <= 320


# ---- properties of all sets


@settings(deadline=None)  # on a busy machine a single example may take long
@given(
    st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=3), max_size=4),
    st.sets(st.sampled_from("abcdefgh")),
    st.sampled_from(Cache),
)
def test_reported_projects_conflict_and_the_others_do_not(
    conflicts: list[set[str]], mentioned: set[str], cached: Cache
) -> None:
    minimal = [conflict for conflict in conflicts if not any(other < conflict for other in conflicts)]
    oracle = Oracle(*map(sorted, conflicts), mentioned=sorted(mentioned), cached=cached)

    findings = findings_in(request_for(*"abcdefgh"), oracle)

    blamed = {name for finding in findings for name in finding.names}
    assert bool(findings) == bool(conflicts)
    expected = {tuple(sorted(conflict)) for conflict in minimal if len(conflict) > 1}
    assert expected - {finding.names for finding in findings} == set()
    assert not any(conflict <= set("abcdefgh") - blamed for conflict in conflicts)
    for finding in findings:
        assert any(conflict <= set(finding.names) for conflict in conflicts)
        assert set(finding.names) in minimal


some_conflicts = st.lists(st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3), max_size=4)


@settings(deadline=None)  # on a busy machine a single example may take long
@given(some_conflicts, some_conflicts, st.sampled_from(Cache))
def test_cached_conflicts_change_only_the_queries(
    conflicts: list[set[str]], elsewhere: list[set[str]], cached: Cache
) -> None:
    """They come from another interpreter, and from a smaller set on this one."""
    oracles = [Oracle(*map(sorted, conflicts), cached=cached) for _ in range(3)]
    oracles[1].conflict_cache = oracles[2].conflict_cache = Oracle().conflict_cache
    other = Oracle(*map(sorted, elsewhere))
    findings_with(oracles[1].conflict_cache, other, request_for(*"abcdef"), on="3.9")
    findings_with(oracles[1].conflict_cache, oracles[2], request_for(*"abcd"))

    without_cache, with_cache = (
        findings_in(request_for(*"abcdef"), oracles[0]),
        findings_with(oracles[1].conflict_cache, oracles[1], request_for(*"abcdef")),
    )

    assert codes_and_names(without_cache) == codes_and_names(with_cache)
