"""Own modules with the name of a standard one: told where the target's library has it and the baseline's has not."""

import pytest

from pytest_py312.analysis.judging.evidence import Witnesses
from pytest_py312.analysis.judging.shadowed_modules import questions_about, shadow_findings, shadows
from pytest_py312.analysis.scanner.facts import stdlib_queries
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Question

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


def interpreter(version: tuple[int, int]) -> stdlib_queries.Testimony:
    answers = {Question(module=name): Answer(present=since <= version) for name, since in NEW.items()}
    return stdlib_queries.Testimony(version=version, answers=answers, origin="a test")


def test_top_level_modules_of_the_roots_count() -> None:
    """Modules of packages have a longer name, and a folder without ``__init__.py`` gives way to the library."""
    found = shadows(FILES, ("a", "a/src"))

    assert found == {"imp": "a/imp.py", "tomllib": "a/tomllib.py", "graphlib": "a/src/graphlib/__init__.py"}
    assert {question.module for question in questions_about(found)} == set(found)


@pytest.mark.parametrize(
    ("baseline", "target", "told"),
    [
        ((3, 8), (3, 12), ["graphlib", "tomllib"]),
        ((3, 9), (3, 12), ["tomllib"]),
        ((3, 10), (3, 12), ["tomllib"]),
        ((3, 9), (3, 10), []),
        ((3, 11), (3, 12), []),
        ((3, 12), (3, 12), []),
    ],
)
def test_what_a_release_between_has_added_is_told(
    baseline: tuple[int, int], target: tuple[int, int], told: list[str]
) -> None:
    witnesses = Witnesses(baseline=interpreter(baseline), target=interpreter(target))

    found = list(shadow_findings(shadows(FILES, ("a", "a/src")), witnesses))

    assert sorted(name for finding in found for name in finding.names) == told
    assert {finding.code for finding in found} <= {"PY208"}
