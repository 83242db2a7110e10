"""Scan the text of one file into facts.

The text is parsed once, each node is visited once, and nothing is executed. The meaning of syntax that is newer than
this scanner is unknown, but the nodes inside of it are read.
"""

import ast
import io
import json
import tokenize
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pytest_py312.analysis.scanner import (
    assignments,
    call_expressions,
    definitions,
    expressions,
    operations,
    statements,
    with_statements,
)
from pytest_py312.analysis.scanner.evaluation import exception_handlers, guarded_functions
from pytest_py312.analysis.scanner.evaluation.environment_tests import text_mentions_version
from pytest_py312.analysis.scanner.evaluation.scan_state import HANDLERS, ScanState, read_block, visit
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    CONDITION,
    CONDITION_PARTS,
    FOREIGN,
    FUNCTION,
    STDLIB,
    OwnClass,
    Value,
    alternatives,
)
from pytest_py312.analysis.scanner.facts.facts import Condition, ExportedName, FileFacts, ScanFailure, pack
from pytest_py312.analysis.scanner.facts.suppression_comments import read_suppressions
from pytest_py312.analysis.scanner.gc_pause import gc_paused
from pytest_py312.analysis.scanner.operations import read_children
from pytest_py312.analysis.scanner.rules import classes as enum_rules
from pytest_py312.analysis.scanner.rules import processes, version_tables, xml_elements

MAX_FILE_BYTES = 8 * 1024 * 1024
"""Larger files are not read."""
MAX_STATEMENTS = 100_000
"""Line ends and semicolons of a file: more of them take seconds, and no person writes them."""
MAX_REFERENCES = 200_000

HANDLER_MODULES = (
    expressions,
    call_expressions,
    operations,
    assignments,
    statements,
    with_statements,
    exception_handlers,
    definitions,
)
"""Modules that handle nodes. Importing them fills ``HANDLERS``."""
T = TypeVar("T")


def register_fallback_handlers() -> None:
    """Register a handler for every node type of this interpreter's parser that has none.

    For example, the template strings of 3.14.
    """
    for kind in list(vars(ast).values()):
        if isinstance(kind, type) and kind not in HANDLERS:
            if issubclass(kind, ast.expr):
                HANDLERS[kind] = read_children
            elif issubclass(kind, ast.stmt):
                HANDLERS[kind] = read_unknown_statement


def read_unknown_statement(scan: ScanState, node: ast.stmt) -> None:
    for name in node._fields:
        child = getattr(node, name, None)
        if isinstance(child, list) and all(isinstance(item, ast.stmt) for item in child):
            read_block(scan, child)
        else:
            for item in child if isinstance(child, list) else [child]:
                if isinstance(item, ast.expr):
                    visit(scan, item)


register_fallback_handlers()


