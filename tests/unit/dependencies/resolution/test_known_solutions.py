"""That a set resolves, told by what others were resolved to: never where it does not."""

from collections.abc import Iterable, Mapping
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.dependencies.resolution.known_solutions import Shown, Solution, project_of, solution_of

PRINTED = """\
--index-url https://example.org/simple

grpcio==1.60.0
    # via
    #   -r requirements.in
    #   tracing
motor==3.3.1 \\
    --hash=sha256:00 \\
    --hash=sha256:01
    # via -r requirements.in
pymongo==4.6.1
    # via motor
tracing==2
    # via -r requirements.in
"""

VERSIONS = ("1", "2")
Needs = Mapping[tuple[str, str], Mapping[str, frozenset[str]]]
"""What each version of a project needs: which versions of which other."""


def solution(*lines: str, **versions: str) -> Solution:
    """Of projects that need nothing."""
    return Solution(lines=frozenset(lines), versions=versions, needs={})


def shown(*solutions: Solution) -> Shown:
    found = Shown()
    for one in solutions:
        found.add(one)
    return found


# ---- reading


def test_what_uv_prints_is_read_with_who_needs_what() -> None:
    found = solution_of(["motor==3.3.1", "tracing", "grpcio"], PRINTED)

    assert found is not None
    assert found.versions == {"grpcio": "1.60.0", "motor": "3.3.1", "pymongo": "4.6.1", "tracing": "2"}
    assert found.needs == {"motor": frozenset(["pymongo"]), "tracing": frozenset(["grpcio"])}


def test_what_is_not_all_versions_with_their_reasons_shows_nothing() -> None:
    assert solution_of(["a"], "a==1\n") is None
    assert solution_of(["a"], "a==1\n    # via -r requirements.in\nb==1\n") is None
    assert solution_of(["a"], "a==1\n    # via who-is-that\n") is None
    assert solution_of(["a"], "a @ file:///srv/a\n    # via -r requirements.in\n") is None


@given(st.text(alphabet="ab=1 #\n\\@-via"))
def test_any_text_is_read_or_refused(text: str) -> None:
    found = solution_of(["a"], text)

    assert found is None or {name for of_it in found.needs.values() for name in of_it} <= found.versions.keys()


# ---- telling


def test_parts_and_joined_parts_of_solutions_resolve() -> None:
    known = shown(solution("a", "b", a="1", b="1"), solution("c", c="2"))

    assert known.resolves(["a"])
    assert known.resolves(["a", "b", "c"])
    assert known.resolves([])
    assert not known.resolves(["a", "d"])
    assert not known.resolves(["a==1"])


def test_solutions_that_differ_in_what_they_share_are_not_joined() -> None:
    needing = Solution(lines=frozenset("a"), versions={"a": "1", "c": "1"}, needs={"a": frozenset("c")})
    other = Solution(lines=frozenset("b"), versions={"b": "1", "c": "2"}, needs={"b": frozenset("c")})

    assert not shown(needing, other).resolves(["a", "b"])
    older = Solution(lines=frozenset("b"), versions={"b": "0", "c": "1"}, needs={"b": frozenset("c")})
    assert shown(needing, other, older).resolves(["a", "b"])


def test_what_a_line_made_possible_is_not_taken_without_it() -> None:
    """``c==2rc1`` as a requirement makes a pre-release possible, which nothing else may take."""
    needs = {"a": frozenset("c")}
    known = shown(Solution(lines=frozenset(["a", "c==2rc1"]), versions={"a": "1", "c": "2rc1"}, needs=needs))

    assert known.resolves(["a", "c==2rc1"])
    assert not known.resolves(["a"])


def test_a_line_that_does_not_apply_needs_nothing() -> None:
    marked = 'old; python_version < "3"'

    assert shown(solution("a", marked, a="1")).resolves([marked])


def solved(lines: Iterable[str], needs: Needs) -> Solution | None:
    """The first solution of ``lines`` there is, by trying all; a line is ``name`` or ``name==version``."""
    wanted = [(project_of(line), (line.partition("==")[2],) if "==" in line else VERSIONS) for line in lines]
    for versions in product((*VERSIONS, ""), repeat=4):
        chosen = {name: version for name, version in zip("abcd", versions, strict=True) if version}
        demands = [*wanted, *(demand for at in chosen.items() for demand in needs[at].items())]
        if all(chosen.get(name) in allowed for name, allowed in demands):
            edges = {name: frozenset(needs[name, version]) for name, version in chosen.items() if needs[name, version]}
            return Solution(lines=frozenset(lines), versions=chosen, needs=edges)
    return None


some_needs = st.fixed_dictionaries(
    {
        (name, version): st.dictionaries(
            st.sampled_from([other for other in "abcd" if other != name]),
            st.sets(st.sampled_from(VERSIONS), min_size=1).map(frozenset),
            max_size=2,
        )
        for name in "abcd"
        for version in VERSIONS
    }
)
some_lines = st.sets(st.sampled_from([*"abcd", "a==1", "b==2", "c==1"]), min_size=1, max_size=4)


@settings(deadline=None)  # on a busy machine one example may take its time
@given(some_needs, st.lists(some_lines, max_size=5), some_lines)
def test_what_is_told_to_resolve_does(needs: Needs, asked: list[set[str]], lines: set[str]) -> None:
    known = shown(*(one for wanted in asked if (one := solved(wanted, needs))))

    assert not known.resolves(lines) or solved(lines, needs) is not None
    assert all(known.resolves(wanted) for wanted in asked if solved(wanted, needs))
