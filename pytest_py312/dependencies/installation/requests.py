"""What a cell asks for: its requirements as a resolver takes them, and the source trees that go with them.

Reads files, and remembers what it read: within a run the answers stay the same.

Distributions that say themselves which Pythons they are for, and are not for the one they were resolved on.

uv passes over the upper end of Requires-Python; pip goes on to an older version. Pure.
"""

import os
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.requirements import Requirement

from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan, Suite, SuiteKind
from pytest_py312.dependencies.diagnosis.compatibility import allows
from pytest_py312.dependencies.installation.distribution_store import Entry
from pytest_py312.dependencies.resolution.lock import Lock, Wanted, seeds
from pytest_py312.dependencies.resolution.lockfile_pins import held
from pytest_py312.repository.services.requirement_set import (
    LocatedEntry,
    LocatedOption,
    RequirementSet,
    asked_by,
    requirement_set,
)
from pytest_py312.repository.services.requirement_sources import further_services
from pytest_py312.repository.tree import join
from pytest_py312.runners.fingerprints import tree_digest

TOOLS = frozenset(("pytest", "pluggy", "iniconfig", "hypothesis", "coverage"))
"""Tools of the suite that are kept at the baseline's version on every interpreter, with all of pytest's plugins."""


class Demands:
    """What the services of a plan ask for. Safe for threads."""

    def __init__(self, *, plan: Plan, cache: Path) -> None:
        self._plan = plan
        self._cache = cache
        self._sets: dict[str, RequirementSet] = {}
        self._digests: dict[str, str] = {}
        self._guard = threading.Lock()

    def requirements(self, service: Service) -> RequirementSet:
        """The service's requirements, run time and tests together, as read from its files."""
        with self._guard:
            if service.name not in self._sets:
                sources = (*service.requirements, *service.test_requirements)
                found = requirement_set(
                    # where requirements files say what is deployed, a lock file beside them does not
                    self._plan.root,
                    sources,
                    with_locks=all(source.table for source in service.requirements),
                )
                self._sets[service.name] = _told_by_build(found, service) if _is_built(service) else found
            return self._sets[service.name]

    def files(self, service: Service) -> tuple[str, ...]:
        """All files that its sets of requirements are made of."""
        sets = [self.requirements(one) for one in (service, *further_services(service))]
        return tuple(dict.fromkeys(file for one in sets for file in one.files))

    def digest(self, folder: str) -> str:
        """The digest of a folder of the repository, as it was when first asked for in this run."""
        with self._guard:
            if folder not in self._digests:
                self._digests[folder] = self._digest_now(folder)
            return self._digests[folder]

    def is_unchanged(self, folder: str) -> bool:
        """Whether a folder still holds what :meth:`digest` said of it."""
        return self._digest_now(folder) == self.digest(folder)

    def _digest_now(self, folder: str) -> str:
        return tree_digest(self._plan.root / folder, within=self._plan.root)

    def directly_required(self, service: Service) -> tuple[str, ...]:
        """Normalised names of the projects that the service's files name."""
        return tuple(dict.fromkeys(item.name for item in self.requirements(service).entries))

    def wanted(
        self,
        cell: Cell,
        trees: Sequence[Entry],
        constraints: Sequence[str],
        changed: Mapping[LocatedEntry, str] | None = None,
        without: Collection[str] = (),
        locked: bool = True,
        more: Sequence[str] = (),
    ) -> Wanted:
        """The set of a cell: its files', its suite's tool, and what ``trees`` require.

        To try what it would do, ``changed`` are requirements that get another specifier, and projects in ``without``
        are left out. The versions of a lock file beside the requirements are held, but where ``locked`` is false or a
        change is tried: then it has to be made anew in any case. ``more`` are further ``constraints``.
        """
        found = self.requirements(cell.service)
        is_held = locked and changed is None and not without
        locked_here = tuple(held(found.locks, found.entries, cell.interpreter)) if is_held else ()
        lines = []
        for item in found.entries:
            if item.name in without:
                continue
            hashes = "".join(f" --hash={one}" for one in item.entry.hashes)
            lines.append(_with_specifier(item, changed[item]) if changed and item in changed else item.text + hashes)
        suite = cell.service.suite
        names = {item.name for item in found.entries}
        if suite is not None and suite.kind is SuiteKind.PYTEST:
            lines += [tool for tool in _tools(suite) if tool not in names]
        for entry in trees:
            of_it = [local for local in found.locals if self.source(local.path)[1] in entry.folder.name]
            extras = {extra for local in of_it for extra in local.extras}
            asked = (asked_by(line, entry.name, extras, cell.interpreter) for line in entry.requires)
            lines += [line for line in asked if line]
        return Wanted(
            lines=tuple(dict.fromkeys(lines)),
            constraints=(*(item.text for item in found.constraints), *locked_here, *more, *constraints),
            options=tuple(dict.fromkeys(self._option(item) for item in found.options)),
            direct=tuple((item.name, item.location) for item in found.entries),
            exclude_newer=self._plan.exclude_newer,
            hashes=any(item.entry.hashes for item in found.entries),
        )

    def _option(self, option: LocatedOption) -> str:
        """An option line; a folder in it is relative to the file that names it."""
        value = option.value
        if option.name == "--find-links" and "://" not in value:
            folder = (self._plan.root / option.location.path).parent / value
            # the comment makes locks, and what was installed from there, depend on what lies in the folder
            value = f"{folder} # {self.digest(os.path.relpath(folder, self._plan.root))}"
        return f"{option.name} {value}".strip()

    def with_own_hashes(self, cell: Cell, lock: Lock) -> Lock:
        """``lock`` with the hashes that the service's files give in place of the index's own.

        The resolver answers with the hashes of whatever the index has, and to those everything fits.
        """
        given = {item.name: item.entry.hashes for item in self.requirements(cell.service).entries if item.entry.hashes}
        if not given:
            return lock
        pins = [
            replace(pin, line=" ".join((f"{pin.name}=={pin.version}", *(f"--hash={one}" for one in given[pin.name]))))
            if pin.name in given and pin.version
            else pin
            for pin in lock.pins
        ]
        return replace(lock, pins=tuple(pins))

    def trees(self, service: Service) -> tuple[str, ...]:
        """Folders (relative to the root) that are built and installed."""
        required = [item.path for item in self.requirements(service).locals if item.path != service.path]
        return tuple(dict.fromkeys([*required, *([service.path] if _is_built(service) else [])]))

    def source(self, folder: str) -> tuple[Path, str]:
        """Where the copy of a source tree lies in the cache, and the key of its content."""
        key = self.digest(folder)[:24]
        place = self._cache / "sources" / key
        is_file = (self._plan.root / folder).is_file()  # an installer reads what a wheel is from its name
        return (place / Path(folder).name if is_file else place), key


