"""Signatures read from code objects and text signatures agree with ``inspect.signature``."""

import builtins
import collections
import inspect
import io
import itertools
import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

from pytest_py312.analysis.oracle.probe.signatures import shape_of


def plain(a: int, b: int = 1, /, c: int = 2, *rest: int, d: int, e: int = 3, **more: int) -> None: ...


def bare(*, a: int = 1) -> None: ...


@wraps(plain)
def wrapped(*args: Any, **kwargs: Any) -> None: ...


class Made:
    def __init__(self, x: int, y: int = 1) -> None: ...


NAMESPACES = (
    builtins,
    collections,
    io,
    itertools,
    json,
    sys,
    str,
    dict,
    list,
    bytes,
    int,
    io.BytesIO,
    collections.deque,
)


@pytest.mark.parametrize("value", [plain, bare, wrapped, Made, lambda: None])
def test_the_shape_of_a_function_equals_its_signature(value: Callable[..., Any]) -> None:
    assert _shape(value) == _signature(value)


@pytest.mark.parametrize("space", NAMESPACES)
def test_the_shape_of_a_c_function_equals_its_signature(space: Any) -> None:
    values = [one for one in vars(space).values() if callable(one) and not isinstance(one, staticmethod)]

    assert [_shape(one) for one in values] == [_signature(one) for one in values]


def _shape(value: Any) -> list[tuple[str, Any, bool]] | None:
    shape = shape_of(value)
    if shape is None:
        return None
    return [(name, kind, default is inspect.Parameter.empty) for name, (kind, default) in shape.items()]


def _signature(value: Any) -> list[tuple[str, Any, bool]] | None:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return None
    return [(one.name, one.kind, one.default is inspect.Parameter.empty) for one in signature.parameters.values()]
