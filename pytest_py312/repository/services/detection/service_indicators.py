"""Recognize the folders that are services by their files: images, requirements, metadata, what platforms read."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from pytest_py312.repository.formats.dockerfile import DockerfileText, is_dockerfile, read_dockerfile
from pytest_py312.repository.formats.setuptools import read_ini, read_setup_py
from pytest_py312.repository.formats.toml import read_toml
from pytest_py312.repository.recipes.base_images import python_base
from pytest_py312.repository.recipes.commands.file_map import copied_sources
from pytest_py312.repository.recipes.dockerfile_recipe import read_dockerfile_recipe
from pytest_py312.repository.recipes.serverless_builds import function_folders
from pytest_py312.repository.services.detection.service_files import SCAN_DEPTH, is_requirements_name, run_time_files
from pytest_py312.repository.tree import VENDORED_FOLDERS, FolderListing, Tree, join_path, lies_in, with_outer_folders

NON_SERVICE_FOLDERS = frozenset(
    {
        "docs", "doc", "tests", "test", "examples", "example", "scripts", "tools", "docker", "ci",
        "deploy", "build", "dist", "requirements",
        *VENDORED_FOLDERS,
    }
)  # fmt: skip
"""Folders that belong to the service around them, or to none; they are not searched for services."""
_DOCKER_FOLDERS = ("", "docker", "deploy", "deploy/docker", "build")
_DEVELOPER_MODULES = frozenset({"setup.py", "conftest.py", "noxfile.py", "tasks.py", "fabfile.py", "dodo.py"})
"""Modules beside the code that only developers run."""
_CONDA = re.compile(r"conda|mamba|miniforge")
_CONDA_PYTHON = re.compile(r"^[ \t]*-[ \t]*[\"']?python(?:[ \t=<>\"']|$)", re.MULTILINE)
_PYTHON_RUNTIME = re.compile(r"^runtime:[ \t]*[\"']?python", re.MULTILINE)


def service_indicator(tree: Tree, path: str, listing: FolderListing) -> str:
    """Return the file (relative to the folder) that makes the folder a service; empty if none does."""
    for image in _python_dockerfiles(tree, path, listing):
        return image
    for name in listing.files:
        if is_requirements_name(name):
            return name
    if "requirements" in listing.folders:
        inner = tree.list_folder(join_path(path, "requirements"))
        if any(name.endswith(".txt") for name in inner.files):
            return "requirements/"
    if "Pipfile" in listing.files:
        return "Pipfile"
    metadata = (name for name in ("pyproject.toml", "setup.py", "setup.cfg") if _has_package_metadata(tree, path, name))
    return next(metadata, "") or _conda_file(tree, path, listing) or _platform_file(tree, path, listing)


def _conda_file(tree: Tree, path: str, listing: FolderListing) -> str:
    """Return the environment of conda that an image beside it installs; empty if there is none, or no Python in it."""
    images = (tree.read_or_none(join_path(path, name)) or "" for name in filter(is_dockerfile, listing.files))
    if not any(map(_CONDA.search, images)):
        return ""
    for name in ("environment.yml", "environment.yaml"):
        text = (tree.read_or_none(join_path(path, name)) or "") if name in listing.files else ""
        if "dependencies:" in text and _CONDA_PYTHON.search(text):
            return name
    return ""


def _platform_file(tree: Tree, path: str, listing: FolderListing) -> str:
    """Return the file with which a platform runs the folder's Python: App Engine, Heroku or Azure Functions."""
    for name in ("app.yaml", "app.yml"):
        if name in listing.files and _PYTHON_RUNTIME.search(tree.read_or_none(join_path(path, name)) or ""):
            return name
    pin = (tree.read_or_none(join_path(path, "runtime.txt")) or "") if "runtime.txt" in listing.files else ""
    if "Procfile" in listing.files and pin.startswith("python"):
        return "Procfile"
    inner = (tree.list_folder(join_path(path, name)).files for name in listing.folders)
    is_function = "function_app.py" in listing.files or any(
        "function.json" in names and any(name.endswith(".py") for name in names) for names in inner
    )
    return "host.json" if "host.json" in listing.files and is_function else ""


