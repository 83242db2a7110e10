"""Find the programs that a service starts: in Dockerfiles, a Procfile, compose files, and their shell scripts.

The handlers of serverless functions are imported as those of servers are.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import DJANGO_COMMANDS, FileLines, Program, StartModule
from pytest_py312.repository.formats.commands.managed_programs import may_manage_programs, read_managed_programs
from pytest_py312.repository.formats.commands.server_options import (
    configuration_names,
    modules_of_configuration,
    modules_of_options,
)
from pytest_py312.repository.formats.dockerfile import DockerfileText
from pytest_py312.repository.formats.start_commands import ProgramCall, StartCommand, read_command
from pytest_py312.repository.recipes.serverless_builds import handler_programs
from pytest_py312.repository.services.detection.service_files import ServiceFiles, is_production_dockerfile
from pytest_py312.repository.tree import Tree, join_path, lies_in, with_outer_folders

if TYPE_CHECKING:
    from pytest_py312.repository.formats.compose import ComposeService

MAX_PROGRAMS = 40
"""Maximum number of programs of one service."""
MAX_CALLS = 200
"""Programs of one command or script whose arguments are read."""
_COMPOSE_FILE = re.compile(r"(?:docker-)?compose(?:[._-][\w.-]*)?\.ya?ml", re.ASCII)
_GUNICORN_VARIABLE = re.compile(r"(?<!\w)GUNICORN_CMD_ARGS=(?:\"[^\"\n]*\"|'[^'\n]*'|\S+)", re.ASCII)
_PROCFILE_LINE = re.compile(r"^[\w-]+[ \t]*:(?P<command>.*)$", re.MULTILINE | re.ASCII)
FILE_LIMIT = 200
"""Files of one service that may start programs."""
_DJANGO = re.compile(r"(?:.+\.)?manage|manage\.py|django-admin(?:\.py)?|django")
_QUOTATION = re.compile(r"(?P<quote>[\"'])(?P<text>(?:\\.|(?!(?P=quote))[^\\]){0,500})(?P=quote)", re.DOTALL)
"""A text of a command, such as the line that ``echo`` adds to a table of cron."""
_SKIPPED_FOLDERS = (".github/", ".circleci/", ".gitlab/")
_COMMANDS = DJANGO_COMMANDS.replace(".", "/")


def started_programs(
    tree: Tree,
    files: ServiceFiles,
    scripts: Sequence[tuple[str, str]] = (),
    build_programs: Iterable[Program] = (),
) -> tuple[Program, ...]:
    """Return the programs that the service starts, without duplicates; they need not be Python.

    :param scripts: the console scripts of the service itself, with what they call (``package.module:function``).
    :param build_programs: what is run while its image is built. Files of the service are left out: many download what
        a cell cannot reach.
    """
    variables = _variables_of(tree, files)
    commands = _commands(tree, files, variables)
    programs = (program for command in commands for program in _programs_of(tree, files, command, variables))
    handlers = handler_programs(tree, files.path, files.nested_folders)
    needed = dict.fromkeys(_with_modules(chain(programs, handlers), dict(scripts)))
    managed = (program for command in managed_commands(tree, files, variables)
               for program in _programs_of(tree, files, command, variables))  # fmt: skip
    building = (program for program in build_programs if not program.is_script)
    further = _with_modules(chain(managed, building), dict(scripts))
    additional = (replace(program, is_additional=True) for program in further)
    others = (program for program in additional if replace(program, is_additional=False) not in needed)
    return tuple(islice(dict.fromkeys(chain(needed, others)), MAX_PROGRAMS))


def _with_modules(programs: Iterable[Program], scripts: Mapping[str, str]) -> Iterator[Program]:
    """Yield programs, and behind each console script of the service the module that it imports."""
    for program in programs:
        yield program
        module = "" if program.is_module else scripts.get(program.name, "").partition(":")[0].strip()
        if module:
            yield replace(program, name=module, is_module=True, is_application=True)


def started_above(tree: Tree, files: ServiceFiles) -> tuple[FileLines, ...]:
    """Return the lines in which compose files above the service's folder start it."""
    return tuple(
        FileLines(path=path, first=entry.lines[0], last=entry.lines[1])
        for path, entry in compose_entries(tree, files)
        if entry.commands and not lies_in(path, files.path)
    )


def installing_commands_of_compose(tree: Tree, files: ServiceFiles) -> tuple[tuple[Location, tuple[str, ...]], ...]:
    """Return the commands that install before they start the service, with their places in compose files."""
    return tuple(
        (Location(path=path, line=entry.lines[0]), entry.words)
        for path, entry in compose_entries(tree, files)
        if any("install" in word for word in entry.words)
    )


