"""Find what else starts programs of a service: supervisord, systemd, cron, Kubernetes, commands of Django."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice

from pytest_py312.core.model.fleet import DJANGO_COMMANDS, Program
from pytest_py312.repository.formats.commands.managed_programs import may_manage_programs, read_managed_programs
from pytest_py312.repository.formats.start_commands import ProgramCall, StartCommand
from pytest_py312.repository.services.detection.service_files import ServiceFiles, is_production_dockerfile
from pytest_py312.repository.tree import Tree, join_path

FILE_LIMIT = 200
"""Files of one service that may start programs."""
_DJANGO = re.compile(r"(?:.+\.)?manage|manage\.py|django-admin(?:\.py)?|django")
_QUOTATION = re.compile(r"(?P<quote>[\"'])(?P<text>(?:\\.|(?!(?P=quote))[^\\]){0,500})(?P=quote)", re.DOTALL)
"""A text of a command, such as the line that ``echo`` adds to a table of cron."""
_SKIPPED_FOLDERS = (".github/", ".circleci/", ".gitlab/")
_COMMANDS = DJANGO_COMMANDS.replace(".", "/")


def managed_commands(tree: Tree, files: ServiceFiles, variables: Mapping[str, str]) -> Iterator[StartCommand]:
    """Yield the commands of the files of the service that start programs, except those of tests and developers.

    :param variables: those of the service's images.
    """
    names = (name for name in files.scan.files if may_manage_programs(name) and not name.startswith(_SKIPPED_FOLDERS))
    paths = (join_path(files.path, name) for name in names)
    for path in islice((path for path in paths if is_production_dockerfile(path, files.path)), FILE_LIMIT):
        yield from read_managed_programs(tree.read_or_none(path) or "", path, variables)
    for image in files.dockerfiles:
        if is_production_dockerfile(image.path, files.path):
            for instruction in image.instructions:
                if instruction.keyword == "RUN" and "cron" in instruction.arguments:
                    lines = "\n".join(match["text"] for match in _QUOTATION.finditer(instruction.arguments))
                    yield from read_managed_programs(lines.replace("\\n", "\n"), "crontab", variables)


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
