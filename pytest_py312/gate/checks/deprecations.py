"""PY250: the suite showed a deprecation warning on an older interpreter, and the target has removed the feature.

Only for removals with a known release: a deprecation without one does not affect the migration.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import SuiteRun, SuiteWarning
from pytest_py312.core.text import shorten
from pytest_py312.gate.checks.check import Facts
from pytest_py312.gate.checks.suite_comparison import without_addresses

if TYPE_CHECKING:
    from pytest_py312.analysis.judging.removals import Removal

CODE = "PY250"
MAX_MESSAGE_LENGTH = 240
"""Characters of a warning that are reported."""
MAX_LOCATIONS = 6

_LINE = re.compile(r"[1-9][0-9]{0,8}")

SourceFindings = Callable[[], Sequence[Finding] | None]
"""Returns the findings of the source check; ``None`` if it is incomplete. Called only if it is needed."""


@dataclass(kw_only=True, slots=True)
class _WarningGroup:
    """Similar warnings in one file of the service (``path``) or in one ``package``."""

    removal: "Removal"
    text: str
    path: str
    package: str
    locations: dict[str, int] = field(default_factory=dict)
    """Origin -> number of warnings."""
    interpreters: dict[Interpreter, None] = field(default_factory=dict)


def deprecation_findings(cell: Cell, facts: Facts, run: SuiteRun | None = None, *, worse: bool = True) -> list[Finding]:
    """Return, on the target, findings on deprecations on the baseline and on the interpreter before the target."""
    cells = facts.cells(cell.service)
    if cell != cells[-1]:
        return []
    older = [other for other in dict.fromkeys((cells[0], *cells[-2:-1])) if other != cell]
    older_run = facts.suite_run if run is not None else facts.suite_warnings  # which have run in any case, or not
    runs = [older_run(other) for other in older if facts.installation(other).environment is not None]

    def source() -> Sequence[Finding] | None:
        inspection = facts.source_analysis(cell)
        return None if inspection.unchecked_reason else inspection.findings

    warned = [warning_run for warning_run in runs if warning_run.warnings]
    return removed_after_warning(cell.service, warned, cell.interpreter, run, source, worse=worse)


def removed_after_warning(
    service: Service,
    runs: Sequence[SuiteRun],
    target: Interpreter,
    target_run: SuiteRun | None,
    source_findings: SourceFindings,
    *,
    worse: bool,
) -> list[Finding]:
    """Return findings on features that ``runs``, on older interpreters, warned of and the target has removed.

    Lines with a finding of the source check are left out. If that check reports nothing for a removed name, the use is
    probably guarded, and the finding is a note.

    :param target_run: the run on the target, if there is one: features that it still warns of are not removed.
    :param worse: whether tests are worse in ``target_run``; if not, the findings are notes.
    """
    from pytest_py312.analysis.judging.removals import find_removal  # lazy: loads a table that few runs need

    still_warned = {_normalized(warning.message) for warning in (target_run.warnings if target_run else ())}
    groups: list[_WarningGroup] = []
    for run in runs:
        for warning in run.warnings:
            removal = find_removal(warning.message)
            if (
                removal
                and run.interpreter < removal.release <= target
                and _normalized(warning.message) not in still_warned
            ):
                _add_to_group(groups, warning, removal, run.interpreter)
    findings_in_source = source_findings() if any(group.path for group in groups) else None
    reported_lines = {str(finding.location) for finding in findings_in_source or () if finding.location is not None}
    findings = []
    for group in groups:
        unreported_locations = {
            location: count for location, count in group.locations.items() if location not in reported_lines
        }
        if unreported_locations:
            group.locations = unreported_locations
            findings.append(
                _finding(service, group, runs[0], _mitigations(group, target, target_run, findings_in_source, worse))
            )
    return findings


def _add_to_group(
    groups: list[_WarningGroup], warning: SuiteWarning, removal: "Removal", interpreter: Interpreter
) -> None:
    """Add a warning to its group. Interpreters may word the same warning differently, so one line is one group."""
    path, package, line = _parse_origin(warning.origin)
    text = shorten(without_addresses(" ".join(warning.message.split())), MAX_MESSAGE_LENGTH)
    location = f"{path}:{line}" if path else warning.origin
    for group in groups:
        same = (group.path, group.package, group.removal.release) == (path, package, removal.release)
        if same and (_normalized(group.text) == _normalized(text) or (path and location in group.locations)):
            break
    else:
        group = _WarningGroup(removal=removal, text=text, path=path, package=package)
        groups.append(group)
    group.locations[location] = group.locations.get(location, 0) + warning.count
    group.interpreters[interpreter] = None


def _mitigations(
    group: _WarningGroup,
    target: Interpreter,
    target_run: SuiteRun | None,
    findings_in_source: Sequence[Finding] | None,
    worse: bool,
) -> list[str]:
    """Return the reasons why the removal may not affect the service."""
    reasons = []
    if target_run is not None and not worse:
        reasons.append(f"no test is worse on {target}")
    if group.path and group.removal.is_name and findings_in_source is not None:
        reasons.append("the source check reports nothing here: the use is guarded, or cannot be analyzed")
    return reasons


def _finding(service: Service, group: _WarningGroup, run: SuiteRun, mitigations: Sequence[str]) -> Finding:
    package_prefix = f"{_distribution_label(group.package, run)}: " if group.package else ""
    release = str(group.removal.release)
    removal_note = "" if re.search(rf"\b{re.escape(release)}\b", group.text) else f" (removed in {release})"
    locations = list(group.locations)
    more = f" and {len(locations) - MAX_LOCATIONS} more" if len(locations) > MAX_LOCATIONS else ""
    count = sum(group.locations.values())
    times = "once" if count == 1 else f"{count} times"
    interpreters = " and ".join(map(str, group.interpreters))
    remedy = group.removal.remedy or "use the replacement that the warning names"
    return Finding(
        code=CODE,
        message=f"{package_prefix}{group.text}{removal_note}",
        remedy=f"require a version of {group.package} that does not use it" if group.package else remedy,
        severity=Severity.NOTE if mitigations else Severity.WARNING,
        location=_location(service, group),
        detail="\n".join(
            [f"warned on {interpreters}, {times}: {', '.join(locations[:MAX_LOCATIONS])}{more}", *mitigations]
        ),
    )


def _location(service: Service, group: _WarningGroup) -> Location | None:
    if not group.path:
        return Location(path=service.manifest) if service.manifest else None
    line = next(iter(group.locations)).rpartition(":")[2]
    return Location(path=group.path, line=int(line) if _LINE.fullmatch(line) else None)


def _parse_origin(origin: str) -> tuple[str, str, str]:
    """Return (path below the root, package, line). Own code has a path, an installed module a package, others none."""
    file, _, line = origin.replace("\\", "/").rpartition(":")
    if "/site-packages/" in file:
        return "", re.split(r"[/.]", file.rpartition("/site-packages/")[2])[0], line
    is_own = file and not file.startswith(("/", "<")) and ".." not in file.split("/")
    return file.removeprefix("./") if is_own else "", "", line


def _distribution_label(package: str, run: SuiteRun) -> str:
    """Return the package with its version, if a distribution of that name is installed."""
    name = package.lower().replace("_", "-")
    version = run.versions.get(name)
    return f"{name} {version}" if version else package


def _normalized(message: str) -> str:
    """Return the message without numbers, which differ between interpreters and locations."""
    return re.sub(r"\d+", "0", " ".join(message.split()))
