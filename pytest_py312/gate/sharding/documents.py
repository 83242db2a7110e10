"""Read the JSON documents of the parts of a run, and refuse what is not whole or was changed."""

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_py312 import __version__
from pytest_py312.core.model.report import Report
from pytest_py312.core.model.shards import RunIdentity, ShardPart, WorkUnit
from pytest_py312.core.serialization import content_digest
from pytest_py312.gate.history.documents import DocumentFault, parse_document, read_content
from pytest_py312.gate.history.stored_runs import unpack_report
from pytest_py312.gate.sharding.packing import MAX_PARTS
from pytest_py312.runners.fingerprints import code_digest

_KEYS = ("schema", "shard", "outcomes")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardDocument:
    """The document of one part of a run: the file, which part it is, its report, and the digest of its content.

    ``division`` is equal in documents that were read together if all items of the run, and whose they are, are equal.
    """

    file: str
    shard: ShardPart
    report: Report
    digest: str
    division: int

    def __str__(self) -> str:
        return f"part {self.shard.part} ({self.file})"


def tool_identity() -> str:
    """Return the version of this package with the digest of its code: equal if the outcomes have the same meaning."""
    return f"{__version__} ({code_digest()[:12]})"


class DocumentReader:
    """Reader of the documents of one run. They share the list of all items, of which a large fleet has many."""

    def __init__(self) -> None:
        self._divisions: list[tuple[Any, tuple[WorkUnit, ...]]] = []

    def read(self, path: Path) -> ShardDocument:
        """Read the document of a part.

        :raises DocumentFault: it is none, or not whole, or was changed, or written by another version of this package.
        """
        return self.parse(read_content(path), path.as_posix())

    def parse(self, content: bytes, file: str) -> ShardDocument:
        """Parse the document of a part; see :meth:`read`."""
        document = parse_document(content, _KEYS)
        shard = document["shard"]
        if shard is None:
            raise DocumentFault("is the report of a run that was not divided (--py312-shard=K/N)")
        digest = shard.pop("digest", "") if isinstance(shard, dict) else ""
        if digest != content_digest(document):
            raise DocumentFault("was changed after it was written: its content does not have its digest")
        try:
            division, units = self._division(shard)
            part = _decode_shard(shard, units)
        except (AttributeError, KeyError, TypeError, ValueError, IndexError):
            raise DocumentFault("was written by another version of pytest-py312, or by something else") from None
        tool = part.identity.tool if part.identity is not None else tool_identity()
        if tool != tool_identity():
            raise DocumentFault(
                f"was written by pytest-py312 {tool}, and this is {tool_identity()}: merge with the version that the "
                "parts were checked with"
            )
        report = _decode_record(part.record)
        return ShardDocument(file=file, shard=part, report=report, digest=str(digest), division=division)

    def _division(self, shard: Mapping[str, Any]) -> tuple[int, tuple[WorkUnit, ...]]:
        """Return the units of a document, decoded once if they are those of another, and the number of the division."""
        division = shard["items"], shard["units"]
        for number, (read_before, units) in enumerate(self._divisions):
            if read_before == division:
                return number, units
        self._divisions.append((division, _decode_units(shard)))
        return len(self._divisions) - 1, self._divisions[-1][1]


def _decode_units(shard: Mapping[str, Any]) -> tuple[WorkUnit, ...]:
    items = [tuple(_text(name) for name in names) for names in shard["items"]]
    return tuple(
        WorkUnit(service=_text(service), part=_number(part), items=items[_number(index)])
        for service, part, index in shard["units"]
    )


def _decode_shard(shard: Mapping[str, Any], units: tuple[WorkUnit, ...]) -> ShardPart:
    part, parts = _number(shard["part"]), _number(shard["parts"])
    if not 1 <= part <= parts <= MAX_PARTS:
        raise ValueError(f"there is no part {part} of {parts}")
    if not all(1 <= unit.part <= parts for unit in units):
        raise ValueError("items are in a part that does not exist: nobody would miss their outcomes")
    return ShardPart(
        part=part,
        parts=parts,
        identity=_decode_identity(shard["identity"]) if shard["identity"] is not None else None,
        units=units,
        prefix=_text(shard["prefix"]),
        record=_text(shard["record"]),
    )


def _decode_identity(identity: Mapping[str, Any]) -> RunIdentity:
    return RunIdentity(
        tool=_text(identity["tool"]),
        commit=_text(identity["commit"]),
        changes=tuple((_text(path), _text(digest)) for path, digest in identity["changes"]),
        plan=_text(identity["plan"]),
        options=tuple((name, _text(value)) for name, value in identity["options"].items()),
        durations=_text(identity["durations"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is no string")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r:.80} is no number")
    return value


def _decode_record(record: str) -> Report:
    try:
        return unpack_report(base64.b64decode(record, validate=True))
    except (binascii.Error, ValueError, KeyError, TypeError, zlib.error, RecursionError):
        raise DocumentFault("has a record that cannot be read") from None
