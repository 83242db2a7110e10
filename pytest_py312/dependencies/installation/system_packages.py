"""Find the system packages that a service's Dockerfiles install, for builds that lack a program or a library.

Only commands that are written out in ``RUN`` are read; nothing is run.
"""

import re
import shlex
from collections.abc import Iterator

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import Service
from pytest_py312.dependencies.resolution.build_tools import MissingTool, SystemPackages, find_installation
from pytest_py312.dependencies.resolution.known_packages import package_for_build
from pytest_py312.repository.formats.dockerfile import DockerfileText, read_dockerfile
from pytest_py312.repository.tree import Tree

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


def installation_hint(missing: MissingTool, service: Service, tree: Tree) -> str:
    """Return the clause that names the package that has what is missing, and whether the service's image installs it.

    Empty if neither its Dockerfiles nor the table of known packages name one.
    """
    paths = dict.fromkeys(image.location.path for image in service.images)
    texts = ((path, tree.read_or_none(path)) for path in paths)
    packages = (group for path, text in texts if text for group in system_packages(read_dockerfile(text, path)))
    installation = find_installation(missing, packages)
    if installation is not None:
        return f"; {installation[1]} installs {installation[0]}, which has it"
    package = package_for_build(missing.key)
    if package is None:
        return ""
    is_alpine = bool(service.images) and all("alpine" in image.text for image in service.images)
    name = package.alpine if is_alpine and package.alpine else str(package)
    return f"; {name} has it" + (f", which {next(iter(paths))} does not install" if len(paths) == 1 else "")


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
    try:
        words = shlex.split(command, comments=True)
    except ValueError:  # an unclosed quotation mark
        words = command.split()
    start = next((index for index, word in enumerate(words) if word.rpartition("/")[2] in _INSTALLERS), None)
    if start is None:
        return []
    verb = _INSTALLERS[words[start].rpartition("/")[2]]
    arguments = words[start + 1 :]
    if verb not in arguments:
        return []
    names = (re.split(r"[=<>~:]", word, maxsplit=1)[0] for word in arguments[arguments.index(verb) + 1 :])
    return [name for name in names if _PACKAGE.fullmatch(name)]
