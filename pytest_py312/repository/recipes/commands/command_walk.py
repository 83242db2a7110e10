"""Follow the commands of a script: folders, variables, conditions, other scripts and Makefiles. Nothing is executed.

A command is assumed to succeed. A condition is evaluated where it compares variables or asks for files; otherwise what
depends on it counts, and is marked as conditional.
"""

import posixpath
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import InstallStep
from pytest_py312.repository.formats.commands.install_commands import (
    InstallCommand,
    read_install_command,
    read_pip_setting,
)
from pytest_py312.repository.formats.commands.shell import ARGUMENT, UNKNOWN, ShellCommand, ShellWord, read_shell
from pytest_py312.repository.formats.commands.shell_functions import (
    ShellFunction,
    arguments_of,
    arguments_of_runner,
    evaluate_test,
    positional,
    split_functions,
    started_program,
)
from pytest_py312.repository.formats.commands.task_files import (
    TASK_RUNNERS,
    inline_requirements,
    read_script_commands,
)
from pytest_py312.repository.formats.requirements_file import project_name
from pytest_py312.repository.formats.start_commands import without_wrapper
from pytest_py312.repository.recipes.commands.file_map import LINUX_FOLDERS, FileMap, resolve_path
from pytest_py312.repository.recipes.commands.install_steps import is_judged_installer, make_step
from pytest_py312.repository.recipes.commands.shell_paths import expand_paths
from pytest_py312.repository.recipes.commands.text_flow import STANDARD_INPUT, TextFlow, written_requirements
from pytest_py312.repository.tree import with_outer_folders

DEPTH_LIMIT = 6
"""Maximum nesting of scripts."""
FUNCTION_LIMIT = 20
"""Maximum nesting of functions of the shell."""
COMMAND_LIMIT = 10_000
STEP_LIMIT = 200
COPY_LIMIT = 100
"""Maximum number of files that one command copies."""
LOOP_LIMIT = 500
"""Maximum number of values of a loop."""

_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>.*)", re.DOTALL | re.ASCII)
_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh"})
_UNCERTAIN_COMMANDS = frozenset({"command", "which", "type", "hash", "grep", "egrep", "diff", "cmp", "id", "getent"})


