"""How the functions and classes of a standard library are called.

Runs inside the interpreter that is asked, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
``inspect.signature`` is asked for what is not plain: it takes ten times as long as to read what the code of a function
says, or the text that a function in C has in its place.
"""

from __future__ import annotations

import inspect
import keyword
import re
import types
from inspect import Parameter
from typing import TYPE_CHECKING

from pytest_py312.analysis.oracle.probe.library import in_classes, mro
from pytest_py312.analysis.oracle.probe.warning_texts import warning_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pytest_py312.analysis.oracle.probe.library import Known, Library, Place

    Shape = Mapping[str, tuple[Any, Any]]
    """Parameters in their order: the kind (of ``inspect.Parameter``), and the default or ``Parameter.empty``."""

LONGEST_TEXT = 600

BEFORE, EITHER, REST = Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL
NAMED, NAMED_REST = Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD
EMPTY = Parameter.empty

_IN_C = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)
_PARAMETER = re.compile(
    r"(?P<stars>\*{0,2})(?P<name>[A-Za-z_]\w*)(?:=(?P<default>-?\d+|None|True|False|b?'[^'\\\\,]*'|b?\"[^\"\\\\,]*\"))?"
)


def signature_of(place: Place) -> Shape | None:
    """How something is called by those who reach it on this path; ``None`` where it does not say."""
    value, raw = place.value, place.raw
    bound = isinstance(raw, (classmethod, types.ClassMethodDescriptorType))
    methods = (types.FunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)
    bound = bound or (place.through_instance and isinstance(raw, methods))
    if isinstance(raw, types.ClassMethodDescriptorType):
        value, bound = getattr(place.owner, place.name, None), False
    if not callable(value) or (isinstance(value, type) and in_classes(mro(type(value))[:-2], "__call__")):
        return None  # the metaclass, an enumeration's for example, takes what the class does not show
    shape = shape_of(value)
    if shape is None or not bound:
        return shape
    rest = list(shape.items())
    if rest and rest[0][1][0] in (BEFORE, EITHER):
        del rest[0]
    return dict(rest)


def shape_of(value: Any) -> Shape | None:
    """What ``inspect.signature`` says; ``None`` where it says nothing."""
    if type(value) is types.FunctionType and not vars(value):
        return _of_code(value)
    if type(value) in _IN_C:
        shape = _of_text(value)
        if shape is not None:
            return shape
    try:
        signature = inspect.signature(value, follow_wrapped=False)
        kinds = {parameter.kind for parameter in signature.parameters.values()}
        if {REST, NAMED_REST} <= kinds:
            signature = inspect.signature(value)  # who hands all on takes what the other takes
    except Exception:  # whatever a text signature or an annotation raises
        return None
    return {name: (parameter.kind, parameter.default) for name, parameter in signature.parameters.items()}


def _of_code(function: types.FunctionType) -> Shape:
    code = function.__code__
    names = code.co_varnames
    count, alone = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    defaults = function.__defaults__ or ()
    padded = (*[EMPTY] * (count - len(defaults)), *defaults)
    only = code.co_posonlyargcount
    shape: dict[str, tuple[Any, Any]] = {}
    for place, name in enumerate(names[:count]):
        shape[name] = (BEFORE if place < only else EITHER, padded[place])
    if code.co_flags & inspect.CO_VARARGS:
        shape[names[alone]] = (REST, EMPTY)
        alone += 1
    given = function.__kwdefaults__ or {}
    for name in names[count : count + code.co_kwonlyargcount]:
        shape[name] = (NAMED, given.get(name, EMPTY))
    if code.co_flags & inspect.CO_VARKEYWORDS:
        shape[names[alone]] = (NAMED_REST, EMPTY)
    return shape


def _of_text(value: Any) -> Shape | None:
    """By the text that Argument Clinic has left; ``None`` where there is none, or more than names and constants."""
    text = getattr(value, "__text_signature__", None)
    if not text or text[0] != "(" or text[-1] != ")":
        return None
    parts = [part.strip() for part in text[1:-1].split(",")] if text != "()" else []
    receiver = parts[0][1:] if parts and parts[0].startswith("$") else ""
    if receiver:
        parts[0] = receiver
    found: list[tuple[str, Any, Any]] = []
    kind: Any = EITHER
    for part in parts:
        if part == "/" and kind is EITHER:
            found = [(name, BEFORE, default) for name, _, default in found]
            continue
        if part == "*" and kind is EITHER:
            kind = NAMED
            continue
        match = _PARAMETER.fullmatch(part)
        if match is None or keyword.iskeyword(match["name"]) or kind is NAMED_REST:
            return None
        if match["stars"]:
            if match["default"] or (kind is NAMED and match["stars"] == "*"):
                return None
            found.append((match["name"], REST if match["stars"] == "*" else NAMED_REST, EMPTY))
            kind = NAMED if match["stars"] == "*" else NAMED_REST
            continue
        if kind is EITHER and not match["default"] and found and found[-1][2] is not EMPTY:
            return None  # no Python takes it
        found.append((match["name"], kind, match["default"] or EMPTY))
    return _received(value, receiver, found)


def _received(value: Any, receiver: str, found: list[tuple[str, Any, Any]]) -> Shape | None:
    """The parameters without the one that is bound already."""
    shape = {name: (kind, default) for name, kind, default in found}
    if len(shape) < len(found):
        return None
    if receiver:
        if getattr(value, "__self__", None) is not None:
            del shape[receiver]
        else:
            shape[receiver] = (BEFORE, shape[receiver][1])
    return shape


def with_warnings(signature: Shape, facts: Known, refused: set[str]) -> dict[str, Any]:
    """A signature as JSON takes it."""
    texts = {name: (call, names) for fact, names in facts for name, call in fact.deprecated.items()}
    kinds = {kind for kind, _ in signature.values()}
    return {
        "positional": [n for n, (kind, _) in signature.items() if kind in (BEFORE, EITHER) and n not in refused],
        "keywords": [n for n, (kind, _) in signature.items() if kind in (EITHER, NAMED) and n not in refused],
        "required": [
            n for n, (kind, default) in signature.items() if default is EMPTY and kind not in (REST, NAMED_REST)
        ],
        "any_positional": REST in kinds,
        "any_keyword": NAMED_REST in kinds,
        "deprecated": [
            [name, warning_text(call, names)[:LONGEST_TEXT]] for name, (call, names) in sorted(texts.items())
        ],
    }


def refused_by(library: Library, signature: Shape, place: Place, facts: Known) -> set[str]:
    """Parameters that are named still, for a better message than that of the interpreter, and never taken.

    A class may hand such a one on to the ``__init__`` of a base, with the base's default.
    """
    refused: set[str] = set().union(*(fact.refused for fact, _ in facts))
    for kind in mro(place.value)[1:] if isinstance(place.value, type) else ():
        made: Any = vars(kind).get("__init__")
        for name in {name for fact, _ in library.facts(made, kind, "__init__") for name in fact.refused}:
            here, there = signature.get(name), inspect.signature(made).parameters.get(name)
            if here is not None and there is not None and here[1] is there.default:
                refused.add(name)
    return refused
