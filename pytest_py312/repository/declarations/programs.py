"""Find the programs and paths of one Python that commands name, such as ``python3.9``.

Of shell scripts, Makefiles, settings of what starts programs, and Python sources. Nothing of it raises.
"""

import ast
import re
from collections.abc import Collection, Iterator
from itertools import chain, islice

from pytest_py312.repository.declarations.declaration import (
    DECLARATION_LIMIT,
    DISTRIBUTION_FOLDERS,
    DeclarationCollector,
    DeclarationRole,
    VersionDeclaration,
    version_of,
)
from pytest_py312.repository.formats.image_reference import parse_python_image
from pytest_py312.repository.formats.setuptools import parse_module
from pytest_py312.repository.formats.text_positions import SourcePositions

NAMED_PROGRAM = re.compile(
    r"(?<![\w.$/-])(?P<prefix>(?:[\w.${}-]{0,80}/){0,10})(?:python|pip)(?P<version>3\.\d{1,2})(?![\w.-]|\.\d)", re.ASCII
)
"""``python3.9`` as a word of a command, or as the last or a middle part of a path."""
TEXT_LIMIT = 500_000
"""Characters of a text that are read."""
_LINE_LIMIT = 2_000
_SHELL = re.compile(r"#!\s*\S*/(?:env\s+(?:-S\s+)?)?(?:ba|da|k|z)?sh\b")
_CONTAINER_COMMAND = re.compile(
    r"(?:^|(?<=[\s;&|(`]))(?:docker|podman|nerdctl)\s+(?:container\s+)?(?:run|pull|create)\b"
    r"(?:[^\\\r\n]|\\(?:\r\n|.|\n))*",
    re.MULTILINE,
)
_IMAGE_WORD = re.compile(
    r"(?<=[\s\"'])(?P<image>(?:[\w.-]+(?::\d+)?/){0,5}[\w.-]*python:[\w.-]+)(?=[\s\"']|\Z)", re.ASCII
)
_PYTHON_OPTION = re.compile(
    r"(?:\buv[ \t]+(?:--?[\w-]+[ \t]+){0,3}(?:"
    r"(?:venv|sync|lock|pip[ \t]+\w+)(?:[ \t]+[^\s;&|]{1,100}){0,15}?"
    r"|run(?:[ \t]+--?[\w-]{1,40}(?:[ =][^\s;&|-][^\s;&|]{0,100})?){0,10}?"
    r")[ \t]+(?:--python|-p)[ =]|\bpoetry[ \t]+env[ \t]+use[ \t]+)[\"']?(?P<version>3\.\d{1,2})(?![\w.-])",
    re.ASCII,
)
_UWSGI_PLUGIN = re.compile(
    r"^[ \t]*plugins?[ \t]*=[^\n]{0,200}?\bpython(?P<version>3\d{1,2})\b", re.MULTILINE | re.ASCII
)
_INSTALLS_PYTHON = re.compile(
    r"\b(?:apt-get|apt|apk|dnf|yum|microdnf|brew|pyenv|conda|uv[ \t]+python)[ \t][^;&|\n]{0,500}(?:python[@=-]?3|\$)"
    r"|\bpyenv[ \t]+(?:install|local|global)\b|\buv[ \t]+python[ \t]+install\b"
    r"|\baltinstall\b|\bPython-3\.|\bpython3\.\d+-",
    re.ASCII,
)
_RUNS_ELSEWHERE = re.compile(r"\b(?:ssh|scp|docker|podman|nerdctl|kubectl|oc|aws|gcloud|az)[ \t]")
_COMMENT = re.compile(r"(?:^|[ \t])#|^[ \t]*;")
_PYTHON_SCRIPT = re.compile(
    r"#![ \t]*(?P<prefix>\S*/)(?P<env>env[ \t]+(?:-S[ \t]+)?)?python(?P<version>3\.\d{1,2})(?![\w.-])", re.ASCII
)
_STARTS = frozenset(
    {
        "run", "call", "check_call", "check_output", "Popen", "system", "popen", "getoutput", "getstatusoutput",
        "create_subprocess_exec", "create_subprocess_shell", "execl", "execle", "execlp", "execlpe", "execv", "execve",
        "execvp", "execvpe", "spawnl", "spawnlp", "spawnv", "spawnvp", "posix_spawn", "posix_spawnp",
    }
)  # fmt: skip
"""Functions of :data:`_STARTING_MODULES` that start the program in their first arguments."""
_STARTING_MODULES = frozenset({"subprocess", "os", "asyncio"})
_PATH_PART = re.compile(
    r"/(?:[^/\s]{1,100}/){0,20}?python(?P<version>3\.\d{1,2})(?:/\S*)?|libpython(?P<library>3\.\d{1,2})\.so[\w.]*",
    re.ASCII,
)
"""A text that is an absolute path with a part of one Python, or the name of its library."""
SCRIPT_INTERPRETER = "the interpreter of a script"
COMMAND = "a command"
_MANAGED_ELSEWHERE = ".service"
"""Units of systemd: they run on a machine that may have another Python than the image."""


