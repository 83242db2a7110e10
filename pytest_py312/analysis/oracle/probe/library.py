"""The standard library of the interpreter that runs this: imported module by module, and read.

Runs inside the interpreter that is asked, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
It imports modules and reads attributes; it calls nothing.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
from typing import TYPE_CHECKING

from pytest_py312.analysis.oracle.probe.functions import file_of, names_in, unwrapped
from pytest_py312.analysis.oracle.probe.sources import Source
from pytest_py312.analysis.oracle.probe.tables import (
    AT_TIMES,
    BUILT_AT_TIMES,
    BUILT_IN_PARTS,
    BY_SITE,
    ELSEWHERE,
    INVENTIVE,
    NEVER_IMPORTED,
    NEVER_INSIDE,
    SOMETIMES,
    TWINS,
    UNSTATED,
)
from pytest_py312.analysis.oracle.probe.warning_texts import warning_text

if TYPE_CHECKING:
    import warnings
    from collections.abc import Sequence
    from typing import Any

    from pytest_py312.analysis.oracle.probe.sources import Facts

    Known = list[tuple[Facts, dict[str, object]]]
    """What functions do with warnings, each with the names that its texts may use."""

DEPRECATIONS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, SyntaxWarning)
HEAP_TYPE = 1 << 9
UNKNOWN: Any = object()


class Missing(Exception):
    """It is not there. ``str()`` says so as the interpreter would."""


class Untold(Exception):
    """Nobody can tell without running something. ``str()`` says why."""


class Place:
    """Where a path has led to. ``raw`` is what stands in the class or module, a descriptor perhaps."""

    def __init__(self, value: Any, raw: Any = None, owner: type | None = None, name: str = "") -> None:
        self.value = value
        self.raw = value if raw is None else raw
        self.owner = owner
        self.name = name
        self.instance_of: type | None = None
        self.through_instance = False
        self.warning = ""


class Library:
    """The standard library of this interpreter: imported module by module, and read."""

    def __init__(self, known: Sequence[str], log: list[warnings.WarningMessage]) -> None:
        self.stated = frozenset(getattr(sys, "stdlib_module_names", ()))
        self._known = self.stated | frozenset(known) | frozenset(sys.builtin_module_names)
        self._log = log
        self._modules: dict[str, tuple[Any, str]] = {}
        self._failed: dict[str, Exception] = {}
        self._sources: dict[str, Source] = {}
        self._read: dict[tuple[str, str], Place] = {}

    def module(self, name: str) -> tuple[Any, str]:
        """The module, and the warning its import gives.

        :raises Missing, Untold: it cannot be had.
        """
        if name in self._failed:
            raise self._failed[name]
        if name not in self._modules:
            try:
                self._modules[name] = self._imported(name)
            except (Missing, Untold) as reason:
                self._failed[name] = reason
                raise
        return self._modules[name]

    def knows(self, name: str) -> bool:
        """Whether a module may be asked for at all."""
        return name.split(".")[0] in self._known and all(map(str.isidentifier, name.split(".")))

    def is_of_release(self, top: str) -> bool:
        """Whether the release has a module that is not here."""
        return top in UNSTATED or top in (self.stated or SOMETIMES)

    def has(self, name: str) -> bool:
        """Whether the module was asked for before."""
        return name in self._modules or name in self._failed

    def _imported(self, name: str) -> tuple[Any, str]:
        if not is_importable(name) or not self.knows(name):
            raise Untold("it is no module of the standard library")
        del self._log[:]
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise self._why_not(name, error) from None
        except BaseException as error:
            raise Untold(f"importing it fails here: {type(error).__name__}: {error}") from None
        return module, self._import_warning(name)

    def _why_not(self, name: str, error: ImportError) -> Exception:
        """Whether a release lacks a module, or only this machine does."""
        said = f"{type(error).__name__}: {error}"
        missing = error.name or ""
        if not isinstance(error, ModuleNotFoundError) or not (name == missing or name.startswith(f"{missing}.")):
            return Untold(f"it does not import on this machine: {said}")
        top = name.split(".")[0]
        if missing == top and top not in ELSEWHERE and self.is_of_release(top):
            return Untold(f"this release has it, and it was left out on this machine: {said}")
        return Missing(said)

    def _import_warning(self, name: str) -> str:
        recorded = self._recorded()
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            part = sys.modules.get(".".join(parts[:length]))
            call = self.source_of(part).warning if part is not None else None
            if call is not None:
                text = warning_text(call, vars(part))
                return recorded[0] if "..." in text and recorded else text
        return next((text for text in recorded if any(part in text for part in parts)), "")

    def _recorded(self) -> list[str]:
        """The deprecations that were warned of since the log was emptied."""
        return [" ".join(str(item.message).split()) for item in self._log if issubclass(item.category, DEPRECATIONS)]

    def source(self, path: str) -> Source:
        if path not in self._sources:
            self._sources[path] = Source(path)
        return self._sources[path]

    def source_of(self, module: Any) -> Source:
        """The source of a module; an empty one where it has none."""
        path = getattr(module, "__file__", None)
        return self.source(path if isinstance(path, str) else "")

    def attribute(self, module: Any, name: str) -> Place:
        """An attribute of a module, or a module in a package, as ``from module import name`` finds it."""
        key = (module.__name__, name)
        if key not in self._read:
            self._read[key] = self._attribute(module, name)
        return self._read[key]

    def _attribute(self, module: Any, name: str) -> Place:
        if module.__name__ == "builtins" and name in BY_SITE:
            return Place(UNKNOWN, name=name)
        if module is sys and name in AT_TIMES:
            raise Untold(f"sys.{name} is there at times only")
        del self._log[:]
        try:
            place = Place(getattr(module, name), name=name)
        except AttributeError as error:
            if name in BUILT_AT_TIMES or (name.isupper() and module.__name__ in BUILT_IN_PARTS):
                raise Untold(f"{name} depends on the system and how the interpreter was built") from None
            if not hasattr(module, "__path__"):
                raise Missing(f"AttributeError: {error}") from None
            try:
                value, warning = self.module(f"{module.__name__}.{name}")
            except Missing:
                raise Missing(f"AttributeError: {error}") from None
            place = Place(value, name=name)
            place.warning = warning
            return place
        except Exception as error:
            raise Untold(f"reading it fails: {type(error).__name__}: {error}") from None
        place.warning = next(iter(self._recorded()), "")
        return place

    # ---- paths

    def follow(self, module: Any, steps: Sequence[tuple[str, bool]]) -> Place:
        """Where a path leads to.

        :raises Missing, Untold: nowhere, or nobody knows.
        """
        place = Place(module)
        for number, (name, called) in enumerate(steps):
            place = self._step(place, name) if number else self.attribute(module, name)
            if called and number < len(steps) - 1:
                value = place.value
                if not isinstance(value, type) or value is type:
                    raise Untold(f"what {name}() gives is declared nowhere")
                place = Place(UNKNOWN)
                place.instance_of = value
        return place

    def _step(self, place: Place, name: str) -> Place:
        value = place.value
        if place.instance_of is not None:
            return self._of_instance(place.instance_of, name)
        if value is UNKNOWN or isinstance(value, property):
            raise Untold(f"what {place.name} is can be told only when it runs")
        if isinstance(value, types.ModuleType):
            return self.attribute(value, name)
        if isinstance(value, type):
            return self._of_class(value, name)
        return self._of_instance(type(value), name, value)

    def _of_class(self, cls: type, name: str) -> Place:
        members = cls.__dict__.get("_member_map_") or {}
        if name in members:  # asked first: 3.11 and 3.12 keep a property in the member's place
            return Place(members[name], name=name)
        found = in_classes(mro(cls), name) or in_classes(mro(type(cls)), name)
        if found is not None:
            return found
        if any("__getattr__" in vars(kind) for kind in mro(type(cls))) and "_member_map_" not in vars(cls):
            raise Untold(f"{type(cls).__name__} makes up attributes of {cls.__name__}")
        raise Missing(f"AttributeError: type object '{cls.__name__}' has no attribute '{name}'")

    def _of_instance(self, cls: type, name: str, value: Any = None) -> Place:
        found = in_classes(mro(cls), name)
        if found is not None:
            found.through_instance = True
            return found
        own = (
            object.__getattribute__(value, "__dict__")
            if getattr(cls, "__dictoffset__", 0) and value is not None
            else ()
        )
        if name in own:
            return Place(UNKNOWN, name=name)
        if name in BUILT_AT_TIMES:
            raise Untold(f"{name} depends on the system and how the interpreter was built")
        if self._is_set(cls, name):
            return Place(UNKNOWN, name=f"{cls.__qualname__}.{name}")
        raise Missing(f"AttributeError: '{cls.__name__}' object has no attribute '{name}'")

    def _is_set(self, cls: type, name: str) -> bool:
        """Whether instances have an attribute that their class does not show.

        :raises Untold: they may have it.
        """
        for kind in mro(cls):
            if kind is object:
                continue
            pure = isinstance(vars(kind).get("__getattribute__"), types.FunctionType)
            if pure or "__getattr__" in vars(kind) or kind.__name__ in INVENTIVE:
                raise Untold(f"{kind.__name__} makes up attributes of its instances")
        if not getattr(cls, "__dictoffset__", 0):
            return False
        for kind in mro(cls):
            if not is_pure(kind):
                continue
            source = self.source(home_of(kind))
            sets = source.sets(kind.__qualname__, name)
            if sets is None:
                raise Untold(f"what instances of {kind.__name__} have cannot be read from its source")
            if sets:
                return True
            if source.may_set(name):
                raise Untold(f"{kind.__name__} may set it")
        return False

    # ---- deprecations

    def facts_of(self, place: Place) -> Known:
        """What is known of the functions that using this runs, with the names their texts may use."""
        value = place.value
        if not isinstance(value, type):
            return self.facts(place.raw, place.owner, place.name)
        found: Known = []
        for name in ("__new__", "__init__", "__init_subclass__"):
            made = in_classes(mro(value), name)
            if made is not None and made.owner is not None and made.owner is not object:
                found += self.facts(made.raw, made.owner, name)
        return found

    def facts(self, raw: Any, owner: type | None, name: str) -> Known:
        function = unwrapped(raw)
        found: Known = []
        while isinstance(function, types.FunctionType):
            facts = self.source(file_of(function.__code__)).begins_at(function.__code__.co_firstlineno)
            if facts is not None:
                found.append((facts, {**names_in(function), **facts.local}))
            function = getattr(function, "__wrapped__", None)
        if found or function is None or isinstance(function, type):
            return found
        module = owner.__module__ if owner is not None else getattr(function, "__module__", None)
        qualname = f"{owner.__qualname__}.{name}" if owner is not None else name
        for twin in TWINS.get(module or "", ()):
            facts = self.source(location(twin)).functions.get(qualname)
            if facts is not None:
                return [(facts, {"__name__": twin, **facts.local})]
        return found


def location(name: str) -> str:
    """The file of a module that is not to be imported; empty where there is none."""
    path: Any = None
    origin = ""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        try:
            spec = importlib.machinery.PathFinder.find_spec(".".join(parts[:length]), path)
        except (ImportError, ValueError):
            return ""
        if spec is None:
            return ""
        origin, path = spec.origin or "", spec.submodule_search_locations
        if path is None and length < len(parts):
            return ""
    return origin


def is_importable(name: str) -> bool:
    parts = name.split(".")
    return parts[0] not in NEVER_IMPORTED and not NEVER_INSIDE & set(parts[1:])


def mro(cls: type) -> tuple[type, ...]:
    return tuple(type.__dict__["__mro__"].__get__(cls))


def in_classes(classes: Sequence[type], name: str) -> Place | None:
    for kind in classes:
        space = type.__dict__["__dict__"].__get__(kind)
        if name in space:
            raw = space[name]
            value = raw.__func__ if isinstance(raw, (staticmethod, classmethod)) else raw
            descriptors = (types.GetSetDescriptorType, types.MemberDescriptorType)
            return Place(UNKNOWN if isinstance(raw, descriptors) else value, raw, kind, name)
    return None


def is_pure(cls: type) -> bool:
    """Whether a class is written in Python: it can be changed (a heap type), and its module is Python source."""
    return bool(cls.__flags__ & HEAP_TYPE) and home_of(cls).endswith(".py")


def home_of(cls: type) -> str:
    """The file of a class: that of its functions, since a class may claim to be of another module.

    Functions that a decorator has made are of the decorator's file, or of none.
    """
    for item in vars(cls).values():
        function = unwrapped(item)
        if (
            isinstance(function, types.FunctionType)
            and function.__qualname__ == f"{cls.__qualname__}.{function.__name__}"
        ):
            path = file_of(function.__code__)
            if function.__code__.co_name == function.__name__ and path.endswith(".py"):
                return path
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
