"""A recorded set of known findings, which can only shrink. Pure.

A service that is far from the target has more findings than one can waive by hand. They are recorded once, in a file
that is kept with the code: what stands in it is shown and does not block, what does not stand in it blocks. What is
mended is taken out of the file, and nothing is ever put in: to record anew, delete the file and say why in the commit.

What can be recorded: findings about source and declared versions (PY2xx, PY3xx) that block. Not what could not be
checked (PY299), not dependencies that block (nothing can be proven with a set that does not install), and no suite:
a suite that is broken is not to be hidden, and a single test can be waived.

An entry holds for a fingerprint (code, path and names) of a service and for as many places as were recorded, so that a
second use of the same removed name in the same file is new. Nothing tells which of the two that is, so both block.

An entry that nothing needs any more is a warning and not, as an idle waiver, a failure: somebody has mended something,
and must not be turned back for it. What the entry could let pass until it is removed is the same trouble, in the same
file, coming back. ``--py312-baseline-update`` in a scheduled run keeps the file short.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_py312.core.errors import Py312Error, perhaps
from pytest_py312.core.model.findings import Finding, Outcome, Severity, Status
from pytest_py312.gate.run.waivers import judged_again

SCHEMA = 1
SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes of a file that is read."""

_CODE = re.compile(r"PY[23](?!99)[0-9]{2}")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_KEYS = ["code", "service", "path", "names", "message", "count", "fingerprint"]
_BLANK = re.compile(r"[ \t\r\n]*")


class RecordError(Py312Error):
    """The file of recorded findings cannot be used as it stands. The message names it and the line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A finding that is recorded for a service; ``count`` is at how many places of the file it was found."""

    fingerprint: str
    code: str
    service: str
    path: str
    message: str
    names: tuple[str, ...] = ()
    count: int = 1

    @property
    def key(self) -> tuple[str, str]:
        return self.service, self.fingerprint

    def __str__(self) -> str:
        what = ", ".join(self.names) or self.message
        return " ".join(part for part in (self.code, self.service, f"{self.path}:" if self.path else "", what) if part)


Entries = Mapping[tuple[str, str], Entry]
"""By service and fingerprint."""


def can_be_recorded(code: str) -> bool:
    """Whether findings with ``code`` may be recorded at all."""
    return _CODE.fullmatch(code) is not None


# ---- what the file says of a run


def lay_over(outcome: Outcome, entries: Entries) -> Outcome:
    """``outcome`` with those of its blocking findings known that are recorded, and judged again."""
    numbers = _blocking(outcome)

    def known(finding: Finding) -> bool:
        entry = entries.get((outcome.service, finding.fingerprint))
        return _counts(finding) and entry is not None and numbers[finding.fingerprint] <= entry.count

    return judged_again(
        outcome, [replace(finding, known=True) if known(finding) else finding for finding in outcome.findings]
    )


def _counts(finding: Finding) -> bool:
    return finding.blocks and can_be_recorded(finding.code)


def _blocking(outcome: Outcome) -> Counter[str]:
    return Counter(finding.fingerprint for finding in outcome.findings if _counts(finding))


def exceeded(outcomes: Iterable[Outcome], entries: Entries) -> tuple[tuple[Entry, int], ...]:
    """Entries of which there is more than is recorded, and how much there is."""
    found: dict[tuple[str, str], int] = {}
    for outcome in outcomes:
        for fingerprint, number in _blocking(outcome).items():
            key = outcome.service, fingerprint
            found[key] = max(number, found.get(key, 0))
    return tuple((entries[key], found[key]) for key in sorted(found) if key in entries)


def recording_of(outcomes: Iterable[Outcome]) -> tuple[Entry, ...]:
    """Everything that blocks and can be recorded, for a file that is not there yet."""
    found: dict[tuple[str, str], Entry] = {}
    for outcome in outcomes:
        if outcome.status is not Status.FAILED:
            continue
        numbers = _blocking(outcome)
        for finding in filter(_counts, outcome.findings):
            entry = _entry(outcome.service, finding, numbers[finding.fingerprint])
            before = found.get(entry.key)
            if before is None or before.count < entry.count:
                found[entry.key] = entry
    return _ordered(found.values())


def _entry(service: str, finding: Finding, count: int) -> Entry:
    return Entry(
        fingerprint=finding.fingerprint,
        code=finding.code,
        service=service,
        path=finding.location.path if finding.location else "",
        message=finding.message,
        names=finding.names,
        count=count,
    )


def shrunk(
    entries: Iterable[Entry], outcomes: Iterable[Outcome], was_judged: Callable[[str, str], bool]
) -> tuple[Entry, ...]:
    """The entries that are still needed, with the numbers that are. Never more than there were.

    :param was_judged: whether the run has answered for all of a service (by name) that a code could be found in.
        Entries of which it has not are kept as they are.
    """
    present: dict[tuple[str, str], int] = {}
    for outcome in outcomes:
        for fingerprint, number in Counter(map(_needing, outcome.findings)).items():
            if fingerprint:
                key = outcome.service, fingerprint
                present[key] = max(number, present.get(key, 0))
    kept = []
    for entry in entries:
        count = min(entry.count, present.get(entry.key, 0)) if was_judged(entry.service, entry.code) else entry.count
        if count:
            kept.append(replace(entry, count=count))
    return _ordered(kept)