def is_deployable(tree: Tree, path: str) -> bool:
    """Return whether the folder declares what is needed to run it, not only what is needed to develop it."""
    return has_python_image(tree, path, tree.list_folder(path)) or is_installable(tree, path)


def is_installable(tree: Tree, path: str) -> bool:
    """Return whether the folder declares requirements at run time, or is a project."""
    return (
        bool(run_time_files(tree, path))
        or "Pipfile" in tree.list_folder(path).files
        or any(_has_package_metadata(tree, path, name) for name in ("pyproject.toml", "setup.py", "setup.cfg"))
    )


_POETRY_DECLARES = frozenset({"name", "dependencies", "dev-dependencies", "group"})


def has_own_code(tree: Tree, path: str, services: Sequence[str]) -> bool:
    """Return whether the folder or its ``src`` has modules or packages that are in none of the ``services``.

    With an image of its own, a folder with modules counts as a package, and one with packages where namespaces are
    searched for: https://setuptools.pypa.io/en/latest/userguide/package_discovery.html
    """
    is_imaged = has_python_image(tree, path, tree.list_folder(path))
    texts = (tree.read_or_none(join_path(path, name)) or "" for name in ("setup.cfg", "setup.py", "pyproject.toml"))
    has_namespaces = any("find_namespace" in text for text in texts)
    for folder in (path, join_path(path, "src")):
        listing = tree.list_folder(folder)
        if any(map(_is_module, listing.files)):
            return True
        inner = [join_path(folder, name) for name in listing.folders if is_searched(name)]
        packages = {place for place in inner if tree.is_file(join_path(place, "__init__.py"))}
        if is_imaged:
            packages |= {place for place in inner if any(map(_is_module, tree.list_folder(place).files))}
        if has_namespaces:
            free = (place for place in inner if not any(lies_in(service, place) for service in services))
            packages |= {place for place in free if _has_packages(tree, place)}
        if not packages.issubset(services):
            return True
    return False


def _has_packages(tree: Tree, path: str) -> bool:
    return any(tree.is_file(join_path(path, name, "__init__.py")) for name in tree.list_folder(path).folders)


def _is_module(name: str) -> bool:
    return name.endswith(".py") and name not in _DEVELOPER_MODULES


def inner_services(tree: Tree, path: str, listing: FolderListing) -> tuple[str, ...]:
    """Return the folders in a folder that look like services, and those of the functions that its files define."""
    children = (join_path(path, name) for name in listing.folders if is_searched(name))
    folders = [child for child in children if service_indicator(tree, child, tree.list_folder(child))]
    functions = function_folders(tree)
    inside = functions if path == "." else (name for name in functions if name.startswith(f"{path}/"))
    return tuple(dict.fromkeys((*folders, *(name for name in inside if name != path))))


def is_searched(name: str) -> bool:
    """Return whether a folder with this name may be a service, or contain one; ``{{name}}`` is that of a template."""
    return name not in NON_SERVICE_FOLDERS and not name.startswith(".") and "{{" not in name


def has_python_image(tree: Tree, path: str, listing: FolderListing) -> bool:
    """Return whether the folder has a production Dockerfile of its own that is based on a Python image."""
    return next(_python_dockerfiles(tree, path, listing), "") != ""


def _python_dockerfiles(tree: Tree, path: str, listing: FolderListing) -> Iterator[str]:
    for folder in _DOCKER_FOLDERS:
        if folder and folder.partition("/")[0] not in listing.folders:
            continue
        names = tree.list_folder(join_path(path, folder)).files if folder else listing.files
        for name in filter(is_dockerfile, names):
            text = tree.read_or_none(join_path(path, folder, name))
            dockerfile = read_dockerfile(text, name) if text is not None else None
            if dockerfile is None or not _has_python(tree, path, dockerfile):
                continue
            inner = join_path(folder, name)
            if not _is_of_inner_services(tree, path, listing, dockerfile) and not _is_of_outer_service(
                tree, path, dockerfile, inner
            ):
                yield inner


