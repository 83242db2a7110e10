"""Read Makefiles: text in, targets with their commands and variables out. Never raises.

What GNU make decides with conditionals and functions is not evaluated.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

LINE_LIMIT = 10_000
EXPANSION_LIMIT = 2_000
"""Maximum number of references that are expanded in one text."""
TARGET_LIMIT = 100
"""Maximum number of targets that one target is followed to."""
_RULE = re.compile(r"(?P<targets>[^\s:#=][^:#=]*?)\s*::?(?!=)\s*(?P<needs>[^=#;]*?)(?:;(?P<recipe>.*)|#.*)?$")
_VARIABLE_LINE = re.compile(
    r"(?P<modifiers>(?:(?:export|override|private)\s+){0,3})(?P<name>[A-Za-z_][\w.-]*)\s*(?P<operator>\?|:{0,3}|\+)?=\s*"
    r"(?P<value>.*)$"
)
_TARGET_VARIABLE = re.compile(
    r"(?P<targets>[^\s:#=][^:#=]{0,500}?)\s*::?\s*"
    r"(?P<assignment>(?:(?:export|override|private)\s+){0,3}[A-Za-z_][\w.-]*\s*(?:\?|:{0,3}|\+)?=.*)$"
)
_EXPORT = re.compile(r"(?P<no>un)?export(?:\s+(?P<names>[\w.-][\w.\s-]*))?$")
_CONDITION = re.compile(r"(?P<begin>ifn?eq|ifn?def)\b|(?P<end>endif)\b")
_DEFINITION = re.compile(r"(?:(?:export|override)\s+)?define\b")
_REFERENCE = re.compile(r"\$(?:\((?P<round>[A-Za-z_][\w.-]*)\)|\{(?P<braced>[A-Za-z_][\w.-]*)\}|(?P<escaped>\$))")
_SHELL_CALL = re.compile(r"\$\(shell\s(?P<command>[^()]*)\)")
_WILDCARD_CALL = re.compile(r"\$\(wildcard\s+(?P<pattern>[^()]*)\)")
_INCLUDE = re.compile(r"^[-s]?include[ \t]+(?P<files>[^#\n]{1,500})", re.MULTILINE)


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
    defaults: frozenset[str] = frozenset()
    """Names of those of its variables that the environment overrides."""

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
        """Return the variables that make exports to the commands of a target and of those that it needs, as a shell
        would expand them.

        :param variables: those of the command line; make exports them too.
        """
        if name not in self.targets or not self.is_make:
            return {}
        values, exported = {**self.variables}, {*self.exported, *variables}
        targets = [name]
        for each in targets:  # grows by what each of them needs
            for need in self.targets[each].needs:
                if need in self.targets and need not in targets and len(targets) < TARGET_LIMIT:
                    targets.append(need)
        for each in reversed(targets):
            values |= dict(self.targets[each].variables)
            exported |= self.targets[each].exported
        values |= variables
        return {each: expand_make(values[each], values) for each in sorted(exported & values.keys())}

    def _variables_of(self, name: str, variables: Mapping[str, str]) -> dict[str, str]:
        target = self.targets.get(name)
        return {**self.variables, **dict(target.variables if target is not None else ()), **variables}

    def _commands_of(self, name: str, variables: Mapping[str, str], seen: set[str]) -> Iterator[tuple[int, str]]:
        target = self.targets.get(name)
        if target is None or name in seen or len(seen) > TARGET_LIMIT:
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


def included_files(text: str) -> list[str]:
    """Return the files that a Makefile includes, relative to the folder in which make runs."""
    return [file for match in _INCLUDE.finditer(text) for file in match["files"].split() if "$" not in file]


@lru_cache(maxsize=8)
def read_makefile(text: str) -> MakefileText:
    """Read a Makefile. Cached: each command that runs make reads it."""
    reader = _MakefileReader()
    for number, line in _logical_lines(text):
        reader.read(number, line)
    exports_all = reader.exports_all or ".EXPORT_ALL_VARIABLES" in reader.targets
    exported = (reader.variables.keys() if exports_all else reader.exported) - reader.unexported
    return MakefileText(
        targets=reader.targets,
        variables=reader.variables,
        default=reader.default,
        exported=frozenset(exported),
        defaults=frozenset(reader.defaults),
    )


@dataclass(slots=True)
class _MakefileReader:
    """Reads a Makefile line by line."""

    targets: dict[str, MakeTarget] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    unexported: set[str] = field(default_factory=set)
    defaults: set[str] = field(default_factory=set)
    """Variables that only ``?=`` has set: the environment comes first."""
    exports_all: bool = False
    current: tuple[str, ...] = ()
    replaced: set[str] = field(default_factory=set)
    """Targets whose earlier commands the next command replaces, as make takes the last recipe of a target."""
    default: str = ""
    conditions: int = 0
    is_definition: bool = False

    def read(self, number: int, line: str) -> None:
        stripped = line.strip()
        if self.is_definition or _DEFINITION.match(stripped):
            self.is_definition = not (self.is_definition and stripped.split(None, 1)[:1] == ["endef"])
        elif line.startswith("\t"):
            self._read_command(number, stripped)
        elif condition := _CONDITION.match(stripped):
            self.conditions = max(0, self.conditions + (1 if condition["begin"] else -1))
        elif assignment := _VARIABLE_LINE.match(stripped):
            self._assign(assignment)
        elif export := _EXPORT.match(stripped):
            self._export(export)
        elif line and not line[0].isspace() and (of_target := _TARGET_VARIABLE.match(line)):
            for name in of_target["targets"].split()[:50]:
                target = self.targets.get(name, MakeTarget(name=name))
                self.targets[name] = self._with_variable(target, of_target["assignment"])
            self.current = ()
        elif line and not line[0].isspace() and (rule := _RULE.match(line)):
            self._read_rule(number, rule)
        elif stripped and not line[0].isspace():
            self.current = ()

    def _read_command(self, number: int, text: str) -> None:
        command = text.lstrip("@-+").strip()
        for name in self.current if command else ():
            target = self.targets[name]
            earlier = () if name in self.replaced else target.commands
            self.replaced.discard(name)
            self.targets[name] = replace(target, commands=(*earlier, (number, command)))

    def _read_rule(self, number: int, rule: re.Match[str]) -> None:
        names = tuple(rule["targets"].split()[:50])
        commands = ((number, rule["recipe"].strip()),) if rule["recipe"] else ()
        needs = tuple(need for need in rule["needs"].split() if need != "|")
        is_last = not self.conditions and "::" not in rule[0].partition(";")[0]
        self.replaced = set(names) if is_last and not commands else set()
        for name in names:
            known = self.targets.get(name, MakeTarget(name=name))
            earlier = () if is_last and commands else known.commands
            all_needs = tuple(dict.fromkeys((*known.needs, *needs)))
            self.targets[name] = replace(known, needs=all_needs, commands=(*earlier, *commands))
            self.default = self.default or (name if not name.startswith(".") else "")
        self.current = tuple(name for name in names if name != ".PHONY")

    def _assign(self, assignment: re.Match[str]) -> None:
        """Set a variable as its operator says: ``?=`` keeps a value, ``+=`` adds to it, ``:=`` expands it now."""
        name, operator = assignment["name"], assignment["operator"] or ""
        value = _assigned_value(assignment, self.variables)
        if operator != "?":
            self.variables[name] = value
            self.defaults.discard(name)
        elif name not in self.variables:
            self.variables[name] = value
            self.defaults.add(name)
        if "export" in assignment["modifiers"] and not self.conditions:
            self.exported.add(name)

    def _export(self, export: re.Match[str]) -> None:
        """Apply ``export`` or ``unexport``; what a condition decides is not exported."""
        names = (export["names"] or "").split()
        if export["no"]:
            self.unexported |= set(names)
        elif not self.conditions:
            self.exported |= set(names)
            self.exports_all = self.exports_all or not names

    def _with_variable(self, target: MakeTarget, text: str) -> MakeTarget:
        """Return a target with one more variable that is set for it: ``test: export PYTHONPATH = src``."""
        assignment = _VARIABLE_LINE.match(text)
        if assignment is None or len(target.variables) > 100:
            return target
        name, own = assignment["name"], dict(target.variables)
        value = _assigned_value(assignment, self.variables if name not in own else own)
        if assignment["operator"] != "?" or (name not in own and name not in self.variables):
            own[name] = value
        is_exported = "export" in assignment["modifiers"] and not self.conditions
        exported = target.exported | ({name} if is_exported else frozenset())
        return replace(target, variables=tuple(own.items()), exported=exported)


def _assigned_value(assignment: re.Match[str], variables: Mapping[str, str]) -> str:
    name, operator = assignment["name"], assignment["operator"] or ""
    value = assignment["value"].partition(" #")[0].strip()
    if operator.startswith(":"):
        value = _expand_references(value, variables, escaped="$$")
    return f"{variables.get(name, '')} {value}".strip()[:20_000] if operator == "+" else value


def expand_make(text: str, variables: Mapping[str, str]) -> str:
    """Expand ``$(NAME)`` and ``$$``; a name without a value, ``$(shell ...)`` and patterns stay, for the shell."""
    expanded = _WILDCARD_CALL.sub(r"\g<pattern>", _expand_references(text, variables, escaped="$"))
    return _SHELL_CALL.sub(r"$(\g<command>)", expanded)


def _expand_references(text: str, variables: Mapping[str, str], *, escaped: str) -> str:
    remaining = [EXPANSION_LIMIT]

    def expand(text: str, inside: tuple[str, ...]) -> str:
        def value(match: re.Match[str]) -> str:
            if match["escaped"]:
                return escaped
            name = match["round"] or match["braced"]
            remaining[0] -= 1
            if name not in variables:
                return "make" if name == "MAKE" else f"${{{name}}}"
            is_followed = len(inside) < 6 and name not in inside and remaining[0] > 0
            return expand(variables[name], (*inside, name)) if is_followed else ""

        return _REFERENCE.sub(value, text)[:20_000]

    return expand(text, ())


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
