"""Follow sessions of nox: what they install and run. The file is parsed, never imported.

https://nox.thea.codes/en/stable/config.html
"""

import ast
from collections.abc import Iterator, Mapping, Sequence

from pytest_py312.repository.formats.commands.shell import UNKNOWN
from pytest_py312.repository.formats.setuptools import constant_assignments, parse_module
from pytest_py312.repository.recipes.command_walk import CommandWalk
from pytest_py312.repository.recipes.file_map import resolve_path

CALL_LIMIT = 500
"""Maximum number of calls of one session."""

_RUNS = frozenset({"run", "run_always", "run_install"})


def walk_nox(text: str, path: str, names: Sequence[str], walk: CommandWalk) -> None:
    """Follow the sessions ``names`` of a noxfile; all of them, if there are none."""
    module = parse_module(text)
    if module is None:
        walk.limits.append(f"{path} cannot be parsed")
        return
    constants = constant_assignments(module)
    folder = resolve_path(path.rpartition("/")[0] or ".", "/repository")
    for name, function in _sessions(module):
        if not names or name in names or any(wanted.partition("-")[0] == name for wanted in names):
            outer = (walk.path, walk.folder)
            walk.path, walk.folder = path, folder
            _walk_session(function, constants, walk)
            walk.path, walk.folder = outer


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


def _walk_session(function: ast.FunctionDef, constants: Mapping[str, ast.expr], walk: CommandWalk) -> None:
    if not function.args.args:
        return
    session = function.args.args[0].arg
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    calls.sort(key=lambda node: (node.lineno, node.col_offset))
    for call in calls[:CALL_LIMIT]:
        method = call.func
        if not (
            isinstance(method, ast.Attribute) and isinstance(method.value, ast.Name) and method.value.id == session
        ):
            continue
        words = [word for argument in call.args for word in _words(argument, constants)]
        if method.attr == "install":
            walk.run_argv(["pip", "install", *words], call.lineno)
        elif method.attr == "chdir" and words:
            walk.folder = resolve_path(words[0], walk.folder)
        elif method.attr in _RUNS and words:
            walk.run_argv(words, call.lineno)


def _words(node: ast.expr, constants: Mapping[str, ast.expr], depth: int = 5) -> Iterator[str]:
    """Yield the words of an argument; what code computes is unknown."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Starred):
        yield from _words(node.value, constants, depth)
    elif isinstance(node, (ast.List, ast.Tuple)) and depth:
        for element in node.elts:
            yield from _words(element, constants, depth - 1)
    elif isinstance(node, ast.Name) and node.id in constants and depth:
        yield from _words(constants[node.id], constants, depth - 1)
    elif isinstance(node, ast.Attribute) and node.attr == "posargs":
        return
    else:
        yield f"{UNKNOWN}{ast.unparse(node)[:80]}{UNKNOWN}"
