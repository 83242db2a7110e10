"""Read what installs the functions of a service: builds of AWS SAM and of the Serverless Framework."""

from collections.abc import Iterator, Sequence

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import InstallRecipe, InstallStep, Program
from pytest_py312.repository.formats.serverless import (
    BuiltFolder,
    ServerlessFunction,
    is_serverless_file,
    read_serverless,
)
from pytest_py312.repository.tree import Tree, join_path

FILE_LIMIT = 20
"""Maximum number of files that are read for one service."""


def read_serverless_recipe(tree: Tree, service_path: str, nested: Sequence[str] = ()) -> InstallRecipe | None:
    """Return what a build installs for the functions of a service; ``None`` if no file defines one.

    :param nested: the folders of other services inside of it, relative to the service.
    """
    for path, functions in _functions_of(tree, service_path, nested):
        builds = dict.fromkeys(build for function in functions for build in function.builds)
        steps = tuple(step for build in builds if (step := _step(tree, build, path)) is not None)
        if steps:
            return InstallRecipe(source=path, steps=steps)
    return None


def handler_programs(tree: Tree, service_path: str, nested: Sequence[str] = ()) -> Iterator[Program]:
    """Yield the modules of the handlers of a service's functions."""
    for _, functions in _functions_of(tree, service_path, nested):
        for function in functions:
            if function.module:
                yield Program(name=function.module, is_module=True, is_application=True)


def _functions_of(
    tree: Tree, service_path: str, nested: Sequence[str]
) -> Iterator[tuple[str, list[ServerlessFunction]]]:
    """Yield the files that define functions of a service, the nearest first, with these functions."""
    count = 0
    folder = service_path
    while True:
        for name in tree.list_folder(folder).files:
            if not is_serverless_file(name) or count >= FILE_LIMIT:
                continue
            count += 1
            path = join_path(folder, name)
            functions = [
                function
                for function in read_serverless(tree.read_or_none(path) or "", path)
                if _is_in(function.folder, service_path)
                and not any(_is_in(function.folder, join_path(service_path, inner)) for inner in nested)
            ]
            if functions:
                yield path, functions
        if folder == ".":
            return
        folder = folder.rpartition("/")[0] or "."


def _is_in(folder: str, service_path: str) -> bool:
    return service_path == "." or folder == service_path or folder.startswith(f"{service_path}/")


def _step(tree: Tree, build: BuiltFolder, path: str) -> InstallStep | None:
    """Return what is installed for a folder; ``None`` without requirements: then its code is only copied."""
    location = Location(path=path, line=build.line)
    if build.reads_projects:
        pyproject = tree.read_or_none(join_path(build.folder, "pyproject.toml")) or ""
        if "[tool.poetry" in pyproject:
            return InstallStep(
                tool="poetry", location=location, project=build.folder, default_groups=False, target=build.target
            )
        if tree.is_file(join_path(build.folder, "Pipfile")):
            return InstallStep(
                tool="pipenv", location=location, project=build.folder, default_groups=False, target=build.target
            )
    file = join_path(build.folder, build.file_name)
    if not tree.is_file(file):
        return None
    return InstallStep(tool="pip", location=location, folder=build.folder, files=(file,), target=build.target)
