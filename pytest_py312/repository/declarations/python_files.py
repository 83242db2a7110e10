"""setup.py and noxfile.py: every place that says a Python version literally. No code is executed; never raises."""

import ast
from collections.abc import Iterator

from pytest_py312.repository.declarations.declaration import Item, Meaning, Place, Scribe, version_of
from pytest_py312.repository.declarations.toml import CLASSIFIER
from pytest_py312.repository.formats.setuptools import constants_of, module_of, read_setup_py
from pytest_py312.repository.formats.text_positions import SourceText
from pytest_py312.repository.formats.version_ranges import only_minor, readable

_NO_PYTHON = "it is no Python that can be parsed"
_COMPUTED = "It is computed by code, which is not run to be read."


def read_setup_py_places(text: str, path: str) -> tuple[Place, ...]:
    """``python_requires`` and ``classifiers`` of the call of ``setup()``."""
    setup, source = read_setup_py(text), SourceText(text)
    scribe = Scribe(text, path)
    if "python_requires" in text and module_of(text) is None:
        scribe.unreadable("metadata", _NO_PYTHON)
    required = setup.nodes.get("python_requires")
    if required is not None:
        _required(scribe, source, required)
    listed = setup.nodes.get("classifiers")
    kind = "()" if isinstance(listed, ast.Tuple) else "[]"
    for node in _elements(listed):
        match = CLASSIFIER.fullmatch(str(node.value))
        span, exact = source.content(node)
        if match and exact:
            start = span[0] + match.start("version")
            scribe.note(
                "metadata", Meaning.MEMBER, start, span[0] + match.end("version"), subject="classifiers",
                text=str(node.value).strip(), version=version_of(match["version"]),
                item=Item(group=f"classifiers{kind}", start=source.at(node)[0], end=source.at(node)[1]),
            )  # fmt: skip
    return scribe.places


def _required(scribe: Scribe, source: SourceText, node: ast.expr) -> None:
    value = _joined(node)
    span, exact = source.content(node)
    if value is None:
        scribe.note("metadata", Meaning.UNKNOWN, *span, subject="python_requires", text="python_requires",
                    unclear=_COMPUTED, declared=False)  # fmt: skip
        return
    clear = readable(value)
    scribe.note(
        "metadata", Meaning.RANGE if clear else Meaning.UNKNOWN, *span, subject="python_requires", text=value,
        version=only_minor(value), fixed="" if exact else "It is put together from several strings.",
        unclear="" if clear else "It is no range of versions that can be read.",
    )  # fmt: skip


def _joined(node: ast.expr, depth: int = 0) -> str | None:
    """A string, a sum of strings, or ``",".join`` of a list of them; ``None`` for all else."""
    if depth > 50:
        return None
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _joined(node.left, depth + 1), _joined(node.right, depth + 1)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join" and node.args:
        glue, listed = _joined(node.func.value, depth + 1), node.args[0]
        parts = [_joined(item, depth + 1) for item in getattr(listed, "elts", ())]
        if glue is not None and parts and None not in parts:
            return glue.join(part for part in parts if part is not None)
    return None


def read_noxfile_places(text: str, path: str) -> tuple[Place, ...]:
    """``python=`` of the sessions of a noxfile."""
    module, source = module_of(text), SourceText(text)
    scribe = Scribe(text, path)
    if module is None:
        scribe.unreadable("tool", _NO_PYTHON)
        return scribe.places
    constants = constants_of(module)
    for call in (node for node in ast.walk(module) if isinstance(node, ast.Call) and _is_session(node.func)):
        for keyword in call.keywords:
            if keyword.arg in ("python", "py"):
                value = keyword.value
                value = constants.get(value.id, value) if isinstance(value, ast.Name) else value
                _sessions(scribe, source, value)
    return scribe.places


def _sessions(scribe: Scribe, source: SourceText, value: ast.expr) -> None:
    if isinstance(value, ast.Constant) and not isinstance(value.value, str):
        return  # ``python=False`` and ``python=None``: the interpreter that runs nox
    if not isinstance(value, ast.Constant | ast.List | ast.Tuple):
        span = source.at(value)
        scribe.note("tool", Meaning.UNKNOWN, *span, subject="python of a session", unclear=_COMPUTED, declared=False)
        return
    listed = isinstance(value, ast.List | ast.Tuple)
    kind = "()" if isinstance(value, ast.Tuple) else "[]"
    for node in _elements(value):
        span, exact = source.content(node)
        version = version_of(str(node.value))
        whole = source.at(node)
        item = Item(group=f"@{source.at(value)[0]}{kind}", start=whole[0], end=whole[1]) if listed else None
        meaning = Meaning.APART if version is None else Meaning.MEMBER if listed else Meaning.EXACT
        scribe.note(
            "tool", meaning, *span, subject="python of a session", version=version, item=item,
            fixed="" if exact else "It is put together from several strings.", declared=version is not None,
        )  # fmt: skip


def _is_session(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("session", "nox_session")


def _elements(value: ast.expr | None, depth: int = 0) -> Iterator[ast.Constant]:
    """The strings of a list, a tuple or a sum of such, or the one string."""
    if isinstance(value, ast.BinOp) and depth < 50:
        yield from _elements(value.left, depth + 1)
        yield from _elements(value.right, depth + 1)
        return
    nodes = value.elts[:500] if isinstance(value, ast.List | ast.Tuple) else [value]
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node
