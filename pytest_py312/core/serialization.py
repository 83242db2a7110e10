"""Nouns to JSON and back, by their type hints: for the state file and between xdist's processes.

Only what core/model is made of: frozen dataclasses, enums, tuples, mappings, strings, numbers, booleans, ``None``. What
does not fit the hints is a ValueError, so a damaged or foreign state file cannot become anything but these.
"""

import json
import re
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def encode(value: object) -> Any:
    """``value`` as what ``json.dumps`` takes."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {item.name: encode(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return [[encode(key), encode(item)] for key, item in value.items()]
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, date | Path):
        return str(value)
    return value


def decode(kind: type[T], data: Any) -> T:
    """``data``, which :func:`encode` made of a ``kind``, as a ``kind`` again.

    :raises ValueError: it does not fit.
    """
    try:
        return cast(T, _decode(kind, data))
    except (TypeError, OverflowError) as error:  # a field that is not there; a number that no float holds
        raise ValueError(str(error)) from error


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, data: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind), data)
    if origin is tuple:
        return _tuple(get_args(kind), data)
    if origin is not None and issubclass(origin, Mapping):
        key_kind, item_kind = get_args(kind)
        return {_decode(key_kind, key): _decode(item_kind, item) for key, item in _of(list, data)}
    if isinstance(kind, type):
        return _plain(kind, data)
    raise ValueError(f"no rule for {kind}")


def _plain(kind: type, data: Any) -> Any:
    if is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: _decode(hints[name], item) for name, item in _of(dict, data).items() if name in hints})
    if issubclass(kind, Enum):
        return kind(data)
    if kind is date:
        return date.fromisoformat(_of(str, data))
    if issubclass(kind, Path):
        return kind(_of(str, data))
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if kind is type(None):
        kind = type(None)
    return _of(kind, data)


def _one_of(kinds: tuple[Any, ...], data: Any) -> Any:
    for kind in kinds:
        try:
            return _decode(kind, data)
        except (ValueError, TypeError, KeyError):
            continue
    raise ValueError(f"{data!r:.80} fits none of {kinds}")


def _tuple(kinds: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    items = _of(list, data)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_decode(kinds[0], item) for item in items)
    if len(kinds) != len(items):
        raise ValueError(f"{len(items)} items where {len(kinds)} belong")
    return tuple(_decode(kind, item) for kind, item in zip(kinds, items, strict=True))


def _of(kind: type[T], data: Any) -> T:
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise ValueError(f"{data!r:.80} is not a {kind.__name__}")
    return data


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def written(document: dict[str, Any]) -> str:
    """``document`` as text, indented by two spaces, ending with a newline, and encodable as UTF-8."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # An escaped backslash, so that readers get the spelling and not the half character.
    return _LONE_SURROGATE.sub(lambda match: rf"\\u{ord(match[0]):04x}", text) + "\n"
