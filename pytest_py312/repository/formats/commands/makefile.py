"""Read Makefiles: text in, targets with their commands and variables out. Never raises.

What GNU make decides with conditionals and functions is not evaluated.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

LINE_LIMIT = 10_000
_RULE = re.compile(r"(?P<targets>[^\s:#=][^:#=]*?)\s*::?(?!=)\s*(?P<needs>[^=#;]*?)(?:;(?P<recipe>.*)|#.*)?$")
_VARIABLE_LINE = re.compile(
    r"(?:export\s+|override\s+)?(?P<name>[A-Za-z_][\w.-]*)\s*(?:\?|:{0,3}|\+)?=\s*(?P<value>.*)$"
)
_REFERENCE = re.compile(r"\$(?:\((?P<round>[A-Za-z_][\w.-]*)\)|\{(?P<braced>[A-Za-z_][\w.-]*)\}|(?P<escaped>\$))")


@dataclass(frozen=True, kw_only=True, slots=True)
class MakeTarget:
    """A target: the targets that it needs, and its commands as (line, shell text).

    ``parameters``: names and defaults of what the words behind its name are for; only tasks of just have some.
    """

    name: str
    needs: tuple[str, ...] = ()
    commands: tuple[tuple[int, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class MakefileText:
    """The targets and variables of a Makefile, or of a file of another runner of tasks, with no variables of make."""

    targets: Mapping[str, MakeTarget] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    default: str = ""
    """The first target."""
    is_make: bool = True

    def called(self, words: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the targets that a command names, each with the values of its parameters."""
        remaining = list(words)
        while remaining:
            target = self.targets.get(name := remaining.pop(0))
            values = {}
            for parameter, default in target.parameters if target is not None else ():
                values[parameter] = remaining.pop(0) if remaining else default
            yield name, values

    def commands_of(self, name: str, variables: Mapping[str, str]) -> Iterator[tuple[int, str]]:
        """Yield the commands of a target and of those that it needs, in the order in which they run."""
        yield from self._commands_of(name, {**self.variables, **variables}, set())

    def _commands_of(self, name: str, variables: Mapping[str, str], seen: set[str]) -> Iterator[tuple[int, str]]:
        target = self.targets.get(name)
        if target is None or name in seen or len(seen) > 100:
            return
        seen.add(name)
        for needed in target.needs:
            for part in expand_make(needed, variables).split() if self.is_make else [needed]:
                yield from self._commands_of(part, variables, seen)
        if not self.is_make:
            yield from target.commands
            return
        for line, text in target.commands:
            first_need = target.needs[0] if target.needs else ""
            yield line, expand_make(text.replace("$@", name).replace("$<", first_need), variables)


@lru_cache(maxsize=8)
def read_makefile(text: str) -> MakefileText:
    """Read a Makefile. Cached: each command that runs make reads it."""
    targets: dict[str, MakeTarget] = {}
    variables: dict[str, str] = {}
    current: tuple[str, ...] = ()
    default = ""
    for number, line in _logical_lines(text):
        if line.startswith("\t"):
            command = line.strip().lstrip("@-+").strip()
            for name in current if command else ():
                target = targets[name]
                targets[name] = MakeTarget(
                    name=name, needs=target.needs, commands=(*target.commands, (number, command))
                )
            continue
        assignment = _VARIABLE_LINE.match(line.strip())
        if assignment:
            variables[assignment["name"]] = assignment["value"].partition(" #")[0].strip()
            continue
        rule = _RULE.match(line) if line and not line[0].isspace() else None
        if rule is None:
            if line.strip() and not line[0].isspace():
                current = ()
            continue
        names = tuple(rule["targets"].split()[:50])
        commands = ((number, rule["recipe"].strip()),) if rule["recipe"] else ()
        for name in names:
            known = targets.get(name, MakeTarget(name=name))
            needs = tuple(need for need in rule["needs"].split() if need != "|")
            targets[name] = MakeTarget(name=name, needs=(*known.needs, *needs), commands=(*known.commands, *commands))
            default = default or (name if not name.startswith(".") else "")
        current = tuple(name for name in names if name != ".PHONY")
    return MakefileText(targets=targets, variables=variables, default=default)


def expand_make(text: str, variables: Mapping[str, str], depth: int = 5) -> str:
    """Expand ``$(NAME)`` and ``$$``; a name without a value stays, for the shell."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name = match["round"] or match["braced"]
        if name not in variables:
            return "make" if name == "MAKE" else f"${{{name}}}"
        return expand_make(variables[name], variables, depth - 1) if depth else ""

    return _REFERENCE.sub(value, text)[:20_000]


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    parts: list[str] = []
    first = 1
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n")[:LINE_LIMIT], start=1):
        if not parts:
            first = number
        if line.endswith("\\"):
            parts.append(line[:-1].rstrip())
            continue
        joined = " ".join([*parts, line.strip()]) if parts else line
        parts = []
        if not joined.lstrip().startswith("#") or joined.startswith("\t"):
            yield first, joined
    if parts:
        yield first, " ".join(parts)
