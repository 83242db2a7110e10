"""Read what a service requires from its files. Each is read once, so it stays the same within a run."""

import re
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import InstallStep, LocalProject, RequirementSource, Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan, Suite
from pytest_py312.dependencies.proofs.hash_checking import applies_on, requires_hashes
from pytest_py312.dependencies.requests.source_folders import SourceFolders
from pytest_py312.dependencies.resolution.lock import project_of
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.formats.lockfiles import lock_format
from pytest_py312.repository.recipes.commands.install_steps import installs_from
from pytest_py312.repository.recipes.install_groups import (
    InstallGroup,
    group_sources,
    installs_own_dependencies,
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
    environment_leaves_out,
    production_leaves_out,
)
from pytest_py312.repository.services.requirements.requirement_set import (
    LocalRequirement,
    LocatedEntry,
    RequirementSet,
    read_requirement_set,
)
from pytest_py312.repository.services.requirements.sources import TABLE_READERS, installed_sets
from pytest_py312.repository.tree import Tree, join_path

_NOT_DIRECT = re.compile(r"#.*\bnot directly required\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementGroup:
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


class ServiceRequirements:
    """The requirements of the services of a plan. Thread-safe."""

    def __init__(self, *, plan: Plan, folders: SourceFolders) -> None:
        self._plan = plan
        self._folders = folders
        self._sets: dict[str, RequirementSet] = {}
        self._groups: dict[str, tuple[RequirementGroup, ...]] = {}
        self._commands: dict[str, tuple[tuple[RequirementSet, ...], RequirementSet]] = {}
        self._own: dict[str, Mapping[str, str]] = {}
        self._omitted: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()

    def of(self, service: Service) -> RequirementSet:
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

    def groups(self, service: Service) -> tuple[RequirementGroup, ...]:
        """Return the requirements of the service by the settings with which they are installed; always one group."""
        requirements = self.of(service)
        with self._lock:
            if service.name not in self._groups:
                groups = group_sources(*_together(service))
                self._groups[service.name] = tuple(
                    self._group(service, groups, position) for position in range(len(groups))
                ) or (RequirementGroup(requirements=requirements),)
            return self._groups[service.name]

    def _group(self, service: Service, groups: Sequence[InstallGroup], position: int) -> RequirementGroup:
        """Return the requirements of one of ``groups``, and what it keeps of those before it."""
        if len(groups) == 1:
            requirements, group = self._sets[service.name], groups[0]
            return RequirementGroup(
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
        return RequirementGroup(
            requirements=self._read(service, group.sources),
            by_uv=group.by_uv,
            upgrade=group.upgrade,
            provided=group.settings.provided,
            kept_lines=tuple(kept[True]),
            kept_constraints=tuple(kept[False]),
        )

    def upgraded(self, service: Service) -> frozenset[str]:
        """Return the normalised names of the projects that a command upgrades."""
        sources = [source for source in (*service.requirements, *service.test_requirements) if source.settings.upgrade]
        return frozenset(item.name for item in read_requirement_set(self._plan.root, sources).entries)

    def installed_alone(self, service: Service) -> frozenset[str]:
        """Return the normalised names of the projects that are installed without what they require."""
        return frozenset(
            item.name
            for group in self.groups(service)
            if group.requirements.no_deps
            for item in group.requirements.entries
        )

    def own_distributions(self, service: Service) -> Mapping[str, str]:
        """Return the distributions of the repository that the service requires by name, and their folders."""
        requirements = self.of(service)
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
        sets = [self.of(each) for each in installed_sets(service)]
        return tuple(dict.fromkeys(file for requirements in sets for file in requirements.files))

    def directly_required(self, service: Service) -> tuple[str, ...]:
        """Return the normalised names of the projects that the files of the service require."""
        return tuple(dict.fromkeys(item.name for item in self.of(service).entries))

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
            at_run_time.update(suite_tools(suite))
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
        for item in self.of(service).entries:
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
        return any("git+" in item.text for item in self.of(service).entries)

    def by_test_command(self, service: Service) -> tuple[tuple[RequirementSet, ...], RequirementSet]:
        """Return what each command requires that installs for the tests and nothing of the service, and all the rest.

        The sets are in the order of the commands.
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

    def locals_of(self, service: Service, tree: StoredDistribution) -> list[LocalRequirement]:
        """Return the requirements by path that a built folder or archive fulfils."""
        return [local for local in self.of(service).locals if self._folders.is_built_from(local.path, tree)]

    def is_editable(self, service: Service, folder: str) -> bool:
        """Whether what a source tree provides is imported from its folder.

        So it is for what fulfils a requirement by its name: members of workspaces are installed editable.
        """
        by_path = [local.editable for local in self.of(service).locals if local.path == folder]
        return any(by_path) if by_path else folder in self.own_distributions(service).values()

    def is_tree_alone(self, service: Service, tree: StoredDistribution) -> bool:
        """Whether a built folder is installed without what it requires."""
        locals_of_tree = self.locals_of(service, tree)
        if locals_of_tree:
            return all(local.no_deps for local in locals_of_tree)
        is_own = _needs_build(service) and self._folders.is_built_from(service.path, tree)
        return is_own and not installs_own_dependencies(service)

    def hashed_installs(self, service: Service) -> tuple[RequirementSet, ...]:
        """Return the requirements of each command that installs, or of each file; none if no file has hashes.

        pip checks hashes in each installation, not in what several of them bring together.
        """
        requirements = self.of(service)
        if not requires_hashes(requirements):
            return ()
        commands: dict[object, list[RequirementSource]] = {}
        for number, source in enumerate((*service.requirements, *service.test_requirements)):
            is_test = number >= len(service.requirements)
            commands.setdefault((is_test, source.step) if source.step else number, []).append(source)
        return tuple(read_requirement_set(self._plan.root, sources) for sources in commands.values())

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

    def source_trees(self, service: Service, build: InterpreterBuild | None = None) -> tuple[str, ...]:
        """Return the folders and archives (relative to the root) that are built and installed, on ``build`` or any."""
        local_requirements = self.of(service).locals
        required = [item.path for item in local_requirements if build is None or applies_on(item.marker, build)]
        tree = Tree(self._plan.root)
        nested = [inner for path in required for inner in poetry_path_dependencies(tree, path)]
        required = [
            path for path in (*required, *nested, *self.own_distributions(service).values()) if path != service.path
        ]
        is_required = any(item.path == service.path for item in local_requirements)
        builds_itself = _needs_build(service) and (is_required or not _is_run_uninstalled(service))
        return tuple(dict.fromkeys([*required, *([service.path] if builds_itself else [])]))


def suite_tools(suite: Suite) -> tuple[str, ...]:
    """Return the projects that a pytest suite needs to run; the option ``--ds`` belongs to pytest-django."""
    django = any(argument.startswith("--ds=") for argument in suite.arguments)
    return ("pytest", "pytest-django") if django else ("pytest",)


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


def _is_run_uninstalled(service: Service) -> bool:
    """Return whether what installs the service is known, and installs only what it requires: its code is copied."""
    recipes = [recipe for recipe in (service.recipe, service.test_recipe) if recipe is not None]
    steps = [step for recipe in recipes for step in recipe.steps if step.is_for_python]
    own = any(step.project == service.path or any(it.path == service.path for it in step.projects) for step in steps)
    is_known = service.recipe is not None and all(recipe.is_complete for recipe in recipes)
    project = service.distribution
    is_imported_there = project is None or {*project.source_roots} <= {".", *service.python_path}
    has_entry_points = project is not None and (project.scripts or project.plugins)
    return is_known and bool(steps) and not own and not has_entry_points and is_imported_there


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
