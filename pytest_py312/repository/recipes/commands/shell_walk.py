"""Follow the control structures of shell text: conditions, loops, functions, variables, folders. Nothing is executed.

A command is assumed to succeed. A condition is evaluated where it compares variables or asks for files; otherwise what
depends on it counts, and is marked as conditional.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from pytest_py312.repository.formats.commands.shell import ARGUMENT, UNKNOWN, ShellCommand, ShellWord, read_shell
from pytest_py312.repository.formats.commands.shell_functions import (
    ShellFunction,
    arguments_of,
    arguments_of_runner,
    evaluate_test,
    positional,
    split_functions,
)
from pytest_py312.repository.formats.start_commands import without_wrapper
from pytest_py312.repository.recipes.commands.conditions import Conditions
from pytest_py312.repository.recipes.commands.file_map import FileMap, resolve_path
from pytest_py312.repository.recipes.commands.shell_paths import expand_paths

DEPTH_LIMIT = 6
"""Maximum nesting of scripts."""
FUNCTION_LIMIT = 20
"""Maximum nesting of functions of the shell."""
COMMAND_LIMIT = 10_000
LOOP_LIMIT = 500
"""Maximum number of values of a loop."""

_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>.*)", re.DOTALL | re.ASCII)
_PROGRAM = re.compile(r"python[\d.]*|pip[\d.]*|poetry|uv|pipenv|pdm|hatch|conda", re.ASCII)


@dataclass(slots=True)
class ShellWalk(ABC):
    """Walks through commands of a shell, with the state that they change. A subclass says what programs do."""

    files: FileMap
    path: str
    """The file of the commands, relative to the root."""
    folder: str = "/"
    """The working folder, as an absolute path of ``files``."""
    previous: str = "/"
    """That of ``cd -``."""
    pushed: list[str] = field(default_factory=list)
    """Those of ``popd``."""
    variables: dict[str, str] = field(default_factory=lambda: {"HOME": "/root"})
    exported: dict[str, str] = field(default_factory=dict)
    """Those of the variables that programs get, without the ones of the machine."""
    unset: frozenset[str] = frozenset()
    """Variables that are empty unless a build gives them a value: conditions are evaluated so."""
    limits: list[str] = field(default_factory=list)
    script: str = ""
    """The name by which the script is started that is walked through: ``$0``."""
    functions: dict[str, tuple[ShellFunction, ...]] = field(default_factory=dict)
    """Functions of the shell that are defined so far: several, if a condition decides which."""
    called: set[str] = field(default_factory=set)
    has_returned: bool = False
    may_have_returned: bool = False
    """Whether the function that is walked through has ended, or may have."""
    local_values: dict[str, str | None] = field(default_factory=dict)
    """What the variables were outside of that function which are local in it."""
    active: tuple[str, ...] = ()
    """The functions that are walked through now, the outermost first."""
    runners: set[str] = field(default_factory=set)
    """Names of functions of the shell that run the command in their arguments: ``run pip install a``."""
    depth: int = 0
    count: int = 0
    conditional: bool = False
    is_plain: bool = True
    """Whether the command that is walked through is in no pipe, in the foreground, and its failure counts."""

    @abstractmethod
    def run_program(self, words: list[str], line: int, command: ShellCommand, offset: int) -> bool | None:
        """Run a command that is neither part of the shell nor a function; return whether it succeeds (``None``: it
        cannot be known).

        :param words: the command without its wrappers and assignments, expanded.
        :param offset: the lines of the file in front of the text that the command stands in.
        """

    @property
    def is_over_limit(self) -> bool:
        """Whether there were too many commands to follow the rest."""
        return self.count > COMMAND_LIMIT

    def run(self, text: str, line: int = 1) -> None:
        """Walk through shell text whose first line is ``line`` of the file."""
        remaining, functions = split_functions(text, self.path, line)
        self.runners |= {function.name for function in functions if function.runs_arguments}
        for name in dict.fromkeys(function.name for function in functions):
            self.functions[name] = tuple(function for function in functions if function.name == name)
        self.run_commands(read_shell(remaining), line - 1)
        if self.depth == 0:
            self._run_uncalled(())

    def run_script(
        self, text: str, path: str, arguments: Sequence[str] = (), *, name: str = "", is_sourced: bool = False
    ) -> None:
        """Walk through the text of another file, in the current folder.

        :param name: that of the file in the command, which is ``$0``.
        :param is_sourced: the shell itself reads it, and keeps its functions.
        """
        if self.depth >= DEPTH_LIMIT:
            self.limits.append(f"{path} is not followed: scripts are nested too deeply")
            return
        outer = (self.path, self.variables, self.exported, self.script)
        functions = dict(self.functions)
        self.path, self.variables = path, {**self.variables, **positional(arguments)}
        self.script = name or path.rpartition("/")[2]
        self.depth += 1
        self.run(text)
        if not is_sourced:
            self._run_uncalled(functions)
            self.functions = functions
        self.depth -= 1
        self.path, self.variables, self.exported, self.script = outer

    def _run_uncalled(self, earlier: Collection[str]) -> None:
        """Walk through the functions that nothing has called, as what calls them may be unknown."""
        for name in list(self.functions):
            if name not in earlier and name not in self.called:
                outer = self.folder, dict(self.variables), self.exported
                self._call(name, ())
                self.folder, self.variables, self.exported = outer

    def run_argv(self, words: Sequence[str], line: int) -> None:
        """Run one command that is already split into words."""
        self.run_words(list(words), line, ShellCommand(words=(), line=line))

    # ---- control structures

    def run_commands(self, commands: Sequence[ShellCommand], offset: int) -> bool | None:
        """Walk through commands; return whether the last one succeeds."""
        outer_conditional = self.conditional
        conditions, folders = Conditions(), list[str]()
        result: bool | None = True
        index = 0
        while index < len(commands) and not self.has_returned:
            command = commands[index]
            index += 1
            self.count += 1
            if self.is_over_limit:
                self.limits.append(f"{self.path} has too many commands; the rest is not followed")
                return None
            self._apply_subshells(command, folders)
            expanded = self.expand(command.words)
            if expanded[:1] == ("for",) and "in" in expanded[:3]:
                index = self._run_loop(expanded, commands, index, offset)
                continue
            words = conditions.read_keyword(expanded, result)
            if words is None:
                continue
            values = conditions.values
            if False in values or not (words or (command.here_document and not command.words)):
                result = True if not words else result
                continue
            chained = command.operator.replace("(", "").replace(")", "")[-2:]
            if (chained == "&&" and result is False) or (chained == "||" and result is True):
                continue
            is_uncertain = None in values or (chained in ("&&", "||") and result is None)
            self.conditional = outer_conditional or is_uncertain
            following = commands[index].operator.lstrip(")") if index < len(commands) else ""
            self.is_plain = chained[-1:] != "|" and (following[:1] not in ("|", "&") or following[:2] == "&&")
            outcome = self.run_words(list(words), command.line + offset, command, offset)
            self.conditional = outer_conditional
            result = None if is_uncertain and chained in ("&&", "||") and outcome is True else outcome
        self.folder = folders[0] if folders else self.folder  # the end of a function ends its subshells
        return result

    def _apply_subshells(self, command: ShellCommand, folders: list[str]) -> None:
        """Enter and leave the subshells between a command and the one in front of it, each with its own folder."""
        for operator in command.operator:
            if operator == "(":
                folders.append(self.folder)
            elif operator == ")" and folders:
                self.folder = folders.pop()

    def _run_loop(self, words: Sequence[str], commands: Sequence[ShellCommand], index: int, offset: int) -> int:
        """Run the commands of ``for NAME in WORDS`` for each word; return the index after its ``done``."""
        depth, end = 1, index
        while end < len(commands):
            first = commands[end].words[0] if commands[end].words else ()
            keyword = "".join(part.text for part in first)
            second = "".join(part.text for part in commands[end].words[1]) if len(commands[end].words) > 1 else ""
            depth += (keyword in ("for", "while", "until")) or (keyword == "do" and second in ("for", "while", "until"))
            depth -= keyword == "done"
            if depth == 0:
                break
            end += 1
        body = [_without_keyword(command, "do") for command in commands[index:end]]
        name = words[1]
        patterns = words[words.index("in") + 1 :]
        expanded = (value for word in patterns for value in self._expand_pattern(word))
        values = list(islice(expanded, LOOP_LIMIT + 1))
        if len(values) > LOOP_LIMIT:
            self.limits.append(f"{self.path} has a loop over more than {LOOP_LIMIT} values; the rest is not followed")
        for value in values[:LOOP_LIMIT]:
            self.variables[name] = value
            self.run_commands(body, offset)
        return end + 1

    def _expand_pattern(self, word: str) -> list[str]:
        """Return the paths that a pattern of a loop fits, as they are written; other words as they are."""
        if UNKNOWN in word or not re.search(r"[*?\[]", word) or re.search(r"//|[*?\[].*/\.", word):
            return [word]
        slash = "/" if word.endswith("/") else ""
        paths = self.files.expand(resolve_path(word, self.folder))
        if slash:  # it fits folders only
            paths = [path for path in paths if (found := self.files.find(path)) and self.files.tree.is_folder(found)]
        # as many of the last parts as from the first wildcard on; those in front of it stay as they are written
        static = re.split(r"[^/]*[*?\[]", word, maxsplit=1)[0]
        count = word.rstrip("/").removeprefix(static).count("/") + 1
        return [static + "/".join(path.split("/")[-count:]) + slash for path in paths]

    # ---- one command

    def run_words(self, words: list[str], line: int, command: ShellCommand, offset: int = 0) -> bool | None:
        """Run one command; return whether it succeeds (``None``: it cannot be known)."""
        outer_variables = None
        outer_exported = self.exported
        while words:
            assignment = _ASSIGNMENT.fullmatch(words[0])
            if assignment:
                if len(words) > 1 and outer_variables is None:
                    outer_variables, self.variables = self.variables, dict(self.variables)
                self._assign(assignment["name"], assignment["value"], is_exported=len(words) > 1)
                words = words[1:]
                continue
            if words[0] in self.runners and words[0] not in self.active:
                if len(words) > 1:
                    self._call(words[0], ())
                stripped = arguments_of_runner(words)
            else:
                stripped = without_wrapper(words)
            if stripped is None:
                break
            words = stripped
        try:
            return self._run_command(words, line, command, offset) if words else self._run_document(command, offset)
        finally:
            if outer_variables is not None:
                self.variables, self.exported = outer_variables, outer_exported

    def expand(self, words: tuple[ShellWord, ...]) -> tuple[str, ...]:
        return expand_paths(words, self.variables, self.folder, self.script)

    def _assign(self, name: str, value: str, *, is_exported: bool) -> None:
        """Set a variable, or unset it if its value is unknown.

        A program that a condition looks for elsewhere, in ``"$POETRY_HOME/bin/poetry"``, remains the one that it was.
        """
        earlier = self.variables.pop(name, "")
        if UNKNOWN not in value:
            self.variables[name] = value
            if is_exported or name in self.exported:
                self.exported = {**self.exported, name: value}
        elif self.conditional and _is_same_program(earlier, value):
            self.variables[name] = earlier

    def _run_document(self, command: ShellCommand, offset: int) -> bool:
        if command.here_document and not command.words:  # RUN <<EOF
            self.run_commands(read_shell(command.here_document), command.here_document_line - 1 + offset)
        return True

    def _run_command(self, words: list[str], line: int, command: ShellCommand, offset: int) -> bool | None:
        if words[0] in self.functions and words[0] not in self.active:
            return self._call(words[0], words[1:])
        builtin = _BUILTINS.get(words[0].rpartition("/")[2])
        return builtin(self, words) if builtin is not None else self.run_program(words, line, command, offset)

    # ---- commands of the shell itself

    def _return(self, words: Sequence[str]) -> bool | None:
        if not self.active:
            return True
        self.may_have_returned = self.may_have_returned or self.conditional
        self.has_returned = not self.conditional
        return words[1] == "0" if words[1:] and words[1].isdigit() else None

    def _shift(self, words: Sequence[str]) -> bool:
        count = int(words[1]) if words[1:] and words[1].isdigit() else 1
        arguments = arguments_of(self.variables)
        if not self.conditional and count <= len(arguments):
            self._set_arguments(arguments[count:])
        return True

    def _test(self, words: Sequence[str]) -> bool | None:
        test = words[1:] if words[0].endswith("test") else words[1:-1]
        return evaluate_test(
            test, self.unset, lambda path: self.files.find(resolve_path(path, self.folder)) is not None
        )

    def _change_folder(self, words: Sequence[str]) -> bool:
        arguments = [word for word in words[1:] if word == "-" or not word.startswith("-")]
        if words[0] == "pushd":
            self.pushed.append(self.folder)
        if arguments:
            target = self.previous if arguments[0] == "-" else resolve_path(arguments[0], self.folder)
            self.previous, self.folder = self.folder, target
        return True

    def _pop_folder(self, _words: Sequence[str]) -> bool:
        self.previous, self.folder = self.folder, self.pushed.pop() if self.pushed else self.folder
        return True

    def _declare(self, words: Sequence[str]) -> bool:
        """Set the variables of ``export``, ``declare``, ``local`` or ``readonly``."""
        for word in words[1:]:
            variable = word.partition("=")[0]
            if self.active and words[0] in ("declare", "local"):
                self.local_values.setdefault(variable, self.variables.get(variable))
            assignment = _ASSIGNMENT.fullmatch(word)
            if assignment and UNKNOWN not in assignment["value"]:
                self.variables[assignment["name"]] = assignment["value"]
            if words[0] in ("export", "declare") and variable in self.variables:
                self.exported = {**self.exported, variable: self.variables[variable]}
        return True

    # ---- functions

    def _call(self, name: str, arguments: Sequence[str]) -> bool | None:
        """Walk through a function of the shell; return whether it succeeds.

        Its variables and its folder are those of its caller.
        """
        if len(self.active) >= FUNCTION_LIMIT:
            self.limits.append(f"{self.path} calls {name}, which is not followed: functions are nested too deeply")
            return None
        self.called.add(name)
        outer = self.path, self.active, self.conditional, self.may_have_returned, self.local_values
        arguments_outside = {key: value for key, value in self.variables.items() if key.startswith(ARGUMENT)}
        versions = self.functions[name]
        result: bool | None = None
        for function in versions:
            self._set_arguments(arguments)
            self.path, self.active = function.path, (*outer[1], name)
            self.conditional = outer[2] or len(versions) > 1
            self.may_have_returned, self.local_values = False, {}
            result = self.run_commands(read_shell(function.body), function.line - 1)
            result = None if self.may_have_returned else result
            self.has_returned = False
            for variable, value in self.local_values.items():
                self.variables.pop(variable, None)
                self.variables.update({variable: value} if value is not None else {})
        self.path, self.active, self.conditional, self.may_have_returned, self.local_values = outer
        self._set_arguments(())
        self.variables.update(arguments_outside)
        return result if len(versions) == 1 else None

    def _set_arguments(self, arguments: Sequence[str]) -> None:
        for name in [name for name in self.variables if name.startswith(ARGUMENT)]:
            del self.variables[name]
        self.variables.update(positional(arguments))


_BUILTINS: dict[str, Callable[[ShellWalk, Sequence[str]], bool | None]] = {
    "return": ShellWalk._return, "shift": ShellWalk._shift,
    "[": ShellWalk._test, "[[": ShellWalk._test, "test": ShellWalk._test,
    "cd": ShellWalk._change_folder, "pushd": ShellWalk._change_folder, "popd": ShellWalk._pop_folder,
    "export": ShellWalk._declare, "declare": ShellWalk._declare, "local": ShellWalk._declare,
    "readonly": ShellWalk._declare,
    "false": lambda _walk, _words: False, "exit": lambda _walk, _words: True,
}  # fmt: skip


def _without_keyword(command: ShellCommand, keyword: str) -> ShellCommand:
    first = "".join(part.text for part in command.words[0]) if command.words else ""
    return replace(command, words=command.words[1:], operator=";") if first == keyword else command


def _is_same_program(path: str, other: str) -> bool:
    """Return whether two paths name one program that installs or runs Python: ``poetry``, ``/opt/bin/poetry``."""
    name = path.rpartition("/")[2]
    return _PROGRAM.fullmatch(name) is not None and name == other.rpartition("/")[2]
