"""A YAML text as nodes with positions: no object is constructed, no alias expanded, and limits are kept.

The nodes are made from the parser's events in a loop. libyaml's own composer would end the process on a text that is
nested deeply, and PyYAML's in Python takes ten times as long.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

LENGTH_LIMIT = 500_000
NODE_LIMIT = 50_000
DEPTH_LIMIT = 100
DOCUMENT_LIMIT = 200

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True, eq=False)
class Scalar:
    """``start`` and ``end`` count characters, quotation marks included; ``style`` is empty for a plain one."""

    value: str
    start: int
    end: int
    style: str = ""


@dataclass(slots=True, eq=False)
class Sequence:
    """``flow`` is true for ``[a, b]``. The end of a block sequence is not to be relied on: see :func:`end_of`."""

    start: int
    end: int = 0
    flow: bool = False
    items: "list[Node]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Mapping:
    """``flow`` is true for ``{a: b}``."""

    start: int
    end: int = 0
    flow: bool = False
    pairs: "list[tuple[Node, Node]]" = field(default_factory=list)


Node: TypeAlias = Scalar | Sequence | Mapping


class NotYaml(Exception):
    """``str()`` says why, as a sentence; ``line`` (from 1) where, if that is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def documents_of(text: str) -> tuple[Node, ...]:
    """The root of each document that is not empty.

    :raises NotYaml: it is none, or it is longer, deeper or larger than a person writes.
    """
    if len(text) > LENGTH_LIMIT:
        raise NotYaml(f"It is longer than {LENGTH_LIMIT} characters.")
    plain = text.removeprefix("\ufeff")
    try:
        return tuple(_Composer(len(text) - len(plain)).composed(plain))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise NotYaml(f"It is no YAML: {error.problem or error}", line) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise NotYaml(f"It is no YAML: {str(error)[:200] or type(error).__name__}") from None


class _Composer:
    def __init__(self, shift: int) -> None:
        self._shift = shift
        self._anchors: dict[str, Node] = {}
        self._open: list[tuple[Sequence | Mapping, list[Node]]] = []
        """The collections that are not closed yet, with the nodes met in them."""
        self._count = 0

    def composed(self, text: str) -> Iterator[Node]:
        documents = 0
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                self._anchors = {}
                if documents > DOCUMENT_LIMIT:
                    raise NotYaml(f"It has more than {DOCUMENT_LIMIT} documents.")
                continue
            node = self._node(event)
            if node is not None and not self._open:
                yield node
            elif node is not None:
                self._open[-1][1].append(node)

    def _node(self, event: Any) -> Node | None:
        """The node that ends with ``event``, if one does."""
        start = getattr(event.start_mark, "index", 0) + self._shift
        end = getattr(event.end_mark, "index", 0) + self._shift
        if isinstance(event, yaml.ScalarEvent):
            scalar = Scalar(event.value, start, end, event.style or "")
            self._keep(event, scalar)
            return scalar
        if isinstance(event, yaml.AliasEvent):
            known = self._anchors.get(event.anchor or "")
            if known is None:
                raise NotYaml(f"It is no YAML: the alias {str(event.anchor)[:80]} stands for nothing.")
            return known
        if isinstance(event, yaml.CollectionStartEvent):
            kind = Sequence if isinstance(event, yaml.SequenceStartEvent) else Mapping
            opened = kind(start, flow=bool(event.flow_style))
            self._keep(event, opened)
            self._open.append((opened, []))
            if len(self._open) > DEPTH_LIMIT:
                raise NotYaml(f"It is nested deeper than {DEPTH_LIMIT} levels.")
            return None
        if isinstance(event, yaml.CollectionEndEvent):
            node, met = self._open.pop()
            node.end = end
            if isinstance(node, Sequence):
                node.items = met
            else:
                node.pairs = list(zip(met[::2], met[1::2], strict=True))
            return node
        return None

    def _keep(self, event: Any, node: Node) -> None:
        self._count += 1
        if self._count > NODE_LIMIT:
            raise NotYaml(f"It has more than {NODE_LIMIT} nodes.")
        if event.anchor:
            self._anchors[event.anchor] = node


def child(node: Node | None, key: str) -> Node | None:
    """The value of ``key``, where ``node`` is a mapping that has it."""
    if isinstance(node, Mapping):
        for name, value in node.pairs:
            if isinstance(name, Scalar) and name.value == key:
                return value
    return None


def text_of(node: Node | None) -> str:
    """The value of a scalar, else nothing."""
    return node.value if isinstance(node, Scalar) else ""


def end_of(node: Node) -> int:
    """Where the last character of ``node`` ends, without the blanks and comments that follow a block."""
    for _ in range(DEPTH_LIMIT):
        if isinstance(node, Scalar) or node.flow:
            break
        inner = node.items[-1:] if isinstance(node, Sequence) else [node.pairs[-1][1]] if node.pairs else []
        if not inner:
            break
        node = inner[0]
    return node.end


def content_of(text: str, scalar: Scalar) -> tuple[int, int] | None:
    """Where the value of a scalar stands within its quotation marks; ``None`` where it is written with escapes."""
    inner = 1 if scalar.style in ("'", '"') else 0
    start, end = scalar.start + inner, scalar.end - inner
    return (start, end) if text[start:end] == scalar.value else None
