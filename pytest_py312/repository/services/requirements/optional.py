"""Find the requirements of a service that only an extra or a group of its project has, and that are not installed.

A test file that imports one of them cannot be collected on any Python, which says nothing about the target.
"""

from collections.abc import Mapping

from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.services.requirements.sources import TABLE_READERS
from pytest_py312.repository.tree import Tree, join_path

_AFFIXES = ("python-", "py", "-python", "-py")
"""What the names of projects often have before or after the name of their module."""


def optional_requirements(tree: Tree, service: Service) -> dict[str, str]:
    """Return the project names that only tables outside of the service's requirements have, with their table.

    :returns: normalised project name to ``pyproject.toml [project.optional-dependencies.agent]``.
    """
    chosen = {(source.path, source.table) for source in (*service.requirements, *service.test_requirements)}
    optional: dict[str, str] = {}
    installed: set[str] = set()
    for name, reader in TABLE_READERS.items():
        path = join_path(service.path, name)
        text = tree.read_or_none(path) if tree.is_file(path) else None
        for table in reader(text, path) if text else ():
            names = [canonicalize_name(entry.name) for entry in table.requirements.entries if entry.name]
            if (path, table.table) in chosen:
                installed.update(names)
            elif table.table:
                for project in names:
                    optional.setdefault(project, f"{name} [{table.table}]")
    return {project: table for project, table in optional.items() if project not in installed}


def table_that_provides(module: str, optional: Mapping[str, str]) -> str:
    """Return the table of ``optional`` with the project that is named like ``module``; empty if there is none."""
    name = canonicalize_name(module.partition(".")[0])
    prefixed = [affix + name if not affix.startswith("-") else name + affix for affix in _AFFIXES]
    return next((optional[candidate] for candidate in (name, *prefixed) if candidate in optional), "")
