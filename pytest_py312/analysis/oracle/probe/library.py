"""Inspect the standard library of the running interpreter.

Runs inside the queried interpreter, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later. It
imports modules and reads attributes, but calls nothing.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
from typing import TYPE_CHECKING

from pytest_py312.analysis.oracle.probe.functions import source_file, underlying_function, visible_names
from pytest_py312.analysis.oracle.probe.sources import LibrarySource
from pytest_py312.analysis.oracle.probe.tables import (
    DYNAMIC_ATTRIBUTE_TYPES,
    NEVER_IMPORTED,
    NEVER_IMPORTED_SUBMODULES,
    OPTIONAL_FUNCTIONS,
    OPTIONAL_MODULES,
    OTHER_PLATFORM_MODULES,
    PLATFORM_DEPENDENT_MODULES,
    PYTHON_IMPLEMENTATIONS,
    SITE_BUILTINS,
    TRANSIENT_SYS_ATTRIBUTES,
    UNLISTED_MODULES,
)
from pytest_py312.analysis.oracle.probe.warning_texts import warning_text

if TYPE_CHECKING:
    import warnings
    from collections.abc import Sequence
    from typing import Any

    from pytest_py312.analysis.oracle.probe.sources import FunctionWarnings

    FunctionFacts = list[tuple[FunctionWarnings, dict[str, object]]]
    """What functions do with warnings, each with the names that the texts of the warnings may use."""

DEPRECATION_CATEGORIES = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, SyntaxWarning)
HEAP_TYPE = 1 << 9
UNKNOWN: Any = object()


class NameMissing(Exception):
    """The name does not exist. ``str()`` is the message of the interpreter's own error."""


class Undeterminable(Exception):
    """The answer cannot be determined without executing code. ``str()`` is the reason."""


class ResolvedName:
    """The object that a path refers to. ``raw`` is the entry in the class or module, possibly a descriptor."""

    def __init__(self, value: Any, raw: Any = None, owner: type | None = None, name: str = "") -> None:
        self.value = value
        self.raw = value if raw is None else raw
        self.owner = owner
        self.name = name
        self.instance_of: type | None = None
        self.via_instance = False
        self.warning = ""


