"""What resolvers take and return: a resolution request, the lock that answers it, and the cache of locks."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_py312.core import clock
from pytest_py312.core.files import write_json_atomically
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.resolution.format_control import ANY_FORMAT, FormatControl
from pytest_py312.dependencies.system.build_tools import MissingTool

PROJECT_NAME = r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
"""Pattern of a project's name, as a group."""
MAX_NEWER_ATTEMPTS = 8
"""Number of resolutions that are tried with newer versions of what is required directly."""

_EXACT = re.compile(rf"{PROJECT_NAME}\s*(?:\[[^\]]*\])?\s*(?:===?\s*[^*,\s;]+|@\s.+)(?:\s.*|;.*)?", re.DOTALL)


def project_of(line: str) -> str:
    """Return the normalised name of the project that a requirement names; empty for others."""
    match = re.match(PROJECT_NAME, line)
    return canonicalize_name(match[1]) if match else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolutionRequest:
    """A set of requirements to resolve.

    ``lines`` are the requirements (PEP 508), ``constraints`` only narrow their versions, ``options`` name the index or
    folder to take files from (``--index-url ...``, as in a requirements file). ``direct`` holds the location of each
    directly required project (normalised name). ``exclude_newer`` is the cut-off date; with ``hashes`` the lock gets
    hashes.

    What is installed with other settings (an index of its own, without dependencies) is in ``others``. ``position`` is
    the place in the order of all of them: what is installed later replaces other versions.
    """

    lines: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    direct: tuple[tuple[str, Location], ...] = ()
    locked: tuple[tuple[str, Location], ...] = ()
    """Where a lock file pins the projects of ``constraints``."""
    at_commits: tuple[str, ...] = ()
    """Requirements from git at the commits of a lock file, whatever branches are required."""
    exclude_newer: str = ""
    hashes: bool = False
    no_deps: bool = False
    """Whether only the ``lines`` are installed, without what they require."""
    formats: FormatControl = ANY_FORMAT
    best_match: bool = False
    """Whether the best version of all indexes is taken, as pip does; uv takes the first index that has the project."""
    position: int = 0
    upgrade: bool = False
    """Whether the projects of the ``lines`` are upgraded, whatever is installed already."""
    by_uv: bool = False
    """Whether uv installs it, which ignores the upper bound of Requires-Python."""
    provided: bool = False
    """Whether the platform has the ``lines`` installed: they fit to what is installed already, or stand beside it."""
    installed: tuple[str, ...] = ()
    """What is installed already, as ``name==version``: it is kept where the lines allow that."""
    others: tuple["ResolutionRequest", ...] = ()
    missing: str = ""
    """Why a part of its constraints is unknown: then it has no result."""

    def require_constraints(self) -> None:
        """Check that all constraints are known.

        :raises Undetermined: some could not be fetched.
        """
        if self.unknown_constraints:
            raise Undetermined(self.unknown_constraints)

    @property
    def unknown_constraints(self) -> str:
        """Why constraints of one of its parts are unknown; empty if all are known."""
        return next((part.missing for part in (self, *self.others) if part.missing), "")

    @property
    def names(self) -> frozenset[str]:
        """Normalised names of all requested projects, whether a file requires them or another rule adds them."""
        return frozenset(filter(None, map(project_of, self.lines)))

    def location_of(self, name: str) -> Location | None:
        """Return where a directly required project is declared."""
        return dict(self.direct).get(name)

    def pin_location_of(self, name: str) -> Location | None:
        """Return where a project is declared, or where a lock file pins it."""
        return self.location_of(name) or dict(self.locked).get(name)


