"""The conditions of shell text that a command is in: ``if``, ``case``, ``while`` and ``until``."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Condition:
    keyword: str
    value: bool | None = None
    earlier: bool | None = False
    """Whether one of the earlier branches was taken."""
    is_open: bool = True
    """Whether its commands are still the condition itself."""

    @property
    def any_taken(self) -> bool | None:
        """Whether this branch or an earlier one is taken."""
        if True in (self.earlier, self.value):
            return True
        return None if None in (self.earlier, self.value) else False

    def begin_test(self) -> None:
        """Begin the test of another branch: ``elif``."""
        self.earlier, self.value, self.is_open = self.any_taken, None, True

    def begin_branch(self, result: bool | None) -> None:
        """Begin what depends on the test: ``then`` or ``do``."""
        self.is_open = False
        value = False if self.earlier is True else result if self.earlier is False else None
        self.value = None if self.keyword in ("while", "until") else value

    def begin_else(self) -> None:
        self.earlier, self.is_open = self.any_taken, False
        self.value = None if self.earlier is None else not self.earlier


@dataclass(slots=True)
class Conditions:
    """The conditions that a command is in, the innermost last."""

    nested: list[_Condition] = field(default_factory=list)

    @property
    def values(self) -> list[bool | None]:
        """Whether each of them is true, without those whose test is not over."""
        return [condition.value for condition in self.nested if not condition.is_open]

    def read_keyword(self, words: Sequence[str], result: bool | None) -> Sequence[str] | None:
        """Apply the keyword that a command begins with; return the words behind it, ``None`` behind the end of one.

        :param result: that of the last command, which is the test if this is its branch.
        """
        keyword = words[0] if words else ""
        if keyword in ("if", "while", "until", "case"):
            self.nested.append(_Condition(keyword=keyword, is_open=keyword != "case"))
            return words[1:] if keyword != "case" else ()
        if not self.nested:
            return words
        match keyword:
            case "elif":
                self.nested[-1].begin_test()
            case "else":
                self.nested[-1].begin_else()
            case "then" | "do":
                self.nested[-1].begin_branch(result)
            case "fi" | "done" | "esac":
                self.nested.pop()
                return None
            case _:
                return words
        return words[1:]
