"""The file of known findings, which can only shrink. Pure.

A service that is far from the target has more findings than one can waive manually. They are recorded once, in a file
that is committed with the code. Findings in the file are reported and do not block, other findings block. Fixed
findings are removed from the file, and none are ever added: to record again, delete the file, and explain that in the
commit.

Only blocking findings on source and version declarations (PY2xx, PY3xx) are recorded: not what could not be checked
(PY299), not blocking dependencies (a set that does not install proves nothing), and no failing suite, which must not be
hidden; a single test can be waived.

An entry has the fingerprint of a finding (code, path and names), its service, and the number of its occurrences. So a
second use of the same removed name in the same file is new. As the two cannot be distinguished, both block.

An entry that is not needed any more is a warning and not, as for a waiver, a failure: fixing something must not fail a
run. Until it is removed, the entry could only hide the same problem in the same file. An update of the file in a
scheduled run keeps it short.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_py312.core.errors import Py312Error, did_you_mean
from pytest_py312.core.model.findings import Finding, Outcome, Severity, Status
from pytest_py312.gate.run.waivers import reevaluate

SCHEMA = 1
SIZE_LIMIT = 16 * 1024 * 1024
"""Maximum size of a file that is read, in bytes."""

_CODE = re.compile(r"PY[23](?!99)[0-9]{2}")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_KEYS = ["code", "service", "path", "names", "message", "count", "fingerprint"]
_BLANK = re.compile(r"[ \t\r\n]*")


class KnownFindingsError(Py312Error):
    """The file of known findings is invalid. The message has its name and the line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownFinding:
    """A recorded finding of a service; ``count`` is the number of its occurrences."""

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
        subject = ", ".join(self.names) or self.message
        return " ".join(
            part for part in (self.code, self.service, f"{self.path}:" if self.path else "", subject) if part
        )


KnownFindingsByKey = Mapping[tuple[str, str], KnownFinding]
"""Known findings by service and fingerprint."""


def is_recordable(code: str) -> bool:
    """Return whether findings with ``code`` may be recorded."""
    return _CODE.fullmatch(code) is not None


# ---- comparing a run with the file


def apply_known_findings(outcome: Outcome, entries: KnownFindingsByKey) -> Outcome:
    """Mark the recorded findings of ``outcome`` as known, and evaluate it again."""
    counts = _count_blockers(outcome)

    def is_known(finding: Finding) -> bool:
        entry = entries.get((outcome.service, finding.fingerprint))
        return _is_recordable_blocker(finding) and entry is not None and counts[finding.fingerprint] <= entry.count

    return reevaluate(
        outcome, [replace(finding, known=True) if is_known(finding) else finding for finding in outcome.findings]
    )


def _is_recordable_blocker(finding: Finding) -> bool:
    return finding.blocks and is_recordable(finding.code)


def _count_blockers(outcome: Outcome) -> Counter[str]:
    return Counter(finding.fingerprint for finding in outcome.findings if _is_recordable_blocker(finding))


def over_limit(outcomes: Iterable[Outcome], entries: KnownFindingsByKey) -> tuple[tuple[KnownFinding, int], ...]:
    """Return the entries with more occurrences than recorded, with the current number."""
    counts = _highest_counts(outcomes, _count_blockers)
    return tuple((entries[key], counts[key]) for key in sorted(counts) if key in entries)


def _highest_counts(
    outcomes: Iterable[Outcome], count: Callable[[Outcome], Counter[str]]
) -> dict[tuple[str, str], int]:
    """Return how often a service has a finding, by their names, in the outcome that has it most often."""
    counts: dict[tuple[str, str], int] = {}
    for outcome in outcomes:
        for fingerprint, number in count(outcome).items():
            key = outcome.service, fingerprint
            counts[key] = max(number, counts.get(key, 0))
    return counts


def findings_to_record(outcomes: Iterable[Outcome]) -> tuple[KnownFinding, ...]:
    """Return all blocking findings that can be recorded, for a new file."""
    entries: dict[tuple[str, str], KnownFinding] = {}
    for outcome in outcomes:
        if outcome.status is not Status.FAILED:
            continue
        counts = _count_blockers(outcome)
        for finding in filter(_is_recordable_blocker, outcome.findings):
            entry = _known_finding(outcome.service, finding, counts[finding.fingerprint])
            previous = entries.get(entry.key)
            if previous is None or previous.count < entry.count:
                entries[entry.key] = entry
    return _sorted_entries(entries.values())


def _known_finding(service: str, finding: Finding, count: int) -> KnownFinding:
    return KnownFinding(
        fingerprint=finding.fingerprint,
        code=finding.code,
        service=service,
        path=finding.location.path if finding.location else "",
        message=finding.message,
        names=finding.names,
        count=count,
    )


def still_needed(
    entries: Iterable[KnownFinding], outcomes: Iterable[Outcome], was_checked: Callable[[str, str], bool]
) -> tuple[KnownFinding, ...]:
    """Return the entries that are still needed, with their current number of occurrences, if it is lower.

    :param was_checked: (service name, code) -> whether the run has checked the whole service for that code. Other
        entries are kept unchanged.
    """
    counts = _highest_counts(outcomes, _count_needed)
    needed = []
    for entry in entries:
        count = min(entry.count, counts.get(entry.key, 0)) if was_checked(entry.service, entry.code) else entry.count
        if count:
            needed.append(replace(entry, count=count))
    return _sorted_entries(needed)


def _count_needed(outcome: Outcome) -> Counter[str]:
    """Count the findings that would block if they were not accepted, by their fingerprints."""
    errors = (finding for finding in outcome.findings if finding.severity is Severity.ERROR)
    return Counter(finding.fingerprint for finding in errors if not finding.preexisting)


