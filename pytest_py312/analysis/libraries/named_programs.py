"""Find the programs that the source of a service starts: ``["gsutil", "-q"]``, ``subprocess.run("celery worker")``.

Only what is certainly a command is read: the first argument of a function that starts processes, and lists that look
like one (an option among its items, or a variable named after a command). Whether such a program exists is for the
installed distributions to tell.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from pytest_py312.analysis.files.file_kinds import is_runtime_file
from pytest_py312.core.model.fleet import Program
from pytest_py312.core.python_syntax import parse_python
from pytest_py312.core.text import split_words

_MODULES_THAT_START = frozenset(("asyncio", "commands", "os", "pexpect", "subprocess"))
_FUNCTIONS_THAT_START = frozenset(
    {"Popen", "call", "check_call", "check_output", "create_subprocess_exec", "create_subprocess_shell", "execlp",
     "execlpe", "execvp", "execvpe", "getoutput", "getstatusoutput", "popen", "run", "spawn", "spawnlp", "spawnlpe",
     "spawnvp", "spawnvpe", "system"}
)  # fmt: skip
_WITH_MODE = frozenset(("spawnlp", "spawnlpe", "spawnvp", "spawnvpe"))
"""Their first argument is no program."""
_COMMAND_NAME = re.compile(r"(^|_)(args|argv|cmd|cmds|command|commands)($|_)", re.IGNORECASE)
_PROGRAM = re.compile(r"[A-Za-z0-9][\w.-]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_PYTHON = re.compile(r"python[\d.]*")
_WRAPPERS = frozenset(("env", "exec", "nice", "nohup", "sudo", "time"))
_MAX_COMMAND = 10_000
"""Characters of a command string that are read."""
UNKNOWN = "\0"
"""Stands for an item or a part of a string that is computed."""


def programs_started_by(contents: Mapping[str, bytes], service: str) -> tuple[Program, ...]:
    """Return the programs that the run-time files of a service start, in order and without duplicates.

    :param contents: the content of each Python file of the service by path.
    """
    programs: dict[Program, None] = {}
    for path, content in sorted(contents.items()):
        if is_runtime_file(path, service) and _may_start_programs(content):
            tree = parse_python(content)
            programs |= dict.fromkeys(_programs(tree) if tree is not None else ())
    return tuple(programs)


def _may_start_programs(content: bytes) -> bool:
    return any(module.encode() in content for module in _MODULES_THAT_START)


def _programs(tree: ast.Module) -> Iterator[Program]:
    starting = _StartingNames(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = starting.function(node.func)
            arguments = node.args[1:] if name in _WITH_MODE else node.args
            if name and arguments:
                yield from _programs_of_call(arguments)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.List | ast.BinOp):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_COMMAND_NAME.search(_last_name(target)) for target in targets):
                yield from _programs_of_items(_items(node.value))
        elif isinstance(node, ast.List):
            items = _items(node)
            if any(item.startswith("-") for item in items[1:]):
                yield from _programs_of_items(items)


class _StartingNames:
    """The names in a file that refer to functions which start processes."""

    def __init__(self, tree: ast.Module) -> None:
        self._modules: dict[str, str] = {}
        self._functions: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._modules |= {
                    alias.asname or alias.name: alias.name for alias in node.names if alias.name in _MODULES_THAT_START
                }
            elif isinstance(node, ast.ImportFrom) and node.module in _MODULES_THAT_START and not node.level:
                self._functions |= {
                    alias.asname or alias.name: alias.name
                    for alias in node.names
                    if alias.name in _FUNCTIONS_THAT_START
                }

    def function(self, node: ast.expr) -> str:
        """Return the name of the starting function that ``node`` refers to; empty if it is another."""
        if isinstance(node, ast.Name):
            return self._functions.get(node.id, "")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            known = node.value.id in self._modules and node.attr in _FUNCTIONS_THAT_START
            return node.attr if known else ""
        return ""


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _programs_of_call(arguments: Sequence[ast.expr]) -> Iterator[Program]:
    first = arguments[0]
    if isinstance(first, ast.List | ast.Tuple | ast.BinOp) and (items := _items(first)):
        yield from _programs_of_items(items)
        return
    text = _text(first)
    if len(arguments) > 1 and text and " " not in text:  # create_subprocess_exec("celery", "worker")
        yield from _programs_of_items([_text(argument) or UNKNOWN for argument in arguments])
    elif text:
        yield from _programs_of_command(text)


def _items(node: ast.expr) -> list[str]:
    """Return the items of an argument list, also of a sum that begins with one; computed ones are unknown."""
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        node = node.left
    return [_text(item) or UNKNOWN for item in node.elts] if isinstance(node, ast.List | ast.Tuple) else []


def _text(node: ast.expr) -> str:
    """Return a string, in which computed parts are unknown; empty if it is none. ``sys.executable`` is Python."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or UNKNOWN for part in node.values)
    if isinstance(node, ast.Attribute) and node.attr == "executable" and _last_name(node.value) == "sys":
        return "python"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        left = _text(node.left)
        return left and left + (UNKNOWN if isinstance(node.op, ast.Add) else "")
    is_format = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format"
    return _text(node.func.value) if is_format else ""  # type: ignore[attr-defined]  # checked by is_format


def _programs_of_command(text: str) -> Iterator[Program]:
    """Yield the programs of a command string, one for each part between ``&&``, ``|`` and ``;``."""
    for part in re.split(r"&&|\|\||[|;\n]", text[:_MAX_COMMAND]):
        yield from _programs_of_items(split_words(part))


def _programs_of_items(items: Sequence[str]) -> Iterator[Program]:
    words = list(items)
    while words and (words[0] in _WRAPPERS or _ASSIGNMENT.match(words[0])):
        del words[0]
    if not words:
        return
    name = words[0].rpartition("/")[2]
    if _PYTHON.fullmatch(name):
        if words[1:2] == ["-m"] and len(words) > 2 and _PROGRAM.fullmatch(words[2]):
            yield Program(name=words[2], is_module=True)
    elif _PROGRAM.fullmatch(name):
        yield Program(name=name)