_WHEEL_FILE = re.compile(r"/[^/\s]+\.whl(?=[#?\s]|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One distribution of a lock. ``line`` is the installer's input: ``name==version`` or ``name @ url``.

    ``index`` holds the option lines of its resolution: the same version from another index may be another distribution.
    """

    name: str
    version: str
    line: str
    from_source: bool = False
    index: str = ""

    @property
    def is_wheel_file(self) -> bool:
        """Whether ``line`` names a wheel by its path or URL: it is installed as it is, nothing is built."""
        return _WHEEL_FILE.search(self.line) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class DependencyLock:
    """The exact versions for one cell, sorted by name. ``created`` is seconds since the epoch.

    ``replaced`` are sources that a command builds and installs before a later one installs another version.
    """

    pins: tuple[Pin, ...]
    created: float = 0.0
    replaced: tuple[Pin, ...] = ()

    @property
    def digest(self) -> str:
        """A digest of the distributions, independent of when they were resolved."""
        return hashlib.sha256(
            "\n".join(pin.index + pin.line for pin in (*self.pins, *self.replaced)).encode()
        ).hexdigest()[:32]

    @property
    def versions(self) -> dict[str, str]:
        return {pin.name: pin.version for pin in self.pins}


class CacheKeyProvider(Protocol):
    """A resolver as caches see it: it digests what its answers depend on."""

    def cache_key(self, request: ResolutionRequest, build: InterpreterBuild) -> str: ...


class Unresolvable(Exception):
    """The set cannot be resolved or installed on this interpreter. ``findings`` say why."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(findings[0].message)


class Undetermined(Exception):
    """There is no answer: no network, a failing index, a resolver that cannot start. ``str()`` is the reason.

    ``names`` are the projects (normalised) and folders concerned; empty if the reason concerns the whole set.
    ``missing`` is what this machine lacks, if that is the reason.
    """

    def __init__(self, reason: str, names: Sequence[str] = (), missing: MissingTool | None = None) -> None:
        self.names = tuple(names)
        self.missing = missing
        super().__init__(reason)


class LockCache:
    """Locks in the cache folder, by content. They are reused for ``lock_hours``, or forever with a cut-off date."""

    def __init__(self, *, cache: Path, lock_hours: float) -> None:
        self._folder = cache / "locks"
        self._seconds = lock_hours * 3600.0

    def get(self, key: str, request: ResolutionRequest, *, any_age: bool = False) -> DependencyLock | None:
        """Return the lock stored under ``key`` if it is still valid; with ``any_age``, whatever its age."""
        try:
            data = json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8"))
            pins, replaced = (tuple(Pin(**pin) for pin in data[key]) for key in ("pins", "replaced"))
            lock = DependencyLock(pins=pins, created=float(data["created"]), replaced=replaced)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        is_valid = any_age or bool(request.exclude_newer) or 0.0 <= clock.timestamp() - lock.created < self._seconds
        return lock if is_valid else None

    def put(self, key: str, lock: DependencyLock) -> None:
        data = asdict(lock)
        write_json_atomically(self._folder / f"{key}.json", data)


def preinstalled(build: InterpreterBuild) -> tuple[Pin, ...]:
    """Return what ``python -m venv`` installs by itself: up to 3.11, setuptools is there without being required."""
    pins = []
    for line in build.preinstalled:
        name, _, version = line.partition("==")
        pins.append(Pin(name=name, version=version, line=line))
    return tuple(pins)


def differing_preinstalled(lock: DependencyLock, build: InterpreterBuild) -> tuple[str, ...]:
    """Return the preinstalled distributions of which ``lock`` has another version, as requirements."""
    versions = lock.versions
    return tuple(pin.line for pin in preinstalled(build) if versions.get(pin.name, pin.version) != pin.version)


def parse_pins(output: str, from_source: Sequence[str], index: str) -> tuple[Pin, ...]:
    """Parse a resolver's output: one distribution per line, hashes on continuation lines."""
    pins = []
    for line in re.sub(r"\s*\\\n\s*", " ", output).splitlines():
        text = line.strip()
        if not text or text.startswith(("#", "-")):
            continue
        name = re.split(r"[\s=@\[;]", text, maxsplit=1)[0]
        exact = re.search(r"==\s*([^\s;]+)", text)
        normalised = canonicalize_name(name)
        pins.append(
            Pin(
                name=normalised,
                version=exact[1] if exact and "@" not in text.split("==")[0] else "",
                line=text,
                from_source=normalised in from_source or " @ " in text,
                index=index,
            )
        )
    return tuple(sorted(pins, key=lambda pin: pin.name))


def is_exact(line: str) -> bool:
    """Whether a requirement leaves no choice: it has an exact version, or is at an address."""
    return _EXACT.fullmatch(line) is not None


def may_go_back(request: ResolutionRequest) -> bool:
    """Whether uv may go back to an old version of what is required directly, where pip would not.

    uv decides on projects in another order: with ``boto3`` and ``urllib3`` it may take the newest urllib3, and then a
    boto3 of years ago that says nothing about it. As only wheels are allowed at first, it also goes back where a
    dependency has none. pip takes the newest version of what is required directly, where that fits.
    """
    is_open = not all(map(is_exact, request.lines))
    return is_open and len(request.names) > 1 and not request.no_deps


def newer_versions(request: ResolutionRequest, output: str, newest: str) -> tuple[str, ...]:
    """Return constraints that keep newer versions of what is required directly, in the order of the requirements.

    :param output: the resolution.
    :param newest: the resolution of the same lines without what they require.
    """
    versions, newest_versions = _versions_in(output), _versions_in(newest)
    return tuple(
        f"{name}>={newest_versions[name]}"
        for name in _direct_names(request)
        if _is_older(versions.get(name, ""), newest_versions.get(name, ""))
    )


def costs_an_earlier_one(request: ResolutionRequest, output: str, narrowed: str, constraints: Sequence[str]) -> bool:
    """Return whether newer versions of some requirements cost a requirement before them its newer version.

    pip decides on requirements in their order: it does not take an old boto3 for the newest python-dateutil after it.

    :param narrowed: the resolution with ``constraints`` of :func:`newer_versions`; ``output`` is that without.
    """
    names, kept = _direct_names(request), {line.partition(">=")[0] for line in constraints}
    last = max(names.index(name) for name in kept)
    versions, narrowed_versions = _versions_in(output), _versions_in(narrowed)
    return any(
        _is_older(narrowed_versions.get(name, ""), versions.get(name, "")) for name in names[:last] if name not in kept
    )


def _direct_names(request: ResolutionRequest) -> list[str]:
    return list(dict.fromkeys(filter(None, map(project_of, request.lines))))


def _versions_in(output: str) -> dict[str, str]:
    return {pin.name: pin.version for pin in parse_pins(output, (), "")}


def _is_older(version: str, other: str) -> bool:
    try:
        return bool(version and other) and Version(version) < Version(other)
    except InvalidVersion:
        return False