def _sorted_entries(entries: Iterable[KnownFinding]) -> tuple[KnownFinding, ...]:
    return tuple(
        sorted(entries, key=lambda entry: (entry.service, entry.path, entry.code, entry.names, entry.fingerprint))
    )


# ---- the file


def format_file(entries: Iterable[KnownFinding]) -> str:
    """Return the text of the file: sorted JSON with one finding per line, for readable diffs."""
    lines = [
        _LONE_SURROGATE.sub(lambda half: rf"\u{ord(half[0]):04x}", _format_entry(entry))
        for entry in _sorted_entries(entries)
    ]
    body = "".join(f"\n    {line}," for line in lines).rstrip(",")
    return f'{{\n  "schema": {SCHEMA},\n  "findings": [{body}\n  ]\n}}\n' if lines else _EMPTY


_EMPTY = f'{{\n  "schema": {SCHEMA},\n  "findings": []\n}}\n'


def _format_entry(entry: KnownFinding) -> str:
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


def parse_file(content: bytes, file_name: str) -> dict[tuple[str, str], KnownFinding]:
    """Parse the content of the file ``file_name``.

    :raises KnownFindingsError: it is not a file of known findings; the message has the line.
    """
    text = _decode_utf8(content, file_name)
    document = _parse_json(text, file_name)
    if not isinstance(document, dict) or not isinstance(document.get("findings"), list):
        raise KnownFindingsError(f'{file_name}:1: this is not a file of known findings: it has no list "findings"')
    if document.get("schema") != SCHEMA:
        raise KnownFindingsError(
            f'{file_name}:1: "schema" is not {SCHEMA}: another version of pytest-py312 has written this file'
        )
    entries: dict[tuple[str, str], KnownFinding] = {}
    for index, item in enumerate(document["findings"]):
        try:
            entry = _parse_entry(item)
            if entry.key in entries:
                raise ValueError(f"{entry} is listed twice; remove one of the lines")
        except ValueError as error:
            raise KnownFindingsError(f"{file_name}:{_line_number(text, index)}: {error}") from None
        entries[entry.key] = entry
    return entries


def _decode_utf8(content: bytes, file_name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise KnownFindingsError(f"{file_name}:{line}: this is not UTF-8") from None


def _parse_json(text: str, file_name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        hint = "; it has the marks of an unfinished merge" if re.search(r"^<<<<<<< ", text, re.MULTILINE) else ""
        raise KnownFindingsError(f"{file_name}:{error.lineno}: this is not JSON: {error.msg}{hint}") from None
    except (ValueError, RecursionError) as error:  # a huge number; deeply nested brackets
        raise KnownFindingsError(f"{file_name}:1: this is not JSON that can be read: {type(error).__name__}") from None


def _parse_entry(item: Any) -> KnownFinding:
    if not isinstance(item, dict):
        raise ValueError("a known finding must be an object in braces")
    for key in item:
        if key not in _KEYS:
            raise ValueError(f'"{key:.40}" is not known{did_you_mean(key, _KEYS)}')
    code, fingerprint = _string_value(item, "code"), _string_value(item, "fingerprint")
    if not is_recordable(code):
        raise ValueError(f'"{code:.40}" cannot be recorded, only PY2xx and PY3xx; waive it in the plan, or fix it')
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise ValueError('"fingerprint" is not 16 hexadecimal digits')
    names, count = item.get("names", []), item.get("count", 1)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError('"names" is not a list of strings')
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError('"count" is not a number from 1 on')
    return KnownFinding(
        fingerprint=fingerprint,
        code=code,
        service=_string_value(item, "service"),
        path=_string_value(item, "path"),
        message=_string_value(item, "message"),
        names=tuple(names),
        count=count,
    )


def _string_value(item: Mapping[str, Any], key: str) -> str:
    if not isinstance(item.get(key), str):
        raise ValueError(f'"{key}" is missing or not a string')
    return str(item[key])


def _line_number(text: str, index: int) -> int:
    """Return the line on which the item ``index`` of the list ``findings`` begins; ``text`` is valid JSON with it."""
    starts: Sequence[int] = ()
    for key, start in _object_members(text):
        if key == "findings":
            starts = list(_list_item_offsets(text, start))
    return text.count("\n", 0, starts[index]) + 1 if index < len(starts) else 1


def _object_members(text: str) -> Iterator[tuple[str, int]]:
    """Yield the keys of the outermost object, and the offsets of their values."""
    offset = _skip_blank(text, _skip_blank(text, 0) + 1)
    while text[offset] == '"':
        key, offset = json.JSONDecoder().raw_decode(text, offset)
        start = _skip_blank(text, _skip_blank(text, offset) + 1)
        yield key, start
        offset = _skip_blank(text, json.JSONDecoder().raw_decode(text, start)[1])
        offset = _skip_blank(text, offset + 1) if text[offset] == "," else offset


def _list_item_offsets(text: str, offset: int) -> Iterator[int]:
    """Yield the offsets of the items of the list at ``offset``; none if it is not a list."""
    offset = _skip_blank(text, offset + 1) if text[offset] == "[" else -1
    while offset >= 0 and text[offset] != "]":
        yield offset
        offset = _skip_blank(text, json.JSONDecoder().raw_decode(text, offset)[1])
        offset = _skip_blank(text, offset + 1) if text[offset] == "," else offset


def _skip_blank(text: str, offset: int) -> int:
    blank = _BLANK.match(text, offset)
    return blank.end() if blank else offset
