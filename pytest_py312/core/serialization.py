"""Convert dataclasses to JSON and back by their type hints, for the state file and between xdist processes.

Supports what ``core/model`` consists of: frozen dataclasses, enums, tuples, mappings, strings, numbers, booleans,
``None``. Data that does not match the hints is a ValueError, so that a damaged file can never become an object of
another type.
"""

import hashlib
import json
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def stored_as(name: str) -> Mapping[str, str]:
    """Return the metadata of a dataclass field that is stored under another name.

    For fields that were renamed after files with the former name had been written.
    """
    return {_STORED_AS: name}


_STORED_AS = "stored_as"


@cache
def _stored_names(kind: Any) -> tuple[tuple[str, str], ...]:
    """Pairs of field name and stored name of a dataclass."""
    return tuple((item.name, item.metadata.get(_STORED_AS, item.name)) for item in fields(kind))


def encode(value: object) -> Any:
    """Convert ``value`` to something that ``json.dumps`` accepts."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {stored: encode(getattr(value, name)) for name, stored in _stored_names(value.__class__)}
    if isinstance(value, Mapping):
        return [[encode(key), encode(item)] for key, item in value.items()]
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, date | Path):
        return str(value)
    return value


def decode(kind: type[T], data: Any) -> T:
    """Convert ``data``, which :func:`encode` made from a ``kind``, back to a ``kind``.

    :raises ValueError: it does not match the type.
    """
    try:
        return cast(T, _decode(kind, data))
    except (TypeError, OverflowError) as error:  # a missing field; a number too large for a float
        raise ValueError(str(error)) from error


Decoder = Callable[[Any], Any]


def _decode(kind: Any, data: Any) -> Any:
    return _decoder(kind)(data)


@cache
def _decoder(kind: Any) -> Decoder:
    """Return the function that decodes values of a type. What it depends on is found once, not for each value."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union_decoder(get_args(kind))
    if origin is tuple:
        return _tuple_decoder(get_args(kind))
    if origin is not None and issubclass(origin, Mapping):
        decode_key, decode_item = map(_decoder, get_args(kind))
        return lambda data: {decode_key(key): decode_item(item) for key, item in _require_type(list, data)}
    if isinstance(kind, type):
        return _dataclass_decoder(kind) if is_dataclass(kind) else _class_decoder(kind)
    raise ValueError(f"type {kind} is not supported")


def _dataclass_decoder(kind: Any) -> Decoder:
    hints = get_type_hints(kind)
    readers = [(name, stored, _decoder(hints[name])) for name, stored in _stored_names(kind)]

    def decode_fields(data: Any) -> Any:
        document = _require_type(dict, data)
        return kind(**{name: read(document[stored]) for name, stored, read in readers if stored in document})

    return decode_fields


def _class_decoder(kind: Any) -> Decoder:
    if issubclass(kind, Enum):
        return cast(Decoder, kind)
    if kind is date:
        return lambda data: date.fromisoformat(_require_type(str, data))
    if issubclass(kind, Path):
        return lambda data: kind(_require_type(str, data))
    if kind is float:
        return lambda data: float(data) if type(data) is int else _require_type(float, data)
    return lambda data: _require_type(kind, data)


def _union_decoder(kinds: tuple[Any, ...]) -> Decoder:
    decoders = [_decoder(kind) for kind in kinds]

    def decode_first(data: Any) -> Any:
        for decode_kind in decoders:
            try:
                return decode_kind(data)
            except (ValueError, TypeError, KeyError):
                continue
        raise ValueError(f"{data!r:.80} matches none of {kinds}")

    return decode_first


def _tuple_decoder(kinds: tuple[Any, ...]) -> Decoder:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        decode_item = _decoder(kinds[0])
        return lambda data: tuple([decode_item(item) for item in _require_type(list, data)])
    decoders = [_decoder(kind) for kind in kinds]

    def decode_items(data: Any) -> tuple[Any, ...]:
        items = _require_type(list, data)
        if len(decoders) != len(items):
            raise ValueError(f"{len(items)} items instead of {len(decoders)}")
        return tuple([read(item) for read, item in zip(decoders, items, strict=True)])

    return decode_items


def _require_type(kind: type[T], data: Any) -> T:
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise ValueError(f"{data!r:.80} is not a {kind.__name__}")
    return data


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def format_json(document: dict[str, Any]) -> str:
    """Return ``document`` as JSON, indented by two spaces, ending with a newline, and encodable as UTF-8."""
    return escape_lone_surrogates(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def escape_lone_surrogates(text: str) -> str:
    """Return JSON ``text`` that can be encoded as UTF-8.

    The backslash is escaped: readers get the escape sequence as text, not half a character.
    """
    return _LONE_SURROGATE.sub(lambda match: rf"\\u{ord(match[0]):04x}", text)


def content_digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a reader gets of a JSON document: neither the order of keys nor the layout counts."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
