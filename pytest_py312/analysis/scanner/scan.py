"""From the text of one file to its facts: parsed once, each node visited once, nothing run.

Syntax that is newer than this scanner: nobody knows what it means, and what is inside of it is read all the same.
"""

import ast
import io
import tokenize
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

from pytest_py312.analysis.scanner import definitions, expressions, operations, statements, with_statements
from pytest_py312.analysis.scanner.evaluation import exception_handlers, guarded_functions
from pytest_py312.analysis.scanner.evaluation.environment_tests import speaks_of_version
from pytest_py312.analysis.scanner.evaluation.scan_state import HANDLERS, Scan, block, visit
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    CONDITION,
    FOREIGN,
    FUNCTION,
    PIECES,
    STD,
    OwnClass,
    Value,
    alternatives,
)
from pytest_py312.analysis.scanner.facts.facts import Condition, Exported, Failure, FileFacts
from pytest_py312.analysis.scanner.facts.suppression_comments import read_ignores
from pytest_py312.analysis.scanner.operations import read_children
from pytest_py312.analysis.scanner.rules import arguments, operators
from pytest_py312.analysis.scanner.rules import classes as enum_rules

LARGEST = 8 * 1024 * 1024
"""Bytes of a file that is read."""
MOST_REFERENCES = 200_000

PARTS = (expressions, operations, statements, with_statements, exception_handlers, definitions)
"""Modules that know the nodes: importing them fills the table of handlers."""
T = TypeVar("T")


def fill_in() -> None:
    """Gives all nodes of this interpreter's parser a handler (3.14 has text templates)."""
    for kind in list(vars(ast).values()):
        if isinstance(kind, type) and kind not in HANDLERS:
            if issubclass(kind, ast.expr):
                HANDLERS[kind] = read_children
            elif issubclass(kind, ast.stmt):
                HANDLERS[kind] = read_parts


def read_parts(scan: Scan, node: ast.stmt) -> None:
    for name in node._fields:
        child = getattr(node, name, None)
        if isinstance(child, list) and all(isinstance(item, ast.stmt) for item in child):
            block(scan, child)
        else:
            for item in child if isinstance(child, list) else [child]:
                if isinstance(item, ast.expr):
                    visit(scan, item)


fill_in()


