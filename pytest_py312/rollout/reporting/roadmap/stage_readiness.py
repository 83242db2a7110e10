"""Whether the services of a stage are proven, by what the gate found; what blocks them, and what to fix first. Pure.

The rollout does not import the gate: what is known comes in as values.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.readiness import Cause, GateKnowledge, KnownVerdict, ServiceVerdict
from pytest_py312.core.model.report import Checkout
from pytest_py312.core.text import list_names, pluralize, shorten

_COMMIT_DIGITS = 8
_NAMES = 3
_REASON_LIMIT = 160
_SENTENCE_LIMIT = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class RoadmapBlocker:
    """One problem of one or several services. ``freed`` are those that nothing else blocks."""

    subject: str
    code: str
    is_project: bool
    """Whether the subject is a project to change, and not a message."""
    services: tuple[str, ...]
    freed: tuple[str, ...]
    remedies: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What to do: ``fix pyyaml in 3 services (a, b, c): pyyaml==6.0 -> pyyaml==6.0.1``."""
        names = list_names(self.services, _NAMES)
        where = names if len(self.services) == 1 else f"{len(self.services)} services ({names})"
        remedy = self.remedies[0] if len(self.remedies) == 1 else ""
        if self.is_project or not self.code:
            return shorten(f"fix {self.subject} in {where}{f': {remedy}' if remedy else ''}", _SENTENCE_LIMIT)
        message = shorten(self.subject, _REASON_LIMIT)
        return (
            f"fix {self.code} in {where}: {message}{f' (remedy: {shorten(remedy, _REASON_LIMIT)})' if remedy else ''}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StageReadiness:
    """What the gate found of the services of a stage. Each service is in exactly one of the groups."""

    ready: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    """Were ready, with other files than those that are checked out, or with changes that are in no commit."""
    blocked: tuple[str, ...] = ()
    unchecked: tuple[tuple[str, str], ...] = ()
    """(service, reason): could not be checked, or not completely."""
    unknown: tuple[str, ...] = ()
    """No report has them."""
    blockers: tuple[RoadmapBlocker, ...] = ()
    """What blocks most first."""
    proof: str = ""
    """Which runs the verdicts are from: ``on 2026-11-29 at 8c48551a``."""
    outdated_proof: str = ""
    """The same of the outdated ones."""

    @property
    def is_proven(self) -> bool:
        return bool(self.ready) and not (self.outdated or self.blocked or self.unchecked or self.unknown)

    @property
    def count(self) -> int:
        return len(self.ready) + len(self.outdated) + len(self.blocked) + len(self.unchecked) + len(self.unknown)

    @property
    def summary(self) -> str:
        """The numbers, without zeros: ``2 ready, 1 blocked``."""
        numbers = (
            (len(self.ready), "ready"),
            (len(self.outdated), "to be checked again"),
            (len(self.blocked), "blocked"),
            (len(self.unchecked), "not checked"),
            (len(self.unknown), "never checked"),
        )
        return ", ".join(f"{number} {title}" for number, title in numbers if number)


def stage_readiness(services: Sequence[str], knowledge: GateKnowledge) -> StageReadiness:
    """Return what is known of the services of a stage."""
    groups: dict[str, list[str]] = {"ready": [], "outdated": [], "blocked": [], "unknown": []}
    unchecked = []
    for name in services:
        verdict = knowledge.verdicts.get(name)
        if verdict is None:
            groups["unknown"].append(name)
        elif verdict.service.verdict is ServiceVerdict.BLOCKED:
            groups["blocked"].append(name)
        elif verdict.service.verdict is ServiceVerdict.READY:
            groups["ready" if _holds(verdict.checkout, knowledge) else "outdated"].append(name)
        else:
            unchecked.append((name, _unchecked_reason(verdict)))
    return StageReadiness(
        ready=tuple(groups["ready"]),
        outdated=tuple(groups["outdated"]),
        blocked=tuple(groups["blocked"]),
        unchecked=tuple(unchecked),
        unknown=tuple(groups["unknown"]),
        blockers=tuple(group_blockers({name: knowledge.verdicts[name].service.causes for name in groups["blocked"]})),
        proof=_describe_runs(knowledge.verdicts[name] for name in groups["ready"]),
        outdated_proof=_describe_runs(knowledge.verdicts[name] for name in groups["outdated"]),
    )


def _holds(proven: Checkout, knowledge: GateKnowledge) -> bool:
    """Return whether what was proven is what is checked out. Without git on either side the day is shown instead."""
    if not (proven.commit or knowledge.checkout.commit):
        return True
    return not proven.modified and proven.commit in knowledge.same_commits


def _unchecked_reason(verdict: KnownVerdict) -> str:
    causes = verdict.service.causes
    return causes[0].message if causes else verdict.service.reason


def _describe_runs(verdicts: Iterable[KnownVerdict]) -> str:
    """Return the day and the commit of the runs; of several, the oldest ones'."""
    runs = sorted({(verdict.ended_at[:10], verdict.checkout) for verdict in verdicts}, key=lambda run: run[0])
    if not runs:
        return ""
    day, checkout = runs[0]
    commit = f" at {checkout.commit[:_COMMIT_DIGITS]}" if checkout.commit else ""
    changes = " with changes" if checkout.modified else ""
    return f"on {day}{commit}{changes}"


_Problem = tuple[str, str]


def _problem(cause: Cause) -> _Problem:
    """Return what causes of several services have in common: the project, whatever its code, or code and message."""
    return "" if cause.about_projects else cause.code, cause.subject


def group_blockers(causes_by_service: Mapping[str, Sequence[Cause]]) -> list[RoadmapBlocker]:
    """Return the problems of these services, those first that free the most, then those of the most services."""
    groups: dict[_Problem, dict[str, Cause]] = {}
    for service, causes in causes_by_service.items():
        for cause in causes:
            groups.setdefault(_problem(cause), {}).setdefault(service, cause)
    problems = {service: set(map(_problem, causes)) for service, causes in causes_by_service.items()}
    blockers = [
        RoadmapBlocker(
            subject=problem[1],
            code=next(iter(by_service.values())).code,
            is_project=next(iter(by_service.values())).about_projects,
            services=tuple(by_service),
            freed=tuple(service for service in by_service if problems[service] == {problem}),
            remedies=tuple(dict.fromkeys(cause.remedy for cause in by_service.values() if cause.remedy)),
        )
        for problem, by_service in groups.items()
    ]
    return sorted(blockers, key=lambda blocker: (-len(blocker.freed), -len(blocker.services)))


@dataclass(frozen=True, kw_only=True, slots=True)
class NextStep:
    """The next step: a command, or empty if there is none, and the reason."""

    command: str = ""
    why: str = ""


def step_before_deployment(number: int, readiness: StageReadiness, now: Checkout) -> NextStep | None:
    """Return what is missing for a proof that all services of a stage are ready; ``None`` if nothing is."""
    check_command = f"pytest --py312 --py312-stage={number}"
    if readiness.blockers or readiness.blocked:
        return NextStep(why=_describe_blockers(readiness))
    if readiness.unchecked:
        name, reason = readiness.unchecked[0]
        more = f", and {len(readiness.unchecked) - 1} more" if len(readiness.unchecked) > 1 else ""
        return NextStep(
            command=check_command, why=f"{name} could not be checked: {shorten(reason, _REASON_LIMIT)}{more}"
        )
    if readiness.unknown:
        return NextStep(command=check_command, why=_describe_unknown(number, readiness))
    if readiness.outdated:
        return NextStep(command=check_command, why=_describe_outdated(number, readiness, now))
    return None


def _describe_blockers(readiness: StageReadiness) -> str:
    if not readiness.blockers:
        return f"{list_names(readiness.blocked, _NAMES)} failed"
    first, *others = readiness.blockers
    return f"{first.sentence}; then {pluralize(len(others), 'more cause')}" if others else first.sentence


def _describe_unknown(number: int, readiness: StageReadiness) -> str:
    if len(readiness.unknown) == readiness.count:
        return f"stage {number} was not checked yet"
    return f"{list_names(readiness.unknown, _NAMES)} of stage {number} {_was(readiness.unknown)} not checked yet"


def _was(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _describe_outdated(number: int, readiness: StageReadiness, now: Checkout) -> str:
    subject = f"stage {number}" if not readiness.ready else list_names(readiness.outdated, _NAMES)
    changes = " with changes" if now.modified else ""
    return (
        f"{subject} {'was' if not readiness.ready else _was(readiness.outdated)} proven {readiness.outdated_proof}, "
        f"and {now.commit[:_COMMIT_DIGITS]}{changes} is checked out now"
    )
