"""Values that the scanner infers for names. Most of the time a value is unknown."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

STDLIB = "std"
"""Something of the stdlib: ``module`` and ``path``, as in queries."""
FOREIGN = "foreign"
"""A module outside of the stdlib, or a name in one; ``module`` is its dotted name with leading dots. If the statement
was ``import package.module``, the name stands for ``path``, which is the package."""
CLASS = "class"
"""A class of this file; ``data`` is an :class:`OwnClass`."""
OBJECT = "object"
"""An instance of a class of this file; ``data`` is an :class:`OwnClass`."""
FUNCTION = "function"
"""A function of this file; ``data`` is an :class:`OwnFunction`."""
CONTEXT_MANAGER = "manager"
"""A function of this file that returns a context manager; ``data`` are the exceptions that it suppresses."""
CONDITION = "condition"
"""A boolean that depends on the interpreter; ``data`` is a condition of ``analysis/scanner/facts/facts.py``, or begins
with one of ``CONDITION_PARTS``."""
CONDITION_PARTS = frozenset({"part", "formula", "constant", "inspected"})
"""Operands of conditions: ``("part", word)`` and ``("formula", node)`` of the version, ``("constant", (3, 12))`` to
compare it with, and ``("inspected", module, path)``, the signature of a stdlib callable."""
SKIP_MARK = "skip"
"""A mark that skips a test; ``data`` is the condition."""
TEXT = "text"
"""A constant string; ``data``."""
ONE_OF_DICT = "maybe"
"""``path`` of a string that is one value of a dictionary, where the key is unknown."""
PARTIAL_TEXT = "template"
"""A string of which parts are unknown; ``data`` has an ``x`` in their place."""
TEXTS = "texts"
"""A display of constant strings; ``data`` is a tuple of them."""
BYTES = "bytes"
"""Constant bytes; ``data``."""
CODE = "code"
"""The result of ``compile`` for a constant string; ``data`` is the string."""
NAMESPACE = "namespace"
"""``vars(x)`` or ``x.__dict__``; ``data`` is the value ``x``."""
EXCEPTIONS = "exceptions"
"""A tuple of exceptions; ``data`` are their names."""
COLLECTION = "items"
"""A collection; ``data`` is the value of an item."""
TUPLE = "record"
"""A tuple; ``data`` are the values of its items."""
PARTIAL = "partial"
"""The result of ``functools.partial``; ``data`` are the callable, the number of positional arguments, the keywords and
all arguments."""
ATTRIBUTE_GETTER = "getter"
"""The result of ``operator.attrgetter`` or ``methodcaller``; ``data`` are dotted names and the call."""
COROUTINE = "coroutine"
"""The result of calling an ``async def`` of this file, or a display of such results (``data`` is ``list``)."""
UNION = "many"
"""One of several values; ``data`` is a tuple of them."""
NONE = "none"
UNKNOWN_KIND = "unknown"
"""``module`` is empty, or the dotted name (with leading dots) of the function in another file whose result this is. A
condition has such a name too, if a call of another file's function may stand for either."""


class Value:
    """The value of a name. ``guard`` is the number of the guard around the statement that bound it."""

    __slots__ = ("data", "guard", "kind", "module", "path")

    def __init__(self, kind: str, module: str = "", path: str = "", guard: int = 0, data: Any = None) -> None:
        self.kind = kind
        self.module = module
        self.path = path
        self.guard = guard
        self.data = data

    @property
    def is_instance(self) -> bool:
        return self.kind is STDLIB and self.path.endswith("()")

    @property
    def is_foreign_result(self) -> bool:
        """Whether it is the result of calling something in another file."""
        return bool(self.module) and self.kind in (UNKNOWN_KIND, CONDITION)

    @property
    def foreign_name(self) -> str:
        """The dotted name of something that is not in the stdlib."""
        return self.path or self.module if self.kind is FOREIGN else self.module


