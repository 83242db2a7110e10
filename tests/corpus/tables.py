"""Print ratings as a table for a terminal or for ``docs/reference/accuracy.md``."""

from collections.abc import Iterable, Iterator, Sequence

from pytest_py312.core.text import pluralize
from tests.corpus.manifest import TrueVerdict
from tests.corpus.rating import WRONG, RatedRepository, Rating
from tests.corpus.report import ReportedState

HEADINGS = (
    "repository", "commit", "move", "services", "ready", "broken", "not checkable", "right", "wrong green",
    "false alarm", "culprit", "not checked", "asks", "not found", "invented", "seconds",
    "again",
)  # fmt: skip
"""``ready``, ``broken`` and ``not checkable`` were found by hand; what follows is the gate's answer. ``asks``: it says
which line it needs in the plan. ``again``: seconds of a second run, with ``--twice``.
"""


def rows(repositories: Sequence[RatedRepository]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each repository, and one for all of them."""
    for rated in repositories:
        manifest = rated.manifest
        label = f"[{manifest.label}]({manifest.url})"
        yield (label, manifest.commit[:8], f"{manifest.baseline} to {manifest.target}", *_figures([rated]))
    yield (f"all {len(repositories)}", "", "", *_figures(repositories))


def _figures(repositories: Sequence[RatedRepository]) -> Iterator[str]:
    listed = [service for rated in repositories for service in rated.listed]
    yield str(len(listed))
    for verdict in (TrueVerdict.READY, TrueVerdict.BROKEN, TrueVerdict.NOT_CHECKABLE):
        yield str(sum(service.truth is verdict for service in listed))
    for rating in (Rating.RIGHT, Rating.WRONG_GREEN, Rating.FALSE_ALARM):
        yield str(_count(repositories, rating))
    yield "/".join(map(str, culprits(repositories)))
    for rating in (Rating.NOT_CHECKED, Rating.ASKS, Rating.NOT_FOUND, Rating.INVENTED):
        yield str(_count(repositories, rating))
    yield _total(rated.seconds for rated in repositories)
    yield _total(rated.seconds_again for rated in repositories)


def _total(seconds: Iterable[float | None]) -> str:
    """Return a sum of seconds; empty if none is known."""
    times = [time for time in seconds if time is not None]
    return f"{sum(times):,.0f}" if times else ""


def culprits(repositories: Sequence[RatedRepository]) -> tuple[int, int]:
    """Return in how many broken services that the gate blocks the first culprit is right, and how many these are."""
    blocked = [
        service.rating
        for rated in repositories
        for service in rated.services
        if service.truth is TrueVerdict.BROKEN and service.rating in (Rating.RIGHT, Rating.WRONG_CULPRIT)
    ]
    return blocked.count(Rating.RIGHT), len(blocked)


def _count(repositories: Sequence[RatedRepository], *ratings: Rating) -> int:
    return sum(rated.count(*ratings) for rated in repositories)


def totals(repositories: Sequence[RatedRepository]) -> str:
    """Return the totals as a paragraph."""
    services = sum(len(rated.listed) for rated in repositories)
    right, blocked = culprits(repositories)
    blocked_services = [
        service
        for rated in repositories
        for service in rated.services
        if service.truth is TrueVerdict.BROKEN and service.reported is ReportedState.BLOCKED
    ]
    named = sum(len(service.named) for service in blocked_services)
    culprit_count = named + sum(len(service.unnamed) for service in blocked_services)
    fixed = sum(service.fixed for service in blocked_services)
    not_checked = _count(repositories, Rating.NOT_CHECKED)
    theirs = sum(
        service.truth is TrueVerdict.NOT_CHECKABLE and service.rating is Rating.RIGHT
        for rated in repositories
        for service in rated.services
    )
    unlisted = _count(repositories, Rating.UNLISTED)
    parts = [
        f"{pluralize(services, 'service')} of {len(repositories)} repositories: "
        f"{_count(repositories, Rating.RIGHT)} right",
        pluralize(_count(repositories, Rating.WRONG_GREEN), "wrong green"),
        pluralize(_count(repositories, Rating.FALSE_ALARM), "false alarm"),
        f"first culprit right in {right} of {blocked} broken services that are blocked{_percent(right, blocked)}",
        f"a change is offered for {fixed} of these, and {named} of all their {pluralize(culprit_count, 'culprit')} are "
        "named",
        f"{not_checked} not checked for a reason of the gate{_percent(not_checked, services)} and {theirs} for one of "
        "the repository",
        f"{_count(repositories, Rating.ASKS)} for which a line of the plan is asked",
        f"{_count(repositories, Rating.NOT_FOUND)} not found",
        f"{_count(repositories, Rating.INVENTED)} invented",
    ]
    if unlisted:
        parts.append(f"{unlisted} more reported of which the manifests say nothing")
    if seconds := _total(rated.seconds for rated in repositories):
        parts.append(f"{seconds} s")
    return "; ".join(parts) + "."


def _percent(part: int, whole: int) -> str:
    return f" ({100 * part / whole:.0f} %)" if whole else ""


def mistakes(repositories: Sequence[RatedRepository]) -> Iterator[str]:
    """Yield a line for everything that is not right, and for what the manifests do not say."""
    for rated in repositories:
        for service in rated.services:
            place = f"{rated.manifest.label} {service.path}"
            if service.rating is not Rating.RIGHT:
                yield f"{service.rating.value}: {place}: {service.note or 'nothing is reported'}"
            if service.reported is ReportedState.BLOCKED:
                for culprit in service.unnamed:
                    yield f"not named as well: {place}: {culprit}: {culprit.reason}"
            for finding in service.unexplained:
                yield f"blocks as well: {place}: {finding}"


def is_all_right(repositories: Sequence[RatedRepository]) -> bool:
    """Return whether something was rated and nothing of it is wrong."""
    return any(rated.services for rated in repositories) and not _count(repositories, *WRONG)


def markdown(headings: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    """Format a table as Markdown."""
    lines = [headings, ["---"] * len(headings), *table]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def aligned(headings: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    """Format a table with columns of equal width; of Markdown links only the label is shown."""
    plain = [[_label(cell) for cell in line] for line in (headings, *table)]
    widths = [max(map(len, column)) for column in zip(*plain, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in plain
    )


def _label(cell: str) -> str:
    return cell[1:].partition("](")[0] if cell.startswith("[") and "](" in cell else cell