def scan_text(text: bytes | str, path: str, *, local: frozenset[str] = frozenset()) -> FileFacts:
    """What the file ``path`` uses of the standard library.

    ``local`` are the top-level modules that the service itself puts on its path, which hide standard ones of the same
    name. A file that cannot be read is a fact as well (``failure``); no text raises.
    """
    try:
        decoded = _decoded(text)
    except Unreadable as reason:
        return FileFacts(path=path, failure=Failure(str(reason)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compilers of baseline and target are asked for these
            tree = ast.parse(decoded)
            return _facts(tree, decoded, path, local)
    except SyntaxError as error:
        return _failed(path, decoded, Failure(error.msg or "invalid syntax", error.lineno, error.offset))
    except RecursionError:
        return _failed(path, decoded, Failure("it is nested too deeply to be read"))
    except MemoryError:
        return _failed(path, decoded, Failure("it is nested too deeply, or too large, to be read"))
    except ValueError as error:
        return _failed(path, decoded, Failure(str(error)))


class Unreadable(Exception):
    """A file that is no text. ``str()`` says why."""


def _decoded(text: bytes | str) -> str:
    """The text, by its own declaration of an encoding (PEP 263), with one kind of line ends."""
    if len(text) > LARGEST:
        raise Unreadable(f"it is larger than {LARGEST // 1024**2} MiB")
    if isinstance(text, str):
        decoded = text.removeprefix("\ufeff")
    else:
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(text).readline)
            decoded = text.decode(encoding)
        except (SyntaxError, UnicodeError, LookupError, ValueError) as error:
            raise Unreadable(f"it cannot be decoded: {error}") from None
    return decoded.replace("\r\n", "\n").replace("\r", "\n")


def _failed(path: str, text: str, failure: Failure) -> FileFacts:
    return FileFacts(path=path, failure=failure, ignores=read_ignores(text))


def _facts(tree: ast.Module, text: str, path: str, local: frozenset[str]) -> FileFacts:
    scan = Scan(local=local)
    scan.speaks_of_version = speaks_of_version(text)
    block(scan, tree.body)
    definitions.run_deferred(scan)
    public = guarded_functions.put_behind(scan, text) if scan.behind else ()
    if scan.asking_for_loops:
        public += guarded_functions.put_behind_running_loop(scan, tree)
    classes = definitions.finish_classes(scan)
    arguments.forked_with_threads(scan)
    operators.judged(scan)
    in_characters = _characters(text)
    return FileFacts(
        path=path,
        references=tuple(dict.fromkeys(in_characters(scan.references)[:MOST_REFERENCES])),
        guards=tuple(scan.guards),
        imports=tuple(in_characters(scan.imports)),
        rules=tuple(dict.fromkeys(in_characters(scan.rules))),
        loose=tuple(in_characters(scan.loose)),
        patches=tuple(dict.fromkeys(scan.patches)),
        inherited=tuple(in_characters(scan.inherited)),
        through=tuple(in_characters(scan.through)),
        classes=classes,
        flags=tuple(_flags(scan)),
        ignores=read_ignores(text),
        defined=tuple(sorted(scan.defined)),
        behind=public,
        exported=tuple(_exported(scan)),
        replaced=tuple(sorted(scan.replaced)),
    )


def _flags(scan: Scan) -> Iterator[tuple[str, Condition]]:
    for name, value in scan.module.items():
        if value.kind is CONDITION and value.data[0] not in PIECES:
            yield name, value.data
        elif value.kind is FUNCTION and value.data.condition is not None and value.data.condition[0] != "asks formula":
            yield name, value.data.condition


def _exported(scan: Scan) -> Iterator[Exported]:
    """Names that other files may use: not those of which one meaning is ``None``, or a thing of this file."""
    if scan.takes_own_place:
        return
    for name, value in _public(scan):
        if value.kind is FUNCTION and value.data.gives is not None and not value.data.is_async:
            name, value = f"{name}()", value.data.gives
        known = alternatives(value)
        if all(one.kind in (STD, FOREIGN) or one.module for one in known):
            for one in known:
                condition, sure = scan.condition_round(one.guard), len(known) == 1
                if one.kind is not STD and scan.is_of_service(one.module):
                    yield Exported(name, one.in_other_file, "", condition, sure, elsewhere=True)
                elif one.kind is STD and one.module != "builtins":
                    yield Exported(name, one.module, one.path, condition, sure)


def _public(scan: Scan) -> Iterator[tuple[str, Value]]:
    """The names of the module, and those in its classes: ``Service.log``, ``Service().log`` of an instance."""
    for name, value in scan.module.items():
        yield name, value
        if value.kind is CLASS and not enum_rules.is_enum(value.data):
            yield from _in_class(name, value.data)


def _in_class(name: str, own: OwnClass) -> Iterator[tuple[str, Value]]:
    body: dict[str, Value] = {}
    set_on_self: dict[str, Value] = {}
    for one in reversed(own.family()):
        body |= one.body
        set_on_self |= one.set_on_self
    # how a class that derives from others', or is made by them, takes its body they alone know
    is_plain = not own.is_open and not own.foreign_bases()
    for inner, value in body.items():
        if value.kind is FUNCTION:
            yield f"{name}().{inner}", value
        elif is_plain and inner not in set_on_self:
            yield f"{name}.{inner}", value
    for inner, value in set_on_self.items():
        yield f"{name}().{inner}", value


def _characters(text: str) -> Callable[[list[T]], list[T]]:
    """A function that turns the columns of facts from bytes to characters."""
    if text.isascii():
        return lambda facts: facts
    lines = text.split("\n")

    def turned(facts: list[T]) -> list[T]:
        return [_in_characters(one, lines) for one in facts]

    return turned


def _in_characters(one: T, lines: list[str]) -> T:
    line: int = one.line  # type: ignore[attr-defined]  # all that has columns has a line
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    if text.isascii():
        return one
    raw = text.encode("utf-8", "surrogatepass")
    column, end = one.column, one.end_column  # type: ignore[attr-defined]
    return one._replace(  # type: ignore[attr-defined,no-any-return]  # a NamedTuple
        column=_count(raw, column), end_column=_count(raw, end)
    )


def _count(raw: bytes, column: int) -> int:
    return len(raw[: column - 1].decode("utf-8", "ignore")) + 1
