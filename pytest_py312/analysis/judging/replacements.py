"""Source changes that replace removed and deprecated names.

A change is proposed only if the new text means the same on the baseline and on the target; everything else remains a
remedy in words. Whether the surrounding code permits the change (how a name was imported, how it is called) is decided
by the editor.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from pytest_py312.analysis.judging.replacement_table import (
    ABCS,
    ASSERTION_RENAMES,
    DISTINCTIVE_ASSERTIONS,
    NAME_REPLACEMENTS,
)
from pytest_py312.analysis.scanner.facts.facts import FileFacts, ReferenceKind
from pytest_py312.analysis.scanner.rules.attributes import MISSPELT_ASSERTIONS
from pytest_py312.core.model.findings import Confidence, Finding, SourceChange

RENAMED_NAMES: Mapping[tuple[str, str], str] = {
    **{("unittest", old): new for old, new in ASSERTION_RENAMES.items()},
    ("unittest", "assertDictContainsSubset"): "assertEqual",
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
"""(package, last part of the name) -> new name in the same class or module."""

UTC_REPLACEMENTS: Mapping[str, str] = {
    "datetime.datetime.utcnow": "datetime.datetime.now(timezone.utc)",
    "datetime.datetime.utcfromtimestamp": "datetime.datetime.fromtimestamp(timezone.utc)",
}
"""Replacements that return an aware datetime instead of a naive one. They are applied on request only
(:func:`apply_utc_choice`).
"""

MOVED_NAMES: Mapping[str, str] = {
    **{f"collections.{name}": f"collections.abc.{name}" for name in ABCS},
    "unittest.makeSuite": "unittest.defaultTestLoader.loadTestsFromTestCase",
    "unittest.findTestCases": "unittest.defaultTestLoader.loadTestsFromModule",
    "pipes.quote": "shlex.quote",
    "imp.reload": "importlib.reload",
    "imp.new_module": "types.ModuleType",
    "imp.cache_from_source": "importlib.util.cache_from_source",
    "imp.source_from_cache": "importlib.util.source_from_cache",
    **UTC_REPLACEMENTS,
}
"""Full name -> full name of its replacement, where more than the last part of the name changes."""

_ESCAPE_WARNING = re.compile(
    r"invalid escape sequence '?(\\[^\r\n])|^[^\"]*\"(\\[^\r\n])\" is an invalid escape sequence"
)
_NAME_CODES = frozenset({"PY202", "PY203", "PY220"})
"""Codes of findings about one name, which may have a new name."""
NAIVE_SUFFIX = ".replace(tzinfo=None)"
"""Makes an aware datetime naive again."""


def attach_changes(finding: Finding, facts: FileFacts) -> Finding:
    """Return ``finding`` with the source changes that fix it, if there are any."""
    if finding.location is None or finding.location.line is None or finding.waived or _is_own_alias(finding, facts):
        return finding
    if finding.code == "PY221":
        return replace(finding, changes=_escape_changes(finding))
    if not finding.names:
        return finding
    is_certain = finding.confidence is Confidence.CERTAIN
    if finding.code == "PY206" and finding.message.endswith("rejects floats") and is_certain:
        name = finding.names[0]
        return replace(finding, changes=(_change_at_finding(finding, f"{name}(float)", f"{name}(int)"),))
    if finding.code == "PY206" and finding.names[0].startswith("locals()["):
        return replace(finding, changes=(_change_at_finding(finding, finding.names[0], "namespace[...]"),))
    if finding.code == "PY206" and finding.names[0] in MISSPELT_ASSERTIONS:
        name = finding.names[0]
        return replace(finding, changes=(_change_at_finding(finding, name, f"assert_{name}"),))
    if finding.code in ("PY201", "PY220") and finding.names[0] in _PARTLY_MOVED_MODULES:
        module = finding.names[0]
        remedy = _remedy_by_use(module, facts) or finding.remedy
        return replace(finding, remedy=remedy, changes=_module_changes(module, facts))
    return replace(finding, changes=_name_changes(finding)) if finding.code in _NAME_CODES else finding


def needs_trial(finding: Finding) -> bool:
    """Return whether the change makes an assertion of an attribute of a mock, so that a test may fail that passed."""
    return any(isinstance(change, SourceChange) and change.old in MISSPELT_ASSERTIONS for change in finding.changes)


def _is_own_alias(finding: Finding, facts: FileFacts) -> bool:
    """Return whether the name at the finding is one of the service, to which the stdlib name was assigned. It stays."""
    location = finding.location
    return location is not None and any(
        reference.kind == ReferenceKind.ALIAS
        and reference.line == location.line
        and reference.column == location.column
        for reference in facts.references
    )


def apply_utc_choice(change: SourceChange, utc: str) -> SourceChange | None:
    """Return the change to apply, or ``None`` if it must not be applied.

    :param utc: how to replace times in UTC: ``aware``, ``naive``, or empty to leave them unchanged.
    """
    if change.old not in UTC_REPLACEMENTS:
        return change
    if not utc:
        return None
    return replace(change, new=change.new + NAIVE_SUFFIX) if utc == "naive" else change


def _change_at_finding(finding: Finding, old: str, new: str) -> SourceChange:
    location = finding.location
    if location is None or location.line is None:
        raise ValueError("a finding without a location has no change")
    return SourceChange(path=location.path, line=location.line, column=location.column or 1, old=old, new=new)


def _escape_changes(finding: Finding) -> tuple[SourceChange, ...]:
    match = _ESCAPE_WARNING.search(finding.message)
    escape = (match[1] or match[2]) if match else ""
    return (_change_at_finding(finding, escape, f"\\{escape}"),) if escape and not escape[1].isdigit() else ()


def _name_changes(finding: Finding) -> tuple[SourceChange, ...]:
    name = finding.names[0]
    package, last = name.partition(".")[0], name.rpartition(".")[2]
    new = MOVED_NAMES.get(name)
    if new is None and (package, last) in RENAMED_NAMES:
        new = f"{name.rpartition('.')[0]}.{RENAMED_NAMES[package, last]}"
    # for objects of unknown class only names that no other library uses are changed
    if new is None or (finding.confidence is Confidence.LIKELY and last not in DISTINCTIVE_ASSERTIONS):
        return ()
    return (_change_at_finding(finding, name, new),)


_PARTLY_MOVED_MODULES = frozenset({"imp", "pipes"})
"""Modules of which only some names moved. Their imports are changed only if no other name is used."""


def _remedy_by_use(module: str, facts: FileFacts) -> str:
    """Return which function replaces which use of a removed module in this file; empty if a use is not known."""
    used = dict.fromkeys(
        f"{module}.{reference.path.partition('.')[0].removesuffix('()')}"
        for reference in facts.references
        if reference.module == module and reference.path
    )
    if not used or not all(name in NAME_REPLACEMENTS for name in used):
        return ""
    return "; ".join(f"{name}: {NAME_REPLACEMENTS[name].remedy}" for name in used)


def _module_changes(module: str, facts: FileFacts) -> tuple[SourceChange, ...]:
    """Return changes for all uses of a removed module; none if one of the uses has no replacement."""
    changes = []
    for reference in facts.references:
        if reference.module != module or not reference.path or "()" in reference.path:
            continue
        old = f"{module}.{reference.path}"
        if old not in MOVED_NAMES or reference.kind not in (
            ReferenceKind.NAME,
            ReferenceKind.FROM_IMPORT,
            ReferenceKind.IMPORTED_NAME,
        ):
            return ()
        if reference.kind != ReferenceKind.IMPORTED_NAME:
            changes.append(
                SourceChange(
                    path=facts.path, line=reference.line, column=reference.column, old=old, new=MOVED_NAMES[old]
                )
            )
    return tuple(dict.fromkeys(changes))
