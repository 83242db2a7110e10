"""Read Makefiles: text in, targets with their commands and variables out. Never raises.

What GNU make decides with conditionals and functions is not evaluated.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

LINE_LIMIT = 10_000
_RULE = re.compile(r"(?P<targets>[^\s:#=][^:#=]*?)\s*::?(?!=)\s*(?P<needs>[^=#;]*?)(?:;(?P<recipe>.*)|#.*)?$")
_VARIABLE_LINE = re.compile(
    r"(?P<modifiers>(?:(?:export|override|private)\s+){0,3})(?P<name>[A-Za-z_][\w.-]*)\s*(?P<operator>\?|:{0,3}|\+)?=\s*"
    r"(?P<value>.*)$"
)
_TARGET_VARIABLE = re.compile(
    r"(?P<targets>[^\s:#=][^:#=]{0,500}?)\s*::?\s*"
    r"(?P<assignment>(?:(?:export|override|private)\s+){0,3}[A-Za-z_][\w.-]*\s*(?:\?|:{0,3}|\+)?=.*)$"
)
_EXPORT = re.compile(r"export(?:\s+(?P<names>[\w.\s-]+))?$")
_SHELL_CALL = re.compile(r"\$\(shell\s+(?P<command>[^()]*)\)")
_REFERENCE = re.compile(r"\$(?:\((?P<round>[A-Za-z_][\w.-]*)\)|\{(?P<braced>[A-Za-z_][\w.-]*)\}|(?P<escaped>\$))")


@dataclass(frozen=True, kw_only=True, slots=True)
class MakeTarget:
    """A target: the targets that it needs, and its commands as (line, shell text).

    ``parameters``: names and defaults of what the words behind its name are for; only tasks of just have some.
    ``variables`` are set for it and what it needs; ``exported`` are the names of those that its commands get.
    """

    name: str
    needs: tuple[str, ...] = ()
    commands: tuple[tuple[int, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    exported: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class MakefileText:
    """The targets and variables of a Makefile, or of a file of another runner of tasks, with no variables of make."""

    targets: Mapping[str, MakeTarget] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    default: str = ""
    """The first target."""
    is_make: bool = True
    exported: frozenset[str] = frozenset()
    """Names of the variables that all commands get."""

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
        yield from self._commands_of(name, self._variables_of(name, variables), set())

    def environment_of(self, name: str, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that make exports to the commands of a target, as a shell expands them.

        :param variables: those of the command line; make exports them too.
        """
        target = self.targets.get(name)
        if target is None or not self.is_make:
            return {}
        values = self._variables_of(name, variables)
        exported = sorted({*self.exported, *target.exported, *variables} & values.keys())
        return {each: expand_make(values[each], values) for each in exported}

    def _variables_of(self, name: str, variables: Mapping[str, str]) -> dict[str, str]:
        target = self.targets.get(name)
        return {**self.variables, **dict(target.variables if target is not None else ()), **variables}

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
    exported: set[str] = set()
    current: tuple[str, ...] = ()
    default = ""
    for number, line in _logical_lines(text):
        if line.startswith("\t"):
            command = line.strip().lstrip("@-+").strip()
            for name in current if command else ():
                target = targets[name]
                targets[name] = replace(target, commands=(*target.commands, (number, command)))
        elif assignment := _VARIABLE_LINE.match(line.strip()):
            _assign(variables, exported, assignment)
        elif export := _EXPORT.match(line.strip()):
            exported |= set(export["names"].split() if export["names"] else variables)
        elif line and not line[0].isspace() and (of_target := _TARGET_VARIABLE.match(line)):
            for name in of_target["targets"].split()[:50]:
                targets[name] = _with_variable(
                    targets.get(name, MakeTarget(name=name)), of_target["assignment"], variables
                )
            current = ()
        elif line and not line[0].isspace() and (rule := _RULE.match(line)):
            names = tuple(rule["targets"].split()[:50])
            commands = ((number, rule["recipe"].strip()),) if rule["recipe"] else ()
            for name in names:
                known = targets.get(name, MakeTarget(name=name))
                needs = tuple(need for need in rule["needs"].split() if need != "|")
                targets[name] = replace(known, needs=(*known.needs, *needs), commands=(*known.commands, *commands))
                default = default or (name if not name.startswith(".") else "")
            current = tuple(name for name in names if name != ".PHONY")
        elif line.strip() and not line[0].isspace():
            current = ()
    exports_all = ".EXPORT_ALL_VARIABLES" in targets
    return MakefileText(
        targets=targets,
        variables=variables,
        default=default,
        exported=frozenset(variables if exports_all else exported),
    )


def _assign(variables: dict[str, str], exported: set[str], assignment: re.Match[str]) -> None:
    """Set a variable as its operator says: ``?=`` keeps a value, ``+=`` adds to it."""
    name, value = assignment["name"], assignment["value"].partition(" #")[0].strip()
    if assignment["operator"] == "+":
        value = f"{variables.get(name, '')} {value}".strip()
    if assignment["operator"] != "?" or name not in variables:
        variables[name] = value
    if "export" in assignment["modifiers"]:
        exported.add(name)


def _with_variable(target: MakeTarget, text: str, outer: Mapping[str, str]) -> MakeTarget:
    """Return a target with one more variable that is set for it: ``test: export PYTHONPATH = src``."""
    variables, exported = {**outer, **dict(target.variables)}, set(target.exported)
    assignment = _VARIABLE_LINE.match(text)
    if assignment is not None:
        _assign(variables, exported, assignment)
    own = {name: value for name, value in variables.items() if outer.get(name) != value}
    return replace(target, variables=tuple(own.items()), exported=frozenset(exported))


def expand_make(text: str, variables: Mapping[str, str], depth: int = 5) -> str:
    """Expand ``$(NAME)`` and ``$$``; a name without a value and ``$(shell ...)`` stay, for the shell."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name = match["round"] or match["braced"]
        if name not in variables:
            return "make" if name == "MAKE" else f"${{{name}}}"
        return expand_make(variables[name], variables, depth - 1) if depth else ""

    return _SHELL_CALL.sub(r"$(\g<command>)", _REFERENCE.sub(value, text)[:20_000])


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
