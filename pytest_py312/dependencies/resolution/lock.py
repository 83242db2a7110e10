"""What resolvers take and give: a set of requirements, the lock that was found for it, and where locks are kept."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from packaging.utils import canonicalize_name

from pytest_py312.core import clock
from pytest_py312.core.files import write_whole
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.measurements import InterpreterBuild

NAME = r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
"""A project's name in a text, as a group."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A set of requirements as a resolver takes it.

    ``lines`` are what is asked for (PEP 508), ``constraints`` only narrow, ``options`` say which index or folder to
    take it from (``--index-url ...``, as in a requirements file). ``direct`` says where each directly required
    project (normalised name) stands.
    """

    lines: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    direct: tuple[tuple[str, Location], ...] = ()
    exclude_newer: str = ""
    hashes: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Normalised names of all projects that are asked for, in a file or because of something else."""
        found = (re.match(NAME, line) for line in self.lines)
        return frozenset(canonicalize_name(name[0]) for name in found if name)

    def where(self, name: str) -> Location | None:
        return dict(self.direct).get(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One distribution of a lock. ``line`` is what an installer is told: ``name==version`` or ``name @ url``.

    ``index`` are the option lines with which it was found: the same version from elsewhere may be something else.
    """

    name: str
    version: str
    line: str
    from_source: bool = False
    index: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """The exact versions for one cell, sorted by name. ``created`` is seconds since the epoch."""

    pins: tuple[Pin, ...]
    created: float = 0.0

    @property
    def digest(self) -> str:
        """The same for the same distributions, whenever they were resolved."""
        return hashlib.sha256("\n".join(pin.index + pin.line for pin in self.pins).encode()).hexdigest()[:32]

    @property
    def versions(self) -> dict[str, str]:
        return {pin.name: pin.version for pin in self.pins}


class Keyed(Protocol):
    """Who knows what an answer depends on."""

    def key(self, wanted: Wanted, build: InterpreterBuild) -> str: ...


class Blocked(Exception):
    """The set cannot be had on this interpreter. ``findings`` say why."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(findings[0].message)


class Unchecked(Exception):
    """It could not be found out: no network, an index that fails, a resolver that cannot start. ``str()`` says why.

    ``names`` are the projects that it is about (normalised), where it is about some and not about the whole set.
    """

    def __init__(self, reason: str, names: Sequence[str] = ()) -> None:
        self.names = tuple(names)
        super().__init__(reason)


class KeptLocks:
    """Locks by content, in ``cache``: used again for ``lock_hours``, or for ever where a cut-off date holds them."""

    def __init__(self, *, cache: Path, lock_hours: float) -> None:
        self._folder = cache / "locks"
        self._seconds = lock_hours * 3600.0

    def known(self, key: str, wanted: Wanted, *, any_age: bool = False) -> Lock | None:
        """The lock that was kept under ``key``, while it holds; with ``any_age``, however old it is."""
        try:
            data = json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8"))
            pins = tuple(Pin(**pin) for pin in data["pins"])
            lock = Lock(pins=pins, created=float(data["created"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        fresh = any_age or bool(wanted.exclude_newer) or 0.0 <= clock.timestamp() - lock.created < self._seconds
        return lock if fresh else None

    def keep(self, key: str, lock: Lock) -> None:
        data = {"created": lock.created, "pins": [asdict(pin) for pin in lock.pins]}
        write_whole(self._folder / f"{key}.json", data)


def seeds(build: InterpreterBuild) -> tuple[Pin, ...]:
    """What ``python -m venv`` would have put there: before 3.12 services have a setuptools without asking for it."""
    pins = []
    for line in build.seed:
        name, _, version = line.partition("==")
        pins.append(Pin(name=name, version=version, line=line))
    return tuple(pins)


def replaced(lock: Lock, build: InterpreterBuild) -> tuple[str, ...]:
    """What a new environment has from the start, as requirements, where ``lock`` has another version of it."""
    versions = lock.versions
    return tuple(seed.line for seed in seeds(build) if versions.get(seed.name, seed.version) != seed.version)


def pins_of(text: str, from_source: Sequence[str], index: str) -> tuple[Pin, ...]:
    """Read what a resolver printed: one distribution a line, hashes on continuation lines."""
    pins = []
    for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        words = line.strip()
        if not words or words.startswith(("#", "-")):
            continue
        name = re.split(r"[\s=@\[;]", words, maxsplit=1)[0]
        exact = re.search(r"==\s*([^\s;]+)", words)
        normalised = canonicalize_name(name)
        pins.append(
            Pin(
                name=normalised,
                version=exact[1] if exact and "@" not in words.split("==")[0] else "",
                line=words,
                from_source=normalised in from_source or " @ " in words,
                index=index,
            )
        )
    return tuple(sorted(pins, key=lambda pin: pin.name))
