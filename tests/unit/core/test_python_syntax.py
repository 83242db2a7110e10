"""Python source is parsed in silence, and what cannot be parsed is no error."""

import warnings
from typing import Literal

import pytest

from pytest_py312.core.python_syntax import parse_python


@pytest.mark.parametrize("content", [r"pattern = '\d'", "x = 0if y else 1", "assert (x, 'message')", b"x = '\\d'"])
@pytest.mark.parametrize("action", ["error", "always"])
def test_the_compiler_does_not_warn_of_the_file(action: Literal["error", "always"], content: str | bytes) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter(action)
        tree = parse_python(content)
    assert tree is not None
    assert len(tree.body) == 1
    assert shown == []


@pytest.mark.parametrize("content", ["print 'x'", "x = \0", b"# coding: nothing\n", "(" * 10_000, "-" * 200_000 + "1"])
def test_what_is_not_python_has_no_tree(content: str | bytes) -> None:
    assert parse_python(content) is None
