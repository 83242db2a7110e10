"""What a lock file means for one interpreter: which of its pins apply, and whether it is up to date. Pure.

A lock file beside the requirements lists what is deployed, so a set is resolved with its versions. They become
constraints and not requirements: only the requirements decide what is installed, and a lock for all platforms has
entries that a single one does not need.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.dependencies.resolution.lock import DependencyLock, ResolutionRequest
from pytest_py312.repository.formats.lockfiles import LockedDependency, LockedPin, LockFileText
from pytest_py312.repository.formats.version_ranges import specifiers_of_alternatives
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry

LOCKED_VERSION_CODE = "PY115"
"""Code of a finding about a locked version that cannot be installed or imported."""
RESOLVES, RESOLVES_AND_INSTALLS = "the requirements resolve on", "the requirements resolve and install on"
"""What was verified of other versions than the locked ones."""
STALE_LOCK_CODE = "PY116"
"""Code of a finding about a lock file that contradicts its requirements, or is not for this Python."""

_GIT_URL = re.compile(r"(git\+\w+://[^/\s]*/[^@#;\s]*)(?:@[^#;\s]+)?", re.ASCII)


def pinned_constraints(
    locks: Iterable[LockFileText], entries: Sequence[LocatedEntry], interpreter: Interpreter
) -> Iterator[str]:
    """Yield the versions that ``locks`` pin on ``interpreter``, as constraints.

    Left out: versions that a requirement excludes, as the lock is stale there (:func:`stale_lock_findings`), projects
    with several applicable pins, and pins that do not come from an index. Of several locks that pin a project the last
    one counts: what is installed from it replaces what the others have installed.
    """
    constraints: dict[str, str] = {}
    for lock in locks:
        for name, pins in _pins_by_name(lock).items():
            applicable = [pin for pin in pins if _applies_to(pin, interpreter)]
            if len(applicable) != 1 or applicable[0].source != "index" or not applicable[0].version:
                continue
            if all(_entry_allows(entry, applicable[0]) for entry in _entries_for(entries, name, interpreter)):
                constraints[name] = f"{name}=={applicable[0].version}"
    yield from constraints.values()


def lines_at_commits(
    locks: Iterable[LockFileText], entries: Sequence[LocatedEntry], interpreter: Interpreter
) -> Iterator[str]:
    """Yield those of ``entries`` that are installed from git, at the commits that ``locks`` have for ``interpreter``.

    Left out: projects with several applicable pins, or several requirements that apply.
    """
    commits: dict[str, str] = {}
    for lock in locks:
        for name, pins in _pins_by_name(lock).items():
            applicable = [pin for pin in pins if _applies_to(pin, interpreter)]
            if len(applicable) == 1 and applicable[0].commit:
                commits[name] = applicable[0].commit
    for name, commit in commits.items():
        required = {entry.text for entry in _entries_for(entries, name, interpreter) if "git+" in entry.entry.url}
        if len(required) == 1:
            yield _GIT_URL.sub(rf"\1@{commit}", required.pop(), count=1)


def pin_locations(locks: Iterable[LockFileText], interpreter: Interpreter) -> Iterator[tuple[str, Location]]:
    """Yield the projects that ``locks`` pin on ``interpreter``, with the lines of their pins."""
    for lock in locks:
        for pin in lock.pins:
            if _applies_to(pin, interpreter):
                yield pin.name, Location(path=lock.path, line=pin.line)


def stale_lock_findings(
    locks: Iterable[LockFileText], entries: Sequence[LocatedEntry], interpreter: Interpreter
) -> Iterator[Finding]:
    """Yield where ``locks`` contradict their requirements ``entries``, or do not support ``interpreter``."""
    locks = tuple(locks)
    for lock in locks:
        if lock.requires_python and not _supports_interpreter(lock.requires_python, interpreter):
            yield Finding(
                code=STALE_LOCK_CODE,
                message=f"{lock.path} was made for Python {lock.requires_python}, which excludes {interpreter}",
                remedy=f"let the requirements allow {interpreter}, then {describe_regeneration(lock)}",
                location=Location(path=lock.path),
            )
        pins = _pins_by_name(lock)
        for entry in entries:
            if (
                entry.entry.url
                or _lock_of(entry, locks) is not lock
                or not _marker_applies(entry.entry.marker, interpreter)
            ):
                continue
            applicable = [pin for pin in pins.get(entry.name, ()) if _applies_to(pin, interpreter)]
            if (not applicable and not lock.all_pins_required) or (
                applicable and not any(_entry_allows(entry, pin) for pin in applicable)
            ):
                lock_state = f"has {applicable[0].version}" if applicable else "does not have it"
                yield Finding(
                    code=STALE_LOCK_CODE,
                    message=f"{entry.text} is required, but {lock.path} {lock_state}: the lock file is stale",
                    remedy=describe_regeneration(lock),
                    location=Location(path=lock.path, line=applicable[0].line) if applicable else entry.location,
                    names=(entry.name,),
                )


def describe_regeneration(lock: LockFileText, *names: str) -> str:
    """Return how to regenerate ``lock``, with other versions of ``names``."""
    words = lock.format.upgrade_words(names) if lock.format else ()
    if not words:
        return f"regenerate {lock.path} with the tool that wrote it"
    return f"regenerate {lock.path}: `{' '.join(words)}`"


def with_locked_pins(
    request: ResolutionRequest, locks: Iterable[LockFileText], entries: Sequence[LocatedEntry], interpreter: Interpreter
) -> ResolutionRequest:
    """Return ``request`` with the pins of ``locks`` as requirements, each located at its line in the lock file."""
    located: dict[str, tuple[str, Location]] = {}
    for lock in locks:
        constraints = set(pinned_constraints((lock,), entries, interpreter))
        for pin in required_pins(lock, request.lines, interpreter):
            line = f"{pin.name}=={pin.version}"
            if line in constraints:
                located[pin.name] = line, Location(path=lock.path, line=pin.line)
    return replace(
        request,
        lines=tuple(dict.fromkeys((*request.lines, *(line for line, _ in located.values())))),
        direct=(*request.direct, *((name, place) for name, (_, place) in located.items())),
    )


def required_pins(lock: LockFileText, lines: Iterable[str], interpreter: Interpreter) -> list[LockedPin]:
    """Return the pins that the requirements ``lines`` need on ``interpreter``, directly or indirectly."""
    applicable = {
        name: [pin for pin in pins if _applies_to(pin, interpreter)] for name, pins in _pins_by_name(lock).items()
    }
    if lock.all_pins_required:
        return [pin for pins in applicable.values() for pin in pins]
    required: dict[str, LockedPin] = {}
    seen: set[tuple[str, str]] = set()
    pending = [need for line in lines if (need := _parse_need(line, interpreter)) is not None]
    while pending:
        need = pending.pop()
        for pin in applicable.get(need.name, ()):
            required[f"{pin.name}=={pin.version}"] = pin
            for extra in ("", *need.extras):
                if (need.name, extra) not in seen:
                    pending += [
                        needed
                        for needed in pin.dependencies
                        if needed.required_by_extra == extra and _marker_applies(needed.marker, interpreter)
                    ]
            seen |= {(need.name, extra) for extra in ("", *need.extras)}
    return sorted(required.values(), key=lambda pin: pin.name)


def attribute_to_locks(
    findings: Iterable[Finding], locks: Sequence[LockFileText], unlocked: DependencyLock, interpreter: Interpreter
) -> Iterator[Finding]:
    """Yield ``findings``, those that only the locks cause as findings about the locks.

    ``unlocked`` is the resolution without the locks. A project that has the same version there is not the locks' fault,
    so its finding is yielded unchanged.
    """
    for finding in findings:
        responsible = [
            (lock, pin)
            for name in finding.names
            for lock in locks
            for pin in _pins_by_name(lock).get(name, ())
            if _applies_to(pin, interpreter) and unlocked.versions.get(name) != pin.version
        ]
        if not responsible or finding.severity is not Severity.ERROR or finding.code == LOCKED_VERSION_CODE:
            yield finding
            continue
        lock, pin = responsible[0]
        names = tuple(dict.fromkeys(other_pin.name for _, other_pin in responsible))
        unlocked_versions = ", ".join(
            f"{name} {unlocked.versions[name]}" for name in names if name in unlocked.versions
        )
        verification = f" (verified: {RESOLVES} {interpreter}" + (
            f" with {unlocked_versions})" if unlocked_versions else " without it)"
        )
        yield replace(
            finding,
            code=LOCKED_VERSION_CODE,
            message=f"{lock.path} pins {pin.name} to {pin.version}: {finding.message}",
            remedy=describe_regeneration(lock, *names) + verification,
            location=Location(path=lock.path, line=pin.line),
        )


def regeneration_finding(locks: Sequence[LockFileText]) -> Finding:
    """Return the finding that lock files need regeneration too, for requirements that do not resolve themselves."""
    commands = "; ".join(describe_regeneration(lock) for lock in locks)
    return Finding(
        code=LOCKED_VERSION_CODE,
        message="the requirements do not resolve, with or without the lock file: it has to be regenerated as well",
        remedy=f"change the requirements, then {commands}",
        severity=Severity.WARNING,
        location=Location(path=locks[0].path),
    )


def _pins_by_name(lock: LockFileText) -> Mapping[str, list[LockedPin]]:
    pins_by_name: dict[str, list[LockedPin]] = {}
    for pin in lock.pins:
        pins_by_name.setdefault(pin.name, []).append(pin)
    return pins_by_name


def _lock_of(entry: LocatedEntry, locks: Iterable[LockFileText]) -> LockFileText | None:
    """Return the nearest of ``locks`` that was made from the file of a requirement; ``None`` if none was."""
    made_from_it = (lock for lock in locks if _may_lock(lock, entry))
    return max(made_from_it, key=lambda lock: lock.path.count("/"), default=None)


def _may_lock(lock: LockFileText, entry: LocatedEntry) -> bool:
    """Return whether the file of a requirement is one that ``lock`` is made from, in its folder or below it."""
    folder, _, name = f"/{entry.location.path}".rpartition("/")
    if lock.format is None or name != lock.format.source_file:
        return False
    return f"{folder}/".startswith(f"/{lock.path}".rpartition("/")[0] + "/")


def _entries_for(entries: Iterable[LocatedEntry], name: str, interpreter: Interpreter) -> list[LocatedEntry]:
    return [entry for entry in entries if entry.name == name and _marker_applies(entry.entry.marker, interpreter)]


def _parse_need(line: str, interpreter: Interpreter) -> LockedDependency | None:
    try:
        requirement = Requirement(line.partition(" --hash=")[0])
    except (ValueError, RecursionError):
        return None
    if not _marker_applies(str(requirement.marker or ""), interpreter):
        return None
    return LockedDependency(name=canonicalize_name(requirement.name), extras=tuple(sorted(requirement.extras)))


def _applies_to(pin: LockedPin, interpreter: Interpreter) -> bool:
    return not pin.markers or any(_marker_applies(marker, interpreter) for marker in pin.markers)


def _marker_applies(marker: str, interpreter: Interpreter) -> bool:
    """Return whether ``marker`` applies; one that cannot be evaluated does not: it is about conflicting extras."""
    if not marker:
        return True
    try:
        return Marker(marker).evaluate(
            {"python_version": str(interpreter), "python_full_version": f"{interpreter}.99", "extra": ""}
        )
    except (InvalidMarker, UndefinedEnvironmentName, ValueError, KeyError, RecursionError):
        return False


def _entry_allows(entry: LocatedEntry, pin: LockedPin) -> bool:
    try:
        return SpecifierSet(entry.entry.specifier).contains(pin.version, prereleases=True)
    except (InvalidSpecifier, ValueError):
        return True


def _supports_interpreter(requires_python: str, interpreter: Interpreter) -> bool:
    """Return whether some patch release of ``interpreter`` matches; in the syntax of PEP 440 or of Poetry."""
    alternatives = specifiers_of_alternatives(requires_python)
    patches = [f"{interpreter}.{patch}" for patch in (0, 1, 5, 10, 20, 99)]
    try:
        return not alternatives or any(
            SpecifierSet(alternative).contains(patch) for alternative in alternatives for patch in patches
        )
    except (InvalidSpecifier, ValueError):
        return True
