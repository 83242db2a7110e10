"""Requirements of tests that cannot be had here, and without which the service and its tests run all the same. Pure."""

import re
from collections.abc import Collection, Iterable, Sequence

from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.dependencies.resolution.lock import PROJECT_NAME
from pytest_py312.repository.services.requirement_set import LocatedEntry, RequirementSet

UNNEEDED_CODE = "PY118"
"""Code of the note about such a requirement."""

_CHANGES_TESTS = re.compile(r"test|cov|hypothesis|nose|mock|xdist|freez|plugin")
"""Names of projects that may act on tests without being imported by them, as plugins of pytest do."""
_EXTRA = re.compile(r";.*\bextra\b")


def only_tests_require(names: Collection[str], production: RequirementSet, requires: Iterable[str]) -> bool:
    """Return whether no run-time requirement needs the projects ``names``, and none of them acts on tests by itself.

    :param requires: the requirements of all distributions that are installed without them.
    """
    if any(_CHANGES_TESTS.search(name) for name in names):
        return False
    needed = {item.name for item in production.entries}
    for line in requires:
        match = re.match(PROJECT_NAME, line)
        if match and not _EXTRA.search(line):
            needed.add(canonicalize_name(match[1]))
    return needed.isdisjoint(names)


def unneeded_finding(names: Sequence[str], reason: str, entries: Sequence[LocatedEntry]) -> Finding:
    """Return the note that the set was checked without the projects ``names``, for ``reason``."""
    location = next((item.location for item in entries if item.name in names), None)
    return Finding(
        code=UNNEEDED_CODE,
        message=f"checked without {' and '.join(sorted(names))}, which only the requirements of tests have, and which "
        f"neither the service nor its tests import: {reason}",
        severity=Severity.NOTE,
        location=location,
        names=tuple(sorted(names)),
    )
