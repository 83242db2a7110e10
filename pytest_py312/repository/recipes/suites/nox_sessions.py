"""Follow sessions of nox: what they install and run. The file is parsed, never imported.

https://nox.thea.codes/en/stable/config.html
"""

import ast
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_py312.repository.formats.commands.shell import UNKNOWN
from pytest_py312.repository.formats.setuptools import constant_assignments, parse_module, text_of
from pytest_py312.repository.recipes.commands.command_walk import CommandWalk
from pytest_py312.repository.recipes.commands.file_map import resolve_path

CALL_LIMIT = 500
"""Maximum number of calls that are followed from one session."""
CALL_DEPTH = 5
"""How deep functions that call each other are followed."""

_OWN_PROJECT = re.compile(r"\.(?:\[(?P<extras>[^\]]*)\])?")
_RUNS = frozenset({"run", "run_always", "run_install"})
_FOLDER_PARAMETER = re.compile(
    r"(?:\w*_)?(?:folder|dir|directory|path|project|package|service|sample|app)", re.IGNORECASE | re.ASCII
)
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
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    constants, service = constant_assignments(module), posixpath.relpath(service, folder)
    for name, function, uses_poetry in _sessions(module):
        if not names or name in names or any(wanted.partition("-")[0] == name for wanted in names):
            outer = (walk.path, walk.folder)
            walk.path, walk.folder = path, resolve_path(folder, "/repository")
            session = _Session(
                functions=functions,
                constants=constants,
                service=service,
                choose=choose,
                uses_poetry=uses_poetry,
            )
            session.follow(function, 0, dict(session.parameters(function)), walk)
            walk.path, walk.folder = outer


