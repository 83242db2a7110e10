"""Parse YAML to nodes with positions. Constructs no objects, expands no aliases, and enforces limits.

The nodes are built from the parser's events in a loop: libyaml's own composer crashes the process on deeply nested
text, and PyYAML's Python composer takes ten times as long.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import yaml

MAX_LENGTH = 300_000
MAX_NODES = 30_000
MAX_DEPTH = 100
MAX_DOCUMENTS = 200

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True, eq=False)
class YamlScalar:
    """A scalar. ``start`` and ``end`` include its quotation marks; ``style`` is empty for a plain scalar."""

    value: str
    start: int
    end: int
    style: str = ""


@dataclass(slots=True, eq=False)
class YamlSequence:
    """A sequence. ``is_flow`` is true for ``[a, b]``. Use :func:`content_end` for the end of a block sequence."""

    start: int
    end: int = 0
    is_flow: bool = False
    items: "list[YamlNode]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class YamlMapping:
    """A mapping. ``is_flow`` is true for ``{a: b}``."""

    start: int
    end: int = 0
    is_flow: bool = False
    pairs: "list[tuple[YamlNode, YamlNode]]" = field(default_factory=list)


YamlNode: TypeAlias = YamlScalar | YamlSequence | YamlMapping


class InvalidYaml(Exception):
    """The text is not YAML or exceeds a limit. ``str()`` is a sentence; ``line`` counts from 1, if it is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def parse_documents(text: str) -> tuple[YamlNode, ...]:
    """Return the root node of each document that is not empty, for reading only.

    :raises InvalidYaml: the text is not YAML, or too long, too deep or too large to be hand-written.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidYaml(f"It is longer than {MAX_LENGTH} characters.")
    documents = _parsed(text)
    if isinstance(documents, tuple):
        return documents
    raise InvalidYaml(str(documents), documents.line)


def first_document(text: str) -> YamlNode | None:
    """Return the root node of the first document; ``None`` for invalid YAML, or without one."""
    try:
        return next(iter(parse_documents(text)), None)
    except InvalidYaml:
        return None


@lru_cache(maxsize=8)
def _parsed(text: str) -> tuple[YamlNode, ...] | InvalidYaml:
    """Parse once what several readers read, also if it is invalid."""
    try:
        return _compose(text)
    except InvalidYaml as error:
        return error


def _compose(text: str) -> tuple[YamlNode, ...]:
    without_mark = text.removeprefix("\ufeff")
    try:
        return tuple(_Composer(len(text) - len(without_mark)).compose(without_mark))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InvalidYaml(f"It is not valid YAML: {error.problem or error}", line) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidYaml(f"It is not valid YAML: {str(error)[:200] or type(error).__name__}") from None


class _Composer:
    def __init__(self, shift: int) -> None:
        self._mark_length = shift
        self._anchors: dict[str, YamlNode] = {}
        self._open_collections: list[tuple[YamlSequence | YamlMapping, list[YamlNode]]] = []
        """The collections that are not closed yet, with their children so far."""
        self._count = 0

    def compose(self, text: str) -> Iterator[YamlNode]:
        documents = 0
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                self._anchors = {}
                if documents > MAX_DOCUMENTS:
                    raise InvalidYaml(f"It has more than {MAX_DOCUMENTS} documents.")
                continue
            node = self._completed_node(event)
            if node is not None and not self._open_collections:
                yield node
            elif node is not None:
                self._open_collections[-1][1].append(node)

    def _completed_node(self, event: Any) -> YamlNode | None:
        """Return the node that ends with ``event``, if there is one."""
        start = getattr(event.start_mark, "index", 0) + self._mark_length
        end = getattr(event.end_mark, "index", 0) + self._mark_length
        if isinstance(event, yaml.ScalarEvent):
            scalar = YamlScalar(event.value, start, end, event.style or "")
            self._register(event, scalar)
            return scalar
        if isinstance(event, yaml.AliasEvent):
            anchored = self._anchors.get(event.anchor or "")
            if anchored is None:
                raise InvalidYaml(f"It is not valid YAML: the alias {str(event.anchor)[:80]} is not defined.")
            return anchored
        if isinstance(event, yaml.CollectionStartEvent):
            kind = YamlSequence if isinstance(event, yaml.SequenceStartEvent) else YamlMapping
            collection = kind(start, is_flow=bool(event.flow_style))
            self._register(event, collection)
            self._open_collections.append((collection, []))
            if len(self._open_collections) > MAX_DEPTH:
                raise InvalidYaml(f"It is nested deeper than {MAX_DEPTH} levels.")
            return None
        if isinstance(event, yaml.CollectionEndEvent):
            node, children = self._open_collections.pop()
            node.end = end
            if isinstance(node, YamlSequence):
                node.items = children
            else:
                node.pairs = list(zip(children[::2], children[1::2], strict=True))
            return node
        return None

    def _register(self, event: Any, node: YamlNode) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            raise InvalidYaml(f"It has more than {MAX_NODES} nodes.")
        if event.anchor:
            self._anchors[event.anchor] = node


def child_of(node: YamlNode | None, key: str) -> YamlNode | None:
    """Return the value of ``key`` if ``node`` is a mapping that contains it."""
    if isinstance(node, YamlMapping):
        for name, value in node.pairs:
            if isinstance(name, YamlScalar) and name.value == key:
                return value
    return None


def pairs_of(node: YamlNode | None) -> list[tuple[YamlNode, YamlNode]]:
    """Return the keys and values of a mapping; nothing for other nodes."""
    return node.pairs if isinstance(node, YamlMapping) else []


def scalar_pairs(node: YamlNode | None) -> Iterator[tuple[str, str]]:
    """Yield the keys and values of a mapping whose values are scalars; nothing for other nodes."""
    for key, value in pairs_of(node):
        if isinstance(value, YamlScalar):
            yield scalar_text(key), value.value


def items_of(node: YamlNode | None) -> list[YamlNode]:
    """Return the items of a sequence; nothing for other nodes."""
    return node.items if isinstance(node, YamlSequence) else []


def scalar_text(node: YamlNode | None) -> str:
    """Return the value of a scalar; empty for other nodes."""
    return node.value if isinstance(node, YamlScalar) else ""


def line_of_scalar(text: str, scalar: YamlScalar) -> int:
    """Return the line on which the content of a scalar starts; that of a block is on the line after its sign."""
    is_block = scalar.style in ("|", ">") or text[scalar.start : scalar.start + 1] in ("|", ">")
    return text.count("\n", 0, scalar.start) + 1 + is_block


def content_end(node: YamlNode) -> int:
    """Return the end of the last character of ``node``, without the blanks and comments that follow a block."""
    for _ in range(MAX_DEPTH):
        if isinstance(node, YamlScalar) or node.is_flow:
            break
        last_child = node.items[-1:] if isinstance(node, YamlSequence) else [node.pairs[-1][1]] if node.pairs else []
        if not last_child:
            break
        node = last_child[0]
    return node.end


def content_span(text: str, scalar: YamlScalar) -> tuple[int, int] | None:
    """Return the span of a scalar's value within its quotation marks; ``None`` if it contains escape sequences."""
    quote_length = 1 if scalar.style in ("'", '"') else 0
    start, end = scalar.start + quote_length, scalar.end - quote_length
    return (start, end) if text[start:end] == scalar.value else None
