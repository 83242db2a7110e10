"""The system packages that a service's own image installs: for builds that lack a program or a library.

Only commands that are written out are read; nothing of the repository is run.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import Cell, InstallStep, Service
from pytest_py312.core.model.measurements import ImagePackages, InterpreterBuild
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.text import split_words
from pytest_py312.dependencies.system.build_tools import (
    NETWORK,
    MissingTool,
    SystemPackages,
    find_installation,
)
from pytest_py312.dependencies.system.known_packages import package_for_build
from pytest_py312.repository.formats.dockerfile import DockerfileText, read_dockerfile
from pytest_py312.repository.tree import Tree
from pytest_py312.runners.runner import CellUnavailable, Runner, SupportsSystemPackages, is_system_package

_INSTALLERS = {
    "apt-get": "install",
    "apt": "install",
    "apk": "add",
    "dnf": "install",
    "microdnf": "install",
    "yum": "install",
    "zypper": "install",
}
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
_MISSING_LIBRARY = re.compile(
    r"cannot open shared object file|cannot load library|no library called|"
    r"(?:OSError|ImportError|RuntimeError)[^\n]*\b(?:could not find|couldn't find|cannot find|unable to find|not found)"
    r"[^\n]*\blib",
    re.IGNORECASE,
)
_OF_DEBIAN: Mapping[str, str] = {
    "build-base": "build-essential", "alpine-sdk": "build-essential", "gcc-c++": "g++", "musl-dev": "libc6-dev",
    "linux-headers": "linux-libc-dev", "postgresql-dev": "libpq-dev", "postgresql-devel": "libpq-dev",
    "postgresql-libs": "libpq5", "mariadb-dev": "libmariadb-dev", "mariadb-connector-c-dev": "libmariadb-dev",
    "mysql-dev": "default-libmysqlclient-dev", "mysql-devel": "default-libmysqlclient-dev",
    "openssl-dev": "libssl-dev", "libressl-dev": "libssl-dev", "jpeg-dev": "libjpeg-dev", "zlib-dev": "zlib1g-dev",
    "xmlsec-dev": "libxmlsec1-dev", "libxslt": "libxslt1.1", "libxslt-dev": "libxslt1-dev", "python3-devel": "",
    "python3-dev": "", "py3-pip": "", "rust": "rustc", "geos": "libgeos-dev", "gdal": "gdal-bin",
    "pkgconfig": "pkg-config", "pkgconf": "pkg-config",
}  # fmt: skip
"""Packages of Alpine and Fedora -> those of Debian, where ``NAME-dev`` is not ``libNAME-dev``."""


def installation_hint(missing: MissingTool, service: Service, tree: Tree) -> str:
    """Return the clause that names the package that has what is missing, and whether the service's image installs it.

    Empty if neither its Dockerfiles nor the table of known packages name one.
    """
    installation = find_installation(missing, _dockerfile_packages(service, tree))
    if installation is not None:
        return f"; {installation[1]} installs {installation[0]}, which has it"
    package = package_for_build(missing.key)
    if package is None:
        return ""
    paths = dict.fromkeys(image.location.path for image in service.images)
    is_alpine = bool(service.images) and all("alpine" in image.text for image in service.images)
    name = package.alpine if is_alpine and package.alpine else str(package)
    return f"; {name} has it" + (f", which {next(iter(paths))} does not install" if len(paths) == 1 else "")


def _dockerfile_packages(service: Service, tree: Tree) -> Iterator[SystemPackages]:
    paths = dict.fromkeys(image.location.path for image in service.images)
    texts = ((path, tree.read_or_none(path)) for path in paths)
    return (group for path, text in texts if text for group in system_packages(read_dockerfile(text, path)))


def system_packages(dockerfile: DockerfileText) -> Iterator[SystemPackages]:
    """Yield the packages that each ``RUN`` instruction installs with the system's package manager."""
    for instruction in dockerfile.instructions:
        if instruction.keyword != "RUN":
            continue
        names: dict[str, None] = {}
        for command in re.split(r"&&|\|\||[;|\n]", instruction.arguments):
            names.update(dict.fromkeys(_installed_packages(command)))
        if names:
            yield SystemPackages(
                names=tuple(names), location=Location(path=dockerfile.path, line=instruction.line, column=1)
            )


def _installed_packages(command: str) -> list[str]:
    words = split_words(command, comments=True)
    start = next((index for index, word in enumerate(words) if word.rpartition("/")[2] in _INSTALLERS), None)
    if start is None:
        return []
    verb = _INSTALLERS[words[start].rpartition("/")[2]]
    arguments = words[start + 1 :]
    if verb not in arguments:
        return []
    names = (re.split(r"[=<>~:]", word, maxsplit=1)[0] for word in arguments[arguments.index(verb) + 1 :])
    return [name for name in names if _PACKAGE.fullmatch(name)]


# ---- adding them to the image of a cell