def scan_text(text: bytes | str, path: str, *, local_modules: frozenset[str] = frozenset()) -> FileFacts:
    """Return the facts of the file ``path``.

    ``local_modules`` are the top-level modules on the service's own import path; they hide stdlib modules of the same
    name. A file that cannot be parsed has a ``failure``. No text raises an exception.
    """
    try:
        decoded = _decode(text)
    except UndecodableSource as reason:
        return FileFacts(path=path, failure=ScanFailure(str(reason)))
    if decoded.count("\n") + decoded.count(";") > MAX_STATEMENTS:
        return FileFacts(path=path, failure=ScanFailure(f"it has more than {MAX_STATEMENTS} statements"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compilers of baseline and target report these
            tree = ast.parse(decoded)
            return _scan_tree(tree, decoded, path, local_modules)
    except SyntaxError as error:
        return _facts_of_failure(path, decoded, ScanFailure(error.msg or "invalid syntax", error.lineno, error.offset))
    except RecursionError:
        return _facts_of_failure(path, decoded, ScanFailure("it is nested too deeply to be read"))
    except MemoryError:
        return _facts_of_failure(path, decoded, ScanFailure("it is nested too deeply, or too large, to be read"))
    except ValueError as error:
        return _facts_of_failure(path, decoded, ScanFailure(str(error)))


class UndecodableSource(Exception):
    """A file that cannot be decoded as text. ``str()`` is the reason."""


def _decode(text: bytes | str) -> str:
    """Decode the text by its encoding declaration (PEP 263) and normalize line ends."""
    if len(text) > MAX_FILE_BYTES:
        raise UndecodableSource(f"it is larger than {MAX_FILE_BYTES // 1024**2} MiB")
    if isinstance(text, str):
        decoded = text.removeprefix("\ufeff")
    else:
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(text).readline)
            decoded = text.decode(encoding)
        except (SyntaxError, UnicodeError, LookupError, ValueError) as error:
            raise UndecodableSource(f"it cannot be decoded: {error}") from None
    return decoded.replace("\r\n", "\n").replace("\r", "\n")


def _facts_of_failure(path: str, text: str, failure: ScanFailure) -> FileFacts:
    return FileFacts(path=path, failure=failure, suppressions=read_suppressions(text))


def _scan_tree(tree: ast.Module, text: str, path: str, local_modules: frozenset[str]) -> FileFacts:
    scan = ScanState(local_modules=local_modules)
    scan.may_mention_version = text_mentions_version(text)
    scan.tables = version_tables.read_tables(tree) if scan.may_mention_version else {}
    scan.may_execute_names = "exec(" in text and "locals()" in text
    read_block(scan, tree.body)
    definitions.read_deferred_functions(scan)
    guarded_public = guarded_functions.guard_functions(scan, text) if scan.guarded_uses else ()
    if scan.event_loop_uses:
        guarded_public += guarded_functions.guard_event_loop_uses(scan, tree)
    classes = definitions.finish_classes(scan)
    processes.report_process_starts(scan)
    if "atexit.register" in text:
        processes.report_threads_at_exit(scan, tree)
    xml_elements.report_element_truths(scan)
    to_characters = _character_converter(text)
    return FileFacts(
        path=path,
        references=tuple(dict.fromkeys(to_characters(scan.references)[:MAX_REFERENCES])),
        guards=tuple(scan.guards),
        imports=tuple(to_characters(scan.imports)),
        rule_matches=tuple(dict.fromkeys(to_characters(scan.rule_matches))),
        untyped_methods=tuple(to_characters(scan.untyped_methods)),
        monkeypatches=tuple(dict.fromkeys(scan.monkeypatches)),
        inherited_attributes=tuple(to_characters(scan.inherited_attributes)),
        indirect_references=tuple(to_characters(scan.indirect_references)),
        classes=classes,
        flags=tuple(_flags(scan)),
        suppressions=read_suppressions(text),
        defined_names=tuple(sorted(scan.defined_names)),
        guarded_functions=guarded_public,
        exported_names=tuple(_exported_names(scan)),
        overwritten_names=tuple(sorted(scan.overwritten_names)),
    )


def _flags(scan: ScanState) -> Iterator[tuple[str, Condition]]:
    for name, value in scan.module_scope.items():
        if value.kind is CONDITION and value.data[0] not in CONDITION_PARTS:
            yield name, value.data
        elif (
            value.kind is FUNCTION
            and value.data.true_condition is not None
            and value.data.true_condition[0] != "asks formula"
        ):
            yield name, value.data.true_condition


def _exported_names(scan: ScanState) -> Iterator[ExportedName]:
    """Yield the stdlib names that other files may import from this one.

    A name is left out if one of its alternatives is ``None`` or is defined in this file.
    """
    if scan.replaces_itself:
        return
    for name, value in _exportable_names(scan):
        if value.kind is FUNCTION and value.data.result is not None and not value.data.is_async:
            name, value = f"{name}()", value.data.result
        candidates = alternatives(value)
        if all(candidate.kind in (STDLIB, FOREIGN) or candidate.module for candidate in candidates):
            for candidate in candidates:
                condition, sure = scan.guard_condition(candidate.guard), len(candidates) == 1
                if candidate.kind is not STDLIB and scan.is_service_module(candidate.module):
                    yield ExportedName(name, candidate.foreign_name, "", condition, sure, is_reexport=True)
                elif candidate.kind is STDLIB and candidate.module != "builtins":
                    yield ExportedName(name, candidate.module, candidate.path, condition, sure)


def _exportable_names(scan: ScanState) -> Iterator[tuple[str, Value]]:
    """Yield the names of the module and those in its classes: ``Service.log``, ``Service().log`` for an instance."""
    for name, value in scan.module_scope.items():
        yield name, value
        if value.kind is CLASS and not enum_rules.is_enum(value.data):
            yield from _class_attribute_names(name, value.data)


def _class_attribute_names(name: str, own: OwnClass) -> Iterator[tuple[str, Value]]:
    body_names: dict[str, Value] = {}
    instance_names: dict[str, Value] = {}
    for ancestor in reversed(own.own_mro()):
        body_names |= ancestor.body
        instance_names |= ancestor.instance_attributes
    # a base class or a metaclass of another file may transform the body
    is_plain = not own.has_unknown_attributes and not own.foreign_bases()
    for attribute, value in body_names.items():
        if value.kind is FUNCTION:
            yield f"{name}().{attribute}", value
        elif is_plain and attribute not in instance_names:
            yield f"{name}.{attribute}", value
    for attribute, value in instance_names.items():
        yield f"{name}().{attribute}", value


def _character_converter(text: str) -> Callable[[list[T]], list[T]]:
    """Return a function that converts the columns of facts from bytes to characters."""
    if text.isascii():
        return lambda facts: facts
    lines = text.split("\n")

    def turned(facts: list[T]) -> list[T]:
        return [_with_character_columns(one, lines) for one in facts]

    return turned


def _with_character_columns(fact: T, lines: list[str]) -> T:
    line: int = fact.line  # type: ignore[attr-defined]  # all that has columns has a line
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    if text.isascii():
        return fact
    raw = text.encode("utf-8", "surrogatepass")
    column, end = fact.column, fact.end_column  # type: ignore[attr-defined]
    return fact._replace(  # type: ignore[attr-defined,no-any-return]  # a NamedTuple
        column=_character_column(raw, column), end_column=_character_column(raw, end)
    )


def _character_column(raw: bytes, column: int) -> int:
    return len(raw[: column - 1].decode("utf-8", "ignore")) + 1


# ---- for other processes


def packed_facts(row: Sequence[Any]) -> list[Any]:
    """Return the packed facts of one file.

    ``row`` is path, content as Latin-1, and local modules (``analysis.files.parallel_scan``).
    """
    path, text, local_modules = row
    return pack(scan_text(text.encode("latin-1"), path, local_modules=frozenset(local_modules)))


def scan_files(request_file: str, result_file: str) -> None:
    """Scan the files listed in ``request_file`` and write their facts to ``result_file``."""
    rows = json.loads(Path(request_file).read_bytes())
    with gc_paused():
        facts = [packed_facts(row) for row in rows]
    Path(result_file).write_text(json.dumps(facts), encoding="utf-8")