def _has_python(tree: Tree, path: str, dockerfile: DockerfileText) -> bool:
    """Return whether an image is based on one of Python, or starts the Python of its system and has code for it."""
    if dockerfile.final_python_stage or python_base(tree, dockerfile.final_stage):
        return True
    return dockerfile.starts_system_python and any(
        name.endswith(".py") for name in tree.scan_folder(path, depth=SCAN_DEPTH).files
    )


def _is_of_inner_services(tree: Tree, path: str, listing: FolderListing, dockerfile: DockerfileText) -> bool:
    """Return whether an image takes its code from services inside of the folder, of which there are several.

    It may be built in the folder, or at the root.
    """
    sources = {
        source if source.startswith(f"{path}/") else join_path(path, source) for source in copied_sources(dockerfile)
    }
    if not sources or path in sources or any(_is_code(source, path) for source in sources):
        return False
    inner = inner_services(tree, path, listing)
    if len(inner) > 1 and any(lies_in(source, folder) for source in sources for folder in inner):
        return True
    return sum(bool(service_indicator(tree, source, tree.list_folder(source))) for source in sources) > 1


def _is_of_outer_service(tree: Tree, path: str, dockerfile: DockerfileText, name: str) -> bool:
    """Return whether an image installs what is around the folder, in which there is no code that it starts.

    Single scripts that it copies beside all of that code, such as those of its start, are no code of the folder.
    """
    if any(file.endswith(".py") for file in tree.scan_folder(path, depth=SCAN_DEPTH).files):
        sources = {join_path(".", source) for source in copied_sources(dockerfile)}
        if "." not in sources or not any(
            source.startswith(f"{path}/") and tree.is_file(source) for source in sources if source != path
        ):
            return False
    for outer in islice(with_outer_folders(path), 1, None):
        recipe = read_dockerfile_recipe(tree, join_path(path, name), outer) if is_installable(tree, outer) else None
        steps = recipe.steps if recipe is not None else ()
        places = [
            place for step in steps for place in (*step.files, step.project, *(one.path for one in step.projects))
        ]
        if any(place is not None and not lies_in(place, path) for place in places):
            return True
    return False


def _is_code(source: str, folder: str) -> bool:
    """Return whether a file directly in the folder is a module, or says what is installed; a pattern may match it."""
    parent, _, name = source.rpartition("/")
    return (parent or ".") == folder and ("*" in name or name.endswith((".py", ".txt", ".toml", ".cfg", ".lock")))


def has_project_metadata(tree: Tree, path: str) -> bool:
    """Whether the folder has a pyproject.toml of a project, and not only of tools."""
    return _has_package_metadata(tree, path, "pyproject.toml")


def _has_package_metadata(tree: Tree, path: str, name: str) -> bool:
    text = tree.read_or_none(join_path(path, name))
    if text is None:
        return False
    if name == "pyproject.toml":
        if re.search(r"^[ \t]*\[[ \t]*(?:project|tool[ \t]*\.[ \t]*poetry)[ \t]*[\].]", text, re.MULTILINE) is None:
            return False
        toml = read_toml(text)
        poetry = toml.table("tool", "poetry")
        # an empty [tool.poetry], or one with settings only, declares nothing that is installed
        return bool(toml.parse_error or toml.table("project")) or not poetry.keys().isdisjoint(_POETRY_DECLARES)
    if name == "setup.py":
        return read_setup_py(text).is_packaging
    ini = read_ini(text)
    return ini.get("metadata", "name") is not None or "options" in ini.sections
