"""Find the requirements files beside libraries that are for their developers: nothing installs them where others do."""

from collections.abc import Sequence
from dataclasses import replace

from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import RequirementSource, Service
from pytest_py312.core.text import join_names
from pytest_py312.repository.services.detection.service_files import read_service_files
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set
from pytest_py312.repository.services.requirements.sources import installed_sources
from pytest_py312.repository.services.requirements.uninstalled import with_uninstalled
from pytest_py312.repository.tree import Tree

_PLATFORM_FILES = frozenset(
    {
        "Procfile", "app.yaml", "app.yml", "cloudbuild.yaml", "fly.toml", "host.json", "manage.py", "manifest.yml",
        "render.yaml", "runtime.txt", "serverless.yaml", "serverless.yml", "template.yaml", "template.yml",
        "vercel.json", "wsgi.py", "zappa_settings.json",
    }
)  # fmt: skip
"""Files of what is deployed by a platform, which installs a requirements file by its name, or of a site."""


def with_files_apart(tree: Tree, services: Sequence[Service]) -> tuple[list[Service], list[str]]:
    """Return ``services``, libraries without the requirements files that are for their developers, and what is assumed.

    What tests such a library installs it by its path and not the file beside it, nothing in the repository installs the
    file, and other services require the library. The file is a set of its own then.
    """
    candidates = {service.path: _files_beside_library(tree, service) for service in services}
    required = _required_by_others(tree, services) if any(candidates.values()) else {}
    complete, assumptions = [], []
    for service in services:
        apart = candidates[service.path] if required.get(service.path) else ()
        kept = tuple(source for source in service.requirements if replace(source, uninstalled=True) not in apart)
        additional = (*apart, *service.additional_requirements)
        complete.append(replace(service, requirements=kept, additional_requirements=additional) if apart else service)
        if apart:
            names = join_names([source.path for source in apart])
            assumptions.append(
                f"{service.name} is tested and required as a package without {names}, which is a set of its own."
            )
    return complete, assumptions


def _files_beside_library(tree: Tree, service: Service) -> tuple[RequirementSource, ...]:
    """Return the requirements files, by their names, of a package that is tested without them."""
    recipe = service.test_recipe
    tables = [source for source in service.requirements if source.table]
    named = tuple(source for source in service.requirements if not (source.table or source.arguments))
    is_deployed = service.recipe is not None or service.images or service.programs
    if not tables or not named or is_deployed or recipe is None or not recipe.is_complete:
        return ()
    if service.settings.requirements is not None or not _PLATFORM_FILES.isdisjoint(
        tree.list_folder(service.path).files
    ):
        return ()
    installed = {(source.path, source.table) for source in installed_sources(tree, recipe, service.path)}
    has_package = any((source.path, source.table) in installed for source in tables)
    if not has_package or any((source.path, source.table) in installed for source in named):
        return ()
    files = read_service_files(tree, service.path, service.nested_folders)
    return tuple(source for source in with_uninstalled(tree, files, named, (recipe,)) if source.uninstalled)


def _required_by_others(tree: Tree, services: Sequence[Service]) -> dict[str, bool]:
    """Map the folder of each service to whether another one requires it, by its name or its folder."""
    requirers: dict[str, set[str]] = {}
    folders: set[str] = set()
    for service in services:
        read = read_requirement_set(tree.root, (*service.requirements, *service.test_requirements))
        for item in read.entries:
            requirers.setdefault(item.name, set()).add(service.path)
        folders |= {local.path for local in read.locals if local.path != service.path}
    return {
        service.path: service.path in folders
        or (
            service.distribution is not None
            and bool(requirers.get(canonicalize_name(service.distribution.name), set()) - {service.path})
        )
        for service in services
    }
