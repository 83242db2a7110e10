"""Whether everything in which a service says its Python agrees, and takes in the target. Pure: places in, findings out.

What cannot be understood is neither: it comes back beside the findings, so that nobody takes it for a pass.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.findings import Confidence, Finding, Interpreter, Severity
from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.declarations.declaration import Meaning, Place
from pytest_py312.repository.edits.declarations import Aim, tag_trouble
from pytest_py312.repository.edits.version_ranges import moved_range
from pytest_py312.repository.formats.version_ranges import allows
from pytest_py312.repository.services.service_files import is_production

EXCLUDES = "PY301"
"""A place shuts the target out (an error), or is still where the service comes from (a note)."""
DISAGREES = "PY302"
"""Places of one service contradict each other."""
BREAKS = "PY303"
"""A path or a command exists beside one version only, and the image has another, or will have."""
MISREAD = "PY304"
"""An unquoted number is read as another version."""
INERT = "PY305"
"""A workflow that GitHub never runs."""
UNCLEAR = "PY306"
"""A place that only a run could tell."""
NOT_GUESSED = "PY307"
"""An image whose Python is settled elsewhere, or that has no known tag for the target."""

_WORKFLOWS = ".github/workflows/"
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)", re.ASCII)
_LISTED = 6
"""Places that a message names; the others are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """``findings`` by code and place; ``unclear`` are places that could not be checked (each a finding as well)."""

    findings: tuple[Finding, ...]
    unclear: tuple[Place, ...] = ()


def judge(places: Iterable[Place], aim: Aim, *, service: str = "") -> Agreement:
    """What the ``places`` of one service say of ``aim``.

    A service that is still where it comes from has notes: that is what a move is for. Errors are places that shut the
    target out, that break, and images that were left behind where another one has moved.

    :param service: its folder; empty: every folder is.
    """
    listed = sorted(places, key=lambda place: (place.path, place.start))
    moved = any(place.version and place.version >= aim.target for place in _deployed(listed, service))
    findings = [
        *_excluded(listed, aim, service, moved=moved),
        *_disagreeing(listed, aim, moved=moved),
        *_too_new(listed, aim),
        *_bound(listed, aim),
        *_misread(listed),
        *_inert(listed),
        *_unclear(listed),
        *_not_guessed(listed, aim),
    ]
    unclear = tuple(place for place in _unknown(listed) if not _is_inert(place))
    return Agreement(findings=tuple(sorted(findings, key=_order)), unclear=unclear)


def exact_versions(places: Iterable[Place]) -> tuple[Interpreter, ...]:
    """The versions that the places run, each once, in order."""
    return tuple(sorted({place.version for place in places if _runs(place) and place.version}))


def _order(finding: Finding) -> tuple[str, str, int, int]:
    at = finding.location
    return (finding.code, at.path if at else "", (at.line if at else 0) or 0, (at.column if at else 0) or 0)


def _runs(place: Place) -> bool:
    """Whether the place settles what runs, wherever it does."""
    return place.meaning is Meaning.EXACT and place.declared and not place.misread


def _finding(code: str, place: Place, message: str, remedy: str, severity: Severity) -> Finding:
    return Finding(code=code, message=message, remedy=remedy, severity=severity, location=place.location)


def _is_inert(place: Place) -> bool:
    return _WORKFLOWS in place.path and not place.path.startswith(_WORKFLOWS)


def _deployed(places: Sequence[Place], service: str) -> Iterator[Place]:
    """The images that production runs: of each Dockerfile the last one that is Python's, and all others by name."""
    last: dict[str, Place] = {}
    for place in places:
        if not (_runs(place) and place.images and is_production(place.path, service)):
            continue
        if not place.serves:
            yield place
        elif place.path not in last or max(last[place.path].serves) < max(place.serves):
            last[place.path] = place
    yield from last.values()


def _about(place: Place) -> str:
    return f"{place.subject} ({place.text[:80]})" if place.subject else place.text[:80]


# ---- each place by itself


def _excluded(places: Sequence[Place], aim: Aim, service: str, *, moved: bool) -> Iterator[Finding]:
    groups: dict[tuple[str, str], list[Place]] = {}
    for place in places:
        if place.meaning is Meaning.RANGE and not allows(place.text, aim.target):
            # further in, it is the metadata of a part, and whether that installs is asked of what requires it
            own = not service or place.path.rpartition("/")[0] == ("" if service == "." else service)
            yield _finding(
                EXCLUDES, place, f'{place.subject} "{place.text}" shuts out {aim.target}.',
                _remedy_of_range(place, aim), Severity.ERROR if own else Severity.WARNING,
            )  # fmt: skip
        elif place.meaning is Meaning.MEMBER and place.item:
            groups.setdefault((place.path, place.item.group), []).append(place)
        elif _runs(place) and place.version and place.version < aim.target:
            yield _finding(
                EXCLUDES, place, f"{_about(place)} is still {place.version}.",
                f"Change it to {aim.target} with all other places of the service, as --py312-fix does.", Severity.NOTE,
            )  # fmt: skip
    for members in groups.values():
        versions = sorted({place.version for place in members if place.version})
        if versions and aim.target not in versions:
            said = ", ".join(str(version) for version in versions)
            yield _finding(
                EXCLUDES, members[0], f"{members[0].subject} lists {said}, and not {aim.target}.",
                f"Add {aim.target} beside them.", Severity.WARNING if moved else Severity.NOTE,
            )  # fmt: skip


def _remedy_of_range(place: Place, aim: Aim) -> str:
    try:
        new = moved_range(place.text, baseline=aim.baseline, target=aim.target, close=aim.close)
    except EditRefused as error:
        return str(error)
    return f'Write "{new}".'