class StandardLibrary:
    """The standard library of this interpreter, imported module by module."""

    def __init__(self, known_modules: Sequence[str], log: list[warnings.WarningMessage]) -> None:
        self.listed_modules = frozenset(getattr(sys, "stdlib_module_names", ()))
        self._askable_modules = self.listed_modules | frozenset(known_modules) | frozenset(sys.builtin_module_names)
        self._log = log
        self._modules: dict[str, tuple[Any, str]] = {}
        self._failed: dict[str, Exception] = {}
        self._sources: dict[str, LibrarySource] = {}
        self._resolved: dict[tuple[str, str], ResolvedName] = {}

    def module(self, name: str) -> tuple[Any, str]:
        """Return the module and the warning of its import.

        :raises NameMissing, Undeterminable: it cannot be imported.
        """
        if name in self._failed:
            raise self._failed[name]
        if name not in self._modules:
            try:
                self._modules[name] = self._import_module(name)
            except (NameMissing, Undeterminable) as reason:
                self._failed[name] = reason
                raise
        return self._modules[name]

    def is_askable(self, name: str) -> bool:
        """Return whether a name can be that of a stdlib module."""
        return name.split(".")[0] in self._askable_modules and all(map(str.isidentifier, name.split(".")))

    def is_of_release(self, top: str) -> bool:
        """Return whether the release has a module that is missing on this machine."""
        return top in UNLISTED_MODULES or top in (self.listed_modules or OPTIONAL_MODULES)

    def was_requested(self, name: str) -> bool:
        """Return whether the module was requested before."""
        return name in self._modules or name in self._failed

    def _import_module(self, name: str) -> tuple[Any, str]:
        if not is_importable(name) or not self.is_askable(name):
            raise Undeterminable("it is not a module of the standard library")
        del self._log[:]
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise self._import_failure(name, error) from None
        except BaseException as error:
            raise Undeterminable(f"importing it fails here: {type(error).__name__}: {error}") from None
        return module, self._import_warning(name)

    def _import_failure(self, name: str, error: ImportError) -> Exception:
        """Return the exception for a failed import: the release lacks the module, or only this machine does."""
        message = f"{type(error).__name__}: {error}"
        missing = error.name or ""
        if not isinstance(error, ModuleNotFoundError) or not (name == missing or name.startswith(f"{missing}.")):
            return Undeterminable(f"it does not import on this machine: {message}")
        top = name.split(".")[0]
        if missing == top and top not in OTHER_PLATFORM_MODULES and self.is_of_release(top):
            return Undeterminable(f"it is part of this release, but missing on this machine: {message}")
        return NameMissing(message)

    def _import_warning(self, name: str) -> str:
        recorded = self._recorded_deprecations()
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            part = sys.modules.get(".".join(parts[:length]))
            call = self.source_of(part).warning if part is not None else None
            if call is not None:
                text = warning_text(call, vars(part))
                return recorded[0] if "..." in text and recorded else text
        return next((text for text in recorded if any(part in text for part in parts)), "")

    def _recorded_deprecations(self) -> list[str]:
        """Return the deprecation warnings since the log was cleared."""
        return [
            " ".join(str(item.message).split())
            for item in self._log
            if issubclass(item.category, DEPRECATION_CATEGORIES)
        ]

    def source(self, path: str) -> LibrarySource:
        if path not in self._sources:
            self._sources[path] = LibrarySource(path)
        return self._sources[path]

    def source_of(self, module: Any) -> LibrarySource:
        """Return the source of a module; an empty one if it has none."""
        path = getattr(module, "__file__", None)
        return self.source(path if isinstance(path, str) else "")

    def attribute(self, module: Any, name: str) -> ResolvedName:
        """Return an attribute of a module, or a submodule, as ``from module import name`` finds it."""
        key = (module.__name__, name)
        if key not in self._resolved:
            self._resolved[key] = self._attribute(module, name)
        return self._resolved[key]

    def _attribute(self, module: Any, name: str) -> ResolvedName:
        if module.__name__ == "builtins" and name in SITE_BUILTINS:
            return ResolvedName(UNKNOWN, name=name)
        if module is sys and name in TRANSIENT_SYS_ATTRIBUTES:
            raise Undeterminable(f"sys.{name} exists only temporarily")
        del self._log[:]
        try:
            resolved = ResolvedName(getattr(module, name), name=name)
        except AttributeError as error:
            if name in OPTIONAL_FUNCTIONS or (name.isupper() and module.__name__ in PLATFORM_DEPENDENT_MODULES):
                raise Undeterminable(f"{name} depends on the system and how the interpreter was built") from None
            if not hasattr(module, "__path__"):
                raise NameMissing(f"AttributeError: {error}") from None
            try:
                value, warning = self.module(f"{module.__name__}.{name}")
            except NameMissing:
                raise NameMissing(f"AttributeError: {error}") from None
            resolved = ResolvedName(value, name=name)
            resolved.warning = warning
            return resolved
        except Exception as error:
            raise Undeterminable(f"reading it fails: {type(error).__name__}: {error}") from None
        resolved.warning = next(iter(self._recorded_deprecations()), "")
        return resolved

    # ---- paths

    def follow(self, module: Any, steps: Sequence[tuple[str, bool]]) -> ResolvedName:
        """Resolve a path.

        :raises NameMissing, Undeterminable: it does not exist, or that is unknown.
        """
        resolved = ResolvedName(module)
        for number, (name, called) in enumerate(steps):
            resolved = self._step(resolved, name) if number else self.attribute(module, name)
            if called and number < len(steps) - 1:
                value = resolved.value
                if not isinstance(value, type) or value is type:
                    raise Undeterminable(f"the type that {name}() returns is not declared")
                resolved = ResolvedName(UNKNOWN)
                resolved.instance_of = value
        return resolved

    def _step(self, resolved: ResolvedName, name: str) -> ResolvedName:
        value = resolved.value
        if resolved.instance_of is not None:
            return self._instance_attribute(resolved.instance_of, name)
        if value is UNKNOWN or isinstance(value, property):
            raise Undeterminable(f"the value of {resolved.name} is known only at run time")
        if isinstance(value, types.ModuleType):
            return self.attribute(value, name)
        if isinstance(value, type):
            return self._class_attribute(value, name)
        return self._instance_attribute(type(value), name, value)

    def _class_attribute(self, cls: type, name: str) -> ResolvedName:
        members = cls.__dict__.get("_member_map_") or {}
        if name in members:  # members come first: 3.11 and 3.12 store a property under their name
            return ResolvedName(members[name], name=name)
        resolved = find_in_classes(mro(cls), name) or find_in_classes(mro(type(cls)), name)
        if resolved is not None:
            return resolved
        if any("__getattr__" in vars(kind) for kind in mro(type(cls))) and "_member_map_" not in vars(cls):
            raise Undeterminable(f"{type(cls).__name__} creates attributes of {cls.__name__} dynamically")
        raise NameMissing(f"AttributeError: type object '{cls.__name__}' has no attribute '{name}'")

    def _instance_attribute(self, cls: type, name: str, value: Any = None) -> ResolvedName:
        resolved = find_in_classes(mro(cls), name)
        if resolved is not None:
            resolved.via_instance = True
            return resolved
        instance_dict = (
            object.__getattribute__(value, "__dict__")
            if getattr(cls, "__dictoffset__", 0) and value is not None
            else ()
        )
        if name in instance_dict:
            return ResolvedName(UNKNOWN, name=name)
        if name in OPTIONAL_FUNCTIONS:
            raise Undeterminable(f"{name} depends on the system and how the interpreter was built")
        if self._is_set_on_instances(cls, name):
            return ResolvedName(UNKNOWN, name=f"{cls.__qualname__}.{name}")
        raise NameMissing(f"AttributeError: '{cls.__name__}' object has no attribute '{name}'")

    def _is_set_on_instances(self, cls: type, name: str) -> bool:
        """Return whether instances have an attribute that the class itself does not have.

        :raises Undeterminable: they may have it.
        """
        for kind in mro(cls):
            if kind is object:
                continue
            has_custom_lookup = isinstance(vars(kind).get("__getattribute__"), types.FunctionType)
            if has_custom_lookup or "__getattr__" in vars(kind) or kind.__name__ in DYNAMIC_ATTRIBUTE_TYPES:
                raise Undeterminable(f"{kind.__name__} creates attributes of its instances dynamically")
        if not getattr(cls, "__dictoffset__", 0):
            return False
        for kind in mro(cls):
            if not is_python_class(kind):
                continue
            source = self.source(defining_file(kind))
            sets = source.sets_attribute(kind.__qualname__, name)
            if sets is None:
                raise Undeterminable(f"the attributes of {kind.__name__} instances cannot be read from its source")
            if sets:
                return True
            if source.may_set_elsewhere(name):
                raise Undeterminable(f"{kind.__name__} may set it")
        return False

    # ---- deprecations

    def facts_of_use(self, resolved: ResolvedName) -> FunctionFacts:
        """Return the facts of all functions that are executed when this is used."""
        value = resolved.value
        if not isinstance(value, type):
            return self.facts(resolved.raw, resolved.owner, resolved.name)
        function_facts: FunctionFacts = []
        for name in ("__new__", "__init__", "__init_subclass__"):
            constructor = find_in_classes(mro(value), name)
            if constructor is not None and constructor.owner is not None and constructor.owner is not object:
                function_facts += self.facts(constructor.raw, constructor.owner, name)
        return function_facts

    def facts(self, raw: Any, owner: type | None, name: str) -> FunctionFacts:
        function = underlying_function(raw)
        function_facts: FunctionFacts = []
        while isinstance(function, types.FunctionType):
            facts = self.source(source_file(function.__code__)).function_at(function.__code__.co_firstlineno)
            if facts is not None:
                function_facts.append((facts, {**visible_names(function), **facts.local_variables}))
            function = getattr(function, "__wrapped__", None)
        if function_facts or function is None or isinstance(function, type):
            return function_facts
        module = owner.__module__ if owner is not None else getattr(function, "__module__", None)
        qualname = f"{owner.__qualname__}.{name}" if owner is not None else name
        for implementation in PYTHON_IMPLEMENTATIONS.get(module or "", ()):
            facts = self.source(find_source(implementation)).functions.get(qualname)
            if facts is not None:
                return [(facts, {"__name__": implementation, **facts.local_variables})]
        return function_facts


