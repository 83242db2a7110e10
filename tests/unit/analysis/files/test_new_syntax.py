"""Which files the compiler of the baseline has to read."""

import ast
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.files.newer_syntax import may_use_new_syntax


@pytest.mark.parametrize(
    "text",
    [
        "match command:\n    case 1:\n        pass\n",
        "    match (command):\n",
        "type Pair = tuple[int, int]\n",
        "with (open(a) as b, open(c) as d):\n    pass\n",
        "async with (a as b):\n",
        "def first[T](items): ...\n",
        "class Box[T]: ...\n",
        "try:\n    pass\nexcept* ValueError:\n    pass\n",
        "def f(*args: *Ts): ...\n",
        "x[a:=1]\n",
        "{a := 1, 2}\n",
        "[f async for g in h]\n",
        "f'{d['a']}'\n",
        "table[*index]\n",
        "table [ *index]\n",
        "table\\\n[*index]\n",
        "(table\n[*index])\n",
        "(table  # a remark, and more\n[*index])\n",
        "f()[*index]\n",
        "rows[1][*index]\n",
        "'text'[*index]\n",
        "main[*index]\n",
        "x.return_[*index]\n",
        "table[\n    *index\n]\n",
    ],
)
def test_possible_new_syntax_is_read_by_the_compiler_of_the_baseline(text: str) -> None:
    assert may_use_new_syntax(text.encode())
    assert may_use_new_syntax(f"import os\n{text}".encode())


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n",
        "return [*first, *second]\n",
        "x = [*first]\n",
        "call(\n    [*first, last],\n    key=[*second],\n)\n",
        "for x in[*first]:\n    pass\n",
        "{1: [*first]}\n",
        "lambda: [*first]\n",
        "with open(a) as b, open(c) as d:\n    pass\n",
        "def f(*args: int): ...\n",
        "if (n := len(a)) > 10: pass\n",
        "print(f\"{a['b']}\")\n",
        "matched = 1\n",
    ],
)
def test_old_syntax_is_not_read_by_the_compiler_of_the_baseline(text: str) -> None:
    assert not may_use_new_syntax(text.encode())


_VALUES = st.sampled_from(["a", "in_", "main", "x.y", "f()", "rows[1]", "'text'", "{}", "(1)", "..."])
_SPACES = st.sampled_from(["", " ", "\n", " \\\n ", "  # a (\n "])


@given(value=_VALUES, before=_SPACES, after=st.sampled_from(["", " ", "\n "]))
def test_every_starred_index_is_detected(value: str, before: str, after: str) -> None:
    text = f"({value}{before}[{after}*b])"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (statement,) = ast.parse(text.replace("*b", "b")).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Subscript)

    assert may_use_new_syntax(text.encode())
