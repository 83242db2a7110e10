"""Follow sessions of nox: what they install and run. The file is parsed, never imported.

https://nox.thea.codes/en/stable/config.html
"""

import ast
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.repository.formats.commands.shell import UNKNOWN
from pytest_py312.repository.formats.setuptools import constant_assignments, parse_module
from pytest_py312.repository.recipes.command_walk import CommandWalk
from pytest_py312.repository.recipes.file_map import resolve_path

CALL_LIMIT = 500
"""Maximum number of calls that are followed in one file."""
CALL_DEPTH = 5
"""How deep functions that call each other are followed."""

_RUNS = frozenset({"run", "run_always", "run_install"})
_FOLDER_PARAMETER = re.compile(r"folder|dir|path|project|package|service|sample|app", re.IGNORECASE)
"""Names of parameters whose values code computes, such as all folders with tests: one is that of the service."""


def walk_nox(
    text: str, path: str, names: Sequence[str], walk: CommandWalk, service: str, choose: Callable[[Sequence[str]], str]
) -> None:
    """Follow the sessions ``names`` of a noxfile, and the functions that they call; all of them, if there are none.

    :param service: the folder of the service.
    :param choose: returns the one of the values of a parameter that is for the service.
    """
    module = parse_module(text)
    if module is None:
        walk.limits.append(f"{path} cannot be parsed")
        return
    folder = path.rpartition("/")[0] or "."
    file = _Noxfile(
        functions={node.name: node for node in module.body if isinstance(node, ast.FunctionDef)},
        constants=constant_assignments(module),
        service=posixpath.relpath(service, folder),
        choose=choose,
    )
    for name, function in _sessions(module):
        if not names or name in names or any(wanted.partition("-")[0] == name for wanted in names):
            outer = (walk.path, walk.folder)
            walk.path, walk.folder = path, resolve_path(folder, "/repository")
            file.follow(function, 0, dict(file.parameters(function)), walk)
            walk.path, walk.folder = outer


@dataclass(kw_only=True, slots=True)
class _Noxfile:
    """What is known of a noxfile. ``calls`` counts those of a walk."""

    functions: Mapping[str, ast.FunctionDef]
    constants: Mapping[str, ast.expr]
    service: str
    choose: Callable[[Sequence[str]], str]
    calls: int = 0

    def parameters(self, function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
        """Yield the parameters of a session and their values: ``@nox.parametrize("folder", ["a", "b"])``."""
        for decorator in function.decorator_list:
            if not isinstance(decorator, ast.Call) or len(decorator.args) < 2:
                continue
            name = decorator.args[0]
            if not ast.unparse(decorator.func).endswith("parametrize") or not isinstance(name, ast.Constant):
                continue
            words = list(self.words(decorator.args[1], {}))
            if words and not any(UNKNOWN in word for word in words):
                yield str(name.value), self.choose(words)
            elif _FOLDER_PARAMETER.search(str(name.value)):
                yield str(name.value), self.service

    def follow(
        self,
        function: ast.FunctionDef,
        position: int,
        values: Mapping[str, str],
        walk: CommandWalk,
        depth: int = CALL_DEPTH,
    ) -> None:
        """Follow what a function does with the session, which is its argument at ``position``.

        :param values: the values of its parameters that are known.
        """
        arguments = [argument.arg for argument in function.args.args]
        session = arguments[position] if position < len(arguments) else ""
        guards = dict(_guards(function))
        found = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        for call in sorted(found, key=lambda node: (node.lineno, node.col_offset)):
            self.calls += 1
            if not session or self.calls > CALL_LIMIT:
                return
            if any(walk.files.find(resolve_path(file, walk.folder)) is None for file in guards.get(call, ())):
                continue
            method = call.func
            passed = [argument.id if isinstance(argument, ast.Name) else "" for argument in call.args]
            if isinstance(method, ast.Name) and method.id in self.functions and session in passed and depth:
                called = self.functions[method.id]
                words = [next(self.words(argument, values), "") for argument in call.args]
                names = [argument.arg for argument in called.args.args]
                known = {name: word for name, word in zip(names, words, strict=False) if UNKNOWN not in word}
                self.follow(called, passed.index(session), known, walk, depth - 1)
            elif isinstance(method, ast.Attribute) and ast.unparse(method.value) == session:
                words = [word for argument in call.args for word in self.words(argument, values)]
                _run(method.attr, words, call.lineno, walk)

    def words(self, node: ast.expr, values: Mapping[str, str], depth: int = 5) -> Iterator[str]:
        """Yield the words of an argument; what code computes is unknown."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Starred):
            yield from self.words(node.value, values, depth)
        elif isinstance(node, (ast.List, ast.Tuple)) and depth:
            for element in node.elts:
                yield from self.words(element, values, depth - 1)
        elif isinstance(node, ast.Name) and node.id in values:
            yield values[node.id]
        elif isinstance(node, ast.Name) and node.id in self.constants and depth:
            yield from self.words(self.constants[node.id], values, depth - 1)
        elif isinstance(node, ast.Attribute) and node.attr == "posargs":
            return
        else:
            yield f"{UNKNOWN}{ast.unparse(node)[:80]}{UNKNOWN}"


def _run(method: str, words: Sequence[str], line: int, walk: CommandWalk) -> None:
    if method == "install":
        walk.run_argv(["pip", "install", *words], line)
    elif method == "chdir" and words:
        walk.folder = resolve_path(words[0], walk.folder)
    elif method in _RUNS and words:
        walk.run_argv(words, line)


def _guards(function: ast.FunctionDef) -> Iterator[tuple[ast.Call, list[str]]]:
    """Yield the calls that need files: ``if os.path.exists("requirements.txt"): session.install(...)``."""
    guards: dict[ast.Call, list[str]] = {}
    for node in ast.walk(function):
        test = node.test if isinstance(node, ast.If) else None
        if not isinstance(node, ast.If) or not isinstance(test, ast.Call) or len(test.args) != 1:
            continue
        file = test.args[0]
        if re.search(r"\bpath\.(exists|isfile|isdir)$", ast.unparse(test.func)) and isinstance(file, ast.Constant):
            for inner in (call for statement in node.body for call in ast.walk(statement)):
                if isinstance(inner, ast.Call):
                    guards.setdefault(inner, []).append(str(file.value))
    yield from guards.items()


def _sessions(module: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in module.body:
        for decorator in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(called) in ("nox.session", "session") and isinstance(node, ast.FunctionDef):
                keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
                given = next((keyword.value for keyword in keywords if keyword.arg == "name"), None)
                is_text = isinstance(given, ast.Constant) and isinstance(given.value, str)
                yield str(given.value) if is_text and isinstance(given, ast.Constant) else node.name, node
                break