def read_script_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a shell script: the Python images in which it runs containers, and the ``python3.9`` that it runs.

    A script without a suffix may be Python.
    """
    if _PYTHON_SCRIPT.match(text):
        return read_source_declarations(text, path)
    collector = DeclarationCollector(text, path)
    if path.endswith(".sh") or _SHELL.match(text):
        add_named_programs(collector, text)
        for command in _CONTAINER_COMMAND.finditer(text[:TEXT_LIMIT]):
            if "#" in text[max(text.rfind("\n", 0, command.start()), 0) : command.start()]:
                continue
            for match in _IMAGE_WORD.finditer(text, *command.span()):
                image = parse_python_image(match["image"])
                if image and image.version and image.span and image.scheme:
                    collector.add_image_reference("tool", match.start("image"), match["image"], declared=False)
    return collector.declarations


def read_program_settings(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a Procfile, or settings of supervisord, uWSGI, systemd or cron: ``python3.9`` in commands and paths, and
    ``plugin=python39``.
    """
    starts_service = not path.endswith(_MANAGED_ELSEWHERE)
    collector = DeclarationCollector(text, path)
    add_named_programs(collector, text, starts_service=starts_service)
    for match in _UWSGI_PLUGIN.finditer(text[:TEXT_LIMIT]):
        _add_command(collector, match, "a plugin", starts_service=starts_service)
    return collector.declarations


def add_named_programs(collector: DeclarationCollector, text: str, *, starts_service: bool = False) -> None:
    """Add each ``python3.9`` of commands and paths, and ``uv venv --python 3.9``.

    None if the text installs it: then it does not depend on the Python of the image. A script that names several
    versions does not either, but what starts a service needs each of them.

    :param starts_service: see :attr:`VersionDeclaration.starts_service`.
    """
    text = text[:TEXT_LIMIT]
    named = (match for match in NAMED_PROGRAM.finditer(text) if not match["prefix"].startswith(DISTRIBUTION_FOLDERS))
    candidates = islice(chain(named, _PYTHON_OPTION.finditer(text)), DECLARATION_LIMIT + 1)
    matches = [match for match in candidates if not _is_elsewhere(_logical_line(text, match.start()))]
    is_of_one = starts_service or len({match["version"] for match in matches}) == 1
    for match in matches if is_of_one and not _INSTALLS_PYTHON.search(text) else ():
        _add_command(collector, match, COMMAND, starts_service=starts_service)


def _add_command(collector: DeclarationCollector, match: re.Match[str], subject: str, *, starts_service: bool) -> None:
    collector.add(
        "tool", DeclarationRole.PATH, *match.span("version"), subject=subject, text=match[0][-200:].strip(),
        version=version_of(match["version"]), declared=False, starts_service=starts_service,
    )  # fmt: skip


def _logical_line(text: str, end: int) -> str:
    """Return the line up to ``end``, with the lines that it continues."""
    first = max(0, end - _LINE_LIMIT)
    start = text.rfind("\n", first, end) + 1 or first
    while start > first + 1 and text[start - 2] == "\\":
        start = text.rfind("\n", first, start - 1) + 1 or first
    return text[start:end]


