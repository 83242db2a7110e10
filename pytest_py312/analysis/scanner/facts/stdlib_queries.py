"""Queries about the standard library of an interpreter, and the answers to them.

A query names a module and a *path*: dotted names, where ``()`` after a name stands for the result of calling it.
``StdlibQuery(module="threading", path="Thread().isAlive")`` is the method ``isAlive`` of an instance of
``threading.Thread``. An empty path is the module itself, as ``import`` returns it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class StdlibQuery(NamedTuple):
    """A stdlib name to ask for. A tuple, because thousands of them are dictionary keys."""

    module: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.module}.{self.path}" if self.path else self.module


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """The parameters of a callable.

    ``positional`` are the parameters that accept a positional argument, in order, ``keywords`` those that accept a
    keyword argument. ``deprecated`` are parameters that warn when passed, each with the text of the warning.
    ``required`` are those without a default.
    """

    positional: tuple[str, ...]
    keywords: tuple[str, ...]
    any_positional: bool = False
    any_keyword: bool = False
    deprecated: tuple[tuple[str, str], ...] = ()
    required: tuple[str, ...] = ()

    def accepts(self, positional: int, keywords: Collection[str]) -> bool:
        """Return whether a call with this many positional arguments and these keywords is valid."""
        if positional > len(self.positional) and not self.any_positional:
            return False
        if not self.any_keyword and not set(keywords) <= set(self.keywords):
            return False
        return set(self.required) <= {*self.positional[:positional], *keywords}


@dataclass(frozen=True, kw_only=True, slots=True)
class StdlibAnswer:
    """The answer of one interpreter to one query.

    ``present`` is ``None`` if it cannot be determined: the type of a result is not declared, or a module does not
    import for a reason of this machine. ``reason`` is the error message if the name is not present. ``warning`` is the
    deprecation warning of importing, reading or calling it, or empty. ``members`` are the public names of a module or
    class (of a module: what a star import binds).
    """

    present: bool | None
    reason: str = ""
    warning: str = ""
    signature: Signature | None = None
    members: tuple[str, ...] | None = None
    is_class: bool = False
    warns_when_called: bool = False
    """The warning is given by a call or an instantiation, not by the import or by reading the name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompilerMessage:
    """A message of an interpreter's compiler about one file. An error rejects the file, a warning does not."""

    is_error: bool
    category: str
    """``SyntaxError``, ``SyntaxWarning``, ``DeprecationWarning``."""
    message: str
    line: int
    column: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpreterAnswers:
    """The answers of one interpreter.

    ``origin`` is the source of the answers: ``CPython 3.12.1`` or, without that interpreter, ``typeshed 2.15``.
    """

    origin: str
    version: tuple[int, int]
    answers: Mapping[StdlibQuery, StdlibAnswer]
