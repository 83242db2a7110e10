"""Find compatibility code that nothing needs any more once a service runs on the target only.

It stays while a rollback to an older Python is possible. Only what is certain is reported: tests of the version whose
answer is the same on the target and on all newer ones, fallbacks for modules that the target has, and requirements for
older versions only.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from packaging.markers import InvalidMarker, Marker

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.python_syntax import parse_python
from pytest_py312.repository.tree import Tree, join_path, relative_to

MAX_FILES = 2000
"""Python files of one service that are read."""
_SCAN_DEPTH = 12
_HINT = re.compile(r"version_info|hexversion|except\s*\(?\s*(?:ImportError|ModuleNotFoundError)")
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_NEW_MODULES: Mapping[str, tuple[int, int]] = {
    "importlib.metadata": (3, 8),
    "importlib.resources": (3, 7),
    "graphlib": (3, 9),
    "zoneinfo": (3, 9),
    "tomllib": (3, 11),
}
"""Modules of the standard library for which services have fallbacks, and the version that added them."""
_PLATFORM_VARIABLE = re.compile(r"platform|sys_|os_name|implementation|extra", re.ASCII)
_MARKED_REQUIREMENT = re.compile(r"^\s*[A-Za-z0-9][^;#]*;\s*(?P<marker>[^#]+?)\s*(?:\s#.*|\\)?$")
_FAR_FUTURE = 99
"""A minor version that stands for all newer ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """A place of compatibility code, and why nothing needs it on the target."""

    location: Location
    reason: str


def find_leftovers(service: Service, tree: Tree, target: Interpreter) -> list[Leftover]:
    """Return the compatibility code of a service, without that of services inside of it."""
    nested = relative_to(service.path, service.nested_folders)
    scan = tree.scan_folder(service.path, depth=_SCAN_DEPTH).without(nested)
    leftovers: list[Leftover] = []
    files = [
        join_path(service.path, file) for file in scan.files if PurePosixPath(file).suffix in (".py", ".txt", ".in")
    ]
    for path in files[:MAX_FILES]:
        text = tree.read_or_none(path)
        if text is None:
            continue
        if path.endswith(".py"):
            leftovers += leftovers_in_source(path, text, target)
        elif "requirements" in PurePosixPath(path).name or "requirements" in PurePosixPath(path).parent.name:
            leftovers += leftovers_in_requirements(path, text, target)
    return leftovers


# ---- source


def leftovers_in_source(path: str, text: str, target: Interpreter) -> list[Leftover]:
    """Return the compatibility code in Python source; nothing if it cannot be parsed."""
    tree = parse_python(text) if _HINT.search(text) else None
    if tree is None:
        return []
    return sorted(
        (
            Leftover(location=Location(path=path, line=line), reason=reason)
            for node in ast.walk(tree)
            for line, reason in _of_node(node, target)
        ),
        key=lambda leftover: leftover.location.line or 0,
    )


def _of_node(node: ast.AST, target: Interpreter) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Compare) and (answer := _constant_answer(node, target)) is not None:
        yield node.lineno, f"`{ast.unparse(node)}` is always {str(answer).lower()} on {target}"
    if isinstance(node, ast.Try) and (module := _needless_fallback(node, target)):
        yield node.lineno, f"the fallback for `{module}`, which {target} has"


def _constant_answer(node: ast.Compare, target: Interpreter) -> bool | None:
    """Return the answer of ``sys.version_info >= (3, 11)`` if it is the same on the target and all newer versions."""
    if len(node.ops) != 1 or not _is_version_info(node.left):
        return None
    compare = _COMPARISONS.get(type(node.ops[0]))
    wanted = _version_tuple(node.comparators[0])
    if compare is None or wanted is None:
        return None
    slice_end = 2 if isinstance(node.left, ast.Subscript) else 5
    answers = {
        compare((target.major, minor, micro, 0, 0)[:slice_end], wanted)
        for minor in (target.minor, _FAR_FUTURE)
        for micro in (0, _FAR_FUTURE)
    }
    return answers.pop() if len(answers) == 1 else None


def _is_version_info(node: ast.expr) -> bool:
    """Return whether it is ``sys.version_info`` or ``sys.version_info[:2]``."""
    if isinstance(node, ast.Subscript):
        part = node.slice
        is_short = (
            isinstance(part, ast.Slice)
            and part.lower is None
            and part.step is None
            and isinstance(part.upper, ast.Constant)
            and part.upper.value == 2
        )
        return is_short and _is_version_info(node.value) and not isinstance(node.value, ast.Subscript)
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "version_info"
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
    )


def _version_tuple(node: ast.expr) -> tuple[int, ...] | None:
    if not isinstance(node, ast.Tuple):
        return None
    numbers = [item.value for item in node.elts if isinstance(item, ast.Constant) and type(item.value) is int]
    return tuple(numbers) if numbers and len(numbers) == len(node.elts) else None


def _needless_fallback(node: ast.Try, target: Interpreter) -> str:
    """Return the module of the standard library for which a ``try`` has a fallback that imports another one."""
    if len(node.body) != 1 or len(node.handlers) != 1:
        return ""
    handler = node.handlers[0]
    caught = ast.unparse(handler.type) if handler.type else ""
    falls_back = any(isinstance(item, ast.Import | ast.ImportFrom) for item in handler.body)
    if caught not in ("ImportError", "ModuleNotFoundError") or not falls_back:
        return ""
    return next(
        (
            module
            for module in _imported_modules(node.body[0])
            if _NEW_MODULES.get(module, (_FAR_FUTURE, 0)) <= (target.major, target.minor)
        ),
        "",
    )


def _imported_modules(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


# ---- requirements


def leftovers_in_requirements(path: str, text: str, target: Interpreter) -> list[Leftover]:
    """Return the requirements whose marker excludes the target and all newer versions."""
    leftovers = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = _MARKED_REQUIREMENT.match(line[:1000])
        if match and _never_applies(match["marker"], target):
            reason = f"the requirement `{' '.join(line.partition('#')[0].split())}` is never installed on {target}"
            leftovers.append(Leftover(location=Location(path=path, line=number), reason=reason))
    return leftovers


def _never_applies(text: str, target: Interpreter) -> bool:
    if "python_" not in text or _PLATFORM_VARIABLE.search(text):
        return False
    try:
        marker = Marker(text)
        return not any(
            marker.evaluate({"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.{micro}"})
            for minor in (target.minor, target.minor + 1, _FAR_FUTURE)
            for micro in (0, _FAR_FUTURE)
        )
    except (InvalidMarker, ValueError, RecursionError):
        return False
