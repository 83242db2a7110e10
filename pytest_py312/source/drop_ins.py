"""Which findings can be mended by writing something else in the same place, as changes of the source.

Only what means the same on the baseline and on the target: a remedy that needs thought stays a sentence. Whether the
place allows it (how something is called, how it was imported) is for the editor to say.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from pytest_py312.model import Confidence, Finding, SourceChange
from pytest_py312.source.facts import FileFacts, Kind
from pytest_py312.source.replacements import ABCS, ASSERTIONS

RENAMED: Mapping[tuple[str, str], str] = {
    **{("unittest", old): new for old, new in ASSERTIONS.items()},
    ("unittest", "_TextTestResult"): "TextTestResult",
    ("configparser", "SafeConfigParser"): "ConfigParser",
    ("configparser", "readfp"): "read_file",
    ("inspect", "getargspec"): "getfullargspec",
    ("logging", "warn"): "warning",
    ("base64", "encodestring"): "encodebytes",
    ("base64", "decodestring"): "decodebytes",
    ("array", "tostring"): "tobytes",
    ("array", "fromstring"): "frombytes",
    ("threading", "isAlive"): "is_alive",
    ("threading", "isSet"): "is_set",
    ("threading", "notifyAll"): "notify_all",
    ("threading", "activeCount"): "active_count",
    ("threading", "currentThread"): "current_thread",
    ("threading", "getName"): "name",
    ("threading", "setName"): "name",
    ("threading", "isDaemon"): "daemon",
    ("threading", "setDaemon"): "daemon",
}
"""(Package, last name) -> what the name is called today, in the same class or module."""

UTC: Mapping[str, str] = {
    "datetime.datetime.utcnow": "datetime.datetime.now(timezone.utc)",
    "datetime.datetime.utcfromtimestamp": "datetime.datetime.fromtimestamp(timezone.utc)",
}
"""What gives a time with a zone instead of one without: made only where it was asked for (:func:`asked_for`)."""

MOVED: Mapping[str, str] = {
    **{f"collections.{name}": f"collections.abc.{name}" for name in ABCS},
    "unittest.makeSuite": "unittest.defaultTestLoader.loadTestsFromTestCase",
    "unittest.findTestCases": "unittest.defaultTestLoader.loadTestsFromModule",
    "pipes.quote": "shlex.quote",
    "imp.reload": "importlib.reload",
    "imp.new_module": "types.ModuleType",
    "imp.cache_from_source": "importlib.util.cache_from_source",
    "imp.source_from_cache": "importlib.util.source_from_cache",
    **UTC,
}

_ESCAPE = re.compile(r"invalid escape sequence '?(\\[^\r\n])|^[^\"]*\"(\\[^\r\n])\" is an invalid escape sequence")
_OF_NAMES = frozenset({"PY202", "PY203", "PY220"})
NAIVE = ".replace(tzinfo=None)"


def with_changes(finding: Finding, facts: FileFacts) -> Finding:
    """``finding`` of a file with the changes that mend it, where there are some."""
    if finding.location is None or finding.location.line is None or finding.waived or _is_given(finding, facts):
        return finding
    if finding.code == "PY221":
        return replace(finding, changes=_of_escape(finding))
    if not finding.names:
        return finding
    if finding.code in ("PY201", "PY220") and finding.names[0] in _MODULES:
        return replace(finding, changes=_of_module(finding.names[0], facts))
    return replace(finding, changes=_of_name(finding)) if finding.code in _OF_NAMES else finding


def _is_given(finding: Finding, facts: FileFacts) -> bool:
    """Whether a name of one's own stands there, which something of the library was given to: it keeps its name."""
    place = finding.location
    return place is not None and any(
        one.kind == Kind.GIVEN and one.line == place.line and one.column == place.column for one in facts.references
    )


def asked_for(change: SourceChange, utc: str) -> SourceChange | None:
    """``change`` as it is made; of times in UTC only where ``utc`` (``aware`` or ``naive``) says how."""
    if change.old not in UTC:
        return change
    if not utc:
        return None
    return replace(change, new=change.new + NAIVE) if utc == "naive" else change


def _change(finding: Finding, old: str, new: str) -> SourceChange:
    place = finding.location
    if place is None or place.line is None:
        raise ValueError("a finding without a place has no change")
    return SourceChange(path=place.path, line=place.line, column=place.column or 1, old=old, new=new)


def _of_escape(finding: Finding) -> tuple[SourceChange, ...]:
    found = _ESCAPE.search(finding.message)
    escape = (found[1] or found[2]) if found else ""
    return (_change(finding, escape, f"\\{escape}"),) if escape and not escape[1].isdigit() else ()


def _of_name(finding: Finding) -> tuple[SourceChange, ...]:
    name = finding.names[0]
    package, last = name.partition(".")[0], name.rpartition(".")[2]
    new = MOVED.get(name)
    if new is None and (package, last) in RENAMED:
        new = f"{name.rpartition('.')[0]}.{RENAMED[package, last]}"
    # a method of an object of unknown class: of these, nobody else has one of the name
    if new is None or (finding.confidence is Confidence.LIKELY and last not in ASSERTIONS):
        return ()
    return (_change(finding, name, new),)


_MODULES = frozenset({"imp", "pipes"})
"""Modules of which some names moved: their imports change only where nothing else is used of them."""


def _of_module(module: str, facts: FileFacts) -> tuple[SourceChange, ...]:
    """All uses of a module that is gone; none where one of them has no successor."""
    changes = []
    for reference in facts.references:
        if reference.module != module or not reference.path or "()" in reference.path:
            continue
        old = f"{module}.{reference.path}"
        if old not in MOVED or reference.kind not in (Kind.NAME, Kind.FROM, Kind.USE):
            return ()
        if reference.kind != Kind.USE:
            changes.append(
                SourceChange(path=facts.path, line=reference.line, column=reference.column, old=old, new=MOVED[old])
            )
    return tuple(dict.fromkeys(changes))
