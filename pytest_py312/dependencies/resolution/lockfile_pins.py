"""What a lock file means for one interpreter: which of its versions hold there, and whether it still fits. Pure.

A lock file beside the requirements says what is deployed, so its versions are held while a set is resolved. They are
held as constraints: what is wanted at all is for the requirements to say, and a lock for all platforms has more than
one of them needs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.dependencies.resolution.lock import Lock, Wanted
from pytest_py312.repository.formats.lockfiles import LockedPin, LockText, Need
from pytest_py312.repository.formats.version_ranges import alternatives_of
from pytest_py312.repository.services.requirement_set import LocatedEntry

LOCKED = "PY115"
"""A version that a lock file holds cannot be had."""
STALE = "PY116"
"""A lock file does not fit its requirements, or is not for this Python."""

_ANEW = {"uv.lock": "uv lock", "poetry.lock": "poetry lock", "pdm.lock": "pdm lock", "Pipfile.lock": "pipenv lock"}
_NEWER = {
    "uv.lock": ("uv lock", "--upgrade-package "),
    "poetry.lock": ("poetry update --lock", ""),
    "pdm.lock": ("pdm update --no-sync", ""),
    "Pipfile.lock": ("pipenv upgrade", ""),
}
"""The command that takes other versions of some projects, and what stands before each of them."""


def held(locks: Iterable[LockText], entries: Sequence[LocatedEntry], interpreter: Interpreter) -> Iterator[str]:
    """The versions that ``locks`` hold on ``interpreter``, as constraints.

    What a requirement excludes is not held, as the lock is stale there (:func:`stale`); neither is a project that
    stands several times where nothing says which is meant, nor what does not come from an index.
    """
    for lock in locks:
        for name, pins in _by_name(lock).items():
            here = [pin for pin in pins if _is_meant(pin, interpreter)]
            if len(here) != 1 or here[0].source != "index" or not here[0].version:
                continue
            if all(_allows(entry, here[0]) for entry in _asking(entries, name, interpreter)):
                yield f"{name}=={here[0].version}"


def stale(locks: Iterable[LockText], entries: Sequence[LocatedEntry], interpreter: Interpreter) -> Iterator[Finding]:
    """Where ``locks`` do not fit ``entries`` any more, or were not made for ``interpreter``."""
    for lock in locks:
        if lock.requires_python and not _is_for(lock.requires_python, interpreter):
            yield Finding(
                code=STALE,
                message=f"{lock.path} was made for Python {lock.requires_python}, which {interpreter} is not",
                remedy=f"let the requirements allow {interpreter}, then {remedy(lock)}",
                location=Location(path=lock.path),
            )
        pins = _by_name(lock)
        for entry in entries:
            if entry.entry.url or not _is_locked_by(lock, entry) or not _holds(entry.entry.marker, interpreter):
                continue
            here = [pin for pin in pins.get(entry.name, ()) if _is_meant(pin, interpreter)]
            if (not here and not lock.each_is_wanted) or (here and not any(_allows(entry, pin) for pin in here)):
                has = f"has {here[0].version}" if here else "does not have it"
                yield Finding(
                    code=STALE,
                    message=f"{entry.text} is required, and {lock.path} {has}: it is older than its requirements",
                    remedy=remedy(lock),
                    location=Location(path=lock.path, line=here[0].line) if here else entry.location,
                    names=(entry.name,),
                )


def remedy(lock: LockText, *names: str) -> str:
    """How ``lock`` is made anew, with other versions of ``names``."""
    if lock.name not in _ANEW:
        return f"make {lock.path} anew with the tool that wrote it"
    command, before = _NEWER[lock.name] if names else (_ANEW[lock.name], "")
    return f"make {lock.path} anew: `{' '.join([command, *(before + name for name in names)])}`"


def pinned(loose: Wanted, locks: Iterable[LockText], entries: Sequence[LocatedEntry], on: Interpreter) -> Wanted:
    """``loose`` with all that ``locks`` hold on an interpreter as requirements, each at its line in the lock file."""
    lines, places = list(loose.lines), list(loose.direct)
    for lock in locks:
        held_here = set(held((lock,), entries, on))
        for pin in reached(lock, loose.lines, on):
            line = f"{pin.name}=={pin.version}"
            if line in held_here:
                lines.append(line)
                places.append((pin.name, Location(path=lock.path, line=pin.line)))
    return replace(loose, lines=tuple(dict.fromkeys(lines)), direct=tuple(places))


def reached(lock: LockText, lines: Iterable[str], interpreter: Interpreter) -> list[LockedPin]:
    """The pins that are wanted on ``interpreter`` for the requirements ``lines``."""
    here = {name: [pin for pin in pins if _is_meant(pin, interpreter)] for name, pins in _by_name(lock).items()}
    if lock.each_is_wanted:
        return [pin for pins in here.values() for pin in pins]
    found: dict[str, LockedPin] = {}
    seen: set[tuple[str, str]] = set()
    pending = [need for line in lines if (need := _need(line, interpreter)) is not None]
    while pending:
        need = pending.pop()
        for pin in here.get(need.name, ()):
            found[f"{pin.name}=={pin.version}"] = pin
            for extra in ("", *need.extras):
                if (need.name, extra) not in seen:
                    pending += [one for one in pin.needs if one.only_with == extra and _holds(one.marker, interpreter)]
            seen |= {(need.name, extra) for extra in ("", *need.extras)}
    return sorted(found.values(), key=lambda pin: pin.name)


def as_locked(
    findings: Iterable[Finding], locks: Sequence[LockText], free: Lock, interpreter: Interpreter
) -> Iterator[Finding]:
    """``findings`` about what the locks hold as what they are: the lock's, as ``free`` resolves without it.

    What ``free`` takes in the same version is no matter of the lock, and stays as it is told.
    """
    for finding in findings:
        holding = [
            (lock, pin)
            for name in finding.names
            for lock in locks
            for pin in _by_name(lock).get(name, ())
            if _is_meant(pin, interpreter) and free.versions.get(name) != pin.version
        ]
        if not holding or finding.severity is not Severity.ERROR:
            yield finding
            continue
        lock, pin = holding[0]
        names = tuple(dict.fromkeys(one.name for _, one in holding))
        now = ", ".join(f"{name} {free.versions[name]}" for name in names if name in free.versions)
        tried = f" (tried: the requirements resolve on {interpreter}" + (f" with {now})" if now else " without it)")
        yield replace(
            finding,
            code=LOCKED,
            message=f"{lock.path} holds {pin.name} at {pin.version}: {finding.message}",
            remedy=remedy(lock, *names) + tried,
            location=Location(path=lock.path, line=pin.line),
        )


def afterwards(locks: Sequence[LockText]) -> Finding:
    """Where the requirements themselves are blocked."""
    ways = "; ".join(remedy(lock) for lock in locks)
    return Finding(
        code=LOCKED,
        message="the requirements do not resolve, whatever the lock file holds: it has to be made anew as well",
        remedy=f"change the requirements, then {ways}",
        severity=Severity.WARNING,
        location=Location(path=locks[0].path),
    )


def _by_name(lock: LockText) -> Mapping[str, list[LockedPin]]:
    found: dict[str, list[LockedPin]] = {}
    for pin in lock.pins:
        found.setdefault(pin.name, []).append(pin)
    return found


def _is_locked_by(lock: LockText, entry: LocatedEntry) -> bool:
    """Whether ``lock`` was made from the file in which a requirement stands: one beside it, or below."""
    folder, _, name = f"/{entry.location.path}".rpartition("/")
    made_from = "Pipfile" if lock.name == "Pipfile.lock" else "pyproject.toml"
    return name == made_from and f"{folder}/".startswith(f"/{lock.path}".rpartition("/")[0] + "/")


def _asking(entries: Iterable[LocatedEntry], name: str, interpreter: Interpreter) -> list[LocatedEntry]:
    return [entry for entry in entries if entry.name == name and _holds(entry.entry.marker, interpreter)]


def _need(line: str, interpreter: Interpreter) -> Need | None:
    try:
        found = Requirement(line.partition(" --hash=")[0])
    except (ValueError, RecursionError):
        return None
    if not _holds(str(found.marker or ""), interpreter):
        return None
    return Need(name=canonicalize_name(found.name), extras=tuple(sorted(found.extras)))


def _is_meant(pin: LockedPin, interpreter: Interpreter) -> bool:
    return not pin.markers or any(_holds(marker, interpreter) for marker in pin.markers)


def _holds(marker: str, interpreter: Interpreter) -> bool:
    """Whether ``marker`` holds there; one that cannot be evaluated does not: it is about extras that clash."""
    if not marker:
        return True
    try:
        return Marker(marker).evaluate(
            {"python_version": str(interpreter), "python_full_version": f"{interpreter}.99", "extra": ""}
        )
    except (InvalidMarker, UndefinedEnvironmentName, ValueError, KeyError, RecursionError):
        return False


def _allows(entry: LocatedEntry, pin: LockedPin) -> bool:
    try:
        return SpecifierSet(entry.entry.specifier).contains(pin.version, prereleases=True)
    except (InvalidSpecifier, ValueError):
        return True


def _is_for(requires_python: str, interpreter: Interpreter) -> bool:
    """Whether some patch release of ``interpreter`` is meant; in the words of PEP 440 or of Poetry."""
    ways = alternatives_of(requires_python)
    patches = [f"{interpreter}.{patch}" for patch in (0, 1, 5, 10, 20, 99)]
    try:
        return not ways or any(SpecifierSet(way).contains(patch) for way in ways for patch in patches)
    except (InvalidSpecifier, ValueError):
        return True
