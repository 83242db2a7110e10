"""Read the tasks of just, Task and Invoke, and the commands that a Python script runs. Never raises, runs nothing."""

import ast
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from pytest_py312.repository.formats.commands.makefile import MakefileText, MakeTarget, read_makefile
from pytest_py312.repository.formats.setuptools import last_name, parse_module, text_of
from pytest_py312.repository.formats.toml import read_toml, strings_in
from pytest_py312.repository.formats.yaml import (
    YamlMapping,
    YamlScalar,
    child_of,
    first_document,
    items_of,
    line_of_scalar,
    pairs_of,
    scalar_text,
)

LINE_LIMIT = 10_000
CALL_LIMIT = 500
"""Maximum number of calls that are read from one Python file."""

_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`")
_JUST_RECIPE = re.compile(r"@?(?P<name>[A-Za-z_][\w-]*)(?P<parameters>[^:\n]*?):(?!=)(?P<needs>.*)", re.ASCII)
_JUST_PARAMETER = re.compile(r"[$*+]*(?P<name>[A-Za-z_][\w-]*)(?:=(?P<value>\S*))?", re.ASCII)
_JUST_NEED = re.compile(r"\(\s*(?P<called>[A-Za-z_][\w-]*)[^()]*\)|(?P<name>[A-Za-z_][\w-]*)", re.ASCII)
_JUST_VARIABLE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][\w-]*)\s*:=\s*[\"'](?P<value>[^\"']*)[\"']\s*", re.ASCII)
_JUST_ALIAS = re.compile(r"alias\s+(?P<name>[\w-]+)\s*:=\s*(?P<target>[\w-]+)\s*", re.ASCII)
_REFERENCE = re.compile(r"\{\{\s*\.?(?P<name>[A-Za-z_]\w{0,99})(?!\w)[^{}\n]{0,200}\}\}", re.ASCII)
_RUNNING_CALLS = frozenset({"run", "call", "check_call", "check_output", "Popen", "system", "popen", "sudo"})
_INSTALLS = re.compile(r"\bpip3?\b|\buv\b|\bpoetry\b|\bpipenv\b|\bpdm\b|\beasy_install\b")


def read_justfile(text: str) -> MakefileText:
    """Read the recipes of a justfile; https://just.systems/man/en/"""
    variables: dict[str, str] = {}
    aliases: dict[str, str] = {}
    bodies: dict[str, list[tuple[int, str]]] = {}
    targets: dict[str, MakeTarget] = {}
    body: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines()[:LINE_LIMIT], start=1):
        if line[:1].isspace() or not line.strip():
            body.append((number, line.strip()))
        elif variable := _JUST_VARIABLE.fullmatch(line.strip()):
            variables[variable["name"]] = variable["value"]
            body = []
        elif alias := _JUST_ALIAS.fullmatch(line.strip()):
            aliases[alias["name"]] = alias["target"]
            body = []
        elif not line.startswith("#") and (target := _just_recipe(line)) is not None:
            body = bodies.setdefault(target.name, [])
            targets.setdefault(target.name, target)
    targets = {
        name: replace(target, commands=tuple(_just_commands(bodies[name], variables)))
        for name, target in targets.items()
    }
    named = {name: targets[target] for name, target in aliases.items() if target in targets}
    return MakefileText(targets={**named, **targets}, default=next(iter(targets), ""), is_make=False)


def _just_recipe(line: str) -> MakeTarget | None:
    """Return the recipe that a line begins, without its commands; ``None`` if it begins none."""
    quoted = _QUOTED.findall(line)
    header = _QUOTED.sub("\0", line)
    match = _JUST_RECIPE.fullmatch(header)
    if match is None:
        return None
    values = iter(quoted)
    parameters = []
    for word in match["parameters"].split():
        value = next(values, "").strip("'\"`") if "\0" in word else ""
        parameter = _JUST_PARAMETER.fullmatch(word.replace("\0", ""))
        if parameter is None:
            return None
        parameters.append((parameter["name"], parameter["value"] or value))
    needs = (need["called"] or need["name"] for need in _JUST_NEED.finditer(match["needs"].partition("#")[0]))
    return MakeTarget(name=match["name"], needs=tuple(needs), parameters=tuple(parameters))


