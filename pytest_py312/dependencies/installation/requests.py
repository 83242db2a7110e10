"""Build resolution requests: the requirements of a cell as a resolver takes them, and the source trees they include.

Files are read once, so the requests stay the same within a run.
"""

import os
import re
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import Cell, InstallStep, LocalProject, RequirementSource, Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan, Suite, SuiteKind
from pytest_py312.dependencies.diagnosis.remote_constraints import ConstraintsFetcher, address_for
from pytest_py312.dependencies.installation.installed_distributions import decisiveness
from pytest_py312.dependencies.installation.source_folders import SourceFolders
from pytest_py312.dependencies.proofs.hash_checking import applies_on, requires_hashes
from pytest_py312.dependencies.resolution.format_control import OPTIONS as FORMAT_OPTIONS
from pytest_py312.dependencies.resolution.format_control import read_format_control
from pytest_py312.dependencies.resolution.lock import DependencyLock, ResolutionRequest, project_of
from pytest_py312.dependencies.resolution.lockfile_pins import lines_at_commits, pin_locations, pinned_constraints
from pytest_py312.dependencies.resolution.uv_config import BUILD_CONSTRAINT
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.formats.lockfiles import lock_format
from pytest_py312.repository.formats.requirements_file import read_requirements
from pytest_py312.repository.recipes.commands.index_settings import REMOTE_CONSTRAINTS
from pytest_py312.repository.recipes.commands.install_steps import installs_from
from pytest_py312.repository.recipes.install_groups import (
    InstallGroup,
    group_sources,
    installs_own_dependencies,
    replaced_lines,
)
from pytest_py312.repository.recipes.recipe_sources import own_sources
from pytest_py312.repository.services.detection.packaging import poetry_path_dependencies
from pytest_py312.repository.services.own_distributions import find_own_distributions
from pytest_py312.repository.services.requirements.compiled_files import read_compile_header
from pytest_py312.repository.services.requirements.development import (
    DEVELOPMENT_TOOLS,
    is_for_development,
    is_run_by_script,
    unnamed_modules,
    unnamed_projects,
)
from pytest_py312.repository.services.requirements.exact_sets import (
    OFTEN_LEFT_OUT,
    environment_leaves_out,
    production_leaves_out,
)
from pytest_py312.repository.services.requirements.requirement_set import (
    LocalRequirement,
    LocatedEntry,
    LocatedOption,
    RequirementSet,
    read_requirement_set,
    requirement_with_extras,
)
from pytest_py312.repository.services.requirements.sources import TABLE_READERS, installed_sets
from pytest_py312.repository.tree import Tree, join_path

