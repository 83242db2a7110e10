"""PY250: what the suite was warned of on an older interpreter, and is gone on the target.

Only where it is known in which release it goes: a deprecation without an end is no news of a move.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.measurements import SuiteRun, SuiteWarning
from pytest_py312.gate.checks.suite_comparison import without_addresses

if TYPE_CHECKING:
    from pytest_py312.analysis.judging.removals import Removal

CODE = "PY250"
LONGEST = 240
"""Characters of a warning that are told."""
MOST_PLACES = 6

_LINE = re.compile(r"[1-9][0-9]{0,8}")

SourceFindings = Callable[[], Sequence[Finding] | None]
"""What reading the source has found; ``None`` where it was not read to the end. Asked only where it matters."""


@dataclass(kw_only=True, slots=True)
class _Group:
    """Alike warnings of one file of the service (``path``) or of one ``package``."""

    removal: "Removal"
    text: str
    path: str
    package: str
    places: dict[str, int] = field(default_factory=dict)
    """Origin -> how often."""
    interpreters: dict[Interpreter, None] = field(default_factory=dict)


def foretold(
    service: Service,
    runs: Sequence[SuiteRun],
    target: Interpreter,
    there: SuiteRun | None,
    source: SourceFindings,
    *,
    worse: bool,
) -> list[Finding]:
    """What ``runs``, on interpreters before the target, were warned of and the target no longer has.

    ``there`` is the run on the target, where there is one: what it is warned of is still there and, unless something
    is ``worse`` in it, the tests that were warned do without. Lines that reading the source has found something on
    are left out, and where it has found nothing on a name that is gone, it is a note: it stands behind a guard.
    """
    from pytest_py312.analysis.judging.removals import removal_of  # where nothing is compared, its table is not loaded

    still = {_alike(warning.message) for warning in (there.warnings if there else ())}
    groups: list[_Group] = []
    for run in runs:
        for warning in run.warnings:
            removal = removal_of(warning.message)
            if removal and run.interpreter < removal.release <= target and _alike(warning.message) not in still:
                _add(groups, warning, removal, run.interpreter)
    known = source() if any(group.path for group in groups) else None
    lines = {str(one.location) for one in known or () if one.location is not None}
    found = []
    for group in groups:
        left = {place: count for place, count in group.places.items() if place not in lines}
        if left:
            group.places = left
            found.append(_finding(service, group, runs[0], _excuses(group, target, there, known, worse)))
    return found


def _add(groups: list[_Group], warning: SuiteWarning, removal: "Removal", interpreter: Interpreter) -> None:
    """Put a warning to those of its kind. On one line of the service, interpreters say the same in other words."""
    path, package, line = _origin(warning.origin)
    text = without_addresses(" ".join(warning.message.split()))[:LONGEST]
    place = f"{path}:{line}" if path else warning.origin
    for group in groups:
        same = (group.path, group.package, group.removal.release) == (path, package, removal.release)
        if same and (_alike(group.text) == _alike(text) or (path and place in group.places)):
            break
    else:
        group = _Group(removal=removal, text=text, path=path, package=package)
        groups.append(group)
    group.places[place] = group.places.get(place, 0) + warning.count
    group.interpreters[interpreter] = None


def _excuses(
    group: _Group, target: Interpreter, there: SuiteRun | None, known: Sequence[Finding] | None, worse: bool
) -> list[str]:
    """Why it need not be in the way, if there is a reason."""
    reasons = []
    if there is not None and not worse:
        reasons.append(f"nothing that the suite does is worse on {target}")
    if group.path and group.removal.is_name and known is not None:
        reasons.append("reading the source finds no fault with it: it stands behind a guard, or cannot be read there")
    return reasons


def _finding(service: Service, group: _Group, run: SuiteRun, excuses: Sequence[str]) -> Finding:
    whose = f"{_distribution(group.package, run)}: " if group.package else ""
    release = str(group.removal.release)
    gone = "" if re.search(rf"\b{re.escape(release)}\b", group.text) else f" (gone in {release})"
    places = list(group.places)
    more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    count = sum(group.places.values())
    times = "once" if count == 1 else f"{count} times"
    on = " and ".join(map(str, group.interpreters))
    remedy = group.removal.remedy or "use what the warning names instead"
    return Finding(
        code=CODE,
        message=f"{whose}{group.text}{gone}",
        remedy=f"require a version of {group.package} that does without" if group.package else remedy,
        severity=Severity.NOTE if excuses else Severity.WARNING,
        location=_location(service, group),
        detail="\n".join([f"warned on {on}, {times}: {', '.join(places[:MOST_PLACES])}{more}", *excuses]),
    )


def _location(service: Service, group: _Group) -> Location | None:
    if not group.path:
        return Location(path=service.manifest) if service.manifest else None
    line = next(iter(group.places)).rpartition(":")[2]
    return Location(path=group.path, line=int(line) if _LINE.fullmatch(line) else None)


def _origin(origin: str) -> tuple[str, str, str]:
    """(Path below the root, package, line): own code has a path, what is installed a package, all else neither."""
    place, _, line = origin.replace("\\", "/").rpartition(":")
    if "/site-packages/" in place:
        return "", re.split(r"[/.]", place.rpartition("/site-packages/")[2])[0], line
    own = place and not place.startswith(("/", "<")) and ".." not in place.split("/")
    return place.removeprefix("./") if own else "", "", line


def _distribution(package: str, run: SuiteRun) -> str:
    """The package and its version, where a distribution of that name is installed."""
    name = package.lower().replace("_", "-")
    version = run.versions.get(name)
    return f"{name} {version}" if version else package


def _alike(message: str) -> str:
    """Without what differs between interpreters and places: numbers, and the release that is named."""
    return re.sub(r"\d+", "0", " ".join(message.split()))
