"""What the scanner knows of the values that names stand for. Most of the time that is nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

STD = "std"
"""Something of the standard library: ``module`` and ``path``, as questions have them."""
FOREIGN = "foreign"
"""A module that is not standard, or something in one; ``module`` is its dotted name with leading dots. Where ``import
package.module`` gave the name, it stands for ``path``, which is the package."""
CLASS = "class"
"""A class of this file; ``data`` is an :class:`OwnClass`."""
OBJECT = "object"
"""An instance of a class of this file; ``data`` as above."""
FUNCTION = "function"
"""A function of this file; ``data`` is an :class:`OwnFunction`."""
MANAGER = "manager"
"""A function of this file that makes a context manager; ``data`` are the exceptions that it keeps to itself."""
CONDITION = "condition"
"""A truth that depends on the interpreter; ``data`` is a condition of ``analysis/scanner/facts/facts.py``, or begins
with one of PIECES.
"""
PIECES = frozenset({"part", "formula", "constant", "inspected"})
"""What conditions are made of: ``("part", word)`` and ``("formula", node)`` of the version, ``("constant", (3, 12))``
to compare it with, ``("inspected", module, path)``: the signature of something standard."""
SKIP = "skip"
"""A mark that skips a test; ``data`` is the condition under which it does."""
TEXT = "text"
"""A constant text; ``data``."""
MAYBE = "maybe"
"""The path of a text that is one of a dict: which is taken only running shows."""
TEMPLATE = "template"
"""A text of which parts are not known; ``data`` has an ``x`` in their place."""
TEXTS = "texts"
"""A display of constant texts; ``data`` is a tuple of them."""
BYTES = "bytes"
"""Constant bytes; ``data``."""
CODE = "code"
"""What ``compile`` gives for a constant text; ``data`` is the text."""
NAMESPACE = "namespace"
"""``vars(x)``, ``x.__dict__``; ``data`` is the value ``x``."""
EXCEPTIONS = "exceptions"
"""A tuple of exceptions; ``data`` are their names."""
ITEMS = "items"
"""A collection; ``data`` is what one of its items may be."""
RECORD = "record"
"""A tuple; ``data`` are the values of its items."""
PARTIAL = "partial"
"""What ``functools.partial`` gives; ``data`` are the value it calls, a number of arguments and names of keywords."""
GETTER = "getter"
"""What ``operator.attrgetter`` and ``methodcaller`` give; ``data`` are dotted names."""
COROUTINE = "coroutine"
"""What a call of an own ``async def`` gives, or (``data`` is ``list``) a display of such."""
MANY = "many"
"""One of several; ``data`` is a tuple of values."""
NONE = "none"
NOTHING_KNOWN = "unknown"
"""``module`` is empty, or the dotted name in another file (with leading dots) of whose call this is the result. A
condition has one as well, where a call of another file's function may stand for either."""


class Value:
    """What a name may stand for. ``guard`` is the number of the guard round the statement that gave it."""

    __slots__ = ("data", "guard", "kind", "module", "path")

    def __init__(self, kind: str, module: str = "", path: str = "", guard: int = 0, data: Any = None) -> None:
        self.kind = kind
        self.module = module
        self.path = path
        self.guard = guard
        self.data = data

    @property
    def is_instance(self) -> bool:
        return self.kind is STD and self.path.endswith("()")

    @property
    def of_other_file(self) -> bool:
        """Whether it is what a call gives of something in another file."""
        return bool(self.module) and self.kind in (NOTHING_KNOWN, CONDITION)

    @property
    def in_other_file(self) -> str:
        """The dotted name of something that is not standard."""
        return self.path or self.module if self.kind is FOREIGN else self.module


UNKNOWN = Value(NOTHING_KNOWN)
NOTHING = Value(NONE)


class Given(list[Value]):
    """The values of the arguments of a call: by position, ``named``, and of ``**`` (``spread``)."""

    named: Mapping[str, Value] = MappingProxyType({})
    spread: Sequence[Value] = ()

    def at(self, place: int, name: str) -> Value:
        """The argument that is handed over at a place, or by name; nothing is known where there is none."""
        return self[place] if place < len(self) else self.named.get(name, UNKNOWN)

    def followed_by(self, later: "Given") -> "Given":
        """These, as ``partial`` keeps them behind its function, and those of the call."""
        found = Given([*self[1:], *later])
        found.named = {**self.named, **later.named}
        found.spread = [*self.spread, *later.spread]
        return found


MOST_ALTERNATIVES = 8
"""Of a value that are remembered: where there are as many, there may be more."""
MOST_VALUES = 20
"""Of a dict that are looked at where nobody knows which is taken."""


