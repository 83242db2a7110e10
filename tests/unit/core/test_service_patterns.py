"""A pattern matches a service by its name, its path, the end of its path, or a glob of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.service_patterns import (
    PatternIndex,
    glob_problem,
    is_glob,
    matches,
    matches_test,
    normalize_pattern,
    suggest_service,
)

NAME = "listen-service"
PATH = "services/diagnostic-services/listen-service"


@pytest.mark.parametrize(
    "pattern",
    [
        "listen-service",
        "services/diagnostic-services/listen-service",
        "diagnostic-services/listen-service",
        "diagnostic-services/*",
        "diagnostic-*/listen-*",
        "services/*/*",
        "listen-*",
        "listen-servic?",
        "[kl]isten-service",
        "[!a]isten-service",
        "*",
        "**",
        "services/**",
        "services/**/listen-service",
        "services/**/diagnostic-services/**/listen-service",
        "./diagnostic-services/listen-service/",
    ],
)
def test_matching_patterns(pattern: str) -> None:
    """The whole path, its last components, the name, or a glob of any."""
    assert matches(pattern, NAME, PATH)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "service",
        "services/*",
        "services",
        "diagnostic-services",
        "Listen-Service",
        "listen",
        "sten-service",
        "other/**/listen-service",
        "services/diagnostic-services/listen-service/*",
        "*/*/*/*",
    ],
)
def test_mismatching_patterns(pattern: str) -> None:
    """A wildcard stays within one component, case counts, and a part of a name does not match."""
    assert not matches(pattern, NAME, PATH)


def test_a_name_that_differs_from_its_folder_matches_both_ways() -> None:
    assert matches("payments", "payments", "services/pay")
    assert matches("pay*", "payments", "services/other")
    assert matches("pay", "payments", "services/pay")


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        ("a" * 1001, "is longer than 1000 characters"),
        ("a\x1bb", "has a control character"),
        ("services\\a", "has a backslash"),
        ("/services/a", "is absolute"),
        ("C:/services", "is absolute"),
        ("services/../a", "has .. in it"),
        ("..", "has .. in it"),
        ("services//a", "has an empty component"),
        ("services/./a", "has an empty component or a lone ."),
        ("services/a**", "has ** beside other text"),
        ("services/[ab", "has a [ that is not closed"),
        ("services/[]", "has a [ that is not closed"),
        ("services/[!]/]", "has a [ that is not closed"),
    ],
)
def test_an_invalid_glob_is_explained(pattern: str, problem: str) -> None:
    """Each explanation can follow the pattern in a message."""
    assert glob_problem(pattern).startswith(problem)


@pytest.mark.parametrize("pattern", ["services/*", "**", "a/**/b", "[]]", "[!]]x", "./services/a/", ".", "{{name}}"])
def test_a_valid_glob_has_no_problem(pattern: str) -> None:
    """Including a set that starts with a bracket, and the root itself."""
    assert glob_problem(pattern) == ""


def test_normalisation_removes_what_a_shell_adds() -> None:
    """Completion adds ./ in front and / at the end."""
    assert normalize_pattern("././services/a/") == "services/a"
    assert normalize_pattern(".") == "."
    assert normalize_pattern("/") == "/"


def test_a_suggestion_has_as_many_components_as_the_pattern() -> None:
    """A name is suggested for a name, a path for a path."""
    services = [(NAME, PATH), ("user-service", "services/user-service")]
    assert suggest_service("user-servise", services) == ', perhaps you meant "user-service"'
    assert suggest_service("diagnostic-service/listen-service", services) == (
        ', perhaps you meant "diagnostic-services/listen-service"'
    )
    assert suggest_service("qqq", services) == ""


def test_brackets_of_a_test_id_are_literal() -> None:
    """Those of a parametrised test are not a set of characters."""
    assert matches_test("tests/test_x.py::test_y[3.12]", "tests/test_x.py::test_y[3.12]")
    assert matches_test("tests/test_x.py::test_y[*]", "tests/test_x.py::test_y[3.12]")
    assert matches_test("tests/*::test_?", "tests/deep/test_x.py::test_y")
    assert not matches_test("tests/test_x.py::test_[xy]", "tests/test_x.py::test_y")
    assert not matches_test("tests/test_x.py", "tests/test_x.py::test_y")


COMPONENTS = st.sampled_from(["a", "b", "ab", "a-b"])
PATHS = st.lists(COMPONENTS, min_size=1, max_size=4).map("/".join)
PATTERNS = st.lists(
    st.sampled_from(["a", "b", "ab", "*", "**", "a*", "?", "[ab]", "[!a]b"]), min_size=1, max_size=5
).map("/".join)


@given(PATTERNS, st.lists(st.tuples(COMPONENTS, PATHS), max_size=5, unique=True))
def test_the_index_agrees_with_matches(pattern: str, services: list[tuple[str, str]]) -> None:
    assert PatternIndex(services).matching_services(pattern) == tuple(
        service for service in services if matches(pattern, *service)
    )


@given(st.text(max_size=30), st.text(max_size=10), st.text(max_size=30))
def test_no_pattern_crashes(pattern: str, name: str, path: str) -> None:
    """Any pattern either matches or not, and plain text matches itself."""
    assert matches(pattern, name, path) in (True, False)
    assert matches_test(pattern, name) in (True, False)
    assert isinstance(glob_problem(pattern), str)
    if not is_glob(path) and normalize_pattern(path) == path and path:
        assert matches(path, name, path)
