"""Rate what the gate reports about a repository by what was found by hand. Pure functions.

A service is found by its path. A culprit is found if a blocking finding points at it: at the requirement by its name
(also where the finding is about another project and its text names this one: it was pulled in), at source by file and
line (also as they are installed: ``pkg/log.py:13`` for ``tools/pkg/log.py:13``) or by name, at tests by their ids, at a
declared version or a lock by its file.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from packaging.utils import canonicalize_name

from pytest_py312.core.text import shorten
from tests.corpus.manifest import Culprit, CulpritKind, Manifest, Place, TrueService, TrueVerdict
from tests.corpus.report import BlockingFinding, ReportedService, ReportedState

LINE_TOLERANCE = 3
"""Lines between the place in a manifest and that of a finding that count as the same place."""

_PROJECT_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_INSTALLED_PLACE = re.compile(r"\((?P<path>[\w.-]+(?:/[\w.-]+)+\.py):(?P<line>\d{1,7})\b")


class Rating(Enum):
    """What the gate's answer for one service is worth."""

    RIGHT = "right"
    WRONG_GREEN = "wrong green"
    FALSE_ALARM = "false alarm"
    WRONG_CULPRIT = "wrong culprit"
    NOT_CHECKED = "not checked"
    """Could not be checked although it can be: the reason lies with the gate."""
    ASKS = "asks"
    """Not checked yet, because the gate asks for a line in the plan and says which."""
    NOT_FOUND = "not found"
    INVENTED = "invented"
    UNLISTED = "unlisted"
    """Reported, and neither in the manifest nor excluded by it: nothing is known of it."""


WRONG = frozenset(Rating) - {Rating.RIGHT, Rating.ASKS, Rating.UNLISTED}