GIT_PACKAGES = ("git", "ca-certificates")
"""What fetches a requirement from git, which slim images lack."""


def packages_of_service(service: Service, required: Sequence[str] = ()) -> tuple[ImagePackages | None, Location | None]:
    """Return the packages that install a service for production and for its tests, and the first place that says so.

    :param required: packages that its requirements need, whatever its image installs.
    """
    recipes = [recipe for recipe in (service.recipe, service.test_recipe) if recipe is not None]
    steps = [step for recipe in recipes for step in recipe.steps if step.tool in ("apt", "apk", "dnf", "yum")]
    of_image = dict.fromkeys(name for step in steps for name in debian_packages(step))
    names = tuple(dict.fromkeys([*of_image, *required]))
    if not names:
        return None, None
    recommends = any(step.tool == "apt" and "--no-install-recommends" not in step.flags for step in steps)
    return ImagePackages(names=names, recommends=recommends), steps[0].location if of_image else None


def debian_packages(step: InstallStep) -> Iterator[str]:
    """Yield the valid names of packages that a step installs, as Debian calls them and without versions.

    A version is one of the image's own distribution, which another base image may not have.
    """
    for text in step.system_packages:
        name = re.split(r"[=<>~:/]", text, maxsplit=1)[0]
        if step.tool != "apt":
            name = _OF_DEBIAN.get(name, re.sub(r"^(?:lib)?(.+?)-dev(?:el)?$", r"lib\1-dev", name))
        if is_system_package(name) and not re.fullmatch(r"(?:lib)?python[\d.]*(?:-.*)?|virtualenv", name):
            yield name


def lacks_packages(missing: MissingTool | None, imports: Mapping[str, str] | None) -> bool:
    """Whether an installation may succeed with other packages of the system: a build or an import lacks something."""
    if missing is not None:
        return missing.key not in (NETWORK, "space on the disk")
    return any(_MISSING_LIBRARY.search(detail) for detail in (imports or {}).values())


class CellBuilds:
    """The interpreter builds of cells: those with the packages of the service's own image, once these were needed.

    A run that needs them makes the images of all interpreters of a service, so that its sides stay comparable. The
    engine keeps the images, so that the next run uses them at once. Thread-safe.
    """

    def __init__(self, runner: Runner, requires_git: Callable[[Service], bool] = lambda service: False) -> None:
        """
        :param requires_git: whether a requirement of a service comes from git.
        """
        self._runner = runner
        self._requires_git = requires_git
        self._lock = threading.Lock()
        self._found: dict[tuple[str, ImagePackages], InterpreterBuild | None] = {}

    def find(self, cell: Cell) -> InterpreterBuild:
        """Return the build that a cell runs on.

        :raises CellUnavailable: there is none.
        """
        build = self._runner.find_interpreter(cell.interpreter)
        packages = self._packages(cell.service)
        return (self._existing(build, packages) if packages else None) or build

    def can_equip(self, cell: Cell) -> bool:
        """Whether a cell runs without the packages of the service's image, although they can be added to its own.

        :raises CellUnavailable: there is no interpreter.
        """
        return self._packages(cell.service) is not None and self.find(cell).packages is None

    def equip(self, service: Service, interpreters: Iterable[Interpreter]) -> str:
        """Add the packages to the images of some interpreters; return why that failed, or an empty string."""
        packages, location = self._packages_and_place(service)
        runner = self._runner
        if packages is None or not isinstance(runner, SupportsSystemPackages):
            return ""
        for interpreter in interpreters:
            try:
                build = runner.find_interpreter(interpreter)
                with PROGRESS.activity("adding system packages to the image of", f"Python {interpreter}"):
                    equipped = runner.add_packages(build, packages)
            except CellUnavailable as reason:
                origin = f"that {location} installs" if location else "that its requirements need"
                return f"the packages {origin} ({packages}) could not be added to the image: {reason}"
            with self._lock:
                self._found[build.digest, packages] = equipped
        return ""

    def _packages(self, service: Service) -> ImagePackages | None:
        return self._packages_and_place(service)[0] if isinstance(self._runner, SupportsSystemPackages) else None

    def _packages_and_place(self, service: Service) -> tuple[ImagePackages | None, Location | None]:
        return packages_of_service(service, GIT_PACKAGES if self._requires_git(service) else ())

    def _existing(self, build: InterpreterBuild, packages: ImagePackages) -> InterpreterBuild | None:
        runner = self._runner
        key = (build.digest, packages)
        with self._lock:
            if key in self._found:
                return self._found[key]
        found = runner.find_with_packages(build, packages) if isinstance(runner, SupportsSystemPackages) else None
        with self._lock:
            return self._found.setdefault(key, found)


def needed_interpreters(cell: Cell, target: Interpreter) -> Sequence[Interpreter]:
    """Return the interpreters on which a service is compared: the cell's own, its baseline and the target."""
    return tuple(dict.fromkeys((cell.interpreter, cell.service.baseline, target)))