def start_modules(programs: Sequence[Program], files: ServiceFiles) -> tuple[StartModule, ...]:
    """Return the modules of the service among ``programs``, each with the folder from which it can be imported.

    A module that is in several folders, none of which is the outermost or the one of the command, is left out. Modules
    that options of servers name are included if the service does not have them: then they are in what is installed.
    """
    present = files.scan.files
    modules = []
    for program in programs:
        if not program.is_module:
            continue
        inner = program.name if program.is_script else program.name.replace(".", "/")
        names = (
            (f"{inner}.py",) if program.is_script else (f"{inner}.py", f"{inner}/__init__.py", f"{inner}/__main__.py")
        )
        matching = {
            path[: -len(name)].rstrip("/") or "."
            for path in present
            for name in names
            if path == name or path.endswith(f"/{name}")
        }
        named = {folder for folder in matching if program.folder and f"/{folder}".endswith(f"/{program.folder}")}
        ordered = sorted(named or matching, key=_depth)
        if ordered and (len(ordered) == 1 or _depth(ordered[0]) < _depth(ordered[1])):
            module = _start_module(program, ordered[0], present)
        elif program.is_option and not ordered:
            module = StartModule(name=program.name, is_own=False, is_additional=program.is_additional)
        else:
            continue
        modules.append(module)
    needed = {module.name for module in modules if not module.is_additional}  # imports are reported by name
    return tuple(module for module in dict.fromkeys(modules) if not (module.is_additional and module.name in needed))


def _start_module(program: Program, folder: str, present: Sequence[str]) -> StartModule:
    """Return the module of a program. What an application names by its file may be in a package: that is climbed."""
    name, is_named_by_file = program.name, program.is_application and program.folder and not program.is_script
    while is_named_by_file and folder != "." and f"{folder}/__init__.py" in present:
        folder, _, package = f"./{folder}".rpartition("/")
        folder, name = join_path(".", folder), f"{package}.{name}"
    return StartModule(
        name=name,
        folder=folder,
        is_program=not program.is_application,
        is_script=program.is_script,
        is_additional=program.is_additional,
    )


def _depth(folder: str) -> int:
    return 0 if folder == "." else folder.count("/") + 1


def _variables_of(tree: Tree, files: ServiceFiles) -> dict[str, str]:
    """Return the variables that all programs of the service have: of its images, and of what flask reads."""
    variables: dict[str, str] = {}
    if files.scan.existing_files(".flaskenv"):
        from pytest_py312.repository.formats.compose import read_env_file  # loads YAML, which few services need here

        variables.update(read_env_file(tree.read_or_none(join_path(files.path, ".flaskenv")) or ""))
    for dockerfile in files.dockerfiles:
        if is_production_dockerfile(dockerfile.path, files.path):
            variables.update(dockerfile.environment)
    return variables


def _commands(tree: Tree, files: ServiceFiles, variables: Mapping[str, str]) -> Iterator[StartCommand]:
    for dockerfile in files.dockerfiles:
        if is_production_dockerfile(dockerfile.path, files.path):
            of_image = {**variables, **dockerfile.environment}
            for text in (*dockerfile_commands(dockerfile), *_gunicorn_arguments(dockerfile)):
                yield read_command(text, variables=of_image)
    if files.scan.existing_files("Procfile"):
        for process in _PROCFILE_LINE.finditer(tree.read_or_none(join_path(files.path, "Procfile")) or ""):
            yield read_command(process["command"], variables=variables)
    for _, entry in compose_entries(tree, files):
        yield from entry.commands


def dockerfile_commands(dockerfile: DockerfileText) -> Iterator[str]:
    """Yield the effective ENTRYPOINT and CMD of the last stage, which may inherit them from parent stages."""
    instructions: dict[str, str] = {}
    for stage in dockerfile.chain_of(dockerfile.final_stage) if dockerfile.final_stage else ():
        of_stage = {
            instruction.keyword: instruction.arguments
            for instruction in dockerfile.instructions_of(stage)
            if instruction.keyword in ("CMD", "ENTRYPOINT")
        }
        instructions = {**of_stage, **instructions}
    entry_point, command = instructions.get("ENTRYPOINT", "").strip(), instructions.get("CMD", "").strip()
    if entry_point.endswith("]") and command.startswith("["):
        yield f"{entry_point[:-1]}, {command[1:]}"
        if not read_command(entry_point).shell_scripts:
            return  # a script may end with `exec "$@"`, so CMD counts as well
    yield from filter(None, (entry_point, command))


def _gunicorn_arguments(dockerfile: DockerfileText) -> Iterator[str]:
    """Yield a command with the arguments that a variable of the image adds to each run of gunicorn."""
    for instruction in dockerfile.instructions:
        if instruction.keyword == "ENV" and (match := _GUNICORN_VARIABLE.search(instruction.arguments)):
            yield f"{match[0]} gunicorn"


def is_compose_file(name: str) -> bool:
    """Return whether it is a compose file, by its name."""
    return _COMPOSE_FILE.fullmatch(name) is not None


