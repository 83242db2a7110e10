"""Give all findings of a service about one requirement the same remedy: the change that was tried. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Interpreter, Outcome, SpecifierChange
from pytest_py312.gate.checks.failure_hints import CAUSE_ELSEWHERE

_ABOUT_REQUIREMENT = re.compile(
    r"(?:require (?P<name>[A-Za-z0-9][\w.-]*)[<>=!~]=?|replace (?P<replaced>[A-Za-z0-9][\w.-]*)(?![\w.-]))", re.ASCII
)
"""The beginning of a remedy that changes or replaces a requirement."""
_OF_LIBRARIES = frozenset(("PY240", "PY243"))
"""Codes of findings on a distribution that fails on import."""
_FRAME = re.compile(r'File "(?P<path>[^"</][^"]*\.py)", line (?P<line>\d+)')
"""A line of a traceback in what is installed: these paths begin in the folder of the environment."""
_DEPENDENCIES = "dependencies"


def with_shared_remedies(outcomes: Sequence[Outcome], target: Interpreter) -> tuple[Outcome, ...]:
    """Return ``outcomes`` in which one change stands for all findings about a requirement.

    The check of dependencies installs and imports what it offers on the target. A version that another check names for
    the same requirement was found in another way, and two remedies for one line contradict each other. So do those of a
    finding on what the requirement brings, if the import of the requirement fails at the very line that it is about.
    """
    tried: dict[str, dict[str, Finding]] = {}
    for outcome in outcomes:
        if outcome.check == _DEPENDENCIES and outcome.interpreter == target:
            for finding in outcome.findings:
                for change in finding.changes:
                    if isinstance(change, SpecifierChange):
                        tried.setdefault(outcome.service, {}).setdefault(change.name, finding)
    return tuple(
        _with_tried_remedies(outcome, tried.get(outcome.service, {})) if outcome.check != _DEPENDENCIES else outcome
        for outcome in outcomes
    )


def _with_tried_remedies(outcome: Outcome, tried: Mapping[str, Finding]) -> Outcome:
    findings = tuple(_with_tried_remedy(finding, tried) for finding in outcome.findings)
    return outcome if findings == outcome.findings else replace(outcome, findings=findings)


def _with_tried_remedy(finding: Finding, tried: Mapping[str, Finding]) -> Finding:
    named = _ABOUT_REQUIREMENT.match(finding.remedy)
    names = [named["name"] or named["replaced"]] if named else []
    names += finding.names if finding.code in _OF_LIBRARIES else ()
    other = next((tried[name] for name in names if name in tried), None)
    if other is None and (finding.code in _OF_LIBRARIES or finding.remedy.startswith(CAUSE_ELSEWHERE)):
        other = next((one for one in tried.values() if _fails_at_same_line(finding, one)), None)
    return replace(finding, remedy=other.remedy) if other is not None and not finding.changes else finding


def _fails_at_same_line(finding: Finding, tried: Finding) -> bool:
    """Return whether a finding is about the line of a library at which the import of ``tried`` fails."""
    frames = list(_FRAME.finditer(tried.detail))
    if not frames:
        return False
    path, line = re.escape(frames[-1]["path"]), frames[-1]["line"]
    place = re.compile(rf'(?<![\w.-]){path}(?::|", line ){line}(?!\d)')
    return place.search(f"{finding.message}\n{finding.detail}") is not None
