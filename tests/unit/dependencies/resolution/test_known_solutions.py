"""Proving from other solutions that a set resolves, and never if it does not."""

from collections.abc import Iterable, Mapping
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.dependencies.resolution.known_solutions import KnownSolutions, Solution, parse_solution, project_name

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
"""(project, version) -> needed project -> its allowed versions."""


def solution(*lines: str, **versions: str) -> Solution:
    """Return a solution whose projects need nothing."""
    return Solution(lines=frozenset(lines), versions=versions, needs={})


def collected(*solutions: Solution) -> KnownSolutions:
    collection = KnownSolutions()
    for added in solutions:
        collection.add(added)
    return collection


# ---- parsing


def test_the_output_of_uv_is_parsed_with_its_annotations() -> None:
    parsed = parse_solution(["motor==3.3.1", "tracing", "grpcio"], PRINTED)

    assert parsed is not None
    assert parsed.versions == {"grpcio": "1.60.0", "motor": "3.3.1", "pymongo": "4.6.1", "tracing": "2"}
    assert parsed.needs == {"motor": frozenset(["pymongo"]), "tracing": frozenset(["grpcio"])}


def test_incomplete_output_is_no_solution() -> None:
    assert parse_solution(["a"], "a==1\n") is None
    assert parse_solution(["a"], "a==1\n    # via -r requirements.in\nb==1\n") is None
    assert parse_solution(["a"], "a==1\n    # via unknown-project\n") is None
    assert parse_solution(["a"], "a @ file:///srv/a\n    # via -r requirements.in\n") is None


@given(st.text(alphabet="ab=1 #\n\\@-via"))
def test_every_text_is_parsed_or_rejected(text: str) -> None:
    parsed = parse_solution(["a"], text)

    assert parsed is None or {name for names in parsed.needs.values() for name in names} <= parsed.versions.keys()


# ---- proving


def test_subsets_and_combinations_of_solutions_resolve() -> None:
    solutions = collected(solution("a", "b", a="1", b="1"), solution("c", c="2"))

    assert solutions.can_satisfy(["a"])
    assert solutions.can_satisfy(["a", "b", "c"])
    assert solutions.can_satisfy([])
    assert not solutions.can_satisfy(["a", "d"])
    assert not solutions.can_satisfy(["a==1"])


def test_solutions_with_different_versions_of_a_shared_project_are_not_combined() -> None:
    needing = Solution(lines=frozenset("a"), versions={"a": "1", "c": "1"}, needs={"a": frozenset("c")})
    other = Solution(lines=frozenset("b"), versions={"b": "1", "c": "2"}, needs={"b": frozenset("c")})

    assert not collected(needing, other).can_satisfy(["a", "b"])
    older = Solution(lines=frozenset("b"), versions={"b": "0", "c": "1"}, needs={"b": frozenset("c")})
    assert collected(needing, other, older).can_satisfy(["a", "b"])


def test_a_version_counts_only_with_the_line_that_allowed_it() -> None:
    """The requirement ``c==2rc1`` allows a pre-release, which is not selected without it."""
    needs = {"a": frozenset("c")}
    solutions = collected(Solution(lines=frozenset(["a", "c==2rc1"]), versions={"a": "1", "c": "2rc1"}, needs=needs))

    assert solutions.can_satisfy(["a", "c==2rc1"])
    assert not solutions.can_satisfy(["a"])


def test_a_line_that_does_not_apply_needs_nothing() -> None:
    marked = 'old; python_version < "3"'

    assert collected(solution("a", marked, a="1")).can_satisfy([marked])


def solved(lines: Iterable[str], needs: Needs) -> Solution | None:
    """Return the first solution of ``lines`` by trying all; a line is ``name`` or ``name==version``."""
    required = [(project_name(line), (line.partition("==")[2],) if "==" in line else VERSIONS) for line in lines]
    for versions in product((*VERSIONS, ""), repeat=4):
        chosen = {name: version for name, version in zip("abcd", versions, strict=True) if version}
        demands = [*required, *(demand for pin in chosen.items() for demand in needs[pin].items())]
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


@settings(deadline=None)  # on a busy machine a single example may take long
@given(some_needs, st.lists(some_lines, max_size=5), some_lines)
def test_a_set_that_is_proven_to_resolve_does(needs: Needs, solved_sets: list[set[str]], lines: set[str]) -> None:
    solutions = collected(*(solution for lines in solved_sets if (solution := solved(lines, needs))))

    assert not solutions.can_satisfy(lines) or solved(lines, needs) is not None
    assert all(solutions.can_satisfy(resolved) for resolved in solved_sets if solved(resolved, needs))
