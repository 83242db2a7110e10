"""Releases of removals in warnings. The texts are those of CPython and of libraries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.judging.removals import find_removal
from pytest_py312.core.model.findings import Interpreter


@pytest.mark.parametrize(
    ("message", "release"),
    [
        (
            "the imp module is deprecated in favour of importlib and slated for removal in Python 3.12; see the "
            "module's documentation for alternative uses",
            "3.12",
        ),
        ("the imp module is deprecated in favour of importlib; see the module's documentation", "3.12"),
        ("The parser module is deprecated and will be removed in future versions of Python", "3.10"),
        (
            "Using or importing the ABCs from 'collections' instead of from 'collections.abc' is deprecated since "
            "Python 3.3, and in 3.10 it will stop working",
            "3.10",
        ),
        ("The loop argument is deprecated since Python 3.8, and scheduled for removal in Python 3.10.", "3.10"),
        ("inspect.getargspec() is deprecated since Python 3.0, use inspect.signature()", "3.11"),
        ("Please use assertEqual instead.", "3.12"),
        ("ssl.wrap_socket() is deprecated, use SSLContext.wrap_socket()", "3.12"),
        ("'cgi' is deprecated and slated for removal in Python 3.13", "3.13"),
        ("typing.io is deprecated, import directly from typing. typing.io will be removed in Python 3.12.", "3.13"),
        ("zipimport.zipimporter.load_module() is deprecated and slated for removal in Python 3.12", "3.15"),
        ("Attribute s is deprecated and will be removed in Python 3.14; use value instead", "3.14"),
    ],
)
def test_the_release_comes_from_the_table_or_the_warning(message: str, release: str) -> None:
    """The table takes precedence: two of these removals were postponed after the warning was written."""
    removal = find_removal(message)
    assert removal is not None
    assert removal.release == Interpreter.parse(release)
    assert removal.is_name


@pytest.mark.parametrize(
    ("message", "release"),
    [
        ("Flags not at the start of the expression 'a(?i)b' but at position 1", "3.11"),
        ("non-integer arguments to randrange() have been deprecated since Python 3.10", "3.12"),
        ("Sampling from a set deprecated\nsince Python 3.9 and will be removed in a subsequent version.", "3.11"),
    ],
)
def test_values_are_distinguished_from_names(message: str, release: str) -> None:
    """These show only at run time."""
    removal = find_removal(message)
    assert removal is not None
    assert (str(removal.release), removal.is_name) == (release, False)
    assert removal.remedy


@pytest.mark.parametrize(
    "message",
    [
        "datetime.datetime.utcnow() is deprecated and scheduled for removal in a future version.",
        "There is no current event loop",
        "parser.add_option() is deprecated",
        "frame.append is deprecated and will be removed in version 3.12 of the library",
        "it will be removed when Python 3.12 is the oldest that is supported",
        "removed since Python 3.12",
        "this was deprecated in Python 3.12",
        "",
    ],
)
def test_unrelated_versions_are_not_taken_for_a_release(message: str) -> None:
    """Releases of a library, and Python versions mentioned for other reasons, are not releases of a removal."""
    assert find_removal(message) is None


@given(st.text())
def test_any_text_may_be_a_warning(message: str) -> None:
    found = find_removal(message)
    assert found is None or found.release.major == 3