def _needing(finding: Finding) -> str:
    """The fingerprint of a finding that would block if it were not accepted; else nothing."""
    return finding.fingerprint if finding.severity is Severity.ERROR and not finding.preexisting else ""


def _ordered(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda one: (one.service, one.path, one.code, one.names, one.fingerprint)))


# ---- the file


def text_of(entries: Iterable[Entry]) -> str:
    """The file: JSON, sorted, one finding a line, so that a diff shows what went."""
    lines = [_LONE_SURROGATE.sub(lambda half: rf"\u{ord(half[0]):04x}", _line(entry)) for entry in _ordered(entries)]
    body = "".join(f"\n    {line}," for line in lines).rstrip(",")
    return f'{{\n  "schema": {SCHEMA},\n  "findings": [{body}\n  ]\n}}\n' if lines else _EMPTY


_EMPTY = f'{{\n  "schema": {SCHEMA},\n  "findings": []\n}}\n'


def _line(entry: Entry) -> str:
    document = {
        "code": entry.code,
        "service": entry.service,
        "path": entry.path,
        "names": list(entry.names),
        "message": entry.message,
        **({"count": entry.count} if entry.count > 1 else {}),
        "fingerprint": entry.fingerprint,
    }
    return json.dumps(document, ensure_ascii=False)


def entries_in(content: bytes, where: str) -> dict[tuple[str, str], Entry]:
    """What the file ``where`` records.

    :raises RecordError: it is not such a file; with the line.
    """
    text = _text(content, where)
    document = _parsed(text, where)
    if not isinstance(document, dict) or not isinstance(document.get("findings"), list):
        raise RecordError(f'{where}:1: this is no file of recorded findings: it has no list "findings"')
    if document.get("schema") != SCHEMA:
        raise RecordError(f'{where}:1: "schema" is not {SCHEMA}: another version of pytest-py312 has written this file')
    found: dict[tuple[str, str], Entry] = {}
    for index, item in enumerate(document["findings"]):
        try:
            entry = _read(item)
            if entry.key in found:
                raise ValueError(f"{entry} stands here twice; keep one of the lines")
        except ValueError as error:
            raise RecordError(f"{where}:{_line_number(text, index)}: {error}") from None
        found[entry.key] = entry
    return found


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RecordError(f"{where}:{line}: this is not UTF-8") from None


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        hint = "; it has the marks of an unfinished merge" if re.search(r"^<<<<<<< ", text, re.MULTILINE) else ""
        raise RecordError(f"{where}:{error.lineno}: this is not JSON: {error.msg}{hint}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; brackets without end
        raise RecordError(f"{where}:1: this is not JSON that can be read: {type(error).__name__}") from None


def _read(item: Any) -> Entry:
    if not isinstance(item, dict):
        raise ValueError("a recorded finding is an object in braces")
    for key in item:
        if key not in _KEYS:
            raise ValueError(f'"{key:.40}" is not known{perhaps(key, _KEYS)}')
    code, fingerprint = _string(item, "code"), _string(item, "fingerprint")
    if not can_be_recorded(code):
        raise ValueError(f'"{code:.40}" cannot be recorded, only PY2xx and PY3xx; waive it in the plan, or mend it')
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise ValueError('"fingerprint" is not 16 hexadecimal digits')
    names, count = item.get("names", []), item.get("count", 1)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError('"names" is not a list of strings')
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError('"count" is not a number from 1 on')
    return Entry(
        fingerprint=fingerprint,
        code=code,
        service=_string(item, "service"),
        path=_string(item, "path"),
        message=_string(item, "message"),
        names=tuple(names),
        count=count,
    )


def _string(item: Mapping[str, Any], key: str) -> str:
    if not isinstance(item.get(key), str):
        raise ValueError(f'"{key}" is missing or not a string')
    return str(item[key])


def _line_number(text: str, index: int) -> int:
    """The line on which the item ``index`` of the list ``findings`` begins; ``text`` is JSON and has it."""
    starts: Sequence[int] = ()
    for key, start in _members(text):
        if key == "findings":
            starts = list(_items(text, start))
    return text.count("\n", 0, starts[index]) + 1 if index < len(starts) else 1


def _members(text: str) -> Iterator[tuple[str, int]]:
    """The keys of the outermost object, and where their values begin."""
    at = _after_blank(text, _after_blank(text, 0) + 1)
    while text[at] == '"':
        key, at = json.JSONDecoder().raw_decode(text, at)
        start = _after_blank(text, _after_blank(text, at) + 1)
        yield key, start
        at = _after_blank(text, json.JSONDecoder().raw_decode(text, start)[1])
        at = _after_blank(text, at + 1) if text[at] == "," else at


def _items(text: str, at: int) -> Iterator[int]:
    """Where the items of the list that begins at ``at`` begin; none where it is no list."""
    at = _after_blank(text, at + 1) if text[at] == "[" else -1
    while at >= 0 and text[at] != "]":
        yield at
        at = _after_blank(text, json.JSONDecoder().raw_decode(text, at)[1])
        at = _after_blank(text, at + 1) if text[at] == "," else at


def _after_blank(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at
