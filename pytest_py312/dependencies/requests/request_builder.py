"""Build resolution requests: the requirements of a cell as a resolver takes them."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import Cell, InstallRecipe, RequirementSource, Service
from pytest_py312.core.model.plan import Plan, SuiteKind
from pytest_py312.dependencies.requests.remote_constraints import ConstraintsFetcher, address_for
from pytest_py312.dependencies.requests.service_requirements import RequirementGroup, ServiceRequirements, suite_tools
from pytest_py312.dependencies.requests.source_folders import SourceFolders
from pytest_py312.dependencies.resolution.format_control import OPTIONS as FORMAT_OPTIONS
from pytest_py312.dependencies.resolution.format_control import read_format_control
from pytest_py312.dependencies.resolution.lock import DependencyLock, ResolutionRequest, project_of
from pytest_py312.dependencies.resolution.lockfile_pins import lines_at_commits, pin_locations, pinned_constraints
from pytest_py312.dependencies.resolution.uv_config import BUILD_CONSTRAINT
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.formats.conda import PIP_TABLE, conda_packages, imported_packages
from pytest_py312.repository.formats.requirements_file import read_requirements
from pytest_py312.repository.recipes.commands.index_settings import REMOTE_CONSTRAINTS
from pytest_py312.repository.recipes.install_groups import (
    replaced_lines,
)
from pytest_py312.repository.services.requirements.exact_sets import (
    OFTEN_LEFT_OUT,
)
from pytest_py312.repository.services.requirements.requirement_set import (
    LocatedEntry,
    LocatedOption,
    RequirementSet,
    requirement_with_extras,
    with_nested_extras,
)
from pytest_py312.repository.tree import Tree


class RequestBuilder:
    """Builder of the resolution requests of the services of a plan. Thread-safe."""

    def __init__(self, *, plan: Plan, cache: Path, offline: bool = False) -> None:
        self._plan = plan
        self._constraints = ConstraintsFetcher(cache=cache, lock_hours=plan.lock_hours, offline=offline)
        self.folders = SourceFolders(root=plan.root, cache=cache)
        self.requirements = ServiceRequirements(plan=plan, folders=self.folders)

    def request(
        self,
        cell: Cell,
        trees: Sequence[StoredDistribution],
        constraints: Sequence[str],
        changed: Mapping[LocatedEntry, str] | None = None,
        without: Collection[str] = (),
        locked: bool = True,
        extra_constraints: Sequence[str] = (),
        unavailable: Collection[str] = (),
        added: Sequence[str] = (),
    ) -> ResolutionRequest:
        """Return the request of a cell: the requirements of its files, its test tool, and those of ``trees``.

        The versions of a lock file are kept, unless ``locked`` is false or a change is tried, which requires a new
        lock file in any case.

        :param changed: requirements that get another specifier, to try a change.
        :param without: projects and folders that are left out, to try a change.
        :param extra_constraints: added to ``constraints``.
        :param unavailable: projects and folders that are left out because they cannot be had here; locked versions are
            kept.
        :param added: requirements that no file has, to try them.
        """
        keeps_locked_versions = locked and changed is None and not without and not added
        shared = self._shared_settings(cell, (*extra_constraints, *constraints), keeps_locked_versions)
        # those that do not build are reported as such, and not as missing from the index
        tree_names = {tree.name for tree in trees} | self.requirements.own_distributions(cell.service).keys()
        excluded = {*without, *tree_names, *unavailable}
        replaced = self.replaced(cell, trees)
        parts = [
            self._part(cell, group, shared, _entry_lines(group, changed or {}, excluded, replaced), position)
            for position, group in enumerate(self.requirements.groups(cell.service))
        ]
        tools = _tool_lines(cell.service, self.requirements.of(cell.service))
        of_trees = [line for line in self._tree_lines(cell, trees, {*tree_names, *unavailable}) if line not in replaced]
        return _joined(parts, shared, [*tools, *of_trees], added, unknown=self._unknown_installer(cell.service))

    def _unknown_installer(self, service: Service) -> str:
        """Return why a set is not known: a program of the repository or conda installs it, or its constraints are not
        known.
        """
        settings = service.settings
        has_tests = bool(service.test_requirements) and settings.test_requirements is None
        recipes = (
            ("install", service.recipe, service.requirements, settings.requirements is None),
            ("test-install", service.test_recipe, service.test_requirements, has_tests),
        )
        reasons = (
            f"{reason}: name what it installs with `{key}` in the plan"
            for key, recipe, sources, is_used in recipes
            if is_used
            for reason in (*_unknown_steps(recipe), *self._conda_packages(sources))
        )
        return next(reasons, "")

    def _conda_packages(self, sources: Sequence[RequirementSource]) -> Iterator[str]:
        for path in (source.path for source in sources if source.table == PIP_TABLE):
            for name, line in conda_packages(Tree(self._plan.root).read_or_none(path) or ""):
                yield _installed_by_conda(Location(path=path, line=line), name)

    def _shared_settings(
        self, cell: Cell, constraints: Sequence[str], keeps_locked_versions: bool
    ) -> ResolutionRequest:
        """Return what the requests of all groups of a cell have in common."""
        requirements = self.requirements.of(cell.service)
        locks, entries = (requirements.locks, requirements.entries) if keeps_locked_versions else ((), ())
        locked_constraints = tuple(pinned_constraints(locks, entries, cell.interpreter))
        by_decisiveness = sorted(requirements.entries, key=lambda item: item.decisiveness)
        return ResolutionRequest(
            lines=(),
            constraints=(
                *(item.text for item in requirements.constraints),
                *locked_constraints,
                *self._without_upgraded(cell.service, constraints),
            ),
            direct=tuple((item.name, item.location) for item in by_decisiveness),
            locked=tuple(pin_locations(locks, cell.interpreter)) if locked_constraints else (),
            at_commits=tuple(lines_at_commits(locks, entries, cell.interpreter)),
            exclude_newer=self._plan.exclude_newer,
        )

    def _without_upgraded(self, service: Service, constraints: Sequence[str]) -> list[str]:
        """Return ``constraints`` without those that keep an older version of what a command upgrades."""
        names = self.requirements.upgraded(service) if constraints else frozenset()
        return [line for line in constraints if "==" not in line or project_of(line) not in names]

    def _part(
        self, cell: Cell, group: RequirementGroup, shared: ResolutionRequest, lines: Sequence[str], position: int
    ) -> ResolutionRequest:
        """Return the request of one group, with its settings."""
        options = group.requirements.options
        other_options = (item for item in options if item.name not in (*FORMAT_OPTIONS, REMOTE_CONSTRAINTS))
        addresses = [item.value for item in options if item.name == REMOTE_CONSTRAINTS]
        remote = [
            self._constraints.fetch(address_for(url, cell.service.baseline, cell.interpreter)) for url in addresses
        ]
        return replace(
            shared,
            lines=tuple(dict.fromkeys(lines)),
            constraints=(
                *shared.constraints,
                *(_as_constraint(item) for item in group.kept_constraints),
                *(line for constraints in remote for line in constraints.lines),
            ),
            missing="; ".join(constraints.problem for constraints in remote if constraints.problem),
            options=tuple(dict.fromkeys(line for item in other_options for line in self._option_lines(item))),
            hashes=any(item.entry.hashes for item in group.requirements.entries),
            no_deps=group.requirements.no_deps,
            formats=read_format_control((option.name, option.value) for option in options),
            by_uv=group.by_uv,
            best_match=not group.by_uv and any(option.name == "--extra-index-url" for option in options),
            position=position,
            upgrade=group.upgrade,
            provided=group.provided,
        )

    def required_by_trees(self, cell: Cell, trees: Sequence[StoredDistribution]) -> frozenset[str]:
        """Return the normalised names of the projects that built folders require, also by a computed setup.py."""
        return frozenset(project_of(line) for line in self._tree_lines(cell, trees, ()))

    def _tree_lines(self, cell: Cell, trees: Sequence[StoredDistribution], excluded: Collection[str]) -> list[str]:
        """Return what the folders require that are built and installed with their dependencies."""
        requirements = self.requirements.of(cell.service)
        lines: list[str] = []
        for tree in trees:
            if self.requirements.is_tree_alone(cell.service, tree):
                continue
            extras = {extra for local in self.requirements.locals_of(cell.service, tree) for extra in local.extras}
            extras |= {extra for item in requirements.entries if item.name == tree.name for extra in item.entry.extras}
            asked = with_nested_extras(tree.requires, tree.name, extras)
            dependency_lines = (
                requirement_with_extras(line, tree.name, asked, cell.interpreter) for line in tree.requires
            )
            lines += [line for line in dependency_lines if line and project_of(line) not in excluded]
        return lines

    def replaced(self, cell: Cell, trees: Sequence[StoredDistribution]) -> frozenset[str]:
        """Return the requirements of test commands that a later command replaces, or that production contradicts.

        A job may install several projects one after the other, and then run the tests of all of them. What production
        requires stays as it is; so does what a command installs together with something of the service.
        """
        sets, of_service = self.requirements.by_test_command(cell.service)
        if not sets:
            return frozenset()
        elsewhere = [tree for tree in trees if not self.folders.is_built_from(cell.service.path, tree)]
        lines: list[list[str]] = []
        for read_set in (*sets, of_service):
            paths = [local.path for local in read_set.locals if not local.no_deps]
            installed = [tree for tree in elsewhere if any(self.folders.is_built_from(path, tree) for path in paths)]
            lines.append([*(item.text for item in read_set.entries), *self._tree_lines(cell, installed, ())])
        own = [tree for tree in trees if tree not in elsewhere]
        return replaced_lines([*lines[:-1], [*lines[-1], *self._tree_lines(cell, own, ())]])

    def _option_lines(self, option: LocatedOption) -> list[str]:
        """Return the lines of an option. A folder in it is relative to the file that contains the option."""
        value = option.value
        if option.name == "--build-constraint":
            text = Tree(self._plan.root).read_or_none(value) or ""
            entries = read_requirements(text, value).entries
            return [f"{BUILD_CONSTRAINT}{entry.text}" for entry in entries if not entry.url]
        if option.name == "--find-links" and "://" not in value:
            base = self._plan.root / option.location.path / ".." if option.folder is None else self._plan.root
            folder = Path(os.path.normpath(base / (option.folder or "") / value))
            # the comment makes locks and installed distributions depend on the content of the folder
            value = f"{folder} # {self.folders.digest(os.path.relpath(folder, self._plan.root))}"
        return [f"{option.name} {value}".strip()]

    def as_installed(self, cell: Cell, lock: DependencyLock) -> DependencyLock:
        """Return ``lock`` without what the installers of the service leave out, and with the hashes of its files.

        A resolver returns the hashes of the files in the index, which would match any file.
        """
        left_out = self.requirements.left_out(cell.service) if OFTEN_LEFT_OUT in lock.versions else frozenset()
        if left_out:
            lock = replace(lock, pins=tuple(pin for pin in lock.pins if pin.name not in left_out))
        hashed = [item for item in self.requirements.of(cell.service).entries if item.entry.hashes]
        if not hashed:
            return lock
        pins = []
        for pin in lock.pins:
            # of several files that pin a project, the one counts whose version is installed
            allowing = [item for item in hashed if item.name == pin.name and _allows(item, pin.version)]
            hashes = [f"--hash={file_hash}" for item in allowing for file_hash in item.entry.hashes]
            line = " ".join((f"{pin.name}=={pin.version}", *dict.fromkeys(hashes)))
            pins.append(replace(pin, line=line) if hashes and pin.version else pin)
        return replace(lock, pins=tuple(pins))


def _joined(
    parts: Sequence[ResolutionRequest],
    shared: ResolutionRequest,
    more: Sequence[str],
    added: Sequence[str],
    *,
    unknown: str,
) -> ResolutionRequest:
    """Return the last of ``parts`` without special settings as the request of the cell, with what no line of it names.

    :param more: the test tool, and what built trees require.
    :param added: requirements that no file has.
    :param unknown: why the set is not known, if it is not.
    """
    usual = (part for part in reversed(parts) if not part.no_deps and not part.provided)
    main = next(usual, replace(shared, position=len(parts)))
    # what only a built tree requires has no lines of its own, but the constraints of its command
    empty = [part for part in parts if part.position != main.position and not part.lines]
    missing = dict.fromkeys((main.missing, *(part.missing for part in empty), unknown))
    return replace(
        main,
        constraints=tuple(dict.fromkeys(line for part in (main, *empty) for line in part.constraints)),
        missing="; ".join(filter(None, missing)),
        lines=tuple(dict.fromkeys((*added, *main.lines, *more))),
        others=tuple(part for part in parts if part.position != main.position and part.lines),
    )


def _allows(item: LocatedEntry, version: str) -> bool:
    specifier = SpecifierSet(item.entry.specifier)
    return bool(version) and specifier.contains(version, prereleases=True)


def _entry_lines(
    group: RequirementGroup, changed: Mapping[LocatedEntry, str], excluded: Collection[str], replaced: Collection[str]
) -> list[str]:
    """Return the lines of requirements for a resolver, with the specifiers of ``changed``.

    :param excluded: names of projects that are left out. A folder of the repository that is installed by its path is
        no project of the index.
    :param replaced: requirements that a later command replaces.
    """
    lines = []
    for item in (*group.requirements.entries, *group.kept_lines):
        if item.name not in excluded and item.text not in replaced:
            hashes = "".join(f" --hash={file_hash}" for file_hash in item.entry.hashes)
            lines.append(_with_specifier(item, changed[item]) if item in changed else item.text + hashes)
    return lines


def _as_constraint(item: LocatedEntry) -> str:
    """Return the versions that a requirement allows, without its extras."""
    marker = f" ; {item.entry.marker}" if item.entry.marker else ""
    return f"{item.name}{f' @ {item.entry.url}' if item.entry.url else item.entry.specifier}{marker}"


def _tool_lines(service: Service, requirements: RequirementSet) -> list[str]:
    """Return what the service's suite is run with and its files do not require."""
    suite = service.suite
    names = {item.name for item in requirements.entries}
    if suite is None or suite.kind is not SuiteKind.PYTEST:
        return []
    return [tool for tool in suite_tools(suite) if tool not in names]


def _unknown_steps(recipe: InstallRecipe | None) -> Iterator[str]:
    for step in recipe.steps if recipe is not None else ():
        unknown = next((text for text in step.left_out if text.startswith(REMOTE_CONSTRAINTS)), "")
        by_conda = imported_packages(step.system_packages) if step.tool == "conda" else []
        if step.unknown_program:
            yield f"{step.location} installs with `{step.unknown_program}`, of which nothing is known"
        elif unknown:
            yield f"{step.location} installs with `{unknown}`, whose content is not known"
        elif by_conda:
            yield _installed_by_conda(step.location, by_conda[0])


def _installed_by_conda(place: Location, package: str) -> str:
    return f"{place} installs {package} with conda, which is not checked"


def _with_specifier(item: LocatedEntry, specifier: str) -> str:
    """Return the requirement with another specifier, in PEP 508 syntax."""
    requirement = Requirement(item.text)
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras}{specifier}{marker}"
