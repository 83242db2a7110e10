"""GitHub workflows: text in, the Python versions that they set up out, with their places. Never raises.

Only the node tree of the YAML is built (``yaml.compose``): no object is constructed, an alias is not expanded, and
the marks give lines. What an expression such as ``${{ matrix.python }}`` stands for is looked up where GitHub would.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from pytest_py312.model import Declaration, Interpreter, Location
from pytest_py312.readers.dockerfile import python_of

LENGTH_LIMIT = 500_000
NODE_LIMIT = 50_000

_KEYS = frozenset({"python-version", "python_version"})
_VARIABLE_KEY = re.compile(r"(?:DEFAULT_)?PYTHON_?VERSION", re.IGNORECASE)
_EXPRESSION = re.compile(r"\$\{\{\s*(matrix|env)\s*(?:\.\s*([\w-]+)|\[\s*'([\w-]+)'\s*\])\s*\}\}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkflowVersion:
    """One value that says which Python is set up. ``origin`` is ``step``, ``matrix``, ``env`` or ``container``.

    ``text`` is what stands there. ``misread`` is what YAML makes of it where that is another version: an unquoted
    ``3.10`` is the number 3.1.
    """

    text: str
    line: int
    column: int
    origin: str
    interpreter: Interpreter | None = None
    quoted: bool = False
    misread: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkflowText:
    """What a workflow says of Python versions; ``trouble`` is not empty when its YAML cannot be read."""

    path: str
    name: str = ""
    versions: tuple[WorkflowVersion, ...] = ()
    trouble: str = ""
    trouble_line: int | None = None

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        return tuple(
            Declaration(
                kind="workflow",
                text=version.text,
                location=Location(path=self.path, line=version.line, column=version.column),
                interpreter=version.interpreter,
            )
            for version in self.versions
        )


def read_workflow(text: str, path: str) -> WorkflowText:
    """Read one workflow file. ``path`` is only carried along."""
    if len(text) > LENGTH_LIMIT:
        return WorkflowText(path=path, trouble=f"It is longer than {LENGTH_LIMIT} characters.")
    try:
        # the pure Python loader: its recursion ends in an exception, that of the C one in the end of the process
        root = yaml.compose(text.removeprefix("\ufeff"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        return WorkflowText(path=path, trouble=f"It is no YAML: {error.problem or error}", trouble_line=line)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        return WorkflowText(path=path, trouble=f"It is no YAML: {str(error)[:200] or type(error).__name__}")
    found: dict[tuple[int, int], WorkflowVersion] = {}
    for context, key, value in _pairs(root):
        for version in _versions(context, key, value):
            found.setdefault((version.line, version.column), version)
    name = _child(root, "name")
    return WorkflowText(
        path=path,
        name=name.value if isinstance(name, yaml.ScalarNode) else "",
        versions=tuple(found[place] for place in sorted(found)),
    )


@dataclass(frozen=True, slots=True)
class _Context:
    """The mappings around a place, the outermost first."""

    mappings: tuple[yaml.MappingNode, ...] = ()
    keys: tuple[str, ...] = ()


def _pairs(root: yaml.Node | None) -> Iterator[tuple[_Context, str, yaml.Node]]:
    """Every key and value of every mapping, each node once however often it is aliased."""
    pending: list[tuple[yaml.Node, _Context]] = [(root, _Context())] if root is not None else []
    seen: set[int] = set()
    while pending and len(seen) < NODE_LIMIT:
        node, context = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            pending += [(item, context) for item in node.value]
        elif isinstance(node, yaml.MappingNode):
            # enough of the surroundings for every workflow, and a bound for a file that only wants to be deep
            mappings = (*context.mappings, node)[:12]
            for key, value in node.value:
                name = key.value if isinstance(key, yaml.ScalarNode) else ""
                inner = _Context(mappings, (*context.keys, name)[:12])
                yield inner, name, value
                pending.append((value, inner))


def _versions(context: _Context, key: str, value: yaml.Node) -> Iterator[WorkflowVersion]:
    if key in _KEYS:
        origin = "matrix" if "matrix" in context.keys else "step"
        for scalar in _scalars(value):
            yield from _resolved(context, scalar, origin)
    elif _VARIABLE_KEY.fullmatch(key) and "env" in context.keys:
        for scalar in _scalars(value):
            yield from _resolved(context, scalar, "env")
    elif key == "container" or (key == "image" and "container" in context.keys):
        for scalar in _scalars(value):
            is_python, interpreter = python_of(scalar.value)
            if is_python:
                yield _version(scalar, scalar.value, "container", interpreter)


def _resolved(context: _Context, scalar: yaml.ScalarNode, origin: str) -> Iterator[WorkflowVersion]:
    expression = _EXPRESSION.fullmatch(scalar.value.strip())
    if not expression:
        yield from _plain(scalar, origin)
        return
    name = expression[2] or expression[3]
    targets = list(_matrix(context, name) if expression[1] == "matrix" else _env(context, name))
    for target in targets:
        if not _EXPRESSION.search(target.value):
            yield from _plain(target, expression[1])
    if not targets:
        yield _version(scalar, scalar.value, origin, None)


def _matrix(context: _Context, name: str) -> Iterator[yaml.ScalarNode]:
    for mapping in reversed(context.mappings):
        matrix = _child(_child(mapping, "strategy"), "matrix")
        if matrix is None:
            continue
        yield from _scalars(_child(matrix, name))
        include = _child(matrix, "include")
        for item in include.value if isinstance(include, yaml.SequenceNode) else ():
            yield from _scalars(_child(item, name))
        return


def _env(context: _Context, name: str) -> Iterator[yaml.ScalarNode]:
    for mapping in reversed(context.mappings):
        found = list(_scalars(_child(_child(mapping, "env"), name)))
        if found:
            yield from found
            return


def _plain(scalar: yaml.ScalarNode, origin: str) -> Iterator[WorkflowVersion]:
    """One version, or one for each line of a block scalar (setup-python reads those as several)."""
    lines = [(offset, line.strip()) for offset, line in enumerate(scalar.value.split("\n")) if line.strip()]
    for offset, line in lines[:100]:
        try:
            interpreter = Interpreter.parse(line)
        except ValueError:
            interpreter = None
        if scalar.style in ("|", ">"):
            yield _version(scalar, line, origin, interpreter, offset=offset + 1)
        else:
            yield _version(scalar, line, origin, interpreter)


def _version(
    scalar: yaml.ScalarNode, text: str, origin: str, interpreter: Interpreter | None, offset: int = 0
) -> WorkflowVersion:
    misread = ""
    if not scalar.style and re.fullmatch(r"3\.\d+0", text, re.ASCII):
        misread = text.rstrip("0")
    return WorkflowVersion(
        text=text,
        line=scalar.start_mark.line + 1 + offset,
        column=scalar.start_mark.column + 1,
        origin=origin,
        interpreter=None if misread else interpreter,
        quoted=bool(scalar.style),
        misread=misread,
    )


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value == key:
                return value  # type: ignore[no-any-return]  # the stubs leave the parts of a node untyped
    return None


def _scalars(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        yield from (item for item in node.value[:200] if isinstance(item, yaml.ScalarNode))
