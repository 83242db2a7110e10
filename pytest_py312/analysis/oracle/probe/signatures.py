"""Determine the signatures of stdlib functions and classes.

Runs inside the queried interpreter, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
``inspect.signature`` is used for unusual cases only. It takes ten times as long as reading the code object of a
function or the text signature of a C function.
"""

from __future__ import annotations

import inspect
import keyword
import re
import types
from inspect import Parameter
from typing import TYPE_CHECKING

from pytest_py312.analysis.oracle.probe.library import find_in_classes, mro
from pytest_py312.analysis.oracle.probe.warning_texts import warning_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pytest_py312.analysis.oracle.probe.library import FunctionFacts, ResolvedName, StandardLibrary

    Shape = Mapping[str, tuple[Any, Any]]
    """Parameters in order: the kind (of ``inspect.Parameter``), and the default or ``Parameter.empty``."""

MAX_TEXT_LENGTH = 600

POSITIONAL_ONLY, POSITIONAL_OR_KEYWORD, VAR_POSITIONAL = (
    Parameter.POSITIONAL_ONLY,
    Parameter.POSITIONAL_OR_KEYWORD,
    Parameter.VAR_POSITIONAL,
)
KEYWORD_ONLY, VAR_KEYWORD = Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD
EMPTY = Parameter.empty

_C_FUNCTION_TYPES = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)
_PARAMETER = re.compile(
    r"(?P<stars>\*{0,2})(?P<name>[A-Za-z_]\w*)(?:=(?P<default>-?\d+|None|True|False|b?'[^'\\\\,]*'|b?\"[^\"\\\\,]*\"))?"
)


def signature_of(resolved: ResolvedName) -> Shape | None:
    """Return the signature as seen through the path; ``None`` if it is unknown."""
    value, raw = resolved.value, resolved.raw
    bound = isinstance(raw, (classmethod, types.ClassMethodDescriptorType))
    methods = (types.FunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)
    bound = bound or (resolved.via_instance and isinstance(raw, methods))
    if isinstance(raw, types.ClassMethodDescriptorType):
        value, bound = getattr(resolved.owner, resolved.name, None), False
    if not callable(value) or (isinstance(value, type) and find_in_classes(mro(type(value))[:-2], "__call__")):
        return None  # the metaclass decides the signature, for example that of an enum
    shape = shape_of(value)
    if shape is None or not bound:
        return shape
    parameters = list(shape.items())
    if parameters and parameters[0][1][0] in (POSITIONAL_ONLY, POSITIONAL_OR_KEYWORD):
        del parameters[0]
    return dict(parameters)


def shape_of(value: Any) -> Shape | None:
    """Return the result of ``inspect.signature``; ``None`` if there is none."""
    if type(value) is types.FunctionType and not vars(value):
        return _shape_of_code(value)
    if type(value) in _C_FUNCTION_TYPES:
        shape = _shape_of_text(value)
        if shape is not None:
            return shape
    try:
        signature = inspect.signature(value, follow_wrapped=False)
        kinds = {parameter.kind for parameter in signature.parameters.values()}
        if {VAR_POSITIONAL, VAR_KEYWORD} <= kinds:
            signature = inspect.signature(
                value
            )  # a wrapper that forwards everything has the signature of the wrapped function
    except Exception:  # a text signature or an annotation may raise anything
        return None
    return {name: (parameter.kind, parameter.default) for name, parameter in signature.parameters.items()}


def _shape_of_code(function: types.FunctionType) -> Shape:
    code = function.__code__
    names = code.co_varnames
    count, positional_end = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    defaults = function.__defaults__ or ()
    padded = (*[EMPTY] * (count - len(defaults)), *defaults)
    positional_only_count = code.co_posonlyargcount
    shape: dict[str, tuple[Any, Any]] = {}
    for position, name in enumerate(names[:count]):
        shape[name] = (POSITIONAL_ONLY if position < positional_only_count else POSITIONAL_OR_KEYWORD, padded[position])
    if code.co_flags & inspect.CO_VARARGS:
        shape[names[positional_end]] = (VAR_POSITIONAL, EMPTY)
        positional_end += 1
    keyword_defaults = function.__kwdefaults__ or {}
    for name in names[count : count + code.co_kwonlyargcount]:
        shape[name] = (KEYWORD_ONLY, keyword_defaults.get(name, EMPTY))
    if code.co_flags & inspect.CO_VARKEYWORDS:
        shape[names[positional_end]] = (VAR_KEYWORD, EMPTY)
    return shape