_NOT_DIRECT = re.compile(r"#.*\bnot directly required\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """What a command installs, or several with the same settings.

    ``kept_lines`` and ``kept_constraints`` are what earlier commands of production require, where this one is of the
    tests: they install nothing that contradicts it.
    """

    requirements: RequirementSet
    by_uv: bool = False
    upgrade: bool = False
    provided: bool = False
    kept_lines: tuple[LocatedEntry, ...] = ()
    kept_constraints: tuple[LocatedEntry, ...] = ()


class RequestBuilder:
    """Builder of the resolution requests of the services of a plan. Thread-safe."""

    def __init__(self, *, plan: Plan, cache: Path, offline: bool = False) -> None:
        self._plan = plan
        self._constraints = ConstraintsFetcher(cache=cache, lock_hours=plan.lock_hours, offline=offline)
        self.folders = SourceFolders(root=plan.root, cache=cache)
        self._sets: dict[str, RequirementSet] = {}
        self._groups_by_service: dict[str, tuple[_Group, ...]] = {}
        self._commands: dict[str, tuple[tuple[RequirementSet, ...], RequirementSet]] = {}
        self._own: dict[str, Mapping[str, str]] = {}
        self._omitted: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()

    def requirements(self, service: Service) -> RequirementSet:
        """Return the requirements of the service for run time and tests, as read from its files."""
        with self._lock:
            if service.name not in self._sets:
                run_time, tests = _together(service)
                sources = (*run_time, *tests)
                files = [source for source in run_time if not (source.arguments or source.constraints)]
                # if requirements files define the deployment, a lock file next to them does not
                with_locks = all(source.table or lock_format(source.path.rpartition("/")[2]) for source in files)
                read_set = self._read(service, sources, with_locks=with_locks)
                self._sets[service.name] = (
                    _without_setup_problems(read_set, service) if _needs_build(service) else read_set
                )
            return self._sets[service.name]

    def _read(
        self, service: Service, sources: Sequence[RequirementSource], *, with_locks: bool = False
    ) -> RequirementSet:
        """Read ``sources``. What they require of the service's own distribution is the service, not one of an index."""
        read_set = read_requirement_set(self._plan.root, sources, with_locks=with_locks)
        own = canonicalize_name(service.distribution.name) if service.distribution else ""
        extras: set[str] = set()
        while own and any(item.name == own for item in read_set.entries):
            named = [item for item in read_set.entries if item.name == own]
            more = {extra for item in named for extra in item.entry.extras} - extras
            if more or not extras:
                extras |= more
                project = LocalProject(path=service.path, extras=tuple(sorted(extras)))
                tables = own_sources(Tree(self._plan.root), project, TABLE_READERS)
                sources = tuple(dict.fromkeys((*sources, *tables)))
                read_set = read_requirement_set(self._plan.root, sources, with_locks=with_locks)
                if more:
                    continue
            return replace(read_set, entries=tuple(item for item in read_set.entries if item.name != own))
        return read_set

    def _groups(self, service: Service) -> tuple[_Group, ...]:
        """Return the requirements of the service by the settings with which they are installed; always one group."""
        requirements = self.requirements(service)
        with self._lock:
            if service.name not in self._groups_by_service:
                groups = group_sources(*_together(service))
                self._groups_by_service[service.name] = tuple(
                    self._group(service, groups, position) for position in range(len(groups))
                ) or (_Group(requirements=requirements),)
            return self._groups_by_service[service.name]

    def _group(self, service: Service, groups: Sequence[InstallGroup], position: int) -> _Group:
        """Return the requirements of one of ``groups``, and what it keeps of those before it."""
        if len(groups) == 1:
            requirements, group = self._sets[service.name], groups[0]
            return _Group(
                requirements=requirements,
                by_uv=group.by_uv,
                upgrade=group.upgrade,
                provided=group.settings.provided,
            )
        group = groups[position]
        kept: dict[bool, list[LocatedEntry]] = {True: [], False: []}
        replaced: set[str] = set()
        for earlier in reversed(groups[: position + 1] if group.tests else ()):
            production = [source for source in earlier.sources if source not in earlier.tests]
            entries = self._read(service, production).entries
            if earlier is not group:
                is_together = earlier.settings == group.settings and not group.settings.no_deps
                kept[is_together] += [item for item in entries if item.name not in replaced]
            replaced |= {item.name for item in entries}
        return _Group(
            requirements=self._read(service, group.sources),
            by_uv=group.by_uv,
            upgrade=group.upgrade,
            provided=group.settings.provided,
            kept_lines=tuple(kept[True]),
            kept_constraints=tuple(kept[False]),
        )

    def _upgraded(self, service: Service) -> frozenset[str]:
        """Return the normalised names of the projects that a command upgrades."""
        sources = [source for source in (*service.requirements, *service.test_requirements) if source.settings.upgrade]
        return frozenset(item.name for item in read_requirement_set(self._plan.root, sources).entries)

    def installed_alone(self, service: Service) -> frozenset[str]:
        """Return the normalised names of the projects that are installed without what they require."""
        return frozenset(
            item.name
            for group in self._groups(service)
            if group.requirements.no_deps
            for item in group.requirements.entries
        )

    def own_distributions(self, service: Service) -> Mapping[str, str]:
        """Return the distributions of the repository that the service requires by name, and their folders."""
        requirements = self.requirements(service)
        with self._lock:
            if service.name not in self._own:
                self._own[service.name] = find_own_distributions(Tree(self._plan.root), service, requirements)
            return self._own[service.name]

    def is_compiled(self, path: str) -> bool:
        """Return whether a command that is known makes the requirements file again, with other hashes."""
        compiled = read_compile_header(Tree(self._plan.root), path)
        return compiled is not None and not compiled.problem

    def files(self, service: Service) -> tuple[str, ...]:
        """Return all files that the requirement sets of the service are read from."""
        sets = [self.requirements(each) for each in installed_sets(service)]
        return tuple(dict.fromkeys(file for requirements in sets for file in requirements.files))

    def directly_required(self, service: Service) -> tuple[str, ...]:
        """Return the normalised names of the projects that the files of the service require."""
        return tuple(dict.fromkeys(item.name for item in self.requirements(service).entries))

    def dispensable(
        self, service: Service, trees: Sequence[StoredDistribution], modules: Mapping[str, Collection[str]]
    ) -> frozenset[str]:
        """Return the projects that only tests or development require, and that nothing of the service names.

        :param trees: the distributions that are built from folders; what they require is needed.
        :param modules: project -> its importable modules, as far as they are known.
        """
        required = frozenset(self.directly_required(service))
        sources = list(service.requirements)
        if service.recipe is None and service.settings.requirements is None:  # they were found by their names
            sources = [source for source in sources if not is_for_development(source.path, service.path)]
        at_run_time = {item.name for item in read_requirement_set(self._plan.root, sources).entries}
        of_trees = {project_of(line) for tree in trees for line in tree.requires}
        if suite := service.suite:
            at_run_time.update(_suite_tools(suite))
        only_tests = required - at_run_time - of_trees - self.own_distributions(service).keys()
        return unnamed_projects(Tree(self._plan.root), service, only_tests, modules)

    def unnamed_modules(self, service: Service, modules: Collection[str]) -> frozenset[str]:
        """Return those of ``modules`` that no file of the service names."""
        return unnamed_modules(Tree(self._plan.root), service, modules)

    def unused(self, service: Service) -> dict[str, str]:
        """Return the projects that the service has for another reason than to import them, and that reason.

        Tools for development; and what others require, with a line that says so: ``# not directly required``. Snyk adds
        such lines, so that it gets a version without a vulnerability. All lines of a project have to say so.
        """
        tree = Tree(self._plan.root)
        texts: dict[str, list[str]] = {}
        reasons: dict[str, set[str]] = {}
        for item in self.requirements(service).entries:
            path, line = item.location.path, item.location.line or 0
            lines = texts.setdefault(path, (tree.read_or_none(path) or "").splitlines())
            is_pinned = 0 < line <= len(lines) and _NOT_DIRECT.search(lines[line - 1])
            reason = "its line says that nothing requires it directly" if is_pinned else ""
            if not reason and item.name in DEVELOPMENT_TOOLS and not is_run_by_script(tree, service, item.name):
                reason = "it is a tool for development"
            reasons.setdefault(item.name, set()).add(reason)
        return {name: min(each) for name, each in reasons.items() if all(each)}

    def requires_git(self, service: Service) -> bool:
        """Whether a requirement of the service is fetched with git."""
        return any("git+" in item.text for item in self.requirements(service).entries)

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
        :param without: projects that are left out, to try a change.
        :param extra_constraints: added to ``constraints``.
        :param unavailable: projects that are left out because they cannot be had here; locked versions are kept.
        :param added: requirements that no file has, to try them.
        """
        requirements = self.requirements(cell.service)
        holds_locked_versions = locked and changed is None and not without and not added
        locked_constraints = (
            tuple(pinned_constraints(requirements.locks, requirements.entries, cell.interpreter))
            if holds_locked_versions
            else ()
        )
        # those that do not build are reported as such, and not as missing from the index
        tree_names = {tree.name for tree in trees} | self.own_distributions(cell.service).keys()
        excluded = {*without, *tree_names, *unavailable}
        replaced = self.replaced(cell, trees)
        shared = ResolutionRequest(
            lines=(),
            constraints=(
                *(item.text for item in requirements.constraints),
                *locked_constraints,
                *self._without_upgraded(cell.service, (*extra_constraints, *constraints)),
            ),
            direct=tuple((item.name, item.location) for item in sorted(requirements.entries, key=decisiveness)),
            locked=tuple(pin_locations(requirements.locks, cell.interpreter)) if locked_constraints else (),
            at_commits=tuple(lines_at_commits(requirements.locks, requirements.entries, cell.interpreter))
            if holds_locked_versions
            else (),
            exclude_newer=self._plan.exclude_newer,
        )
        groups = self._groups(cell.service)
        parts = [
            self._part(cell, group, shared, _entry_lines(group, changed or {}, excluded, replaced), position)
            for position, group in enumerate(groups)
        ]
        usual = (part for part in reversed(parts) if not part.no_deps and not part.provided)
        main = next(usual, replace(shared, position=len(parts)))
        tools = _tool_lines(cell.service, requirements)
        of_trees = [line for line in self._tree_lines(cell, trees, {*tree_names, *unavailable}) if line not in replaced]
        # what only a built tree requires has no lines of its own, but the constraints of its command
        empty = [part for part in parts if part.position != main.position and not part.lines]
        missing = dict.fromkeys((main.missing, *(part.missing for part in empty), _unknown_installer(cell.service)))
        return replace(
            main,
            constraints=tuple(dict.fromkeys(line for part in (main, *empty) for line in part.constraints)),
            missing="; ".join(filter(None, missing)),
            lines=tuple(dict.fromkeys((*added, *main.lines, *tools, *of_trees))),
            others=tuple(part for part in parts if part.position != main.position and part.lines),
        )

    def _without_upgraded(self, service: Service, constraints: Sequence[str]) -> list[str]:
        """Return ``constraints`` without those that keep an older version of what a command upgrades."""
        names = self._upgraded(service) if constraints else frozenset()
        return [line for line in constraints if "==" not in line or project_of(line) not in names]

    def _part(
        self, cell: Cell, group: _Group, shared: ResolutionRequest, lines: Sequence[str], position: int
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
        requirements = self.requirements(cell.service)
        lines: list[str] = []
        for tree in trees:
            if self.is_tree_alone(cell.service, tree):
                continue
            extras = {extra for local in self._locals_of(cell.service, tree) for extra in local.extras}
            extras |= {extra for item in requirements.entries if item.name == tree.name for extra in item.entry.extras}
            dependency_lines = (
                requirement_with_extras(line, tree.name, extras, cell.interpreter) for line in tree.requires
            )
            lines += [line for line in dependency_lines if line and project_of(line) not in excluded]
        return lines

    def replaced(self, cell: Cell, trees: Sequence[StoredDistribution]) -> frozenset[str]:
        """Return the requirements of test commands that a later command replaces, or that production contradicts.

        A job may install several projects one after the other, and then run the tests of all of them. What production
        requires stays as it is; so does what a command installs together with something of the service.
        """
        sets, of_service = self._test_commands(cell.service)
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

    def _test_commands(self, service: Service) -> tuple[tuple[RequirementSet, ...], RequirementSet]:
        """Return what each command requires that installs for the tests and nothing of the service, and all the rest.

        They are in their order.
        """
        with self._lock:
            if service.name not in self._commands:
                steps = service.test_recipe.steps if service.test_recipe is not None else ()
                apart: dict[int, list[RequirementSource]] = {}
                others = list(service.requirements)
                for source in service.test_requirements:
                    step = steps[source.step - 1] if 0 < source.step <= len(steps) else None
                    is_apart = step is not None and not source.constraints and _is_of_others(step, service.path)
                    (apart.setdefault(source.step, []) if is_apart else others).append(source)
                sets = tuple(self._read(service, apart[step]) for step in sorted(apart))
                self._commands[service.name] = sets, self._read(service, others)
            return self._commands[service.name]

    def _locals_of(self, service: Service, tree: StoredDistribution) -> list[LocalRequirement]:
        """Return the requirements by path that a built folder or archive fulfils."""
        return [local for local in self.requirements(service).locals if self.folders.is_built_from(local.path, tree)]

    def is_tree_alone(self, service: Service, tree: StoredDistribution) -> bool:
        """Whether a built folder is installed without what it requires."""
        locals_of_tree = self._locals_of(service, tree)
        if locals_of_tree:
            return all(local.no_deps for local in locals_of_tree)
        is_own = _needs_build(service) and self.folders.is_built_from(service.path, tree)
        return is_own and not installs_own_dependencies(service)

    def hashed_installs(self, service: Service) -> tuple[RequirementSet, ...]:
        """Return the requirements of each command that installs, or of each file; none if no file has hashes.

        pip checks hashes in each installation, not in what several of them bring together.
        """
        requirements = self.requirements(service)
        if not requires_hashes(requirements):
            return ()
        commands: dict[object, list[RequirementSource]] = {}
        for number, source in enumerate((*service.requirements, *service.test_requirements)):
            is_test = number >= len(service.requirements)
            commands.setdefault((is_test, source.step) if source.step else number, []).append(source)
        return tuple(read_requirement_set(self._plan.root, sources) for sources in commands.values())

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

    def production_leaves_out(self, service: Service) -> frozenset[str]:
        """Return the distributions that the service's image leaves out although others in it require them."""
        return production_leaves_out(service, self.production(service))

    def production(self, service: Service) -> RequirementSet:
        """Return the run-time requirements of the service, with the lock files beside them."""
        return read_requirement_set(self._plan.root, service.requirements, with_locks=True)

    def left_out(self, service: Service) -> frozenset[str]:
        """Return the distributions that the environment of the service lacks although others in it require them."""
        with self._lock:
            if service.name not in self._omitted:
                tests = read_requirement_set(self._plan.root, service.test_requirements, with_locks=True)
                self._omitted[service.name] = environment_leaves_out(service, self.production(service), tests)
            return self._omitted[service.name]

    def as_installed(self, cell: Cell, lock: DependencyLock) -> DependencyLock:
        """Return ``lock`` without what the installers of the service leave out, and with the hashes of its files.

        A resolver returns the hashes of the files in the index, which would match any file.
        """
        left_out = self.left_out(cell.service) if OFTEN_LEFT_OUT in lock.versions else frozenset()
        if left_out:
            lock = replace(lock, pins=tuple(pin for pin in lock.pins if pin.name not in left_out))
        hashed = [item for item in self.requirements(cell.service).entries if item.entry.hashes]
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

    def source_trees(self, service: Service, build: InterpreterBuild | None = None) -> tuple[str, ...]:
        """Return the folders and archives (relative to the root) that are built and installed, on ``build`` or any."""
        local_requirements = self.requirements(service).locals
        required = [item.path for item in local_requirements if build is None or applies_on(item.marker, build)]
        tree = Tree(self._plan.root)
        nested = [inner for path in required for inner in poetry_path_dependencies(tree, path)]
        required = [
            path for path in (*required, *nested, *self.own_distributions(service).values()) if path != service.path
        ]
        return tuple(dict.fromkeys([*required, *([service.path] if _needs_build(service) else [])]))


def _is_of_others(step: InstallStep, path: str) -> bool:
    """Return whether a step installs nothing in the folder ``path``; at the root, whether it installs only projects."""
    if path != ".":
        return not installs_from(step, path)
    only_projects = not (step.files or step.arguments or step.project)
    return only_projects and all(project.path != "." for project in step.projects)


def _together(service: Service) -> tuple[tuple[RequirementSource, ...], tuple[RequirementSource, ...]]:
    """Return the sources of run time and of tests that are installed into one environment with the tests."""
    is_separate = service.separate_tests and bool(service.test_requirements)
    return () if is_separate else service.requirements, service.test_requirements


def _allows(item: LocatedEntry, version: str) -> bool:
    specifier = SpecifierSet(item.entry.specifier)
    return bool(version) and specifier.contains(version, prereleases=True)


def _suite_tools(suite: Suite) -> tuple[str, ...]:
    """Return the projects that a pytest suite needs to run; the option ``--ds`` belongs to pytest-django."""
    django = any(argument.startswith("--ds=") for argument in suite.arguments)
    return ("pytest", "pytest-django") if django else ("pytest",)


def _entry_lines(
    group: _Group, changed: Mapping[LocatedEntry, str], excluded: Collection[str], replaced: Collection[str]
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
    return [tool for tool in _suite_tools(suite) if tool not in names]


def _unknown_installer(service: Service) -> str:
    """Return why a set is not known: a program of the repository installs it, or its constraints are not known."""
    settings = service.settings
    has_tests = bool(service.test_requirements) and settings.test_requirements is None
    recipes = (
        ("install", service.recipe if settings.requirements is None else None),
        ("test-install", service.test_recipe if has_tests else None),
    )
    for key, recipe in recipes:
        for step in recipe.steps if recipe is not None else ():
            unknown = next((text for text in step.left_out if text.startswith(REMOTE_CONSTRAINTS)), "")
            if step.unknown_program:
                reason = f"installs with `{step.unknown_program}`, of which nothing is known"
            elif unknown:
                reason = f"installs with `{unknown}`, whose content is not known"
            else:
                continue
            return f"{step.location} {reason}: name what it installs with `{key}` in the plan"
    return ""


def _needs_build(service: Service) -> bool:
    return service.distribution is not None and not service.distribution.static


def _without_setup_problems(requirements: RequirementSet, service: Service) -> RequirementSet:
    """Drop the problems of values that the service's own setup.py computes: a build evaluates them."""
    setup_problems = [
        problem
        for problem in requirements.problems
        if problem.computed and problem.location.path == join_path(service.path, "setup.py")
    ]
    return replace(
        requirements,
        problems=tuple(problem for problem in requirements.problems if problem not in setup_problems),
        computed=tuple(problem.location for problem in setup_problems),
    )


def _with_specifier(item: LocatedEntry, specifier: str) -> str:
    """Return the requirement with another specifier, in PEP 508 syntax."""
    requirement = Requirement(item.text)
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras}{specifier}{marker}"