@dataclass(frozen=True, kw_only=True, slots=True)
class RatedService:
    """The rating of one service, with the evidence in ``note``."""

    path: str
    rating: Rating
    truth: TrueVerdict | None = None
    """``None`` if the manifest does not have it."""
    reported: ReportedState | None = None
    """``None`` if the gate does not report it."""
    note: str = ""
    unexplained: tuple[BlockingFinding, ...] = ()
    """Blocking findings of a broken service that no culprit of the manifest explains."""
    named: tuple[Culprit, ...] = ()
    """The culprits of a broken service at which a blocking finding points."""
    unnamed: tuple[Culprit, ...] = ()
    """Its other culprits."""
    fixed: bool = False
    """Whether the gate offers a change for its first culprit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RatedRepository:
    """The ratings of a repository.

    ``seconds`` is the wall time of the run, if it is known, ``seconds_again`` that of a second run of the same.
    """

    manifest: Manifest
    services: tuple[RatedService, ...]
    seconds: float | None = None
    seconds_again: float | None = None
    problem: str = ""
    """Why there is no report, or not a whole one."""

    def count(self, *ratings: Rating) -> int:
        return sum(service.rating in ratings for service in self.services)

    @property
    def listed(self) -> tuple[RatedService, ...]:
        """The services whose truth is known."""
        known_verdicts = (TrueVerdict.READY, TrueVerdict.BROKEN, TrueVerdict.NOT_CHECKABLE)
        return tuple(service for service in self.services if service.truth in known_verdicts)


def rate(
    manifest: Manifest, reported: Sequence[ReportedService], *, seconds: float | None = None, problem: str = ""
) -> RatedRepository:
    """Rate a report. With a ``problem`` what is not in it was not checked: the run did not come to its end."""
    by_path: dict[str, list[ReportedService]] = {}
    for entry in reported:
        by_path.setdefault(entry.path or ".", []).append(entry)
    ratings = [_rate_service(service, by_path.pop(service.path, []), problem) for service in manifest.services]
    ratings += [
        RatedService(
            path=path,
            rating=Rating.INVENTED if manifest.complete else Rating.UNLISTED,
            reported=_worst_state(entries),
            note=_evidence(entries),
        )
        for path, entries in by_path.items()
    ]
    return RatedRepository(
        manifest=manifest,
        services=tuple(rating for rating in ratings if rating is not None),
        seconds=seconds,
        problem=problem,
    )


def _rate_service(service: TrueService, entries: Sequence[ReportedService], problem: str) -> RatedService | None:
    """Rate one service of the manifest; ``None`` for a folder that is no service and is not reported as one."""
    if not entries:
        if service.verdict is TrueVerdict.NO_SERVICE:
            return None
        rating = Rating.NOT_CHECKED if problem else Rating.NOT_FOUND
        return RatedService(path=service.path, rating=rating, truth=service.verdict, note=problem)
    state = _worst_state(entries)
    findings = [finding for entry in entries for finding in entry.findings]
    rating, note = _JUDGES[service.verdict](service, state, findings)
    if service.verdict is TrueVerdict.READY and all(_is_ready_or_asks(entry) for entry in entries):
        rating = Rating.RIGHT if state is ReportedState.PROVEN else Rating.ASKS
    culprits = service.culprits if service.verdict is TrueVerdict.BROKEN else ()
    named = tuple(culprit for culprit in culprits if any(points_at(item, culprit) for item in findings))
    return RatedService(
        path=service.path,
        rating=rating,
        truth=service.verdict,
        reported=state,
        note=note or ("" if rating is Rating.RIGHT else _evidence(entries)),
        unexplained=tuple(_unexplained(service, findings)) if culprits else (),
        named=named,
        unnamed=tuple(culprit for culprit in culprits if culprit not in named),
        fixed=any(item.changes and points_at(item, culprits[0]) for item in findings) if culprits else False,
    )


def _is_ready_or_asks(entry: ReportedService) -> bool:
    return entry.state is ReportedState.PROVEN or entry.asks_for_setting


def _judge_ready(_: TrueService, state: ReportedState, findings: Sequence[BlockingFinding]) -> tuple[Rating, str]:
    if state is ReportedState.BLOCKED:
        return Rating.FALSE_ALARM, ""
    return (Rating.RIGHT if state is ReportedState.PROVEN else Rating.NOT_CHECKED), ""


def _judge_broken(
    service: TrueService, state: ReportedState, findings: Sequence[BlockingFinding]
) -> tuple[Rating, str]:
    first = service.culprits[0]
    label = str(first)
    if state is ReportedState.PROVEN:
        return Rating.WRONG_GREEN, f"broken by {label}: {first.reason}"
    if state is ReportedState.NOT_CHECKED:
        return Rating.NOT_CHECKED, ""
    if any(points_at(finding, first) for finding in findings):
        return Rating.RIGHT, ""
    return Rating.WRONG_CULPRIT, f"not named: {label}; instead: {_first_findings(findings)}"


def _judge_not_checkable(
    service: TrueService, state: ReportedState, findings: Sequence[BlockingFinding]
) -> tuple[Rating, str]:
    if state is ReportedState.PROVEN:
        return Rating.WRONG_GREEN, f"nothing can prove it: {service.reason}"
    if state is ReportedState.NOT_CHECKED:
        return Rating.RIGHT, ""
    has_culprit = any(points_at(finding, culprit) for finding in findings for culprit in service.culprits)
    return (Rating.RIGHT if has_culprit else Rating.FALSE_ALARM), ""


def _judge_no_service(_: TrueService, state: ReportedState, findings: Sequence[BlockingFinding]) -> tuple[Rating, str]:
    return Rating.INVENTED, ""


_JUDGES: Mapping[TrueVerdict, Callable[[TrueService, ReportedState, Sequence[BlockingFinding]], tuple[Rating, str]]] = {
    TrueVerdict.READY: _judge_ready,
    TrueVerdict.BROKEN: _judge_broken,
    TrueVerdict.NOT_CHECKABLE: _judge_not_checkable,
    TrueVerdict.NO_SERVICE: _judge_no_service,
}


def _worst_state(entries: Sequence[ReportedService]) -> ReportedState:
    """Return the state of a folder; several services may share it."""
    states = {entry.state for entry in entries}
    return next(
        state for state in (ReportedState.BLOCKED, ReportedState.NOT_CHECKED, ReportedState.PROVEN) if state in states
    )


def _evidence(entries: Sequence[ReportedService]) -> str:
    """Return what the gate reports: its first blocking findings, or the reason why it could not check."""
    findings = [finding for entry in entries for finding in entry.findings]
    if findings:
        return _first_findings(findings)
    return shorten(next((reason for entry in entries for reason in entry.reasons), ""), 300)


def _first_findings(findings: Sequence[BlockingFinding]) -> str:
    """Format the first two findings."""
    distinct = _distinct(findings)
    remainder = f" (and {len(distinct) - 2} more)" if len(distinct) > 2 else ""
    return "; ".join(map(_with_interpreter, distinct[:2])) + remainder


def _distinct(findings: Iterable[BlockingFinding]) -> list[BlockingFinding]:
    """Return the findings; those of the same code and names on several Pythons are one."""
    distinct: dict[tuple[str, str, tuple[str, ...]], BlockingFinding] = {}
    for finding in findings:
        distinct.setdefault((finding.code, finding.path, finding.names), finding)
    return list(distinct.values())


def _with_interpreter(finding: BlockingFinding) -> str:
    return f"on {finding.interpreter}: {finding}" if finding.interpreter else str(finding)


def _unexplained(service: TrueService, findings: Iterable[BlockingFinding]) -> Iterator[BlockingFinding]:
    """Yield the findings that no culprit explains, each once for all Pythons.

    What a suite reports is a consequence of any of them.
    """
    for finding in _distinct(findings):
        is_consequence = finding.code.startswith("PY4") and service.culprits
        if not is_consequence and not any(points_at(finding, culprit) for culprit in service.culprits):
            yield finding


def points_at(finding: BlockingFinding, culprit: Culprit) -> bool:
    """Return whether a blocking finding is about a culprit."""
    return _MATCHERS[culprit.kind](finding, culprit)


def _points_at_requirement(finding: BlockingFinding, culprit: Culprit) -> bool:
    if finding.code.startswith("PY3"):
        return False
    if finding.code.startswith("PY1") and finding.line and _is_at(finding, culprit.place, tolerance=0):
        return True
    name = project_name(culprit.name)
    is_named = name in {project_name(other) for other in finding.names} or _names_project(finding, name)
    return bool(name) and is_named


def _points_at_source(finding: BlockingFinding, culprit: Culprit) -> bool:
    if culprit.place.path and _is_at(finding, culprit.place, tolerance=LINE_TOLERANCE):
        return True
    for match in _INSTALLED_PLACE.finditer(finding.message):
        is_near = abs(int(match["line"]) - (culprit.place.line or 0)) <= LINE_TOLERANCE
        if is_near and culprit.place.path.endswith(f"/{match['path']}"):
            return True
    same_file = culprit.place.path in ("", finding.path)
    return same_file and any(_same_attribute(name, culprit.name) for name in finding.names)


def _points_at_suite(finding: BlockingFinding, culprit: Culprit) -> bool:
    if culprit.place.line and finding.line and _is_at(finding, culprit.place, tolerance=LINE_TOLERANCE):
        return True  # whichever check names the line
    if not finding.code.startswith("PY4"):
        return False
    wanted_file, _, wanted_test = culprit.name.partition("::")
    if not wanted_file.endswith(".py"):  # the suite as a whole
        return not culprit.place.path or is_below(finding.path, culprit.place.path)
    for name in finding.names:
        file, _, test = name.partition("::")
        if _same_tail(file, wanted_file) and (not wanted_test or not test or _same_test(test, wanted_test)):
            return True
    return not wanted_test and _same_tail(finding.path, wanted_file)


def _points_at_file(finding: BlockingFinding, culprit: Culprit) -> bool:
    path = culprit.place.path
    return bool(path) and (finding.path == path or path in _texts(finding))


def _points_at_project_or_file(finding: BlockingFinding, culprit: Culprit) -> bool:
    return _points_at_requirement(finding, culprit) or _points_at_file(finding, culprit)


_MATCHERS: Mapping[CulpritKind, Callable[[BlockingFinding, Culprit], bool]] = {
    CulpritKind.REQUIREMENT: _points_at_requirement,
    CulpritKind.SOURCE: _points_at_source,
    CulpritKind.VERSION: _points_at_file,
    CulpritKind.SUITE: _points_at_suite,
    CulpritKind.BUILD: _points_at_project_or_file,
    CulpritKind.LOCK: _points_at_project_or_file,
}


def _is_at(finding: BlockingFinding, place: Place, *, tolerance: int) -> bool:
    if not place.path or finding.path != place.path:
        return False
    return not (place.line and finding.line) or abs(place.line - finding.line) <= tolerance


def project_name(requirement: str) -> str:
    """Return the canonical name of a requirement; empty if it has none."""
    match = _PROJECT_NAME.match(requirement.strip())
    return canonicalize_name(match[0]) if match else ""


def _names_project(finding: BlockingFinding, name: str) -> bool:
    """Return whether the text of a finding names a project, in any spelling."""
    pattern = "[-_.]+".join(map(re.escape, name.split("-")))
    return (
        re.search(rf"(?<![\w-])(?<![\w-]\.){pattern}(?![\w-]|\.[A-Za-z])", _texts(finding), re.IGNORECASE) is not None
    )


def _texts(finding: BlockingFinding) -> str:
    return f"{finding.message}\n{finding.detail}"


def _same_attribute(name: str, wanted: str) -> bool:
    """Return whether a dotted name in ``wanted`` is ``name``, or one is the end or the beginning of the other."""
    for word in set(re.findall(r"[A-Za-z_][\w.]*\w|[A-Za-z_]", wanted)) - {"import", "from"}:
        shorter, longer = sorted((name.split("."), word.split(".")), key=len)
        if longer[-len(shorter) :] == shorter or longer[: len(shorter)] == shorter:
            return True
    return False


def _same_tail(path: str, other: str) -> bool:
    """Return whether two paths are the same file, one of them relative to a folder below the root."""
    return bool(path and other) and (path == other or path.endswith(f"/{other}") or other.endswith(f"/{path}"))


def _same_test(test: str, wanted: str) -> bool:
    """Return whether a test id is the wanted one, a parameter of it, or in the wanted class."""
    return test == wanted or test.startswith((f"{wanted}[", f"{wanted}::"))


def is_below(path: str, folder: str) -> bool:
    """Return whether a path is a folder or below it; everything is below the root."""
    return folder in ("", ".") or path == folder or path.startswith(f"{folder.rstrip('/')}/")
