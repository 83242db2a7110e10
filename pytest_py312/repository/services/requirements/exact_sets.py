"""Which required distributions the installers of a service leave out, because they install a list and nothing else.

Poetry, PDM, uv and ``pip install --no-deps`` install what a lock or a file lists. Lock files of Poetry before 1.3 have
no setuptools, although distributions in them require it: up to 3.11 each environment has one, from 3.12 on none has.
And which sources are lists of their own, since they pin what others exclude.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pytest_py312.core.model.fleet import InstallRecipe, InstallStep, RequirementSource, Service
from pytest_py312.repository.formats.lockfiles import lock_format
from pytest_py312.repository.formats.requirements_file import RequirementEntry
from pytest_py312.repository.services.requirements.requirement_set import RequirementSet, read_requirement_set

OFTEN_LEFT_OUT = "setuptools"
"""The distribution that lock files leave out, as it was once part of each environment."""

_LOCKING_TOOLS = frozenset({"pdm", "poetry", "uv"})  # the Pipenv of an image requires setuptools itself


def production_leaves_out(service: Service, run_time: RequirementSet) -> frozenset[str]:
    """Return the distributions that the installer of ``service`` for production leaves out although others require
    them.

    :param run_time: what its run-time sources require, with their locks.
    """
    sources = service.requirements
    if not sources or not _is_exact(sources, service.recipe, run_time):
        return frozenset()
    return frozenset() if _lists_setuptools(run_time) else frozenset({OFTEN_LEFT_OUT})


def environment_leaves_out(service: Service, run_time: RequirementSet, tests: RequirementSet) -> frozenset[str]:
    """Return the distributions that neither production nor the tests of ``service`` install although
    others require them.

    :param tests: what its test sources require, with their locks.
    """
    left_out = production_leaves_out(service, run_time)
    is_exact = not service.test_requirements or _is_exact(service.test_requirements, service.test_recipe, tests)
    return left_out if is_exact and not _lists_setuptools(tests) else frozenset()


def _lists_setuptools(requirements: RequirementSet) -> bool:
    return any(item.name == OFTEN_LEFT_OUT for item in requirements.entries) or any(
        pin.name == OFTEN_LEFT_OUT for lock in requirements.locks for pin in lock.pins
    )


def _is_exact(sources: Sequence[RequirementSource], recipe: InstallRecipe | None, requirements: RequirementSet) -> bool:
    """Whether the sources are installed as listed, without what the listed distributions require."""
    is_locked = bool(requirements.locks) or any(lock_format(source.path.rpartition("/")[2]) for source in sources)
    if recipe is None:
        return is_locked and all(_is_locked_by_name(source) for source in sources)
    steps = [step for step in recipe.steps if step.is_for_python]
    return recipe.is_complete and bool(steps) and all(_installs_a_list(step, is_locked=is_locked) for step in steps)


def _is_locked_by_name(source: RequirementSource) -> bool:
    is_table = bool(source.table) and not source.path.endswith("Pipfile")
    return is_table or lock_format(source.path.rpartition("/")[2]) is not None


def _installs_a_list(step: InstallStep, *, is_locked: bool) -> bool:
    has_no_dependencies = "--no-deps" in step.flags
    if step.project is None:
        return has_no_dependencies
    # without a lock, what the tool resolves and exports has what is required
    return is_locked and step.tool in _LOCKING_TOOLS and (has_no_dependencies or not step.exported)


def contradicting_tables(plan_root: Path, sources: Sequence[RequirementSource]) -> tuple[RequirementSource, ...]:
    """Return the tables among ``sources`` that nothing can install together with the requirements files among them.

    One of them pins a version that the other excludes, so they are two ways to install the project.
    """
    files = [source for source in sources if not source.table]
    return tuple(source for source in sources if source.table and contradicting_projects(plan_root, files, [source]))


def contradicting_projects(
    plan_root: Path, first: Sequence[RequirementSource], second: Sequence[RequirementSource]
) -> tuple[str, ...]:
    """Return the projects of which one of two lists of sources pins a version that the other excludes, sorted."""
    entries = read_requirement_set(plan_root, first).entries if second else ()
    others: dict[str, list[RequirementEntry]] = {}
    for item in read_requirement_set(plan_root, second).entries if entries else ():
        others.setdefault(item.name, []).append(item.entry)
    contradicting = {
        item.name
        for item in entries
        if any(_exclude_each_other(item.entry, other) for other in others.get(item.name, ()))
    }
    return tuple(sorted(contradicting))


def _exclude_each_other(first: RequirementEntry, second: RequirementEntry) -> bool:
    if first.marker or second.marker or first.url or second.url:
        return False
    for pinned, other in ((first, second), (second, first)):
        version = pinned.specifier.removeprefix("==")
        if version != pinned.specifier and not re.search(r"[=,*]", version):
            try:
                return not SpecifierSet(other.specifier).contains(version, prereleases=True)
            except (InvalidSpecifier, ValueError):
                return False
    return False