@dataclass(kw_only=True, slots=True)
class _Session:
    """A session that is followed: what its file has, and what has been followed. ``calls`` counts its calls."""

    functions: Mapping[str, ast.FunctionDef]
    constants: Mapping[str, ast.expr]
    service: str
    choose: Callable[[Sequence[str]], str]
    uses_poetry: bool = False
    """Whether nox-poetry installs what sessions name, in the versions of Poetry's lock.

    https://nox-poetry.readthedocs.io/en/stable/
    """
    calls: int = 0
    followed: set[tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=set)
    """Functions that it has called, with what is known of their arguments."""

    def parameters(self, function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
        """Yield the parameters of a session and their values: ``@nox.parametrize("folder", ["a", "b"])``."""
        for decorator in function.decorator_list:
            if not isinstance(decorator, ast.Call) or len(decorator.args) < 2:
                continue
            name = decorator.args[0]
            if not _shown(decorator.func).endswith("parametrize") or not isinstance(name, ast.Constant):
                continue
            words = list(self.words(decorator.args[1], {}))
            if words and not any(UNKNOWN in word for word in words):
                yield str(name.value), self.choose(words)
            elif _FOLDER_PARAMETER.fullmatch(str(name.value)):
                yield str(name.value), f"./{self.service}"  # no name on an index, whatever it is used for

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
        if position >= len(arguments):
            return
        session, guards = arguments[position], _guards(function)
        found = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        for call in sorted(found, key=lambda node: (node.lineno, node.col_offset)):
            self.calls += 1
            if self.calls > CALL_LIMIT:
                walk.limits.append(f"{walk.path}:{call.lineno} is not followed: there are too many calls")
                return
            if any(walk.files.find(resolve_path(file, walk.folder)) is None for file in guards.get(call, ())):
                continue
            method = call.func
            if isinstance(method, ast.Name) and method.id in self.functions and depth:
                self._follow_call(self.functions[method.id], call, session, values, walk, depth - 1)
            elif isinstance(method, ast.Attribute) and _shown(method.value) == session:
                words = [word for argument in call.args for word in self.words(argument, values)]
                if self.uses_poetry and method.attr == "install":
                    _install_from_lock(words, call.lineno, walk)
                else:
                    _run(method.attr, words, call.lineno, walk)
            elif self.uses_poetry and _shown(method) == f"{session}.poetry.installroot":
                given = (keyword.value for keyword in call.keywords if keyword.arg == "extras")
                extras = [word for node in given for word in self.words(node, values)]
                _install_from_lock([f".[{','.join(extras)}]"], call.lineno, walk)

    def _follow_call(
        self,
        function: ast.FunctionDef,
        call: ast.Call,
        session: str,
        values: Mapping[str, str],
        walk: CommandWalk,
        depth: int,
    ) -> None:
        """Follow a function that a call gives the session; what it gives it besides is known if it is one word."""
        names = [argument.arg for argument in function.args.args]
        given = [*zip(names, call.args, strict=False), *((one.arg, one.value) for one in call.keywords if one.arg)]
        positions = [
            names.index(name)
            for name, node in given
            if isinstance(node, ast.Name) and node.id == session and name in names
        ]
        words = [(name, list(self.words(node, values))) for name, node in given]
        constant_arguments = {name: found[0] for name, found in words if len(found) == 1 and UNKNOWN not in found[0]}
        key = (function.name, tuple(sorted(constant_arguments.items())))
        if positions and key not in self.followed:
            self.followed.add(key)
            self.follow(function, positions[0], constant_arguments, walk, depth)

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
            yield f"{UNKNOWN}{_shown(node)}{UNKNOWN}"


def _shown(node: ast.expr) -> str:
    try:
        return ast.unparse(node)[:80]
    except RecursionError:
        return type(node).__name__


def _run(method: str, words: Sequence[str], line: int, walk: CommandWalk) -> None:
    if method == "install":
        walk.run_argv(["pip", "install", *words], line)
    elif method == "chdir" and words:
        walk.folder = resolve_path(words[0], walk.folder)
    elif method in _RUNS and words:
        walk.run_argv(words, line)


def _install_from_lock(words: Sequence[str], line: int, walk: CommandWalk) -> None:
    """Follow an installation of nox-poetry: Poetry's lock, then with pip what the project does not have itself."""
    own = [match for word in words if (match := _OWN_PROJECT.fullmatch(word))]
    extras = [name.strip() for match in own for name in (match["extras"] or "").split(",") if name.strip()]
    walk.run_argv(["poetry", "install", *(f"--extras={name}" for name in extras)], line)
    others = [word for word in words if not _OWN_PROJECT.fullmatch(word)]
    if any(word[:1] != "-" for word in others):
        walk.run_argv(["pip", "install", *others], line)


def _guards(function: ast.FunctionDef) -> dict[ast.Call, list[str]]:
    """Return the calls that need files: ``if os.path.exists("requirements.txt"): session.install(...)``."""
    guards: dict[ast.Call, list[str]] = {}
    for node in ast.walk(function):
        if not isinstance(node, ast.If) or not isinstance(node.test, ast.Call) or len(node.test.args) != 1:
            continue
        file = node.test.args[0]
        if re.search(r"\bpath\.(exists|isfile|isdir)$", _shown(node.test.func)) and isinstance(file, ast.Constant):
            for inner in (part for statement in node.body for part in ast.walk(statement)):
                if isinstance(inner, ast.Call):
                    guards.setdefault(inner, []).append(str(file.value))
    return guards


def _sessions(module: ast.Module) -> Iterator[tuple[str, ast.FunctionDef, bool]]:
    """Yield the name and the function of each session, and whether nox-poetry makes it."""
    imported = [node for node in module.body if isinstance(node, ast.ImportFrom) and node.module == "nox_poetry"]
    is_poetrys = any(alias.name == "session" and not alias.asname for node in imported for alias in node.names)
    for node in module.body:
        for decorator in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            called = _shown(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if called in ("nox.session", "nox_poetry.session", "session") and isinstance(node, ast.FunctionDef):
                keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
                given = text_of(next((keyword.value for keyword in keywords if keyword.arg == "name"), None))
                uses_poetry = called == "nox_poetry.session" or (called == "session" and is_poetrys)
                yield (node.name if given is None else given), node, uses_poetry
                break
