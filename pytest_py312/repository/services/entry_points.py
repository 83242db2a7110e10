"""What starts a service, by its Dockerfiles, a Procfile, compose files, and the shell scripts that these name."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from pytest_py312.core.model.fleet import Program
from pytest_py312.repository.formats.dockerfile import DockerfileText
from pytest_py312.repository.formats.start_commands import Command, read_command
from pytest_py312.repository.services.service_files import ServiceFiles, is_production
from pytest_py312.repository.tree import Tree, join

MOST = 20
"""Programs of one service that are followed."""
_COMPOSE = re.compile(r"(?:docker-)?compose(?:[._-][\w.-]*)?\.ya?ml", re.ASCII)
_PROCESS = re.compile(r"^[\w-]+[ \t]*:(?P<command>.*)$", re.MULTILINE | re.ASCII)


def started_programs(tree: Tree, files: ServiceFiles) -> tuple[Program, ...]:
    """Each once, in the order found. Most of them are no Python, and of nothing that is installed."""
    found = (program for command in _commands(tree, files) for program in _followed(tree, files, command))
    return tuple(islice(dict.fromkeys(found), MOST))


def _commands(tree: Tree, files: ServiceFiles) -> Iterator[Command]:
    for dockerfile in files.dockerfiles:
        if is_production(dockerfile.path, files.path):
            yield from map(read_command, _of_dockerfile(dockerfile))
    if files.scan.named("Procfile"):
        for process in _PROCESS.finditer(tree.text(join(files.path, "Procfile")) or ""):
            yield read_command(process["command"])
    for path in _compose_files(tree, files.path):
        text = tree.text(path) or ""
        if "command" in text or "entrypoint" in text:
            from pytest_py312.repository.formats.compose import read_compose  # loads YAML, which few services need here

            for entry in read_compose(text, path):
                if _is_of(files, entry.context, entry.folder):
                    yield from entry.commands


def _of_dockerfile(dockerfile: DockerfileText) -> Iterator[str]:
    """The last ENTRYPOINT and CMD of the last stage, or of those that it stands on: what they come to together."""
    stage = dockerfile.final
    said: dict[str, str] = {}
    while stage is not None:
        following = dockerfile.stages[stage.index + 1 : stage.index + 2]
        end = following[0].line if following else float("inf")
        own = {
            one.keyword: one.arguments
            for one in dockerfile.instructions
            if one.keyword in ("CMD", "ENTRYPOINT") and stage.line < one.line < end
        }
        said = {**own, **said}
        stage = dockerfile.stages[stage.parent] if stage.parent is not None else None
    entry, command = said.get("ENTRYPOINT", "").strip(), said.get("CMD", "").strip()
    if entry.endswith("]") and command.startswith("["):
        yield f"{entry[:-1]}, {command[1:]}"
        if not read_command(entry).scripts:
            return  # else the script may end with `exec "$@"`
    yield from filter(None, (entry, command))


def _compose_files(tree: Tree, path: str) -> Iterator[str]:
    """Those in the service's folder and in the folders above it."""
    while True:
        for name in tree.listing(path).files:
            if _COMPOSE.fullmatch(name) and is_production(name, "."):
                yield join(path, name)
        if path == ".":
            return
        path = path.rpartition("/")[0] or "."


def _is_of(files: ServiceFiles, context: str, folder: str) -> bool:
    """Whether an image that is built in ``context`` with the Dockerfile in ``folder`` is the service's."""

    def is_own(path: str) -> bool:
        inner = path == files.path or files.path == "." or path.startswith(f"{files.path}/")
        within = path if files.path == "." else path.removeprefix(files.path).lstrip("/")
        return inner and not any(f"{within}/".startswith(f"{other}/") for other in files.inner)

    return is_own(folder) or (context == files.path and is_own(context))


def _followed(tree: Tree, files: ServiceFiles, command: Command) -> Iterator[Program]:
    """The programs of a command, and of the shell scripts of the service that it names."""
    yield from command.programs
    for name in command.scripts:
        for path in _named(files.scan.files, name):
            yield from read_command(tree.text(join(files.path, path)) or "", is_script=True).programs


def _named(paths: Sequence[str], name: str) -> Iterator[str]:
    """The files of that name, the outermost first: where an image has put them is not followed."""
    found = [path for path in paths if path.rpartition("/")[2] == name]
    yield from sorted(found, key=lambda path: (path.count("/"), path))[:1]