UNKNOWN = Value(UNKNOWN_KIND)
NONE_VALUE = Value(NONE)


class Arguments(list[Value]):
    """The values of the arguments of a call: positional, ``keywords``, and those of ``**`` (``double_starred``)."""

    keywords: Mapping[str, Value] = MappingProxyType({})
    double_starred: Sequence[Value] = ()

    def get(self, position: int, name: str) -> Value:
        """Return the argument at a position or with a name; unknown if there is none."""
        return self[position] if position < len(self) else self.keywords.get(name, UNKNOWN)

    def followed_by(self, later: "Arguments") -> "Arguments":
        """Return the arguments bound by ``partial`` together with those of the call."""
        combined = Arguments([*self[1:], *later])
        combined.keywords = {**self.keywords, **later.keywords}
        combined.double_starred = [*self.double_starred, *later.double_starred]
        return combined


MAX_ALTERNATIVES = 8
"""Alternatives that are kept for a value. A value with this many may have more."""
MAX_DICT_VALUES = 20
"""Values of a dictionary that are considered if the key is unknown."""


class DictKeys(tuple[str, ...]):
    """The keys of a dict display of constant strings; ``values`` are its values if they are strings as well."""

    values: tuple[str, ...] = ()

    def value_of(self, key: object) -> Value:
        """Return the value of a key, or any of the values if the key is unknown."""
        if not self.values:
            return UNKNOWN
        if isinstance(key, str):
            return Value(TEXT, data=self.values[self.index(key)]) if key in self else UNKNOWN
        return union_of(
            [Value(TEXT, path=ONE_OF_DICT, data=text) for text in dict.fromkeys(self.values[:MAX_DICT_VALUES])]
        )

    def with_item(self, key: str, value: Value) -> "DictKeys":
        """Return the keys with one added. Values stay known as long as all are strings."""
        remaining = self.without(key)
        grown = DictKeys([*remaining, key])
        if value.kind is TEXT and len(remaining.values) == len(remaining):
            grown.values = (*remaining.values, value.data)
        return grown

    def without(self, key: str) -> "DictKeys":
        remaining = DictKeys([name for name in self if name != key])
        remaining.values = tuple([text for name, text in zip(self, self.values, strict=False) if name != key])
        return remaining


@dataclass(slots=True, eq=False)
class OwnFunction:
    """A function of this file. ``result`` is the value of a call of it."""

    name: str
    is_async: bool = False
    is_static: bool = False
    result: Value | None = None
    implicit_optional: bool = False
    true_condition: Any = None
    """The condition under which its result is true, if returning it is all it does."""
    annotations: tuple[Any, ...] = ()
    """Expressions of its annotations that are not evaluated: those that are strings, or all of them."""