def _compose_files(tree: Tree, path: str) -> Iterator[str]:
    """Yield the compose files in the service's folder and in the folders above it."""
    for folder in with_outer_folders(path):
        for name in tree.list_folder(folder).files:
            if is_compose_file(name) and is_production_dockerfile(name, "."):
                yield join_path(folder, name)


def compose_entries(
    tree: Tree, files: ServiceFiles, words: Sequence[str] = ("command", "entrypoint")
) -> Iterator[tuple[str, "ComposeService"]]:
    """Yield what compose files build of the service, with the path of the file, if one of ``words`` is in its text."""
    for path in _compose_files(tree, files.path):
        text = tree.read_or_none(path) or ""
        if any(word in text for word in words):
            from pytest_py312.repository.formats.compose import read_compose  # loads YAML, which few services need here

            for entry in read_compose(text, path):
                if _builds_service(files, entry.context, entry.folder):
                    yield path, entry


def _builds_service(files: ServiceFiles, context: str, folder: str) -> bool:
    """Return whether an image built in ``context`` with a Dockerfile in ``folder`` is the service's."""

    def is_own(path: str) -> bool:
        inner = files.path == "." or lies_in(path, files.path)
        within = path if files.path == "." else path.removeprefix(files.path).lstrip("/")
        return inner and not any(lies_in(within, other) for other in files.nested_folders)

    return is_own(folder) or (context == files.path and is_own(context))


def _programs_of(
    tree: Tree, files: ServiceFiles, command: StartCommand, variables: Mapping[str, str]
) -> Iterator[Program]:
    """Yield the programs of a command, and of the service's shell scripts and configuration files that it names."""
    scripts = [
        read_command(tree.read_or_none(join_path(files.path, path)) or "", is_script=True, variables=variables)
        for name in command.shell_scripts
        for path in outermost_named(files.scan.files, name)
    ]
    for one in (command, *scripts):
        yield from one.programs
        for call in one.calls[:MAX_CALLS]:
            if command_module := django_command(call, files):
                yield command_module
            yield from map(_option_program, modules_of_options(call.name, call.arguments))
            for name in configuration_names(call.name, call.arguments):
                for path in outermost_named(files.scan.files, name):
                    folder, _, file = path.rpartition("/")
                    yield Program(
                        name=file.removesuffix(".py"), is_module=True, is_application=True, is_script=True,
                        is_additional=True, folder=folder,
                    )  # fmt: skip
                    text = tree.read_or_none(join_path(files.path, path)) or ""
                    yield from map(_option_program, modules_of_configuration(text))


def _option_program(module: str) -> Program:
    return Program(name=module, is_module=True, is_application=True, is_option=True)


def outermost_named(paths: Sequence[str], name: str) -> Iterator[str]:
    """Yield the outermost file with that name. Where an image copies it to is not analyzed."""
    matching = [path for path in paths if path.rpartition("/")[2] == name]
    yield from sorted(matching, key=lambda path: (path.count("/"), path))[:1]


def managed_commands(tree: Tree, files: ServiceFiles, variables: Mapping[str, str]) -> Iterator[StartCommand]:
    """Yield the commands of the files of the service that start programs.

    :param variables: those of the service's images.
    """
    for path in managing_files(files):
        yield from read_managed_programs(tree.read_or_none(path) or "", path, variables)
    for image in files.dockerfiles:
        if is_production_dockerfile(image.path, files.path):
            for instruction in image.instructions:
                if instruction.keyword == "RUN" and "cron" in instruction.arguments:
                    lines = "\n".join(match["text"] for match in _QUOTATION.finditer(instruction.arguments))
                    yield from read_managed_programs(lines.replace("\\n", "\n"), "crontab", variables)


def managing_files(files: ServiceFiles) -> Iterator[str]:
    """Yield the files of the service that start programs, except those of tests and developers."""
    names = (name for name in files.scan.files if may_manage_programs(name) and not name.startswith(_SKIPPED_FOLDERS))
    paths = (join_path(files.path, name) for name in names)
    yield from islice((path for path in paths if is_production_dockerfile(path, files.path)), FILE_LIMIT)


def django_command(call: ProgramCall, files: ServiceFiles) -> Program | None:
    """Return the module of a command of Django that the service defines: ``python manage.py NAME``."""
    name = next((word for word in call.arguments if not word.startswith("-")), "")
    if not (_DJANGO.fullmatch(call.name) and name.isidentifier()):
        return None
    end = f"{_COMMANDS}{name}.py"
    packages = [path.removesuffix(end) for path in files.scan.files if path.endswith(end)]
    if len(packages) != 1:
        return None
    root = package = packages[0]
    while f"{root}/__init__.py" in files.scan.files:
        root = root.rpartition("/")[0]
    module = f"{package}{_COMMANDS}{name}"[len(root) :].strip("/").replace("/", ".")
    return Program(name=module, is_module=True, is_application=True, is_additional=True, folder=root)