_PROGRAM = re.compile(r"python[\d.]*|pip[\d.]*|poetry|uv|pipenv|pdm|hatch|conda", re.ASCII)
_POETRY_SCRIPT = re.compile(r"://\S{0,300}\bpython-poetry\b|(?:^|/)(?:get|install)-poetry\.py$")
"""The address or the file of the script that installs Poetry; https://python-poetry.org/docs/#installing-with-the-official-installer."""
_SETUPTOOLS_LINE = re.compile(r"(?im)^[ \t]*setuptools(?![\w.-])")
"""A requirement of setuptools in a requirements file, and no other project or comment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandRun:
    """A command that installs nothing itself, with the folder (relative to the root) in which it runs."""

    words: tuple[str, ...]
    folder: str | None
    location: Location
    conditional: bool = False
    environment: tuple[tuple[str, str], ...] = ()
    """The variables that the commands before it have exported, and its own."""
    counts: bool = True
    """Whether its failure is one of the whole: not of ``x || true``, ``x &``, a pipe, or a step that may be skipped."""


@dataclass(slots=True)
class _Condition:
    keyword: str
    value: bool | None
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


@dataclass(slots=True)
class CommandWalk:
    """Walks through commands and collects the steps that install, and what else is run."""

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
    earlier: Sequence[InstallStep] = ()
    """Steps of the same environment before these commands, such as those of earlier instructions of a Dockerfile."""
    steps: list[InstallStep] = field(default_factory=list)
    runs: list[CommandRun] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    """What ``pip config set`` writes for later commands, under the names of variables."""
    unset: frozenset[str] = frozenset()
    """Variables that are empty unless a build gives them a value: conditions are evaluated so."""
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
    downloads: list[str] = field(default_factory=list)
    """Addresses that commands have fetched."""
    is_start: bool = False
    """Whether the commands start the service, and do not only prepare its image or its tests."""
    depth: int = 0
    count: int = 0
    conditional: bool = False
    may_be_skipped: bool = False
    """Whether the step that is walked through has a condition, or may fail."""
    is_plain: bool = True
    """Whether the command that is walked through is in no pipe, in the foreground, and its failure counts."""
    flow: TextFlow = field(init=False)

    def __post_init__(self) -> None:
        self.flow = TextFlow(self.files)

    def run(self, text: str, line: int = 1) -> None:
        """Walk through shell text whose first line is ``line`` of the file."""
        remaining, functions = split_functions(text, self.path, line)
        self.runners |= {function.name for function in functions if function.runs_arguments}
        for name in dict.fromkeys(function.name for function in functions):
            self.functions[name] = tuple(function for function in functions if function.name == name)
        self._run_commands(read_shell(remaining), line - 1)
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
        self._run_words(list(words), line, ShellCommand(words=(), line=line))

    # ---- control structures

    def _run_commands(self, commands: Sequence[ShellCommand], offset: int) -> bool | None:
        outer_conditional = self.conditional
        conditions: list[_Condition] = []
        folders: list[str] = []
        result: bool | None = True
        index = 0
        while index < len(commands) and not self.has_returned:
            command = commands[index]
            index += 1
            self.count += 1
            if self.count > COMMAND_LIMIT or len(self.steps) > STEP_LIMIT:
                self.limits.append(f"{self.path} has too many commands; the rest is not followed")
                return None
            for operator in command.operator:
                if operator == "(":
                    folders.append(self.folder)
                elif operator == ")" and folders:
                    self.folder = folders.pop()
            words = self._expand(command.words)
            keyword = words[0] if words else ""
            if keyword == "for" and "in" in words[:3]:
                index = self._run_loop(words, commands, index, offset)
                continue
            if keyword in ("if", "while", "until", "case"):
                conditions.append(_Condition(keyword=keyword, value=None, is_open=keyword != "case"))
                words = words[1:] if keyword != "case" else ()
            elif keyword == "elif" and conditions:
                last = conditions[-1]
                last.earlier = last.any_taken
                last.value, last.is_open = None, True
                words = words[1:]
            elif keyword == "else" and conditions:
                last = conditions[-1]
                last.earlier = last.any_taken
                last.value, last.is_open = (None if last.earlier is None else not last.earlier), False
                words = words[1:]
            elif keyword in ("then", "do") and conditions:
                last = conditions[-1]
                last.is_open = False
                last.value = False if last.earlier is True else result if last.earlier is False else None
                last.value = None if last.keyword in ("while", "until") else last.value
                words = words[1:]
            elif keyword in ("fi", "done", "esac") and conditions:
                conditions.pop()
                continue
            closed = [condition.value for condition in conditions if not condition.is_open]
            if False in closed or not (words or (command.here_document and not command.words)):
                result = True if not words else result
                continue
            chained = command.operator.replace("(", "").replace(")", "")[-2:]
            if (chained == "&&" and result is False) or (chained == "||" and result is True):
                continue
            is_uncertain = None in closed or (chained in ("&&", "||") and result is None)
            self.conditional = outer_conditional or is_uncertain
            following = commands[index].operator.lstrip(")") if index < len(commands) else ""
            self.is_plain = chained[-1:] != "|" and (following[:1] not in ("|", "&") or following[:2] == "&&")
            outcome = self._run_words(list(words), command.line + offset, command, offset)
            self.conditional = outer_conditional
            result = None if is_uncertain and chained in ("&&", "||") and outcome is True else outcome
        self.folder = folders[0] if folders else self.folder  # the end of a function ends its subshells
        return result

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
            self._run_commands(body, offset)
        return end + 1

    def _expand_pattern(self, word: str) -> list[str]:
        """Return the paths that a pattern of a loop fits, as they are written; other words as they are."""
        if UNKNOWN in word or not re.search(r"[*?\[]", posixpath.basename(word.rstrip("/"))):
            return [word]
        prefix, slash = posixpath.dirname(word.rstrip("/")), "/" if word.endswith("/") else ""
        paths = self.files.expand(resolve_path(word, self.folder))
        if slash:  # it fits folders only
            paths = [path for path in paths if (found := self.files.find(path)) and self.files.tree.is_folder(found)]
        return [posixpath.join(prefix, posixpath.basename(path)) + slash for path in paths]

    # ---- one command

    def _run_words(self, words: list[str], line: int, command: ShellCommand, offset: int = 0) -> bool | None:
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
            self._run_commands(read_shell(command.here_document), command.here_document_line - 1 + offset)
        return True

    def _run_command(self, words: list[str], line: int, command: ShellCommand, offset: int) -> bool | None:
        if words[0] in self.functions and words[0] not in self.active:
            return self._call(words[0], words[1:])
        name = words[0].rpartition("/")[2]
        if name == "return" and self.active:
            self.may_have_returned = self.may_have_returned or self.conditional
            self.has_returned = not self.conditional
            return words[1] == "0" if words[1:] and words[1].isdigit() else None
        if name == "shift":
            count = int(words[1]) if words[1:] and words[1].isdigit() else 1
            arguments = arguments_of(self.variables)
            if not self.conditional and count <= len(arguments):
                self._set_arguments(arguments[count:])
            return True
        if name in ("[", "[[", "test"):
            test = words[1:-1] if name != "test" else words[1:]
            return evaluate_test(
                test, self.unset, lambda path: self.files.find(resolve_path(path, self.folder)) is not None
            )
        if name in ("cd", "pushd"):
            arguments = [word for word in words[1:] if word == "-" or not word.startswith("-")]
            if name == "pushd":
                self.pushed.append(self.folder)
            if arguments:
                target = self.previous if arguments[0] == "-" else resolve_path(arguments[0], self.folder)
                self.previous, self.folder = self.folder, target
            return True
        if name == "popd":
            self.previous, self.folder = self.folder, self.pushed.pop() if self.pushed else self.folder
            return True
        if name in ("export", "declare", "local", "readonly"):
            for word in words[1:]:
                variable = word.partition("=")[0]
                if self.active and name in ("declare", "local"):
                    self.local_values.setdefault(variable, self.variables.get(variable))
                assignment = _ASSIGNMENT.fullmatch(word)
                if assignment and UNKNOWN not in assignment["value"]:
                    self.variables[assignment["name"]] = assignment["value"]
                if name in ("export", "declare") and variable in self.variables:
                    self.exported = {**self.exported, variable: self.variables[variable]}
            return True
        if name in ("false", "exit") and len(words) == 1:
            return name != "false"
        if name in TASK_RUNNERS and ("/" not in words[0] or not self._follow_script(words)):
            self._run_tasks(name, words[1:], line)
            return True
        if name == "su":
            self._run_nested(words, "-c", line)
            return True
        if name in _SHELLS or name in (".", "source"):
            return self._run_shell(words, name, line, command, offset)
        if self._follow_script(words):
            return True
        return self._install_or_run(words, line, command)

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
            result = self._run_commands(read_shell(function.body), function.line - 1)
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

    def _run_shell(self, words: list[str], name: str, line: int, command: ShellCommand, offset: int) -> bool:
        if name in _SHELLS and self._run_nested(words, "c", line):
            return True
        arguments = [word for word in words[1:] if not word.startswith("-")]
        if arguments and not self._follow_script(arguments, is_sourced=name in (".", "source")):
            self._note_unfollowed(arguments[0], line)
        elif not arguments and command.here_document:
            self._run_commands(read_shell(command.here_document), command.here_document_line - 1 + offset)
        return True

    def _run_nested(self, words: Sequence[str], option: str, line: int) -> bool:
        """Run the text of ``-c``, also of ``-lc`` or ``-exc``."""
        for number, word in enumerate(words[1:-1], start=1):
            if re.fullmatch(rf"-[a-z]*{option.lstrip('-')}", word):
                if self.depth < DEPTH_LIMIT:
                    self.depth += 1
                    self.run(words[number + 1], line)
                    self.depth -= 1
                return True
        return False

    def _follow_script(self, words: Sequence[str], *, is_sourced: bool = False) -> bool:
        """Walk through a script of the repository that ``words`` start; ``False`` if there is none."""
        if UNKNOWN in words[0] or ("/" not in words[0] and not words[0].endswith((".sh", ".bash"))):
            return False
        script_path = self.files.find(resolve_path(words[0], self.folder))
        text = (
            self.files.tree.read_or_none(script_path)
            if script_path is not None and self.files.tree.is_file(script_path)
            else None
        )
        if script_path is None or text is None:
            return False
        first_line = text.partition("\n")[0]
        if not first_line.startswith("#!") or any(shell in first_line for shell in _SHELLS):
            outer_folder = self.folder
            self.run_script(text, script_path, words[1:], name=words[0], is_sourced=is_sourced)
            self.folder = outer_folder
        return True

    def _note_unfollowed(self, name: str, line: int) -> None:
        if re.search(r"install|require|dep|build|setup|bootstrap", posixpath.basename(name)):
            self.limits.append(f"{self.path}:{line} runs {name}, which is not in the repository")

    def _run_tasks(self, name: str, words: Sequence[str], line: int) -> None:
        """Walk through the commands of the targets of a Makefile, or of the tasks of just, Task or Invoke."""
        runner = TASK_RUNNERS[name]
        call = runner.read_call(words)
        if call.only_asks:
            return
        folder = resolve_path(call.folder, self.folder)
        outer_folders = (f"/{path}" for path in with_outer_folders(folder.lstrip("/") or "."))
        searched = outer_folders if runner.searches_outer_folders else [folder]
        names = (call.file,) if call.file else runner.names
        places = (resolve_path(each, folder) for folder in searched for each in names)
        place = next((each for each in places if self.files.find(each) is not None), "")
        task_file = self.files.find(place) if place else None
        text = self.files.tree.read_or_none(task_file) if task_file else None
        if task_file is None or text is None or self.depth >= DEPTH_LIMIT:
            if runner.is_certain or task_file:
                self.limits.append(f"{self.path}:{line} runs {name}, whose {runner.names[-1]} is not followed")
            return
        parsed = runner.read(text)
        folder = posixpath.dirname(place) if runner.runs_beside_file else folder
        outer = (self.path, self.folder, self.variables)
        self.depth += 1
        for target, values in parsed.called(call.targets or [parsed.default]):
            for number, command in parsed.commands_of(target, {**call.variables, **values}):
                self.path, self.folder, self.variables = task_file, folder, {**outer[2], **values}
                self.run(command, number)
        self.depth -= 1
        self.path, self.folder, self.variables = outer

    def _follow_python(self, words: Sequence[str]) -> None:
        """Walk through the commands with which a Python script of the repository installs when it is run."""
        script = next((word for word in words[1:] if not word.startswith("-")), "")
        path = self.files.find(resolve_path(script, self.folder)) if script.endswith(".py") else None
        text = self.files.tree.read_or_none(path) if path and script != "setup.py" else None
        if path is None or text is None or self.depth >= DEPTH_LIMIT:
            return
        outer = self.path, self.folder
        self.depth += 1
        for number, command in read_script_commands(text):
            self.path = path
            self.run(command, number)
            self.folder = outer[1]
        self.depth -= 1
        self.path, self.folder = outer

    def _install_or_run(self, words: list[str], line: int, command: ShellCommand) -> bool | None:
        location = Location(path=self.path, line=line)
        configured = read_pip_setting(words)
        if configured is not None:
            self.settings[configured[0]] = configured[1]
            self.variables.setdefault(*configured)  # variables take precedence over the file of settings
            return True
        commands = self.flow.commands_of(words, command, self.folder, self._expand)
        if commands != [words]:
            alone = replace(command, input=(), operator="")  # their input is in their words now
            for each in commands:
                self._run_words(each, line, alone)
            return True
        self._note_installer(words, location)
        output = "".join(self._expand((command.output,))[:1]) if command.output else ""
        inline = self._inline_requirements(words)
        read = read_install_command(words if inline is None else ["pip", "install", *inline])
        if inline is not None and not (inline and self.is_start):
            return True  # it has an environment of its own
        if read is not None and self._install(read, words, location, output).generates:
            return True
        if read is None and words[0].rpartition("/")[2].startswith("python"):
            self._follow_python(words)
        elif read is None:
            self._change_files(words, command, location, output)
        started = started_program(words)
        if started != list(words) and started:
            return self._run_words(started, line, command)
        self.runs.append(
            CommandRun(
                words=tuple(words),
                folder=self.files.find(self.folder),
                location=location,
                conditional=self.conditional,
                environment=tuple(self.exported.items()),
                counts=self.is_plain and not self.may_be_skipped,
            )
        )
        name = words[0].rpartition("/")[2]
        return None if name in _UNCERTAIN_COMMANDS or (name.startswith("python") and "-c" in words) else True

    def _inline_requirements(self, words: Sequence[str]) -> tuple[str, ...] | None:
        """Return what ``uv run FILE`` installs for a script with its own requirements; ``None`` for another command."""
        name = words[0].rpartition("/")[2]
        script = started_program(words)[:1] if name == "uv" else list(words[2:3]) if name == "pipx" else []
        path = self.files.find(resolve_path(script[0], self.folder)) if script and script[0].endswith(".py") else None
        found = inline_requirements(self.files.tree.read_or_none(path) or "") if path and "run" in words else None
        with_more = [more for option, more in pairwise(words) if option == "--with"]
        return None if found is None else (*found, *with_more)

    def _expand(self, words: tuple[ShellWord, ...]) -> tuple[str, ...]:
        return expand_paths(words, self.variables, self.folder, self.script)

    def _note_installer(self, words: Sequence[str], location: Location) -> None:
        """Record a tool that installs, with its version: nothing is known of what it installs, but it has to run."""
        installer = self._separate_installer(words)
        tool = words[0].rpartition("/")[2] if not installer else "installer"
        if tool in ("installer", "virtualenv"):
            installers = (installer,) if installer else ()
            step = InstallStep(tool=tool, location=location, installers=installers, conditional=self.conditional)
            self.steps.append(step)

    def _install(self, read: InstallCommand, words: Sequence[str], location: Location, output: str) -> InstallCommand:
        """Record what a command installs, or what it generates instead; return the command."""
        if output and not read.output:
            read = replace(read, output=output)
        if read.generates and read.tool == "setup.py" and self._installs_setuptools():
            read = replace(read, tool="pip")  # the wheel may be copied to where setuptools is not
        made = make_step(
            read, location, self.files, self.folder, self.variables, program=words[0], conditional=self.conditional
        )
        if read.generates:
            self.files.add_generated(resolve_path(read.output or STANDARD_INPUT, self.folder), made.step)
            return read
        is_kept = made.step.is_for_python or made.step.system_packages or made.step.installers
        kept = (*made.generated, *([made.step] if is_kept else []))
        self.steps += [step for step in kept if step not in self.steps]
        return read

    def _change_files(self, words: Sequence[str], command: ShellCommand, location: Location, output: str) -> None:
        """Record the requirements that a command writes into a file, and the files that it copies.

        Under a condition, what is there already stays.
        """
        name = words[0].rpartition("/")[2]
        arguments = [word for word in words[1:] if not word.startswith("-")]
        if name in ("cp", "mv", "ln") and len(arguments) > 1 and UNKNOWN not in "".join(arguments):
            self._copy(arguments[:-1], arguments[-1])
        output = output or (arguments[0] if name == "tee" and arguments else "")
        if not output or UNKNOWN in output:
            return
        path = resolve_path(output, self.folder)
        is_there = self.files.find(path) is not None
        written = written_requirements(words, command, output, self.flow) if not (is_there and self.conditional) else []
        appends = command.appends or (name == "tee" and "-a" in words) or self.conditional
        if appends and written and is_there:
            written, appends = ["-r", path, *written], False
        read = read_install_command(["pip", "install", *written]) if written else None
        if read is not None:
            made = make_step(read, location, self.files, self.folder, {}, conditional=self.conditional)
            steps = (*made.generated, made.step)
            for step in steps:
                self.files.add_generated(path, step, appends=appends or step is not steps[0])

    def _copy(self, sources: Sequence[str], target: str) -> None:
        destination = resolve_path(target, self.folder)
        found = self.files.find(destination)
        is_folder = target.endswith(("/", "/.")) or len(sources) > 1 or destination in LINUX_FOLDERS
        is_folder = is_folder or (found is not None and self.files.tree.is_folder(found))
        if self.conditional and found is not None and not is_folder:
            return
        paths = (path for source in sources for path in self.files.expand(resolve_path(source, self.folder)))
        for path in islice(paths, COPY_LIMIT):
            self.files.copy_from(self.files, path, destination, into_folder=is_folder)

    def _separate_installer(self, words: Sequence[str]) -> str:
        """Return the requirement of a Poetry or Pipenv that this command puts into an environment of its own."""
        name = words[0].rpartition("/")[2]
        if name in ("curl", "wget"):
            self.downloads += [word for word in words if "://" in word]
        elif name == "pipx" and words[1:2] == ["install"] and "--python" not in words:
            return next((word for word in words[2:] if is_judged_installer(word)), "")
        elif name.startswith("python") and len(words) > 1:
            script = next(reversed(self.downloads), "") if words[1] == "-" else words[1]
            options = dict(pairwise(words))
            version = options.get("--version", self.variables.get("POETRY_VERSION", ""))
            if _POETRY_SCRIPT.search(script) and version and UNKNOWN not in version:
                return f"poetry=={version}"
        return ""

    def _installs_setuptools(self) -> bool:
        """Return whether an earlier step installs setuptools, by its name or by a file that has it."""
        steps = (*self.earlier, *self.steps)
        texts = (self.files.tree.read_or_none(file) or "" for step in steps for file in step.files)
        return (
            any(project_name(word) == "setuptools" for step in steps for word in step.arguments)
            or any("setuptools" in package for step in steps for package in step.system_packages)
            or any(_SETUPTOOLS_LINE.search(text) for text in texts)
        )


def _without_keyword(command: ShellCommand, keyword: str) -> ShellCommand:
    first = "".join(part.text for part in command.words[0]) if command.words else ""
    return replace(command, words=command.words[1:], operator=";") if first == keyword else command


def _is_same_program(path: str, other: str) -> bool:
    """Return whether two paths name one program that installs or runs Python: ``poetry``, ``/opt/bin/poetry``."""
    name = path.rpartition("/")[2]
    return _PROGRAM.fullmatch(name) is not None and name == other.rpartition("/")[2]
