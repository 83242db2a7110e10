"""Whether changed source is what it was meant to be: judged as if it were written, by the target and the baseline."""

from collections import Counter
from collections.abc import Iterable, Mapping

from pytest_py312.model import Finding, Severity, SourceChange

TOO_NEW = "PY210"


def disproofs(
    before: Iterable[Finding], after: Iterable[Finding], made: Iterable[SourceChange], paths: Iterable[str]
) -> Mapping[str, str]:
    """Path -> the reason why a change of that file is not to be believed.

    ``before`` and ``after`` are the findings of the source as it is, and as it would be. A finding all of whose changes
    were ``made`` has to be gone, and none that blocks may be new.
    """
    places = {_place(change) for change in made}
    known: Counter[object] = Counter()
    mended: set[object] = set()
    for finding in before:
        changed = {_place(change) for change in finding.changes if isinstance(change, SourceChange)}
        if changed and changed <= places and not finding.waived:
            mended.add(_key(finding))
        else:
            known[_key(finding)] += 1
    wanted = set(paths)
    reasons: dict[str, str] = {}
    for finding in after:
        place = finding.location
        if place is None or place.path not in wanted or finding.waived:
            continue
        key = _key(finding)
        known[key] -= 1
        is_worse = finding.severity is Severity.ERROR or finding.code == TOO_NEW
        if known[key] < 0 and (is_worse or key in mended):
            reasons.setdefault(place.path, f"line {place.line} would not be mended: {finding.message}")
    return reasons


def _place(change: SourceChange) -> object:
    return change.path, change.line, change.column, change.old


def _key(finding: Finding) -> object:
    path = finding.location.path if finding.location else ""
    return finding.code, path, finding.names or finding.message
