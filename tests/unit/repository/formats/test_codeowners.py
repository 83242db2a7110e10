"""Who owns a file, by the rules of GitHub and GitLab."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.codeowners import owning_rules, read_codeowners


def owners(text: str, path: str) -> list[str]:
    return [owner for rule in owning_rules(read_codeowners(text), path) for owner in rule.owners]


@pytest.mark.parametrize(
    ("pattern", "owned", "not_owned"),
    [
        ("*", ["a", "a/b/c.py"], []),
        ("*.py", ["a.py", "x/y.py"], ["a.pyc"]),
        ("/services/auth/", ["services/auth/a.py", "services/auth/b/c"], ["x/services/auth/a", "services/auth"]),
        ("services/auth", ["services/auth", "services/auth/a/b"], ["x/services/auth/a"]),
        ("auth/", ["auth/a", "services/auth/a"], ["services/auth", "authx/a"]),
        ("services/*", ["services/a"], ["services/a/b"]),
        ("/services/**", ["services/a/b", "services/a"], ["x/services/a"]),
        ("**/auth/**", ["auth/a", "x/y/auth/a/b"], ["x/authy/a"]),
        ("services/**/tests", ["services/tests/a", "services/a/b/tests/c"], ["services/a"]),
        ("/a?c/", ["abc/x"], ["a/c/x", "abbc/x"]),
        ("/with\\ space/", ["with space/a"], ["with/a"]),
        ("/[a]/", ["[a]/x"], ["a/x"]),
        ("/***/x", ["q/x"], ["q/r/x"]),
    ],
)
def test_a_pattern(pattern: str, owned: list[str], not_owned: list[str]) -> None:
    text = f"{pattern} @team\n"

    assert [path for path in owned if owners(text, path) != ["@team"]] == []
    assert [path for path in not_owned if owners(text, path)] == []


@pytest.mark.parametrize("pattern", ["**/" * 100 + "a", "a*" * 100, "x" * 600, "!a"])
def test_a_pattern_that_is_no_pattern_of_a_person(pattern: str) -> None:
    """It would take too long to match."""
    assert read_codeowners(f"{pattern} @team\n") == ()


def test_the_last_matching_line_counts() -> None:
    text = "* @all\n/a/ @a-team person@example.com # why\n\n# nobody owns this:\n/a/b/\n"

    assert owners(text, "x") == ["@all"]
    assert owners(text, "a/x") == ["@a-team", "person@example.com"]
    assert owners(text, "a/b/x") == []


def test_each_section_of_gitlab_has_owners_and_a_default() -> None:
    text = "[Code][2] @developers\n/a/\n/a/b/ @b\n^[Docs]\n/a/ @writers\n[CODE]\n/a/c/ @c\n"

    assert owners(text, "a/x") == ["@developers", "@writers"]
    assert owners(text, "a/b/x") == ["@b", "@writers"]
    assert owners(text, "a/c/x") == ["@c", "@writers"]


@given(st.text(st.sampled_from("*/ab?[]\\!# \n@^"), max_size=40), st.text(st.sampled_from("ab/"), max_size=10))
def test_any_text_is_read(text: str, path: str) -> None:
    rules = read_codeowners(text)

    assert set(owning_rules(rules, path)) <= set(rules)