def _too_new(places: Sequence[Place], aim: Aim) -> Iterator[Finding]:
    """Tools that take more for granted than what the code has to run on until the rollout is closed."""
    least = aim.target if aim.close else aim.baseline
    for place in places:
        if place.meaning is Meaning.FLOOR and place.version and place.version > least and not place.misread:
            yield _finding(
                DISAGREES, place,
                f"{_about(place)} takes {place.version} for granted, and the code still runs on {least}.",
                f"Set it to {least} until nothing runs on that any more.", Severity.WARNING,
            )  # fmt: skip


def _misread(places: Sequence[Place]) -> Iterator[Finding]:
    for place in places:
        if place.misread:
            yield _finding(
                MISREAD, place, f"The unquoted {place.written} is the number {place.misread}.",
                f'Write "{place.written}".', Severity.WARNING if _is_inert(place) else Severity.ERROR,
            )  # fmt: skip


def _inert(places: Sequence[Place]) -> Iterator[Finding]:
    seen: set[str] = set()
    for place in places:
        above = place.path.partition(_WORKFLOWS)[0]
        if _is_inert(place) and above not in seen:
            seen.add(above)
            yield Finding(
                code=INERT,
                message=f"GitHub runs no workflow of {above}.github/workflows: the folder is not at the root of the "
                "repository.",
                remedy="Move it to .github/workflows at the root, with the paths of the service in its triggers.",
                severity=Severity.WARNING,
                location=place.location,
            )


def _unclear(places: Sequence[Place]) -> Iterator[Finding]:
    for place in _unknown(places):
        yield _finding(
            UNCLEAR, place, f"{_about(place)} could not be understood. {place.unclear}".strip(),
            "Look it up by hand, or write the version where it can be read.", Severity.WARNING,
        )  # fmt: skip


def _unknown(places: Sequence[Place]) -> Iterator[Place]:
    """The places that only a run could tell, but for those whose variables another file of the service gives: the
    build of a compose file hands ``PYTHON_VERSION`` to a Dockerfile that has no default for it."""
    given = {place.subject for place in places if place.version and place.subject}
    for place in places:
        if place.meaning is Meaning.UNKNOWN:
            names = _VARIABLE.findall(place.text)
            if not names or not given.issuperset(names):
                yield place


def _not_guessed(places: Sequence[Place], aim: Aim) -> Iterator[Finding]:
    for place in places:
        if place.meaning is Meaning.FLOATING:
            yield _finding(
                NOT_GUESSED, place, f"{_about(place)} does not say which Python runs. {place.unclear}".strip(),
                f"Name {aim.target} there.", Severity.WARNING,
            )  # fmt: skip
            continue
        moves = place.meaning is Meaning.EXACT and place.version is not None and place.version < aim.target
        reasons = [place.fixed] if place.fixed else [tag_trouble(image, aim.target) for image in place.images]
        for reason in filter(None, reasons if moves else ()):
            yield _finding(
                NOT_GUESSED, place, f"{_about(place)} cannot be changed to {aim.target} without a choice of yours.",
                reason, Severity.WARNING,
            )  # fmt: skip
            break


# ---- places against each other


def _disagreeing(places: Sequence[Place], aim: Aim, *, moved: bool) -> Iterator[Finding]:
    running = [place for place in places if _runs(place)]
    versions = exact_versions(running)
    if len(versions) > 1:
        begun = versions[0] < aim.target <= versions[-1]
        behind = (place for place in running if place.images and place.version and place.version < aim.target)
        half = moved and next(behind, None) is not None
        said = "; ".join(f"{version}: {_where(running, version)}" for version in versions)
        odd = next(place for place in running if place.version == versions[0])
        yield Finding(
            code=DISAGREES,
            message=f"The service says {len(versions)} Pythons ({said}).",
            remedy=f"Let all say {aim.target}." if begun else "Let all say the one that it runs on.",
            severity=Severity.ERROR if half else Severity.WARNING,
            confidence=Confidence.CERTAIN if half else Confidence.LIKELY,
            location=odd.location,
        )
    for place in places:
        outside = [version for version in versions if not allows(place.text, version)]
        if place.meaning is Meaning.RANGE and outside and outside != [aim.target]:
            said = " and ".join(str(version) for version in outside)
            yield _finding(
                DISAGREES, place, f'{place.subject} "{place.text}" shuts out {said}, which the service runs on.',
                _remedy_of_range(place, aim), Severity.WARNING,
            )  # fmt: skip


def _where(places: Sequence[Place], version: Interpreter) -> str:
    found = list(dict.fromkeys(str(place.location) for place in places if place.version == version))
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return ", ".join(found[:_LISTED]) + more


def _bound(places: Sequence[Place], aim: Aim) -> Iterator[Finding]:
    """Paths against the image that they lie in."""
    images = {(place.path, line): place for place in places for line in place.serves}
    for place in places:
        bound = place.meaning is Meaning.PATH and place.bound_line is not None
        image = images.get((place.path, place.bound_line or 0)) if bound else None
        if image is None or place.version is None or image.version is None:
            continue
        if place.version != image.version:
            yield _finding(
                BREAKS, place, f"{place.text[:120]} does not exist in {image.text} (line {image.line}).",
                f"Write {max(aim.target, image.version)} in both places.", Severity.ERROR,
            )  # fmt: skip
        elif place.version < aim.target:
            yield _finding(
                BREAKS, place, f"{place.text[:120]} exists beside {image.version} only: it has to change with "
                f"{image.text} (line {image.line}).", f"Write {aim.target} in both places.", Severity.NOTE,
            )  # fmt: skip
