"""Extract the Python programs that a start command may run, from words or shell text. Never raises.

Names are not resolved here. The caller keeps only programs that are console scripts of an installed distribution, so
this module returns too many rather than too few.
"""

import json
import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.fleet import Program

MAX_LENGTH = 100_000
"""Characters of a start script that are read."""
_MAX_SHELL_DEPTH = 3
"""Maximum nesting of shells within shells."""
SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_PYTHON = re.compile(r"python(?:3(?:\.\d+)?)?", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_PYTHON_FILE = re.compile(r"(?P<folder>(?:[^/\s]*/)*)(?P<name>[A-Za-z_][\w-]*)\.py", re.ASCII)
_PYTHON_COMMAND = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
"""The name of a script of Python that is no module: ``python bin/manage``."""
_NAME = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_SEPARATOR = re.compile(r"[;&|()]+")
_SCRIPT = re.compile(r"[\w.-]+\.(?:sh|bash)|(?:docker-)?entrypoint", re.ASCII)
_COMMAND_PREFIXES = frozenset(
    {
        "exec", "env", "tini", "dumb-init", "catatonit", "nohup", "time", "nice", "sudo", "then", "do", "else", "if",
        "while", "until", "!", "{",
    }
)  # fmt: skip
"""Words in front of a command that are not commands themselves."""
_NON_PYTHON_COMMANDS = frozenset(
    {
        "break", "case", "cd", "chmod", "chown", "continue", "cp", "done", "echo", "esac", "exit", "export", "false",
        "fi", "for", "grep", "ln", "ls", "mkdir", "mv", "printf", "read", "return", "rm", "sed", "set", "shift",
        "sleep", "source", "test", "trap", "true", "unset", "wait",
    }
)  # fmt: skip
"""Words and builtins of the shell, and programs of the system, which never run Python."""
_USER_SWITCHERS = frozenset({"gosu", "su-exec", "chpst", "setuidgid"})
"""Programs that run a command as another user: ``gosu USER COMMAND``."""
_ENVIRONMENT_MANAGERS = frozenset({"poetry", "pipenv", "uv", "pdm", "hatch", "rye"})
"""``poetry run PROGRAM``: the program is in the environment."""
_GUNICORN_ARGUMENTS = "GUNICORN_CMD_ARGS="
"""The variable with more arguments for gunicorn, in front of its command."""
_APPLICATION = re.compile(
    r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?P<object>:[A-Za-z_][\w.]*(?:\([\w=\s,\"']*\))?)?", re.ASCII
)
"""``package.module:object``"""
_MODULE_SERVERS = frozenset({"gunicorn", "uvicorn", "hypercorn", "daphne", "granian", "waitress-serve"})
_APPLICATION_OPTIONS = {
    "celery": ("-A", "--app"), "flask": ("--app", "-A"), "waitress-serve": ("--app",), "dagster": ("-m",),
    "faust": ("-A", "--app"),
}  # fmt: skip
"""Program -> its options that name a module."""
_PYTHON_WRAPPERS = frozenset(
    {"opentelemetry-instrument", "ddtrace-run", "newrelic-admin", "scout-apm", "honcho", "aws-lambda"}
)
"""Python programs that start the program in their arguments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StartCommand:
    """The Python programs that a command may run, and the names of the shell scripts among its words.

    ``calls`` are those programs with their arguments.
    """

    programs: tuple[Program, ...] = ()
    shell_scripts: tuple[str, ...] = ()
    calls: tuple["ProgramCall", ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramCall:
    """A program of a command with its arguments."""

    name: str
    arguments: tuple[str, ...]


def read_command(text: str, *, is_script: bool = False) -> StartCommand:
    """Read the arguments of CMD and ENTRYPOINT, or a line of a Procfile: JSON, or shell syntax.

    ``is_script``: the text is a whole script.
    """
    if not is_script and text.lstrip().startswith("["):
        try:
            argv = json.loads(text)
        except (ValueError, RecursionError):
            argv = None
        if isinstance(argv, list):
            return read_argv([str(word) for word in argv])
    text = text[:MAX_LENGTH]
    return _start_command(_programs_in_text(text, _MAX_SHELL_DEPTH), re.split(r"[\s\"';&|]+", text))


def read_argv(words: Sequence[str]) -> StartCommand:
    """Read one command that is already split into words."""
    return _start_command(
        _programs_in_words(list(words), _MAX_SHELL_DEPTH),
        (part for word in words for part in re.split(r"[\s;&|]+", word)),
    )


def _start_command(found: Iterable[Program | ProgramCall], words: Iterable[str]) -> StartCommand:
    items = tuple(dict.fromkeys(found))
    return StartCommand(
        programs=tuple(item for item in items if isinstance(item, Program)),
        shell_scripts=_script_names(words),
        calls=tuple(item for item in items if isinstance(item, ProgramCall)),
    )


def _script_names(words: Iterable[str]) -> tuple[str, ...]:
    names = (word.rpartition("/")[2] for word in words)
    return tuple(dict.fromkeys(name for name in names if _SCRIPT.fullmatch(name)))


def _programs_in_text(text: str, depth: int) -> Iterator[Program | ProgramCall]:
    if depth == 0:
        return
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()")
        lexer.whitespace_split = True
        try:
            tokens = list(lexer)
        except ValueError:
            continue  # a quotation that continues on the next line
        command: list[str] = []
        for token in [*tokens, ";"]:
            if _SEPARATOR.fullmatch(token):
                yield from _programs_in_words(command, depth)
                command = []
            else:
                command.append(token)


def _programs_in_words(words: list[str], depth: int) -> Iterator[Program | ProgramCall]:
    environment: list[str] = []
    while words:
        word = words.pop(0)
        name = word.rpartition("/")[2]
        if word.startswith(_GUNICORN_ARGUMENTS):
            environment = word.removeprefix(_GUNICORN_ARGUMENTS).split()
        if name in _COMMAND_PREFIXES or _ASSIGNMENT.match(word) or word.startswith("-"):
            continue
        if name in _USER_SWITCHERS:
            del words[:1]  # the user
        elif name in SHELLS:
            yield from _programs_in_shell(words, depth)
            return
        elif _PYTHON.fullmatch(name):
            yield from _module_of_python(words)
            return
        elif script := _script_program(word):
            yield script
            return
        elif name in _ENVIRONMENT_MANAGERS:
            if words[:1] != ["run"]:
                return
            del words[:1]
        elif name in _NON_PYTHON_COMMANDS:
            return
        elif _NAME.fullmatch(name) and not _SCRIPT.fullmatch(name):
            yield Program(name=name)
            yield from _applications(name, words)
            yield ProgramCall(name=name, arguments=(*words, *environment))
            if name not in _PYTHON_WRAPPERS:
                return
            words = words[1:] if words[:1] in (["run-program"], ["start"]) else words
        else:
            return


def _applications(server: str, words: Sequence[str]) -> Iterator[Program]:
    """Yield the modules that a server imports: ``gunicorn app.wsgi:application``, ``celery -A app worker``."""
    if server in _MODULE_SERVERS:
        matches = [
            match
            for earlier, word in zip(("", *words), words, strict=False)
            if not earlier.startswith("-") and not word.endswith(".py") and (match := _APPLICATION.fullmatch(word))
        ]
        with_object = [match for match in map(_APPLICATION.fullmatch, words) if match and match["object"]]
        # gunicorn takes a module alone as well
        alone = [match for match in matches if "." in match["module"]] if server == "gunicorn" else []
        for match in (*with_object, *reversed(alone)):
            yield Program(name=match["module"], is_module=True, is_application=True)
            return
    options = _APPLICATION_OPTIONS.get(server, ())
    for position, word in enumerate(words):
        option, equals, value = word.partition("=")
        following = words[position + 1] if position + 1 < len(words) else ""
        module = _APPLICATION.fullmatch(value if equals else following) if option in options else None
        if module:
            yield Program(name=module["module"], is_module=True, is_application=True)
            return


def _programs_in_shell(words: Sequence[str], depth: int) -> Iterator[Program | ProgramCall]:
    for index, word in enumerate(words[:-1]):
        if re.fullmatch(r"-[a-z]*c[a-z]*", word):
            yield from _programs_in_text(words[index + 1], depth - 1)
            return
        if not word.startswith("-"):
            return


def _module_of_python(words: Sequence[str]) -> Iterator[Program | ProgramCall]:
    """Yield the module of ``-m NAME``, with what it serves, or the script that is run."""
    for index, word in enumerate(words):
        if word == "-m":
            name = words[index + 1] if index + 1 < len(words) else ""
            if _MODULE.fullmatch(name):
                yield Program(name=name, is_module=True)
                yield from _applications(name, words[index + 2 :])
                yield ProgramCall(name=name, arguments=tuple(words[index + 2 :]))
            return
        if not word.startswith("-") and (index == 0 or words[index - 1] not in ("-W", "-X")):
            if script := _script_program(word):
                yield script
            elif _PYTHON_COMMAND.fullmatch(name := word.rpartition("/")[2]):
                yield Program(name=name)
            return


def _script_program(word: str) -> Program | None:
    """Return the program of a Python file; ``setup.py`` starts no service.

    Where an image has the folder of an absolute path is not analyzed.
    """
    script = _PYTHON_FILE.fullmatch(word)
    if script is None or script["name"] == "setup":
        return None
    folder = "" if word.startswith("/") else posixpath.normpath(script["folder"]).strip("./")
    return Program(name=script["name"], is_module=True, is_script=True, folder=folder)