def programs_in(text: str, start: int, end: int) -> list[re.Match[str]]:
    """Return the ``python3.9`` of a command or a path in ``text``, apart from those in comments and of distributions.

    None if it names several versions: it takes the one that is there.
    """
    matches = [
        match
        for match in NAMED_PROGRAM.finditer(text, start, end)
        if not match["prefix"].startswith((*DISTRIBUTION_FOLDERS, "//"))
        and not _is_elsewhere(text[start : match.start()])
    ]
    return matches if len({match["version"] for match in matches}) == 1 else []


def _is_elsewhere(leading_text: str) -> bool:
    """Return whether what follows this start of a line is a comment, or runs on another machine or in an image."""
    return _COMMENT.search(leading_text) is not None or _RUNS_ELSEWHERE.search(leading_text) is not None


def read_source_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a Python source: the interpreter of its first line, the programs that it starts, and paths of one Python.

    Nothing if it names several versions, as a tool does that works with several.
    """
    if "python3." not in text and "pip3." not in text:
        return ()
    collector = DeclarationCollector(text, path)
    first = _PYTHON_SCRIPT.match(text)
    if first is not None and (first["env"] or not first["prefix"].startswith(DISTRIBUTION_FOLDERS)):
        _add_command(collector, first, SCRIPT_INTERPRETER, starts_service=False)
    module = parse_module(text)
    if module is not None:
        _add_constants(collector, module, SourcePositions(text))
    versions = {declaration.version for declaration in collector.declarations}
    return collector.declarations if len(versions) == 1 else ()


def _add_constants(collector: DeclarationCollector, module: ast.Module, source: SourcePositions) -> None:
    nodes = list(ast.walk(module))
    documentation = {
        node.value for node in nodes if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    imported = {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module in _STARTING_MODULES
        for alias in node.names
    }
    started = {
        constant
        for node in nodes
        if isinstance(node, ast.Call) and _starts_program(node.func, imported)
        for constant in _first_words(node)
    }
    for node in nodes:
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)) or node in documentation:
            continue
        match = NAMED_PROGRAM.search(node.value) if node in started else _PATH_PART.fullmatch(node.value)
        if match is None or _is_of_another_python(node.value, match.start()):
            continue
        span, is_exact = source.string_content(node)
        name = "version" if match["version"] else "library"
        if is_exact:
            collector.add(
                "tool", DeclarationRole.PATH, span[0] + match.start(name), span[0] + match.end(name),
                subject="a program that the source starts" if node in started else "a path", text=node.value[:200],
                version=version_of(match[name]), declared=False, starts_service=node in started,
            )  # fmt: skip


def _starts_program(function: ast.expr, imported: Collection[str]) -> bool:
    """Return whether a function starts a program: ``subprocess.run``, or ``run`` if it is imported from there."""
    if isinstance(function, ast.Name):
        return function.id in imported and function.id in _STARTS
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
        return False
    return function.value.id in _STARTING_MODULES and function.attr in _STARTS


def _is_of_another_python(command: str, position: int) -> bool:
    """Return whether what a command or a path names at ``position`` is not of the image, or is being installed."""
    is_installed = _INSTALLS_PYTHON.search(command) is not None
    return is_installed or command.startswith(DISTRIBUTION_FOLDERS) or _is_elsewhere(command[:position])


def _first_words(call: ast.Call) -> Iterator[ast.Constant]:
    """Yield what names the program in a call that starts one: the command, or the first of its words.

    Of a shell with ``-c``, that is the text of its command.
    """
    for argument in call.args[:2]:
        words = list(argument.elts) if isinstance(argument, ast.List | ast.Tuple) else [argument]
        is_shell = len(words) > 2 and isinstance(words[1], ast.Constant) and words[1].value == "-c"
        for word in words[2:3] if is_shell else words[:1]:
            if isinstance(word, ast.Constant) and isinstance(word.value, str):
                yield word
