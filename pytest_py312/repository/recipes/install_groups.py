"""Group what a service requires by the settings with which commands install it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_py312.core.model.fleet import InstallSettings, RequirementSource, Service

_ADDED_FILES = ("--extra-index-url", "--find-links")
"""Options that only add files to those of the index."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallGroup:
    """Sources that are resolved together. ``by_uv``: all of them are installed by uv."""

    sources: tuple[RequirementSource, ...]
    by_uv: bool = False


def group_sources(sources: Sequence[RequirementSource]) -> tuple[InstallGroup, ...]:
    """Return groups of sources that are installed with the same settings, in the order of their first source.

    Sources that differ only by indexes which add files to others are one group: they may need each other's files.
    """
    groups: dict[InstallSettings, list[RequirementSource]] = {}
    for source in sources:
        if not source.constraints:
            groups.setdefault(_separating(source.settings), []).append(source)
    constraints = tuple(source for source in sources if source.constraints)
    return tuple(
        InstallGroup(
            sources=(*constraints, *members),
            by_uv=all(member.settings.by_uv for member in members),
        )
        for members in groups.values()
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
