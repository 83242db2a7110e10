"""Find packages of the repository outside of a service that its suite imports, and the folders that hold them.

What stands at the root says what is on the path there: ``pythonpath`` of pytest, a ``conftest.py``, a distribution, or
``PYTHONPATH`` of tox. What lies beside a service that is a package is on it as well. Only what the service imports
counts, so that an unrelated change does not concern it.
"""

import os
import posixpath
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain

from pytest_py312.core.model.fleet import PLATFORMS, RequirementSource, Service
from pytest_py312.core.text import join_names, list_names
from pytest_py312.repository.recipes.suites.pytest_settings import INI_FILES, read_pytest_settings
from pytest_py312.repository.services.detection.packaging import find_distribution, poetry_folders_outside
from pytest_py312.repository.services.detection.service_files import imported_names
from pytest_py312.repository.services.detection.unread_service import read_or_mark
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set
from pytest_py312.repository.tree import VENDORED_FOLDERS, Tree, join_path, leaves_root, lies_in, with_outer_folders

LAYER_DEPTH = 5
"""Levels of folders in which the content of layers is looked for."""
MAX_PACKAGES = 20
"""Packages outside of a service that its suite gets."""
_NO_LAYERS = frozenset({"docs", "doc", "example", "examples", "sample", "samples", "test", "tests", "vendor"})
_NO_PACKAGES = _NO_LAYERS | VENDORED_FOLDERS | {
    "experiments", "fakes", "migrations", "mocks", "scripts", "stubs", "tools", "types", "typings"
}  # fmt: skip
"""Folders with packages that no service is deployed with."""
_METADATA_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
_PROJECT_FILES = frozenset((*_METADATA_FILES, "Cargo.toml", "Dockerfile", "requirements.txt"))
_TOX_PATH = re.compile(r"(?m)^[ \t]*PYTHONPATH[ \t]*=[ \t]*(?P<value>.+)$")


def with_shared_packages(tree: Tree, services: Sequence[Service]) -> list[Service]:
    """Return ``services`` with the folders of the repository that their suites import from its root.

    What the plan says of a service's path or needs is kept.
    """
    planned = {service.path for service in services if not _may_need(service)}
    services = [read_or_mark(service, _with_layers) for service in services]
    packages = _packages_in(tree, list(dict.fromkeys(_import_roots(tree))))

    packages_by_folder: dict[str, dict[str, tuple[str, str]]] = {}

    def beside(service: Service) -> dict[str, tuple[str, str]]:
        folder = _folder_of_package(tree, service)
        if folder and folder not in packages_by_folder:
            found = _packages_in(tree, [folder])
            packages_by_folder[folder] = {
                name: place for name, place in found.items() if name not in sys.stdlib_module_names
            }
        return packages_by_folder.get(folder, {})

    def complete(service: Service) -> Service:
        in_image = {**_packages_in_layers(tree, service), **_packages_in_image(tree, service)}
        known = in_image if service.suite is None else {**beside(service), **packages, **in_image}
        return _with_packages(tree, service, known) if known and service.path not in planned else service

    return [read_or_mark(service, complete) for service in services]


def with_only_packages(tree: Tree, services: Sequence[Service]) -> tuple[list[Service], list[str]]:
    """Return ``services`` with the packages that they import and that one folder of the repository has, and what is
    assumed.

    Nothing in the repository says how these get to where the services run: a pipeline elsewhere copies them. A folder
    counts that is outside of all services, beside none of them, and the only one of its name.
    """
    paths = [service.path for service in services]
    packages = _only_packages(tree, paths) if "." not in paths else {}
    complete, users = [], dict[str, list[str]]()
    for service in services:
        with_packages = service
        if packages and _may_need(service):
            with_packages = read_or_mark(service, lambda each: _with_only_packages(tree, each, packages))
        for folder in {*with_packages.settings.needs} - {*service.settings.needs}:
            users.setdefault(folder, []).append(service.name)
        complete.append(with_packages)
    return complete, [
        f"{list_names(names)} {'get' if len(names) > 1 else 'gets'} {posixpath.basename(folder)} from {folder}, the "
        "only package of that name."
        for folder, names in sorted(users.items())
    ]


def _with_only_packages(tree: Tree, service: Service, packages: dict[str, tuple[str, str]]) -> Service:
    """Return a service with the ``packages`` that it imports at the end of its path: what is installed comes first."""
    complete = _with_packages(tree, service, packages)
    added = tuple(path for path in complete.python_path if path not in service.python_path)
    return replace(complete, python_path=service.python_path, appended_path=added)


