"""What an interpreter is asked about its standard library, and what it answers.

A name is asked for by its module and a *path*: dotted names, where ``()`` behind a name stands for what a call of it
gives. ``Question(module="threading", path="Thread().isAlive")`` is the method ``isAlive`` of an instance of
``threading.Thread``; an empty path is the module itself, as ``import`` brings it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Question(NamedTuple):
    """One name of the standard library. A tuple, as thousands of them are keys."""

    module: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.module}.{self.path}" if self.path else self.module


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """How something is called. ``positional`` are the names that may be given by position, in their order, ``keywords``
    those that may be given by name; ``deprecated`` are parameters that warn when given, with their warning's text;
    ``required`` are those without a default.
    """

    positional: tuple[str, ...]
    keywords: tuple[str, ...]
    any_positional: bool = False
    any_keyword: bool = False
    deprecated: tuple[tuple[str, str], ...] = ()
    required: tuple[str, ...] = ()

    def takes(self, positional: int, keywords: Collection[str]) -> bool:
        """Whether a call with so many arguments by position, and these by name, is taken."""
        if positional > len(self.positional) and not self.any_positional:
            return False
        if not self.any_keyword and not set(keywords) <= set(self.keywords):
            return False
        return set(self.required) <= {*self.positional[:positional], *keywords}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one interpreter says to one question.

    ``present`` is ``None`` where it cannot tell (a result whose type nobody declares, a module that does not import on
    this machine for a reason of the machine). ``reason`` is its exception in words where it is not present.
    ``warning`` is the deprecation that importing, reading or calling it gives, empty when none.
    ``members`` are the public names of a module or class (of a module: what a star import brings), for modules and
    classes only. ``defined`` is where it really stands, ``unittest.case.TestCase.assertEqual``.
    """

    present: bool | None
    reason: str = ""
    warning: str = ""
    signature: Signature | None = None
    members: tuple[str, ...] | None = None
    is_class: bool = False
    defined: str = ""
    when_called: bool = False
    """The warning comes when it is called (or a class made an instance of), not when it is imported or read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Complaint:
    """What an interpreter's compiler says of one file: an ``error`` refuses it, a warning does not."""

    error: bool
    category: str
    """``SyntaxError``, ``SyntaxWarning``, ``DeprecationWarning``."""
    message: str
    line: int
    column: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Testimony:
    """All that one interpreter was asked and answered. ``origin`` says who answered: ``CPython 3.12.1`` or, where that
    interpreter is missing, ``typeshed 2.15``.
    """

    origin: str
    version: tuple[int, int]
    answers: Mapping[Question, Answer]
    asked_itself: bool = True
    """False where typeshed answered in the interpreter's place."""
