"""Find the variables for the interpreter with which production runs a service: whether warnings are errors, and such.

They are set in images, compose files, manifests, settings of what starts programs, start commands, and the first line
of a script that is started.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import InterpreterVariable
from pytest_py312.repository.declarations.reader import is_yaml
from pytest_py312.repository.formats.commands.managed_programs import read_containers
from pytest_py312.repository.formats.dockerfile import DockerfileText, environment_pairs
from pytest_py312.repository.formats.image_reference import names_service
from pytest_py312.repository.formats.start_commands import read_command
from pytest_py312.repository.recipes.suites.suite_commands import has_test_program, warning_options
from pytest_py312.repository.services.detection.entry_points import (
    compose_entries,
    dockerfile_commands,
    managing_files,
    outermost_named,
)
from pytest_py312.repository.services.detection.service_files import ServiceFiles, is_production_dockerfile
from pytest_py312.repository.tree import Tree, join_path

WARNINGS, DISTUTILS = "PYTHONWARNINGS", "SETUPTOOLS_USE_DISTUTILS"
_NAMES = (WARNINGS, DISTUTILS)
_TEXT_LIMIT = 50_000
_WORD = re.compile(r"[^\s\"'\[\];&|()]+")
_PYTHON = re.compile(r"(?:[^\s]*/)?python[\d.]*", re.ASCII)
_ASSIGNMENT = re.compile(rf"\b(?P<name>{'|'.join(_NAMES)})=[\"']?(?P<value>[^\s\"';&|]*)")
_COMMENT = re.compile(r"^[ \t]*[#;].*$", re.MULTILINE)
_OPTION = "-W"


def read_interpreter_variables(tree: Tree, files: ServiceFiles, image: str) -> tuple[InterpreterVariable, ...]:
    """Return the variables of a service, once for each place that starts it.

    :param image: the Dockerfile that installs it, which may be outside of it.
    """
    variables: list[InterpreterVariable] = []
    for dockerfile in files.dockerfiles:
        if dockerfile.path == image or is_production_dockerfile(dockerfile.path, files.path):
            variables += _of_image(tree, files, dockerfile)
    for path, entry in compose_entries(tree, files, (*_NAMES, _OPTION)):
        if not has_test_program(entry.words):
            lines = (tree.read_or_none(path) or "").splitlines()[entry.lines[0] - 1 : entry.lines[1]]
            own = _placed(dict(entry.environment), lines, path, entry.lines[0])
            started = _of_command(" ".join(entry.words), _location_of(_OPTION, lines, path, entry.lines[0]), own)
            variables += started.values()
    procfile = join_path(files.path, "Procfile")
    for number, line in enumerate((tree.read_or_none(procfile) or "").splitlines(), 1):
        variables += _of_command(line, Location(path=procfile, line=number), {}).values()
    for path in managing_files(files):
        if any(name in (text := tree.read_or_none(path) or "") for name in (*_NAMES, _OPTION)):
            variables += _of_managed(text, path)
    return tuple(dict.fromkeys(variables))


def _of_managed(text: str, path: str) -> Iterator[InterpreterVariable]:
    """Yield the variables of what Kubernetes, supervisord, systemd or cron starts."""
    if not is_yaml(path):
        yield from _of_script(text, path, {}).values()
        return
    containers = list(read_containers(text))
    for container in containers:
        is_own = len(containers) == 1 or names_service(container.image, path)
        if is_own and not has_test_program(container.words):
            first, last = container.lines
            lines = text.splitlines()[first - 1 : last]
            own = _placed(container.variables, lines, path, first)
            yield from _of_command(" ".join(container.words), _location_of(_OPTION, lines, path, first), own).values()


def _of_image(tree: Tree, files: ServiceFiles, dockerfile: DockerfileText) -> Iterator[InterpreterVariable]:
    stages = list(dockerfile.chain_of(dockerfile.final_stage)) if dockerfile.final_stage else []
    instructions = [item for stage in reversed(stages) for item in dockerfile.instructions_of(stage)]
    own: dict[str, InterpreterVariable] = {}
    place = Location(path=dockerfile.path)
    for item in instructions:
        if item.keyword == "ENV" and any(name in item.arguments for name in _NAMES):
            location = Location(path=dockerfile.path, line=item.line)
            own |= {name: _variable(name, value, location) for name, value in environment_pairs(item.arguments, {})}
        elif item.keyword in ("CMD", "ENTRYPOINT") and any(part in item.arguments for part in (_OPTION, *_NAMES)):
            place = Location(path=dockerfile.path, line=item.line)
    own = {name: variable for name, variable in own.items() if name in _NAMES}
    text = " ".join(dockerfile_commands(dockerfile))
    if has_test_program(_words(text)):
        return
    started = _of_command(text, place, own)
    for path in _started_scripts(files, text):
        script = (tree.read_or_none(path) or "")[:_TEXT_LIMIT]
        first = script.partition("\n")[0]
        if first.startswith("#!") and _PYTHON.search(first):
            started = _of_command(first.removeprefix("#!"), Location(path=path, line=1), started)
    for name in read_command(text).shell_scripts:
        for path in outermost_named(files.scan.files, name):
            script = tree.read_or_none(join_path(files.path, path)) or ""
            started = _of_script(script, join_path(files.path, path), started)
    yield from started.values()


def _of_script(text: str, path: str, outer: Mapping[str, InterpreterVariable]) -> dict[str, InterpreterVariable]:
    started = dict(outer)
    for number, line in enumerate(_COMMENT.sub("", text[:_TEXT_LIMIT]).splitlines(), 1):
        if _OPTION in line or any(name in line for name in _NAMES):
            started = _of_command(line, Location(path=path, line=number), started)
    return started


def _of_command(
    text: str, location: Location, outer: Mapping[str, InterpreterVariable]
) -> dict[str, InterpreterVariable]:
    """Return the variables of what a command starts: those around it, its own, and the options of the interpreter."""
    started = dict(outer)
    for match in _ASSIGNMENT.finditer(text[:_TEXT_LIMIT]):
        started[match["name"]] = _variable(match["name"], match["value"], location)
    words = _words(text)
    positions = [position for position, word in enumerate(words) if _PYTHON.fullmatch(word)]
    options = [option for position in positions for option in warning_options(words[position:])[0]]
    if options:
        around = [started[WARNINGS].value] if WARNINGS in started else []
        started[WARNINGS] = _variable(WARNINGS, ",".join((*around, *options)), location)
    return started


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text[:_TEXT_LIMIT]) if word != ","]


def _started_scripts(files: ServiceFiles, text: str) -> Iterator[str]:
    """Yield the files of the service that a command starts by their paths, and not as an argument of Python."""
    words = _words(text)
    for previous, word in zip(["", *words], words, strict=False):
        inner = word.removeprefix("./").lstrip("/")
        fitting = [path for path in files.scan.files if inner == path or inner.endswith(f"/{path}")]
        if fitting and not _PYTHON.fullmatch(previous):
            yield join_path(files.path, max(fitting, key=len))


def _placed(
    variables: Mapping[str, str], lines: Sequence[str], path: str, first: int
) -> dict[str, InterpreterVariable]:
    return {
        name: _variable(name, variables[name], _location_of(name, lines, path, first))
        for name in _NAMES
        if name in variables
    }


def _location_of(text: str, lines: Sequence[str], path: str, first: int) -> Location:
    return Location(path=path, line=next((first + index for index, line in enumerate(lines) if text in line), first))


def _variable(name: str, value: str, location: Location) -> InterpreterVariable:
    return InterpreterVariable(name=name, value=value, location=location)
