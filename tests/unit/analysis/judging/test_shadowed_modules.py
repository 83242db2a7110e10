"""Modules of a service with the name of a standard one that only the target has."""

import pytest

from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.shadowed_modules import find_shadowing_modules, shadowing_findings, shadowing_queries
from pytest_py312.analysis.scanner.facts import stdlib_queries
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_queries import StdlibAnswer, StdlibQuery

FILES = tuple(
    FileFacts(path=path)
    for path in (
        "a/tomllib.py",
        "a/imp.py",
        "a/src/graphlib/__init__.py",
        "a/pkg/zoneinfo.py",
        "a/cmd/run.py",
        "a/own.py",
    )
)
NEW = {"tomllib": (3, 11), "graphlib": (3, 9), "zoneinfo": (3, 9), "imp": (3, 0)}
"""The releases that brought them. The test's interpreters do not remove what they have."""


def interpreter(version: tuple[int, int]) -> stdlib_queries.InterpreterAnswers:
    answers = {StdlibQuery(module=name): StdlibAnswer(present=since <= version) for name, since in NEW.items()}
    return stdlib_queries.InterpreterAnswers(version=version, answers=answers, origin="a test")


def test_top_level_modules_of_the_roots_count() -> None:
    """Modules of packages have a longer name, and the standard library takes precedence over a folder without
    ``__init__.py``.
    """
    found = find_shadowing_modules(FILES, ("a", "a/src"))

    assert found == {"imp": "a/imp.py", "tomllib": "a/tomllib.py", "graphlib": "a/src/graphlib/__init__.py"}
    assert {query.module for query in shadowing_queries(found)} == set(found)


@pytest.mark.parametrize(
    ("baseline", "target", "reported"),
    [
        ((3, 8), (3, 12), ["graphlib", "tomllib"]),
        ((3, 9), (3, 12), ["tomllib"]),
        ((3, 10), (3, 12), ["tomllib"]),
        ((3, 9), (3, 10), []),
        ((3, 11), (3, 12), []),
        ((3, 12), (3, 12), []),
    ],
)
def test_what_a_release_in_between_has_added_is_reported(
    baseline: tuple[int, int], target: tuple[int, int], reported: list[str]
) -> None:
    evidence = Evidence(baseline=interpreter(baseline), target=interpreter(target))

    found = list(shadowing_findings(find_shadowing_modules(FILES, ("a", "a/src")), evidence))

    assert sorted(name for finding in found for name in finding.names) == reported
    assert {finding.code for finding in found} <= {"PY208"}