class Keys(tuple[str, ...]):
    """The keys of a dict display, where all are constant texts; ``values`` are its values, where they are texts."""

    values: tuple[str, ...] = ()

    def at(self, key: object) -> Value:
        """The value of a key; one of all values where the key is not known."""
        if not self.values:
            return UNKNOWN
        if isinstance(key, str):
            return Value(TEXT, data=self.values[self.index(key)]) if key in self else UNKNOWN
        return either([Value(TEXT, path=MAYBE, data=text) for text in dict.fromkeys(self.values[:MOST_VALUES])])

    def with_item(self, key: str, value: Value) -> "Keys":
        """These and another; their values stay known while all are texts."""
        found = self.without(key)
        grown = Keys([*found, key])
        if value.kind is TEXT and len(found.values) == len(found):
            grown.values = (*found.values, value.data)
        return grown

    def without(self, key: str) -> "Keys":
        left = Keys([one for one in self if one != key])
        left.values = tuple([text for one, text in zip(self, self.values, strict=False) if one != key])
        return left


@dataclass(slots=True, eq=False)
class OwnFunction:
    """A function of this file. ``gives`` is what its annotation says of its result."""

    name: str
    is_async: bool = False
    is_static: bool = False
    gives: Value | None = None
    implicit_optional: bool = False
    condition: Any = None
    """When it gives something true, where that is all it does."""
    annotations: tuple[Any, ...] = ()
    """The expressions of its annotations, where nobody has run them: those that are texts, or all of them."""


@dataclass(slots=True, eq=False)
class OwnClass:
    """A class of this file: what it derives from, what its body and its methods set."""

    name: str
    bases: list[Value] = field(default_factory=list)
    body: dict[str, Value] = field(default_factory=dict)
    set_on_self: dict[str, Value] = field(default_factory=dict)
    decorators: frozenset[str] = frozenset()
    """Dotted standard names of its decorators."""
    frozen_dataclass: bool = False
    run_if: tuple[Any, ...] = ()
    """Conditions under which its methods run: what prepares tests skips them else."""
    is_open: bool = False
    """Whether something else may give it more: a metaclass of one's own."""
    annotations: list[Any] = field(default_factory=list)
    """Annotations of its body that nobody has run."""
    _family: "list[OwnClass] | None" = None

    def family(self) -> "list[OwnClass]":
        """Itself and those of its bases that stand in this file, nearest first. Asked when all bases are known."""
        if self._family is None:
            self._family = self._all_above()
        return self._family

    def _all_above(self) -> "list[OwnClass]":
        found: list[OwnClass] = []
        pending = [self]
        while pending and len(found) < 50:
            one = pending.pop(0)
            if one not in found:
                found.append(one)
                pending += [base.data for base in one.bases if base.kind is CLASS]
        return found

    def get(self, name: str) -> Value | None:
        value = self.set_on_self.get(name) or self.body.get(name)
        if value is not None or not self.bases:  # most have no bases, and this is asked of each ``self.name``
            return value
        for one in self.family()[1:]:
            value = one.set_on_self.get(name) or one.body.get(name)
            if value is not None:
                return value
        return None

    def standard_bases(self) -> list[Value]:
        if not self.bases:
            return []
        return [base for one in self.family() for base in one.bases if base.kind is STD]

    def foreign_bases(self) -> list[Value]:
        """Bases of which nothing is known here."""
        if not self.bases:
            return []
        return [base for one in self.family() for base in one.bases if base.kind not in (STD, CLASS)]

    def derives_from(self, module: str, *paths: str) -> bool:
        return any(base.module == module and base.path in paths for base in self.standard_bases())


def alternatives(value: Value) -> tuple[Value, ...]:
    return value.data if value.kind is MANY else (value,)


def is_unknown(value: Value) -> bool:
    """Whether nothing is known of it, whichever of several it is."""
    return all(one.kind is NOTHING_KNOWN for one in alternatives(value))


def texts(value: Value) -> Iterator[str]:
    """The constant texts that a value may be."""
    for one in alternatives(value):
        if one.kind is TEXT:
            yield one.data


def either(values: Iterable[Value]) -> Value:
    """One of these. ``None`` beside something better is taken for "not yet"."""
    found: list[Value] = []
    for value in values:
        for one in alternatives(value):
            for other in found:
                if one is other or _same(one, other):
                    break
            else:
                found.append(one)
    better = [value for value in found if value.kind is not NONE]
    if not better:
        return found[0] if found else UNKNOWN
    if len(found) == 1:
        return found[0]
    return Value(MANY, data=tuple(found[:MOST_ALTERNATIVES]))


def _same(one: Value, other: Value) -> bool:
    if one.kind is NOTHING_KNOWN is other.kind:
        return one.module == other.module
    same_name = one.kind == other.kind and one.module == other.module and one.path == other.path
    return same_name and one.guard == other.guard and one.data == other.data