def _just_commands(body: Sequence[tuple[int, str]], variables: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield the lines of a recipe; one that begins with ``#!`` is a single script."""
    lines = [(number, _expanded(line, variables)) for number, line in body if line]
    if lines and lines[0][1].startswith("#!"):
        if "sh" in lines[0][1]:
            yield lines[0][0], "\n".join(line for _, line in lines)
        return
    pending, first = "", 0
    for number, line in lines:
        first = first if pending else number
        pending += line.removesuffix("\\")
        if not line.endswith("\\"):
            yield first, pending.lstrip("@-").strip()
            pending = ""


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``{{ name }}``; a name without a value becomes a variable of the shell."""
    return _REFERENCE.sub(lambda match: variables.get(match["name"], f"${{{match['name']}}}"), text)


def read_taskfile(text: str) -> MakefileText:
    """Read the tasks of a Taskfile.yml; https://taskfile.dev/reference/schema"""
    root = first_document(text)
    variables = {scalar_text(key): scalar_text(value) for key, value in pairs_of(child_of(root, "vars"))}
    variables = {name: value for name, value in variables.items() if value}
    targets = {}
    for key, node in pairs_of(child_of(root, "tasks")):
        name, folder = scalar_text(key), _expanded(scalar_text(child_of(node, "dir")), variables)
        body = (child_of(node, "cmds") or child_of(node, "cmd")) if isinstance(node, YamlMapping) else node
        commands = []
        for item in items_of(body) or ([body] if body is not None else []):
            is_scalar = isinstance(item, YamlScalar)
            scalar = item if is_scalar else child_of(item, "cmd") or child_of(item, "task")
            if isinstance(scalar, YamlScalar):
                command = f"task {scalar.value}" if scalar is child_of(item, "task") else scalar.value
                prefix = f"cd {shlex.quote(folder)} && " if folder else ""
                commands.append((line_of_scalar(text, scalar), prefix + _expanded(command, variables)))
        needed = (scalar_text(item) or scalar_text(child_of(item, "task")) for item in items_of(child_of(node, "deps")))
        targets[name] = MakeTarget(name=name, needs=tuple(filter(None, needed)), commands=tuple(commands))
    return MakefileText(targets=targets, default="default", is_make=False)


def read_invoke_tasks(text: str) -> MakefileText:
    """Read the tasks of a tasks.py; https://docs.pyinvoke.org/en/stable/concepts/invoking-tasks.html"""
    module = parse_module(text)
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)] if module else []
    targets = {}
    for function in functions:
        decorators = [each for each in function.decorator_list if isinstance(each, ast.Call)]
        listed = [*(word.value for each in decorators for word in each.keywords if word.arg == "pre"),
                  *(argument for each in decorators for argument in each.args)]  # fmt: skip
        nodes = [node for value in listed for node in (value.elts if isinstance(value, ast.List) else [value])]
        needs = tuple(_task_name(last_name(node)) for node in nodes if last_name(node))
        name = _task_name(function.name)
        targets[name] = MakeTarget(name=name, needs=needs, commands=tuple(_commands_in(function)))
    return MakefileText(targets=targets, is_make=False)


def _task_name(function: str) -> str:
    return function.replace("_", "-")