@dataclass(slots=True, eq=False)
class OwnClass:
    """A class of this file: its bases, and the names that its body and its methods set."""

    name: str
    bases: list[Value] = field(default_factory=list)
    body: dict[str, Value] = field(default_factory=dict)
    instance_attributes: dict[str, Value] = field(default_factory=dict)
    decorators: frozenset[str] = frozenset()
    """Dotted stdlib names of its decorators."""
    is_hashable_dataclass: bool = False
    run_conditions: tuple[Any, ...] = ()
    """Conditions under which its test methods run; otherwise its set-up methods skip them."""
    has_unknown_attributes: bool = False
    """Whether it may have attributes that are not visible here, because of a custom metaclass."""
    annotations: list[Any] = field(default_factory=list)
    """Annotations of its body that are not evaluated."""
    _own_mro: "list[OwnClass] | None" = None

    def own_mro(self) -> "list[OwnClass]":
        """Return the class and its bases in this file, nearest first. All bases must be known."""
        if self._own_mro is None:
            self._own_mro = self._compute_own_mro()
        return self._own_mro

    def _compute_own_mro(self) -> "list[OwnClass]":
        ancestors: list[OwnClass] = []
        pending = [self]
        while pending and len(ancestors) < 50:
            ancestor = pending.pop(0)
            if ancestor not in ancestors:
                ancestors.append(ancestor)
                pending += [base.data for base in ancestor.bases if base.kind is CLASS]
        return ancestors

    def get(self, name: str) -> Value | None:
        value = self.instance_attributes.get(name) or self.body.get(name)
        if (
            value is not None or not self.bases
        ):  # shortcut: most classes have no bases, and every ``self.name`` is looked up
            return value
        for ancestor in self.own_mro()[1:]:
            value = ancestor.instance_attributes.get(name) or ancestor.body.get(name)
            if value is not None:
                return value
        return None

    def stdlib_bases(self) -> list[Value]:
        if not self.bases:
            return []
        return [base for ancestor in self.own_mro() for base in ancestor.bases if base.kind is STDLIB]

    def foreign_bases(self) -> list[Value]:
        """Return the bases that are neither in the stdlib nor in this file."""
        if not self.bases:
            return []
        return [base for ancestor in self.own_mro() for base in ancestor.bases if base.kind not in (STDLIB, CLASS)]

    def derives_from(self, module: str, *paths: str) -> bool:
        return any(base.module == module and base.path in paths for base in self.stdlib_bases())


def alternatives(value: Value) -> tuple[Value, ...]:
    return value.data if value.kind is UNION else (value,)


def is_unknown(value: Value) -> bool:
    """Return whether every alternative of a value is unknown."""
    return all(alternative.kind is UNKNOWN_KIND for alternative in alternatives(value))


def possible_texts(value: Value) -> Iterator[str]:
    """Yield the constant strings that a value may be."""
    for alternative in alternatives(value):
        if alternative.kind is TEXT:
            yield alternative.data


def union_of(values: Iterable[Value]) -> Value:
    """Return a value that is one of these.

    ``None`` together with one other value is an initial placeholder.
    """
    distinct: list[Value] = []
    for value in values:
        for alternative in alternatives(value):
            for known_alternative in distinct:
                if alternative is known_alternative or _is_same(alternative, known_alternative):
                    break
            else:
                distinct.append(alternative)
    not_none = [value for value in distinct if value.kind is not NONE]
    if not not_none:
        return distinct[0] if distinct else UNKNOWN
    if len(distinct) == 1:
        return distinct[0]
    return Value(UNION, data=tuple(distinct[:MAX_ALTERNATIVES]))


def _is_same(first: Value, second: Value) -> bool:
    if first.kind is UNKNOWN_KIND is second.kind:
        return first.module == second.module
    same_name = first.kind == second.kind and first.module == second.module and first.path == second.path
    return same_name and first.guard == second.guard and first.data == second.data


# ---- values of the stdlib


MAX_CALLS = 2
ELEMENT_MODULES = ("xml.etree.ElementTree", "xml.etree.cElementTree")
PATH_METHODS = frozenset({
    "absolute", "cwd", "expanduser", "home", "joinpath", "readlink", "relative_to", "rename", "replace", "resolve",
    "with_name", "with_stem", "with_suffix",
})  # fmt: skip
"""Methods of paths that return a path of the same class."""


def stdlib_result(value: Value) -> Value:
    """Return the result of calling a stdlib value."""
    if value.module == "pathlib":
        owner, _, name = value.path.rpartition(".")
        if owner and name in PATH_METHODS:
            return Value(STDLIB, value.module, owner if owner.endswith("()") else f"{owner}()", value.guard)
    if value.path.endswith("().getroot") and value.module in ELEMENT_MODULES:
        return Value(STDLIB, value.module, "Element()", value.guard)
    if not value.path or value.path.endswith(")") or value.path.count("()") >= MAX_CALLS:
        return UNKNOWN
    return Value(STDLIB, value.module, f"{value.path}()", value.guard)
