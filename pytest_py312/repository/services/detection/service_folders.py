"""Find the folders of a repository that look like services. Reads files only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_py312.core.model.plan import Plan
from pytest_py312.core.service_patterns import matches
from pytest_py312.repository.formats.dockerfile import is_dockerfile
from pytest_py312.repository.recipes.base_images import base_image_folders
from pytest_py312.repository.recipes.serverless_builds import function_folders
from pytest_py312.repository.services.detection.entry_points import is_compose_file
from pytest_py312.repository.services.detection.service_files import is_requirements_name
from pytest_py312.repository.services.detection.service_indicators import (
    has_own_code,
    has_project_metadata,
    has_python_image,
    inner_services,
    is_deployable,
    is_installable,
    is_searched,
    service_indicator,
)
from pytest_py312.repository.tree import FolderListing, Tree, join_path

SEARCH_DEPTH = 12
FOLDER_LIMIT = 50_000
"""Maximum number of folders that are searched."""
INNER_LIMIT = 2_000
"""Maximum number of folders that are searched in a distribution."""
DEPLOYMENT_FOLDER, SCRIPT_FOLDER = "deploy", "scripts"
TOOL_FOLDERS = frozenset({"tools", SCRIPT_FOLDER})
"""Such folders belong to what is around them, unless they are programs or have some: an application of the CDK with its
functions, tools that run in images of their own."""
_TEST_FOLDERS = frozenset({"tests", "test"})
_LOCK_FILES = frozenset({"poetry.lock", "uv.lock", "pdm.lock", "pylock.toml"})


def is_excluded(plan: Plan, name: str, path: str) -> bool:
    """Return whether the plan excludes the folder ``path`` of a service called ``name``."""
    return any(matches(pattern, name, path) for pattern in plan.exclude)


def detect_folders(plan: Plan, tree: Tree) -> tuple[list[str], list[str]]:
    """Return the folders that look like services, outermost first, and assumptions.

    A folder that contains services, such as the root, is itself a service only if it has code of its own.
    """
    search = _Search(plan=plan, tree=tree, functions=function_folders(tree))
    search.run()
    return search.result(), search.assumptions


@dataclass(kw_only=True, slots=True)
class _Search:
    """A walk through a repository, and what it comes across."""

    plan: Plan
    tree: Tree
    functions: Mapping[str, str]
    services: list[str] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)
    """Folders that look like services and contain some -> the file for which they do."""
    test_projects: list[str] = field(default_factory=list)
    """Tests that are a project of their own, beside code in another language."""
    locked_projects: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)

    def run(self) -> None:
        pending = [(".", 0)]
        for _ in range(FOLDER_LIMIT):
            if not pending:
                return
            path, depth = pending.pop()
            listing = self.tree.list_folder(path)
            if self._is_searched_inside(path, listing) and depth < SEARCH_DEPTH:
                names = (
                    name for name in reversed(listing.folders) if is_searched(name) or _is_inside_other_folder(name)
                )
                pending += [(join_path(path, name), depth + 1) for name in names]
        self.assumptions.append(f"More than {FOLDER_LIMIT} folders; those after {path} were not searched for services.")

    def _is_searched_inside(self, path: str, listing: FolderListing) -> bool:
        """Record what a folder is; return whether there may be services inside of it."""
        if path != "." and is_excluded(self.plan, path.rpartition("/")[2], path):
            return False
        self.locked_projects += _locked_projects(self.plan, self.tree, path, listing)
        sign = self._sign(path, listing) if path != "." else ""
        if sign and _is_group(self.tree, path, listing):
            self.groups[path] = sign
        elif sign:
            self.services.append(path)
            if path.rpartition("/")[2] != DEPLOYMENT_FOLDER:
                self.services += _inner_programs(self.plan, self.tree, path)
                return False
        self.test_projects += [
            inner
            for name in _TEST_FOLDERS.intersection(listing.folders)
            if not is_excluded(self.plan, name, inner := join_path(path, name))
            and (has_project_metadata(self.tree, inner) or _has_installed_suite(self.tree, inner))
        ]
        return True

    def _sign(self, path: str, listing: FolderListing) -> str:
        """Return the file for which a folder looks like a service; empty if it does not."""
        if _is_inside_other_folder(path) and not _is_program(self.tree, path, listing, self.functions):
            return ""  # requirements of tools such as Ansible, or the image of a service with its configuration
        sign = service_indicator(self.tree, path, listing) or self.functions.get(path, "")
        is_part = _is_inner_package(self.tree, path, listing) or _is_documentation(self.tree, path, listing)
        return "" if is_part else sign

    def result(self) -> list[str]:
        """Return the folders that are services, after the walk."""
        tree, services = self.tree, self.services
        if sign := service_indicator(tree, ".", tree.list_folder(".")):
            programs = list(filter(_is_inside_other_folder, services))
            if not set(services).difference(programs, ["src"]):
                # "src" is the layout of a distribution, no service; and what deploys the root makes no group of it
                return sorted({".", *programs, *self.locked_projects})
            self.groups["."] = sign
        for path, sign in self.groups.items():
            if is_deployable(tree, path) and has_own_code(tree, path, services):
                services.append(path)
            elif path != ".":
                self.assumptions.append(
                    f"{path} has {sign}, and services of its own below it, so it is taken for a group."
                )
        services += [
            path
            for path in self.test_projects
            if not _is_below(path, services)
            and (has_project_metadata(tree, path) or not _has_service(path.rpartition("/")[0] or ".", services))
        ]
        services = [path for path in services if path not in base_image_folders(tree)]
        return sorted({*services, *self.locked_projects, *_built_by_compose(self.plan, tree)})


def _inner_programs(plan: Plan, tree: Tree, project: str) -> Iterator[str]:
    """Yield the folders inside of a service that have requirements of their own, and are no package of its code.

    In a distribution those are programs that it ships, such as integrations, or functions that it deploys: they run in
    environments of their own. In other services they have an image of their own.
    """
    is_distribution, pending = _is_distribution(tree, project), [project]
    for _ in range(INNER_LIMIT):
        if not pending:
            return
        path = pending.pop()
        listing = tree.list_folder(path)
        names = [name for name in listing.folders if is_searched(name)]
        if path == project:  # what is in its package is no program of its own
            package = project.rpartition("/")[2].replace("-", "_")
            names = [name for name in names if name not in ("src", package)]
        inner = [join_path(path, name) for name in names]
        pending += [folder for folder in inner if not is_excluded(plan, folder.rpartition("/")[2], folder)]
        has_program = any(name.endswith(".py") and name != "__init__.py" for name in listing.files)
        has_program = has_program or "charmcraft.yaml" in listing.files  # of Juju: its code is src/charm.py
        is_own = path != project and "requirements.txt" in listing.files and has_program and "{" not in path
        is_own = is_own and (is_distribution or any(map(is_dockerfile, listing.files)))
        if is_own and not _is_subpackage(tree, path, listing) and not _is_documentation(tree, path, listing):
            yield path


def _is_distribution(tree: Tree, path: str) -> bool:
    return has_project_metadata(tree, path) or tree.is_file(join_path(path, "setup.py"))


def _is_inside_other_folder(path: str) -> bool:
    return not {DEPLOYMENT_FOLDER, *TOOL_FOLDERS}.isdisjoint(path.split("/"))


def _is_program(tree: Tree, path: str, listing: FolderListing, functions: Mapping[str, str]) -> bool:
    """Return whether a folder in one of those has code with requirements at run time.

    A tool has an image as well, or is a distribution with tests or with a lock file of its own.
    """
    is_tool = not TOOL_FOLDERS.isdisjoint(path.split("/"))
    is_kept_apart = not (_TEST_FOLDERS.isdisjoint(listing.folders) and _LOCK_FILES.isdisjoint(listing.files))
    is_project = _is_distribution(tree, path) and is_kept_apart
    if is_tool and not is_project and not has_python_image(tree, path, listing):
        return False
    return has_own_code(tree, path, ()) and (path in functions or is_installable(tree, path))


def _built_by_compose(plan: Plan, tree: Tree) -> Iterator[str]:
    """Yield folders with code and an image of Python, wherever they are, that a compose file at the root builds."""
    for name in filter(is_compose_file, tree.list_folder(".").files):
        from pytest_py312.repository.formats.compose import read_compose  # loads YAML, which few services need here

        for built in read_compose(tree.read_or_none(name) or "", name):
            folder = built.context
            listing = tree.list_folder(folder)
            is_own = built.folder == folder != "." and any(file.endswith(".py") for file in listing.files)
            is_excluded_there = is_excluded(plan, folder.rpartition("/")[2], folder)
            if is_own and not is_excluded_there and has_python_image(tree, folder, listing):
                yield folder


def _locked_projects(plan: Plan, tree: Tree, path: str, listing: FolderListing) -> list[str]:
    """Return the tests and scripts of ``path`` that are projects with a lock file or an image, and such inside of them.

    A load test, for example, is installed and started on its own, with versions that no test of the service has.
    """
    names = sorted((_TEST_FOLDERS | {SCRIPT_FOLDER}).intersection(listing.folders))
    inner = [
        join_path(path, name, inner)
        for name in names
        for inner in tree.list_folder(join_path(path, name)).folders
        if is_searched(inner)
    ]
    folders = [*(join_path(path, name) for name in names if path != "." or name == SCRIPT_FOLDER), *inner]
    return [
        folder
        for folder in folders
        if has_project_metadata(tree, folder)
        and not is_excluded(plan, folder.rpartition("/")[2], folder)
        and (
            not _LOCK_FILES.isdisjoint((files := tree.list_folder(folder)).files)
            or has_python_image(tree, folder, files)
        )
    ]


def _has_installed_suite(tree: Tree, path: str) -> bool:
    """Return whether a folder of tests has Python and a requirements file for it."""
    files = tree.scan_folder(path, depth=4).files
    is_python = any(name.endswith(".py") for name in files)
    return is_python and any(map(is_requirements_name, tree.list_folder(path).files))


def _has_service(path: str, folders: Sequence[str]) -> bool:
    """Return whether one of ``folders`` is in ``path``."""
    return any(_is_below(folder, [path]) for folder in folders)


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(folder == "." or path.startswith(f"{folder}/") for folder in folders)


def _is_inner_package(tree: Tree, path: str, listing: FolderListing) -> bool:
    """Return whether a folder is a package inside of another one, and its requirements only a file of its code."""
    return _is_subpackage(tree, path, listing) and not is_deployable(tree, path)


def _is_subpackage(tree: Tree, path: str, listing: FolderListing) -> bool:
    return "__init__.py" in listing.files and tree.is_file(join_path(path, "..", "__init__.py"))


def _is_documentation(tree: Tree, path: str, listing: FolderListing) -> bool:
    """Return whether a folder has requirements for Sphinx, whose configuration is its only Python."""
    names = {name.rpartition("/")[2] for name in tree.scan_folder(path, depth=3).files if name.endswith(".py")}
    return names == {"conf.py"} and not has_python_image(tree, path, listing)


def _is_group(tree: Tree, path: str, listing: FolderListing) -> bool:
    """Return whether a folder with requirements only groups services: at least two folders in it look like services.

    Without a distribution they may be in folders that only sort them, such as ``lambdas``.
    """
    if has_python_image(tree, path, listing):
        return False
    inner = set(inner_services(tree, path, listing))
    children = [join_path(path, name) for name in listing.folders if is_searched(name)]
    for child in children if len(inner) < 2 and not _is_distribution(tree, path) else ():
        inside = tree.list_folder(child)
        if not any(name.endswith(".py") and name != "__init__.py" for name in inside.files):
            inner |= {*inner_services(tree, child, inside)} - {child}
    return len(inner) > 1
