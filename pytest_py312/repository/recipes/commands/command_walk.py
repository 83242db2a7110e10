"""Follow the commands of a script, also of other scripts and Makefiles, to what they install. Nothing is executed.

Conditions, loops and functions are followed by :mod:`shell_walk`.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import InstallStep
from pytest_py312.repository.formats.commands.install_commands import read_install_command, read_pip_setting
from pytest_py312.repository.formats.commands.install_options import InstallCommand
from pytest_py312.repository.formats.commands.makefile import MakefileText, included_files, read_makefile
from pytest_py312.repository.formats.commands.shell import UNKNOWN, ShellCommand, read_shell
from pytest_py312.repository.formats.commands.shell_functions import started_program
from pytest_py312.repository.formats.commands.task_files import (
    TASK_RUNNERS,
    inline_requirements,
    read_script_commands,
)
from pytest_py312.repository.formats.requirements_file import project_name
from pytest_py312.repository.recipes.commands.code_generation import ProtocRun, read_protoc_run
from pytest_py312.repository.recipes.commands.file_map import LINUX_FOLDERS, resolve_path
from pytest_py312.repository.recipes.commands.install_steps import is_judged_installer, make_step
from pytest_py312.repository.recipes.commands.shell_walk import COMMAND_LIMIT, DEPTH_LIMIT, ShellWalk
from pytest_py312.repository.recipes.commands.text_flow import STANDARD_INPUT, TextFlow, written_requirements
from pytest_py312.repository.tree import with_outer_folders

STEP_LIMIT = 200
COPY_LIMIT = 100
"""Maximum number of files that one command copies."""

_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh"})
_UNCERTAIN_COMMANDS = frozenset({"command", "which", "type", "hash", "grep", "egrep", "diff", "cmp", "id", "getent"})

_FOLDER_CALL = re.compile(r"\$\(\s*pwd\s*\)")
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}", re.ASCII)
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
class CommandWalk(ShellWalk):
    """Collects the steps that install, and what else is run, with the scripts and Makefiles of the repository."""

    earlier: Sequence[InstallStep] = ()
    """Steps of the same environment before these commands, such as those of earlier instructions of a Dockerfile."""
    steps: list[InstallStep] = field(default_factory=list)
    runs: list[CommandRun] = field(default_factory=list)
    generators: list[ProtocRun] = field(default_factory=list)
    """The commands that write modules."""
    settings: dict[str, str] = field(default_factory=dict)
    """What ``pip config set`` writes for later commands, under the names of variables."""
    downloads: list[str] = field(default_factory=list)
    """Addresses that commands have fetched."""
    started_tasks: set[tuple[str, str, str]] = field(default_factory=set)
    """File, folder and name of the tasks that are being walked through: one that starts itself never ends."""
    is_start: bool = False
    """Whether the commands start the service, and do not only prepare its image or its tests."""
    may_be_skipped: bool = False
    """Whether the step that is walked through has a condition, or may fail."""
    flow: TextFlow = field(init=False)

    def __post_init__(self) -> None:
        self.flow = TextFlow(self.files)

    @property
    def is_over_limit(self) -> bool:
        """Whether there were too many commands or steps to follow the rest."""
        return self.count > COMMAND_LIMIT or len(self.steps) > STEP_LIMIT

    def run_program(self, words: list[str], line: int, command: ShellCommand, offset: int) -> bool | None:
        """Walk through what a command runs, or record what it installs; see :meth:`ShellWalk.run_program`."""
        name = words[0].rpartition("/")[2]
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

    # ---- scripts, Makefiles and other files of commands

    def _run_shell(self, words: list[str], name: str, line: int, command: ShellCommand, offset: int) -> bool:
        if name in _SHELLS and self._run_nested(words, "c", line):
            return True
        arguments = [word for word in words[1:] if not word.startswith("-")]
        if arguments and not self._follow_script(arguments, is_sourced=name in (".", "source")):
            self._note_unfollowed(arguments[0], line)
        elif not arguments and command.here_document:
            self.run_commands(read_shell(command.here_document), command.here_document_line - 1 + offset)
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
        if parsed.is_make and call.targets and parsed.targets.keys().isdisjoint(call.targets):
            included = self._included_makefile(included_files(text), parsed, folder, call.targets)
            task_file, parsed = included or (task_file, parsed)
        outer = (self.path, self.folder, self.variables, self.exported)
        self.depth += 1
        for target, values in parsed.called(call.targets or [parsed.default]):
            if (started := (task_file, folder, target)) in self.started_tasks:
                continue
            self.started_tasks.add(started)
            variables = {**call.variables, **values}
            exported = {**outer[3], **self._exported_by(parsed, parsed.environment_of(target, variables), folder)}
            for number, command in parsed.commands_of(target, variables):
                if self.is_over_limit:
                    break
                self.path, self.folder, self.exported = task_file, folder, exported
                self.variables = {**outer[2], **values, **exported, "CURDIR": folder}
                self.run(command, number)
            self.started_tasks.discard(started)
        self.depth -= 1
        self.path, self.folder, self.variables, self.exported = outer

    def _included_makefile(
        self, names: Sequence[str], including: MakefileText, folder: str, targets: Sequence[str]
    ) -> tuple[str, MakefileText] | None:
        """Return the first of the files that a Makefile includes that has a target, with the variables of both."""
        for name in names:
            path = self.files.find(resolve_path(name, folder))
            included = read_makefile(self.files.tree.read_or_none(path) or "") if path else None
            if path and included is not None and not included.targets.keys().isdisjoint(targets):
                return path, replace(included, variables={**included.variables, **including.variables})
        return None

    def _exported_by(self, parsed: MakefileText, environment: Mapping[str, str], folder: str) -> dict[str, str]:
        """Return the variables that make exports, without those of which a part is not known.

        The environment comes before what a Makefile sets by ``?=``.
        """
        values = {**self.exported, "CURDIR": folder, "PWD": folder, "HOME": self.variables.get("HOME", "")}
        exported = {}
        for name, value in environment.items():
            text = _FOLDER_CALL.sub(lambda _: folder, value)
            text = _VARIABLE.sub(lambda match: values.get(match[1], match[0]), text)
            if not (name in parsed.defaults and name in self.exported) and "$" not in text and "`" not in text:
                exported[name] = text
        return exported

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
        commands = self.flow.commands_of(words, command, self.folder, self.expand)
        if commands != [words]:
            alone = replace(command, input=(), operator="")  # their input is in their words now
            for each in commands:
                self.run_words(each, line, alone)
            return True
        self._note_installer(words, location)
        output = "".join(self.expand((command.output,))[:1]) if command.output else ""
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
            return self.run_words(started, line, command)
        generator = read_protoc_run(words, self.folder, self.files, location)
        if generator is not None:
            self.generators.append(generator)
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
        builds_in_place = read.tool == "setup.py"
        is_kept = made.step.is_for_python or made.step.system_packages or made.step.installers or builds_in_place
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
