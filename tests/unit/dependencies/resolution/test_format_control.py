"""Which projects pip may build, and which it must build."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.dependencies.resolution.format_control import read_format_control


@pytest.mark.parametrize(
    ("options", "built", "never_built"),
    [
        ([], "", ""),
        ([("--no-binary", "Psycopg2,lxml")], "psycopg2 lxml", ""),
        ([("--only-binary", ":all:")], "", "psycopg2 lxml six"),
        ([("--only-binary", ":all:"), ("--no-binary", "lxml")], "lxml", "psycopg2 six"),
        ([("--no-binary", ":all:"), ("--only-binary", "lxml")], "psycopg2 six", "lxml"),
        ([("--no-binary", "lxml"), ("--only-binary", "lxml")], "", "lxml"),
        ([("--no-binary", ":all:"), ("--no-binary", ":none:")], "", ""),
        ([("--only-binary", ":all:"), ("--no-binary", ":all:")], "psycopg2 lxml six", ""),
        ([("--index-url", "https://x/")], "", ""),
    ],
)
def test_the_last_option_counts(options: list[tuple[str, str]], built: str, never_built: str) -> None:
    formats = read_format_control(options)
    names = ("psycopg2", "lxml", "six")
    assert {name for name in names if formats.is_source_only(name)} == set(built.split())
    assert {name for name in names if formats.is_wheel_only(name)} == set(never_built.split())


OPTION = st.tuples(
    st.sampled_from(["--no-binary", "--only-binary", "--pre"]),
    st.lists(st.sampled_from([":all:", ":none:", "a", "b.c", ""]), max_size=4).map(",".join) | st.text(max_size=9),
)


@given(st.lists(OPTION, max_size=6), st.sampled_from(["a", "b-c", "d"]))
def test_nothing_is_both(options: list[tuple[str, str]], name: str) -> None:
    formats = read_format_control(options)
    assert not (formats.is_source_only(name) and formats.is_wheel_only(name))