def find_source(name: str) -> str:
    """Return the file of a module without importing it; empty if there is none."""
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
    return parts[0] not in NEVER_IMPORTED and not NEVER_IMPORTED_SUBMODULES & set(parts[1:])


def mro(cls: type) -> tuple[type, ...]:
    return tuple(type.__dict__["__mro__"].__get__(cls))


def find_in_classes(classes: Sequence[type], name: str) -> ResolvedName | None:
    for kind in classes:
        space = type.__dict__["__dict__"].__get__(kind)
        if name in space:
            raw = space[name]
            value = raw.__func__ if isinstance(raw, (staticmethod, classmethod)) else raw
            descriptors = (types.GetSetDescriptorType, types.MemberDescriptorType)
            return ResolvedName(UNKNOWN if isinstance(raw, descriptors) else value, raw, kind, name)
    return None


def is_python_class(cls: type) -> bool:
    """Return whether a class is written in Python: it is a heap type, and its module is Python source."""
    return bool(cls.__flags__ & HEAP_TYPE) and defining_file(cls).endswith(".py")


def defining_file(cls: type) -> str:
    """Return the file of a class by its functions, because ``__module__`` may name another module.

    Functions that a decorator has created belong to the file of the decorator, or to none.
    """
    for item in vars(cls).values():
        function = underlying_function(item)
        if (
            isinstance(function, types.FunctionType)
            and function.__qualname__ == f"{cls.__qualname__}.{function.__name__}"
        ):
            path = source_file(function.__code__)
            if function.__code__.co_name == function.__name__ and path.endswith(".py"):
                return path
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