def _tools(suite: Suite) -> tuple[str, ...]:
    """What runs a suite of pytest: its own option for Django's settings is pytest-django's."""
    django = any(argument.startswith("--ds=") for argument in suite.arguments)
    return ("pytest", "pytest-django") if django else ("pytest",)


def _is_built(service: Service) -> bool:
    return service.distribution is not None and not service.distribution.static


def _told_by_build(found: RequirementSet, service: Service) -> RequirementSet:
    """What the code of the service's own setup.py says is no trouble: it is run when the service is built."""
    own = [
        problem
        for problem in found.problems
        if problem.computed and problem.location.path == join(service.path, "setup.py")
    ]
    return replace(
        found,
        problems=tuple(problem for problem in found.problems if problem not in own),
        computed=tuple(problem.location for problem in own),
    )


def tool_constraints(lock: Lock) -> tuple[str, ...]:
    """The baseline's tools as constraints, so that both sides are run by the same ones."""
    return tuple(
        f"{pin.name}=={pin.version}"
        for pin in lock.pins
        if pin.version and not pin.from_source and (pin.name in TOOLS or pin.name.startswith("pytest-"))
    )


def _with_specifier(item: LocatedEntry, specifier: str) -> str:
    """The requirement as PEP 508 with another specifier."""
    requirement = Requirement(item.text)
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras}{specifier}{marker}"


MOST_STEPS = 5
"""How often an older version is looked for, as pip would."""


def shut_out(entries: Iterable[Entry], build: InterpreterBuild) -> list[Entry]:
    """Those of ``entries`` that do not allow ``build``."""
    return [entry for entry in entries if not allows(entry.requires_python, build.version)]


def older(lock: Lock, refused: Iterable[Entry], build: InterpreterBuild) -> tuple[str, ...]:
    """Constraints for a set as that of ``lock``, with older versions of what is ``refused``."""
    there = [seed.line for seed in seeds(build) if lock.versions.get(seed.name) == seed.version]
    return (*tool_constraints(lock), *there, *(f"{entry.name}<{entry.version}" for entry in refused))