def _only_packages(tree: Tree, services: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Map the packages outside of ``services`` to their root and folder; those of a name that two folders have not."""
    files = tree.scan_folder(".", depth=LAYER_DEPTH).files
    folders = sorted({posixpath.dirname(path) for path in files if path.endswith(".py")} - {""})
    names = Counter(map(posixpath.basename, folders))
    services_in = Counter(folder for path in services for folder in with_outer_folders(path))
    of_services = frozenset(services)
    packages = {}
    for folder in folders:
        *outer, name = folder.split("/")
        root = "/".join(outer) or "."
        is_inside = any(path in of_services for path in with_outer_folders(folder) if path != ".")
        is_apart = not is_inside and services_in[root] == services_in[folder]
        is_apart = is_apart and root != "." and _NO_PACKAGES.isdisjoint(outer)
        if not is_apart or names[name] > 1 or not name.isidentifier() or name in sys.stdlib_module_names:
            continue
        if name not in _NO_PACKAGES and _has_init(tree, folder) and not _has_init(tree, root):
            packages[name] = (root, folder)
    return packages


def _has_init(tree: Tree, folder: str) -> bool:
    return "__init__.py" in tree.list_folder(folder).files


def with_packed_folders(tree: Tree, services: Sequence[Service]) -> tuple[list[Service], list[str]]:
    """Return ``services`` with the folders on their path that only a plugin of Poetry packs, and what is assumed.

    Such a project cannot be built by Poetry itself or by pip (:func:`poetry_folders_outside`).
    """
    complete, assumptions = [], []
    for service in services:
        packages = {} if service.settings.python_path is not None else _packed_folders(tree, service.path)
        if packages:
            needs = sorted({*service.settings.needs, *chain(*packages.values())})
            service = replace(
                service,
                python_path=tuple(dict.fromkeys((*service.python_path, *packages))),
                settings=replace(service.settings, needs=tuple(needs)),
            )
            assumptions.append(
                f"{service.name} is packed from other folders by a plugin of Poetry, so it is not built: "
                f"{join_names(list(packages))} are on its path."
            )
        complete.append(service)
    return complete, assumptions


def _packed_folders(tree: Tree, service_path: str) -> dict[str, list[str]]:
    """Map the folders, relative to the service, that its packages are taken from to those packages."""
    packages: dict[str, list[str]] = {}
    text = tree.read_or_none(join_path(service_path, "pyproject.toml")) or ""
    for root, package in poetry_folders_outside(text):
        path = join_path(service_path, package)
        if not leaves_root(path) and tree.exists(path):
            packages.setdefault(root, []).append(path)
    return packages


def _packages_in_image(tree: Tree, service: Service) -> dict[str, tuple[str, str]]:
    """Map the modules that the service's image has on its path to their root and folder, as :func:`_packages_in`."""
    if service.recipe is None:
        return {}
    outside = [
        folder for folder in service.recipe.code_folders if not _overlaps(folder, service.path) and folder != "."
    ]
    copied = {
        posixpath.basename(folder): (posixpath.dirname(folder) or ".", folder) for folder in service.recipe.packages
    }
    return {**_packages_in(tree, outside), **copied}


def _with_layers(service: Service) -> Service:
    """Return a function with the folders of the repository that its layers put on the path."""
    settings, recipe = service.settings, service.recipe
    if recipe is None or settings.needs or not any(step.tool in PLATFORMS for step in recipe.steps):
        return service
    layers = [folder for folder in recipe.code_folders if not _overlaps(folder, service.path)]
    path = [os.path.relpath(folder, service.path) for folder in layers] if settings.python_path is None else []
    return replace(
        service,
        python_path=tuple(dict.fromkeys((*service.python_path, *path))),
        settings=replace(settings, needs=tuple(layers)),
    )


def _packages_in_layers(tree: Tree, service: Service) -> dict[str, tuple[str, str]]:
    """Map the modules of all layers in the repository to their root and folder, for a function of AWS Lambda.

    Its template may name a layer by a parameter, or by its address of a former deployment. A layer has its modules in
    ``python``; a module that several of them have is left out.
    """
    if service.recipe is None or not any(step.tool in PLATFORMS for step in service.recipe.steps):
        return {}
    places = [(name, (root, join_path(root, name))) for root in layer_roots(tree) for name in _modules_in(tree, root)]
    names = [name for name, _ in places]
    return {name: place for name, place in places if names.count(name) == 1}


def _modules_in(tree: Tree, root: str) -> Iterator[str]:
    """Yield the folders with modules in the content of a layer, whatever else is beside these."""
    for name in tree.list_folder(root).folders:
        if (
            name.isidentifier()
            and name not in sys.stdlib_module_names
            and any(file.endswith(".py") for file in tree.list_folder(join_path(root, name)).files)
        ):
            yield name


@lru_cache(maxsize=2)
def layer_roots(tree: Tree) -> tuple[str, ...]:
    """Return the folders that may be the content of a layer. Cached: each function asks for them."""
    folders = (folder.split("/") for folder in tree.scan_folder(".", depth=LAYER_DEPTH).folders)
    return tuple("/".join(parts) for parts in folders if parts[-1] == "python" and _NO_LAYERS.isdisjoint(parts))


def _may_need(service: Service) -> bool:
    settings = service.settings
    return service.path != "." and settings.python_path is None and not settings.needs


def _with_packages(tree: Tree, service: Service, packages: dict[str, tuple[str, str]]) -> Service:
    needed: dict[str, str] = {}
    required = required_lines(tree, (*service.requirements, *service.test_requirements))
    own = _own_names(tree, service) | required.keys()
    pending = [service.path]
    read: set[str] = set()
    while pending and len(needed) < MAX_PACKAGES:
        folder = pending.pop()
        read.add(folder)
        for name in sorted(imported_names(tree, folder) - own):
            root, path = packages.get(name, ("", ""))
            if path and path not in read and not _overlaps(path, service.path):
                needed[path] = root
                pending.append(path)
    if not needed:
        return service
    python_path = [os.path.relpath(root or ".", service.path) for root in dict.fromkeys(needed.values())]
    return replace(
        service,
        python_path=tuple(dict.fromkeys((*service.python_path, *python_path))),
        settings=replace(service.settings, needs=tuple(dict.fromkeys((*service.settings.needs, *sorted(needed))))),
    )


def _overlaps(path: str, service_path: str) -> bool:
    return lies_in(path, service_path) or lies_in(service_path, path)


def _own_names(tree: Tree, service: Service) -> set[str]:
    """Return the modules at the top of the service and of its source folders: they come first on the path."""
    names = set()
    for folder in (service.path, *(join_path(service.path, entry) for entry in ("src", *service.python_path))):
        if tree.is_folder(folder):
            listing = tree.list_folder(folder)
            names |= {name.removesuffix(".py") for name in listing.files if name.endswith(".py")}
            names.update(listing.folders)
    return names


def required_lines(tree: Tree, sources: Sequence[RequirementSource]) -> dict[str, RequirementSource]:
    """Map the names of required projects, in the form of modules, to the line that requires each, as a source."""
    return {
        item.name.replace("-", "_"): RequirementSource(
            path=item.location.path, line=item.location.line, arguments=(item.text,), folder="."
        )
        for item in reversed(read_requirement_set(tree.root, sources).entries)
    }


def _packages_in(tree: Tree, roots: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Map the modules in ``roots`` to their root and the folder that has to be there for them."""
    packages: dict[str, tuple[str, str]] = {}
    for root in roots:
        listing = tree.list_folder(root)
        for name in listing.folders:
            folder = join_path(root, name)
            is_name = name.isidentifier() and name not in ("tests", "test", "docs")
            if is_name and _is_package(tree.list_folder(folder).files):
                packages.setdefault(name, (root, folder))
        for name in listing.files if root != "." else ():
            if name.endswith(".py") and name not in ("setup.py", "conftest.py", "noxfile.py"):
                packages.setdefault(name.removesuffix(".py"), (root, root))
    return packages


def _is_package(files: Sequence[str]) -> bool:
    """Return whether a folder with these files is imported as it stands, and is not a project that is built."""
    if "__init__.py" in files:
        return True
    return any(name.endswith(".py") for name in files) and _PROJECT_FILES.isdisjoint(files)


def _folder_of_package(tree: Tree, service: Service) -> str:
    """Return the folder that pytest puts on the path for the tests of a service that is a package; empty for others.

    The first folder above a test that has no ``__init__.py``, if the folder of the tests has one:
    https://docs.pytest.org/en/stable/explanation/pythonpath.html#import-modes
    """
    listing = tree.list_folder(service.path)
    tests = [name for name in ("tests", "test") if name in listing.folders]
    if any("__init__.py" not in tree.list_folder(join_path(service.path, name)).files for name in tests):
        return ""
    folder = service.path
    while folder != "." and "__init__.py" in tree.list_folder(folder).files:
        folder = posixpath.dirname(folder) or "."
    return folder if folder != service.path else ""


def _import_roots(tree: Tree) -> Iterator[str]:
    """Yield the folders that are on the path of a suite at the root of the repository."""
    listing = tree.list_folder(".")
    texts = {name: tree.read_or_none(name) or "" for name in (*INI_FILES, *_METADATA_FILES) if name in listing.files}
    yield from filter(tree.is_folder, _pytest_path(texts))
    if "conftest.py" in listing.files and "__init__.py" not in listing.files:
        yield "."
    for match in _TOX_PATH.finditer(texts.get("tox.ini", "")):
        for entry in re.split(r"[:;]", re.sub(r"\{(?:toxinidir|tox_root)\}/?", "", match["value"].strip())):
            path = join_path(".", entry.strip() or ".")
            if "{" not in entry and not leaves_root(path) and tree.is_folder(path):
                yield path
    metadata = {name: texts[name] for name in _METADATA_FILES if name in texts}
    distribution = find_distribution(tree.scan_folder(".", depth=3, limit=5_000).files, metadata) if metadata else None
    if distribution is not None:
        yield from (root for root in distribution.source_roots if tree.is_folder(root))


def _pytest_path(texts: dict[str, str]) -> list[str]:
    """Return the folders of the repository that the settings for pytest put on its path."""
    paths = (join_path(".", entry) for entry in read_pytest_settings(texts).python_path)
    return [path for path in paths if not leaves_root(path) and not path.startswith("/")]
