"""Find the literal Python versions in setup.py and noxfile.py. Runs no code and never raises."""

import ast
import re
from collections.abc import Iterator

from pytest_py312.repository.declarations.declaration import (
    DeclarationCollector,
    DeclarationRole,
    ListItem,
    VersionDeclaration,
    version_of,
)
from pytest_py312.repository.declarations.toml import CLASSIFIER
from pytest_py312.repository.formats.setuptools import (
    MAX_MODULE_LENGTH,
    TOO_LONG,
    constant_assignments,
    last_name,
    parse_module,
    read_setup_py,
    resolve_name,
)
from pytest_py312.repository.formats.text_positions import SourcePositions

_CLASSIFIER_LINE = re.compile(
    r"(?m)^[ \t]*(?P<item>Programming Language :: Python :: (?P<version>3\.\d{1,2}))[ \t]*$", re.ASCII
)
_NOT_PYTHON_REASON = "it is not valid Python"
_SESSION_DECORATORS = ("session", "nox_session")
_COMPUTED_REASON = "It is computed by code, and no code is run to read it."


def read_setup_py_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Return ``python_requires`` and ``classifiers`` of the call of ``setup()``."""
    setup, source = read_setup_py(text), SourcePositions(text)
    collector = DeclarationCollector(text, path)
    if "python_requires" in text and parse_module(text) is None:
        reason = TOO_LONG if len(text) > MAX_MODULE_LENGTH else _NOT_PYTHON_REASON
        collector.add_unreadable_file("metadata", reason)
    required = setup.nodes.get("python_requires")
    if required is not None:
        _add_python_requires(collector, source, required)
    classifiers = setup.nodes.get("classifiers")
    brackets = "()" if isinstance(classifiers, ast.Tuple) else "[]"
    for node in _string_elements(classifiers):
        match = CLASSIFIER.fullmatch(str(node.value))
        span, exact = source.string_content(node)
        if match and exact:
            start, end = span[0] + match.start("version"), span[0] + match.end("version")
            first, last = source.span_of(node)
            item = ListItem(group=f"classifiers{brackets}", start=first, end=last)
            collector.add_classifier(start, end, str(node.value).strip(), item)
    if not collector.declarations or all(found.subject != "classifiers" for found in collector.declarations):
        _add_classifier_lines(collector, source, text)
    return collector.declarations


def _add_classifier_lines(collector: DeclarationCollector, source: SourcePositions, text: str) -> None:
    """Add classifiers that are lines of one string, which code splits."""
    for node in ast.walk(parse_module(text) or ast.Module(body=[], type_ignores=[])):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or node.value.count("\n") < 2:
            continue
        span, exact = source.string_content(node)
        for match in _CLASSIFIER_LINE.finditer(text, *span) if exact else ():
            item = ListItem(
                group=f"classifiers@{span[0]}", start=match.start("item"), end=match.end("item"), on_own_lines=True
            )
            collector.add_classifier(*match.span("version"), match["item"], item)


def _add_python_requires(collector: DeclarationCollector, source: SourcePositions, node: ast.expr) -> None:
    value = _joined_string(node)
    span, exact = source.string_content(node)
    if value is None:
        collector.add("metadata", DeclarationRole.UNKNOWN, *span, subject="python_requires", text="python_requires",
                    unknown_reason=_COMPUTED_REASON, declared=False)  # fmt: skip
        return
    collector.add_range(*span, value, "python_requires", "" if exact else "It is composed of several strings.")


def _joined_string(node: ast.expr, depth: int = 0) -> str | None:
    """Return the value of a string, a sum of strings, or ``",".join`` of a list of them; ``None`` for all else."""
    if depth > 50:
        return None
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _joined_string(node.left, depth + 1), _joined_string(node.right, depth + 1)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join" and node.args:
        separator, parts_node = _joined_string(node.func.value, depth + 1), node.args[0]
        parts = [_joined_string(item, depth + 1) for item in getattr(parts_node, "elts", ())]
        if separator is not None and parts and None not in parts:
            return separator.join(part for part in parts if part is not None)
    return None


def read_noxfile_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Return ``python=`` of the sessions of a noxfile."""
    module, source = parse_module(text), SourcePositions(text)
    collector = DeclarationCollector(text, path)
    if module is None:
        collector.add_unreadable_file("tool", _NOT_PYTHON_REASON)
        return collector.declarations
    constants = constant_assignments(module)
    for call in (
        node for node in ast.walk(module) if isinstance(node, ast.Call) and last_name(node.func) in _SESSION_DECORATORS
    ):
        for keyword in call.keywords:
            if keyword.arg in ("python", "py"):
                _add_session_versions(collector, source, resolve_name(keyword.value, constants))
    return collector.declarations


def _add_session_versions(collector: DeclarationCollector, source: SourcePositions, value: ast.expr) -> None:
    if isinstance(value, ast.Constant) and not isinstance(value.value, str):
        return  # ``python=False`` and ``python=None``: the interpreter that runs nox
    if not isinstance(value, ast.Constant | ast.List | ast.Tuple):
        span = source.span_of(value)
        collector.add("tool", DeclarationRole.UNKNOWN, *span, subject="python of a session",
                      unknown_reason=_COMPUTED_REASON, declared=False)  # fmt: skip
        return
    is_list = isinstance(value, ast.List | ast.Tuple)
    brackets = "()" if isinstance(value, ast.Tuple) else "[]"
    for node in _string_elements(value):
        span, exact = source.string_content(node)
        version = version_of(str(node.value))
        node_span = source.span_of(node)
        item = (
            ListItem(group=f"@{source.span_of(value)[0]}{brackets}", start=node_span[0], end=node_span[1])
            if is_list
            else None
        )
        role = (
            DeclarationRole.IGNORED
            if version is None
            else DeclarationRole.LIST_ITEM
            if is_list
            else DeclarationRole.EXACT
        )
        collector.add(
            "tool", role, *span, subject="python of a session", version=version, item=item,
            not_editable_reason="" if exact else "It is composed of several strings.", declared=version is not None,
        )  # fmt: skip


def _string_elements(value: ast.expr | None, depth: int = 0) -> Iterator[ast.Constant]:
    """Yield the strings of a list, a tuple or a sum of such, or the single string."""
    if isinstance(value, ast.BinOp) and depth < 50:
        yield from _string_elements(value.left, depth + 1)
        yield from _string_elements(value.right, depth + 1)
        return
    nodes = value.elts[:500] if isinstance(value, ast.List | ast.Tuple) else [value]
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node