def _shape_of_text(value: Any) -> Shape | None:
    """Parse the text signature of Argument Clinic.

    ``None`` if there is none, or if it has more than names and constants.
    """
    text = getattr(value, "__text_signature__", None)
    if not text or text[0] != "(" or text[-1] != ")":
        return None
    parts = [part.strip() for part in text[1:-1].split(",")] if text != "()" else []
    receiver = parts[0][1:] if parts and parts[0].startswith("$") else ""
    if receiver:
        parts[0] = receiver
    parameters: list[tuple[str, Any, Any]] = []
    kind: Any = POSITIONAL_OR_KEYWORD
    for part in parts:
        if part == "/" and kind is POSITIONAL_OR_KEYWORD:
            parameters = [(name, POSITIONAL_ONLY, default) for name, _, default in parameters]
            continue
        if part == "*" and kind is POSITIONAL_OR_KEYWORD:
            kind = KEYWORD_ONLY
            continue
        match = _PARAMETER.fullmatch(part)
        if match is None or keyword.iskeyword(match["name"]) or kind is VAR_KEYWORD:
            return None
        if match["stars"]:
            if match["default"] or (kind is KEYWORD_ONLY and match["stars"] == "*"):
                return None
            parameters.append((match["name"], VAR_POSITIONAL if match["stars"] == "*" else VAR_KEYWORD, EMPTY))
            kind = KEYWORD_ONLY if match["stars"] == "*" else VAR_KEYWORD
            continue
        if kind is POSITIONAL_OR_KEYWORD and not match["default"] and parameters and parameters[-1][2] is not EMPTY:
            return None  # invalid in Python: no default after a default
        parameters.append((match["name"], kind, match["default"] or EMPTY))
    return _bind_receiver(value, receiver, parameters)


def _bind_receiver(value: Any, receiver: str, parameters: list[tuple[str, Any, Any]]) -> Shape | None:
    """Remove the parameter that is bound already, or make it positional-only."""
    shape = {name: (kind, default) for name, kind, default in parameters}
    if len(shape) < len(parameters):
        return None
    if receiver:
        if getattr(value, "__self__", None) is not None:
            del shape[receiver]
        else:
            shape[receiver] = (POSITIONAL_ONLY, shape[receiver][1])
    return shape


def signature_document(signature: Shape, facts: FunctionFacts, refused: set[str]) -> dict[str, Any]:
    """Return a signature in JSON form."""
    texts = {name: (call, names) for fact, names in facts for name, call in fact.deprecated.items()}
    kinds = {kind for kind, _ in signature.values()}
    by_position, by_name = (POSITIONAL_ONLY, POSITIONAL_OR_KEYWORD), (POSITIONAL_OR_KEYWORD, KEYWORD_ONLY)
    variadic = (VAR_POSITIONAL, VAR_KEYWORD)
    return {
        "positional": [n for n, (kind, _) in signature.items() if kind in by_position and n not in refused],
        "keywords": [n for n, (kind, _) in signature.items() if kind in by_name and n not in refused],
        "required": [n for n, (kind, default) in signature.items() if default is EMPTY and kind not in variadic],
        "any_positional": VAR_POSITIONAL in kinds,
        "any_keyword": VAR_KEYWORD in kinds,
        "deprecated": [
            [name, warning_text(call, names)[:MAX_TEXT_LENGTH]] for name, (call, names) in sorted(texts.items())
        ],
    }


def refused_parameters(
    library: StandardLibrary, signature: Shape, resolved: ResolvedName, facts: FunctionFacts
) -> set[str]:
    """Return parameters that exist only to raise a better error message when passed.

    A class may pass such a parameter on to the ``__init__`` of a base class, with the base's default.
    """
    refused: set[str] = set().union(*(fact.refused for fact, _ in facts))
    for kind in mro(resolved.value)[1:] if isinstance(resolved.value, type) else ():
        base_init: Any = vars(kind).get("__init__")
        for name in {name for fact, _ in library.facts(base_init, kind, "__init__") for name in fact.refused}:
            own_parameter, base_parameter = signature.get(name), inspect.signature(base_init).parameters.get(name)
            if own_parameter is not None and base_parameter is not None and own_parameter[1] is base_parameter.default:
                refused.add(name)
    return refused