def read_script_commands(text: str) -> tuple[tuple[int, str], ...]:
    """Return the commands with which a Python script installs, as (line, shell text), in the order of their lines.

    Only those that run with the script count: not in functions that nothing calls, and none with a computed part.
    """
    module = parse_module(text) if _INSTALLS.search(text) else None
    if module is None:
        return ()
    functions = {node.name: node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)}
    pending: list[ast.AST] = [node for node in module.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    seen: set[str] = set()
    commands: list[tuple[int, str]] = []
    while pending:
        node = pending.pop()
        commands += _commands_in(node)
        called = {last_name(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)} & functions.keys()
        pending += [functions[name] for name in called - seen]
        seen |= called
    return tuple(
        (line, command) for line, command in sorted(commands) if _INSTALLS.search(command) and "${" not in command
    )


def inline_requirements(text: str) -> tuple[str, ...] | None:
    """Return the ``dependencies`` in the ``# /// script`` block of a Python file; ``None`` if it has no such block.

    https://packaging.python.org/en/latest/specifications/inline-script-metadata/
    """
    lines = text.splitlines()
    if "# /// script" not in lines:
        return None
    start = lines.index("# /// script") + 1
    block = list(takewhile(lambda line: line.startswith("#"), lines[start : start + LINE_LIMIT]))
    end = max((number for number, line in enumerate(block) if line.rstrip() == "# ///"), default=-1)
    if end < 0:
        return None
    content = "\n".join(line.removeprefix("#").removeprefix(" ") for line in block[:end])
    return tuple(strings_in(read_toml(content).value("dependencies")))


def _commands_in(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the commands that calls such as ``subprocess.run`` and ``os.system`` start."""
    calls = [call for call in ast.walk(node) if isinstance(call, ast.Call) and call.args]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset))[:CALL_LIMIT]:
        if last_name(call.func) in _RUNNING_CALLS:
            command = _command_text(call.args[0])
            folder = next((text_of(word.value) for word in call.keywords if word.arg == "cwd"), None)
            if command:
                yield call.lineno, f"cd {shlex.quote(folder)} && {command}" if folder else command


def _command_text(node: ast.expr) -> str:
    """Return a command as shell text; what is computed becomes a variable without a value."""
    if isinstance(node, ast.List | ast.Tuple):
        words = (text_of(word) for word in node.elts)
        quoted = [
            shlex.quote(text) if text is not None else _computed_word(word)
            for word, text in zip(node.elts, words, strict=True)
        ]
        return " ".join(quoted)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else _computed_word(getattr(part, "value", part))
            for part in node.values
        )
    return text_of(node) or ""


def _computed_word(node: ast.expr) -> str:
    name = last_name(node) or "computed"
    return "python" if name == "executable" else f"${{{name}}}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskCall:
    """A command that runs tasks: the file and the folder that its options name, empty for the usual ones.

    ``only_asks``: it shows something and runs none.
    """

    file: str = ""
    folder: str = ""
    targets: tuple[str, ...] = ()
    variables: Mapping[str, str]
    only_asks: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRunner:
    """A program that runs the commands of named tasks.

    ``names`` are the files that it looks for, ``read`` is their reader. ``is_certain``: no other program has its name.
    """

    names: tuple[str, ...]
    read: Callable[[str], MakefileText]
    file_options: tuple[str, ...]
    folder_options: tuple[str, ...]
    questions: frozenset[str]
    searches_outer_folders: bool = True
    runs_beside_file: bool = False
    is_certain: bool = False

    def read_call(self, words: Sequence[str]) -> TaskCall:
        """Read the arguments of a command."""
        file, folder = "", ""
        targets: list[str] = []
        variables: dict[str, str] = {}
        remaining = list(words)
        while remaining:
            word = remaining.pop(0)
            name, equals, value = word.partition("=")
            if word in self.file_options and remaining:
                file = remaining.pop(0)
            elif word in self.folder_options and remaining:
                folder = remaining.pop(0)
            elif word in ("-j", "-O") and remaining[:1] and remaining[0].isdigit():
                remaining.pop(0)
            elif equals and name.isidentifier():
                variables[name] = value
            elif not word.startswith("-"):
                targets.append(word)
        only_asks = not self.questions.isdisjoint(words)
        return TaskCall(file=file, folder=folder, targets=tuple(targets), variables=variables, only_asks=only_asks)


_HELP = frozenset({"--help", "-h", "--version", "--list", "-l", "--dry-run", "--dry"})
_INVOKE = TaskRunner(
    names=("tasks.py",), read=read_invoke_tasks, file_options=("-c", "--collection"),
    folder_options=("-r", "--search-root"), questions=_HELP | {"-R", "-V"},
)  # fmt: skip
TASK_RUNNERS: Mapping[str, TaskRunner] = {
    "make": TaskRunner(
        names=("GNUmakefile", "makefile", "Makefile"), read=read_makefile, file_options=("-f", "--file"),
        folder_options=("-C", "--directory"), questions=_HELP - {"-l"} | {"-n", "-v"}, searches_outer_folders=False,
        is_certain=True,
    ),
    "just": TaskRunner(
        names=("justfile", "Justfile", ".justfile"), read=read_justfile, file_options=("-f", "--justfile"),
        folder_options=("-d", "--working-directory"), runs_beside_file=True, is_certain=True,
        questions=_HELP | {"--show", "-s", "--summary", "--dump", "--evaluate", "-n", "--choose", "--fmt", "-V"},
    ),
    "task": TaskRunner(
        names=("Taskfile.yml", "taskfile.yml", "Taskfile.yaml", "taskfile.yaml", "Taskfile.dist.yml"),
        read=read_taskfile, file_options=("-t", "--taskfile"), folder_options=("-d", "--dir"), runs_beside_file=True,
        questions=_HELP | {"--list-all", "-a", "--summary", "-n", "--status"},
    ),
    "invoke": _INVOKE,
    "inv": _INVOKE,
}  # fmt: skip
"""By the names of the programs."""
