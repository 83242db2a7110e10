"""Group what a service requires by the settings with which commands install it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import InstallSettings, RequirementSource, Service
from pytest_py312.repository.recipes.commands.index_settings import REMOTE_CONSTRAINTS

_ADDED_FILES = ("--extra-index-url", "--find-links", "--build-constraint", REMOTE_CONSTRAINTS)
"""Options that only add files to those of the index, or only restrict what is taken from it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallGroup:
    """Sources that are resolved together, and their common ``settings``.

    ``tests`` are those of ``sources`` that only the tests need: what production requires has to stay as it is.
    ``by_uv``: all of them are installed by uv. ``upgrade``: what they name is upgraded, whatever is installed already.
    """

    sources: tuple[RequirementSource, ...]
    settings: InstallSettings
    tests: tuple[RequirementSource, ...] = ()
    by_uv: bool = False
    upgrade: bool = False


def group_sources(
    sources: Sequence[RequirementSource], test_sources: Sequence[RequirementSource] = ()
) -> tuple[InstallGroup, ...]:
    """Return groups of sources, in the order in which they are installed: one for each command of production.

    Sources whose command is not known, and those of the tests, belong to the last group with the same settings, or form
    one. Sources that differ only by indexes which add files to others have the same: they may need each other's files.
    """
    groups: dict[tuple[InstallSettings, int], list[RequirementSource]] = {}
    for source in sources:
        if not source.constraints:
            groups.setdefault((_separating(source.settings), source.step), []).append(source)
    for key in [key for key in groups if key[1] == 0]:
        last = next((other for other in reversed(groups) if other[0] == key[0] and other != key), None)
        if last is not None:
            groups[last] += groups.pop(key)
    tests: dict[tuple[InstallSettings, int], list[RequirementSource]] = {}
    for source in test_sources:
        if not source.constraints:
            settings = _separating(source.settings)
            last = next((key for key in reversed(groups) if key[0] == settings), (settings, 0))
            tests.setdefault(last, []).append(source)
    constraints = tuple(source for source in (*sources, *test_sources) if source.constraints)
    return tuple(
        InstallGroup(
            sources=(*constraints, *members),
            settings=key[0],
            tests=tuple(tests.get(key, ())),
            by_uv=all(member.settings.by_uv for member in members),
            upgrade=all(member.settings.upgrade for member in members),
        )
        for key in dict.fromkeys((*groups, *tests))
        if (members := [*groups.get(key, ()), *tests.get(key, ())])
    )


def replaced_lines(commands: Sequence[Sequence[str]]) -> frozenset[str]:
    """Return the requirements that a later one of several commands replaces, as pip does one after the other.

    ``pip install ./a`` with ``x==1``, and then ``pip install ./b`` with ``x>=2``: the first is met no longer. Only
    exact versions are compared, and only requirements without markers.

    :param commands: the requirements (PEP 508) of each command, in their order.
    """
    in_force: dict[str, dict[str, Requirement]] = {}
    replaced: set[str] = set()
    for lines in commands:
        new: dict[str, dict[str, Requirement]] = {}
        for line in lines:
            if (requirement := _plain_requirement(line)) is not None:
                new.setdefault(canonicalize_name(requirement.name), {})[line] = requirement
        for name, added in new.items():
            kept = {
                line: earlier
                for line, earlier in in_force.get(name, {}).items()
                if all(_may_be_both_met(earlier, later) for later in added.values())
            }
            replaced.update(in_force.get(name, {}).keys() - kept.keys() - added.keys())
            replaced -= added.keys()
            in_force[name] = kept | added
    return frozenset(replaced)


def _plain_requirement(line: str) -> Requirement | None:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return None
    return requirement if requirement.marker is None and requirement.url is None else None


def _may_be_both_met(first: Requirement, second: Requirement) -> bool:
    """Whether the exact version of one requirement of a project fits to the other, or neither has one."""
    pairs = ((first.specifier, second.specifier), (second.specifier, first.specifier))
    return all(
        other.contains(each.version, prereleases=True)
        for one, other in pairs
        for each in one
        if each.operator == "==" and not each.version.endswith(".*")
    )


def _separating(settings: InstallSettings) -> InstallSettings:
    """Return the part of settings that must not hold for what is installed without them."""
    is_closed = any(name == "--no-index" for name, _ in settings.options)
    options = (
        (name, value)
        for name, value in settings.options
        if name != "--require-hashes" and (is_closed or name not in _ADDED_FILES)
    )
    return replace(settings, options=tuple(sorted(options)), by_uv=False, upgrade=False)


def installs_own_dependencies(service: Service) -> bool:
    """Whether a service that is a distribution is installed with its dependencies, or it is not known how."""
    steps = [step for recipe in (service.recipe, service.test_recipe) if recipe is not None for step in recipe.steps]
    own = [step for step in steps if any(project.path == service.path for project in step.projects)]
    is_project = any(step.project == service.path for step in steps)
    return is_project or not own or any("--no-deps" not in step.flags for step in own)
