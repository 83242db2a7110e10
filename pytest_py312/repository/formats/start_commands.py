"""Extract the Python programs that a start command may run, from words or shell text. Never raises.

Names are not resolved here. The caller keeps only programs that are console scripts of an installed distribution, so
this module returns too many rather than too few.
"""

import ast
import json
import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType

from pytest_py312.core.model.fleet import Program
from pytest_py312.core.python_syntax import parse_python

MAX_LENGTH = 100_000
"""Characters of a start script that are read."""
_MAX_SHELL_DEPTH = 3
"""Maximum nesting of shells within shells."""
SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_PYTHON = re.compile(r"python(?:3(?:\.\d+)?)?", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_PYTHON_OPTION = re.compile(r"-[bBdEhiIOPqRsSuvx]*(?P<name>[cm])(?P<value>.*)", re.DOTALL)
"""The option behind which no other option of Python can be: ``-m NAME``, ``-Im NAME``, ``-mNAME``, ``-c TEXT``."""
_PYTHON_FILE = re.compile(r"(?P<folder>(?:[^/\s]*/)*)(?P<name>[A-Za-z_][\w-]*)\.py", re.ASCII)
_PYTHON_COMMAND = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
"""The name of a script of Python that is no module: ``python bin/manage``."""
_NAME = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_SEPARATOR = re.compile(r"[;&|()]+")
_SCRIPT = re.compile(r"[\w.-]+\.(?:sh|bash)|(?:docker-)?entrypoint", re.ASCII)
_VARIABLE = re.compile(
    r"\$\{(?P<braced>[A-Za-z_]\w*)(?::?(?P<operator>[-=])(?P<default>[^{}]*))?\}|\$(?P<bare>[A-Za-z_]\w*)", re.ASCII
)
_MAX_VALUE = 500
"""Characters of the value of a variable."""
_MAX_WORDS = 1_000
"""Words of one command."""
_PREFIXES = frozenset({"exec", "nohup", "command", "builtin", "then", "do", "else", "!", "{", "eval"})
_WRAPPERS: Mapping[str, tuple[int, str]] = {
    "catatonit": (0, ""),
    "chpst": (0, "-u -U -e -b -n -l -L -m -d -o -p -f -c -t -/"),
    "chroot": (1, ""),
    "chrt": (1, "-T -P -D"),
    "dockerize": (0, "-wait -timeout -template -stdout -stderr -wait-http-header -wait-retry-interval"),
    "doas": (0, "-u -C"),
    "dumb-init": (0, "-r --rewrite"),
    "env": (0, "-u --unset -C --chdir"),
    "flock": (1, "-w --timeout -E --conflict-exit-code"),
    "gosu": (1, ""),
    "ionice": (0, "-c --class -n --classdata"),
    "nice": (0, "-n --adjustment"),
    "prlimit": (0, ""),
    "s6-setuidgid": (1, ""),
    "setpriv": (0, "--reuid --regid --groups --inh-caps --ambient-caps --bounding-set --securebits --pdeathsig"),
    "setsid": (0, ""),
    "setuidgid": (1, ""),
    "stdbuf": (0, "-i --input -o --output -e --error"),
    "su-exec": (1, ""),
    "sudo": (0, "-u --user -g --group -C --host -D --chdir"),
    "taskset": (1, ""),
    "time": (0, "-f --format -o --output"),
    "timeout": (1, "-k --kill-after -s --signal"),
    "tini": (0, "-p -e"),
    "unbuffer": (0, ""),
    "xvfb-run": (0, "-e --error-file -f --auth-file -n --server-num -p --xauth-protocol -s --server-args"),
}
"""Program that runs the command in its arguments -> its own arguments in front of that, its options with a value."""
_COMMAND_PREFIXES = frozenset({"then", "do", "else", "elif", "if", "while", "until", "!", "{"})
"""Words of the shell in front of a command that are not commands themselves."""
_NON_PYTHON_COMMANDS = frozenset(
    {
        "break", "case", "cd", "chmod", "chown", "continue", "cp", "done", "echo", "esac", "exit", "false",
        "fi", "for", "grep", "ln", "ls", "mkdir", "mv", "printf", "read", "return", "rm", "sed", "set", "shift",
        "sleep", "source", "test", "trap", "true", "unset", "wait",
    }
)  # fmt: skip
"""Words and builtins of the shell, and programs of the system, which never run Python."""
_OTHER_USER = frozenset({"su", "runuser"})
"""Programs that run a command as another user, which may be the text of an option: ``su USER -c "COMMAND"``."""
_ENVIRONMENT_MANAGERS = frozenset({"poetry", "pipenv", "uv", "pdm", "hatch", "rye"})
"""``poetry run PROGRAM``: the program is in the environment."""
_GUNICORN_ARGUMENTS = "GUNICORN_CMD_ARGS"
"""The variable with more arguments for gunicorn."""
_APPLICATION = re.compile(
    r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?P<object>:[A-Za-z_][\w.]*(?:\([\w=\s,\"']*\))?)?", re.ASCII
)
"""``package.module:object``"""
_MAX_IMPORTS = 20
"""Modules that one ``python -c`` imports."""
_FLASK_MODULES = ("wsgi.py", "app.py")
"""What flask looks for if nothing names the application. https://flask.palletsprojects.com/en/stable/cli/"""
_MODULE_SERVERS = frozenset({"gunicorn", "uvicorn", "hypercorn", "daphne", "granian", "waitress-serve"})
_APPLICATION_OPTIONS = {
    "celery": ("-A", "--app"), "dagster": ("-m",), "faust": ("-A", "--app"), "waitress-serve": ("--app",),
    "uwsgi": ("-w", "--module", "--wsgi", "--wsgi-file"),
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


def read_command(
    text: str, *, is_script: bool = False, variables: Mapping[str, str] = MappingProxyType({})
) -> StartCommand:
    """Read the arguments of CMD and ENTRYPOINT, or a line of a Procfile: JSON, or shell syntax.

    :param is_script: the text is a whole script.
    :param variables: the variables with which it is run, as far as they are known.
    """
    if not is_script and text.lstrip().startswith("["):
        try:
            argv = json.loads(text)
        except (ValueError, RecursionError):
            argv = None
        if isinstance(argv, list):
            return read_argv([str(word) for word in argv], variables)
    text = text[:MAX_LENGTH]
    return _start_command(_programs_in_text(text, _MAX_SHELL_DEPTH, {**variables}), re.split(r"[\s\"';&|]+", text))


def read_argv(words: Sequence[str], variables: Mapping[str, str] = MappingProxyType({})) -> StartCommand:
    """Read one command that is already split into words."""
    return _start_command(
        _programs_in_words(list(words), _MAX_SHELL_DEPTH, {**variables}),
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


def _programs_in_text(text: str, depth: int, variables: dict[str, str]) -> Iterator[Program | ProgramCall]:
    """Yield the programs of shell text, whose assignments are added to ``variables``."""
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
                yield from _programs_in_words(command, depth, variables)
                command = []
            else:
                command.append(token)


def _programs_in_words(words: list[str], depth: int, variables: dict[str, str]) -> Iterator[Program | ProgramCall]:
    words = _expanded(words, variables)[:_MAX_WORDS]
    words = ["python", *words] if words[:1] == ["-m"] else words  # python is the entry point of the image
    of_shell, variables = variables, {**variables}
    while words:
        word = words[0]
        name = word.rpartition("/")[2]
        if name == "export" or (_ASSIGNMENT.match(word) and all(map(_ASSIGNMENT.match, words))):
            of_shell.update(_assigned(words))
            return
        if _ASSIGNMENT.match(word):
            variables.update(_assigned(words[:1]))
        wrapped = without_wrapper(words)
        if wrapped is not None:
            words = wrapped
            continue
        del words[0]
        if name in _COMMAND_PREFIXES or _ASSIGNMENT.match(word) or word.startswith("-"):
            continue
        if name in SHELLS or (name in _OTHER_USER and "-c" in words):
            rest = words[words.index("-c") :] if name in _OTHER_USER else words
            yield from _programs_in_shell(rest, depth, variables)
            return
        if _PYTHON.fullmatch(name):
            yield from _module_of_python(words, variables)
            return
        if script := _script_program(word):
            yield script
            yield ProgramCall(name=f"{script.name}.py", arguments=tuple(words))
            return
        if name in _ENVIRONMENT_MANAGERS:
            if words[:1] != ["run"]:
                return
            del words[:1]
        elif name in _NON_PYTHON_COMMANDS:
            return
        elif _NAME.fullmatch(name) and not _SCRIPT.fullmatch(name):
            yield Program(name=name)
            yield from _applications(name, words, variables)
            more = variables.get(_GUNICORN_ARGUMENTS, "").split() if name == "gunicorn" else []
            yield ProgramCall(name=name, arguments=(*words, *more))
            if name in _PYTHON_WRAPPERS:
                words = words[1:] if words[:1] in (["run-program"], ["start"]) else words
            else:
                words = _behind_dashes(words)
        else:
            words = _behind_dashes(words)


def without_wrapper(words: Sequence[str]) -> list[str] | None:
    """Return the command without a wrapper in front; ``None`` if there is none."""
    name = words[0].rpartition("/")[2]
    if name in _PREFIXES and len(words) > 1 and not words[1].startswith("-"):
        return list(words[1:])
    if name not in _WRAPPERS:
        return None
    number, options = _WRAPPERS[name]
    remaining = list(words[1:])
    while remaining and remaining[0].startswith("-"):
        option = remaining.pop(0)
        if option == "--":
            break
        if option in options.split():
            del remaining[:1]
    return remaining[number:]


def _behind_dashes(words: list[str]) -> list[str]:
    """Return the command that an unknown program starts: ``wait-for-it.sh db:5432 -- python -m app``."""
    return words[words.index("--") + 1 :] if "--" in words else []


def _expanded(words: Sequence[str], variables: dict[str, str]) -> list[str]:
    """Return the words with the values of variables; the default of ``${NAME:=default}`` becomes the value."""

    def value_of(match: re.Match[str]) -> str:
        name, default = match["braced"] or match["bare"], match["default"]
        if match["operator"] == "=" and not variables.get(name):
            variables[name] = default
        return (variables.get(name) or (match[0] if default is None else default))[:_MAX_VALUE]

    expanded: list[str] = []
    for word in words:
        is_text = bool(expanded) and re.fullmatch(r"-[a-z]*c", expanded[-1]) is not None
        value = _VARIABLE.sub(value_of, word)[:MAX_LENGTH] if "$" in word else word
        expanded += value.split() if word.startswith("$") and not is_text else [value]
    return expanded


def _assigned(words: Iterable[str]) -> dict[str, str]:
    """Return the variables that words such as ``NAME=value`` assign."""
    pairs = (word.partition("=") for word in words if _ASSIGNMENT.match(word))
    return {name: value[:_MAX_VALUE] for name, _, value in pairs}


def _applications(server: str, words: Sequence[str], variables: Mapping[str, str]) -> Iterator[Program]:
    """Yield the modules that a server imports: ``gunicorn app.wsgi:application``, ``celery -A app worker``."""
    if server == "flask":
        yield from _flask_applications(words, variables)
        return
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
        named = value if equals else "".join(words[position + 1 : position + 2])
        if option in options and (program := _application(named)):
            yield program
            return


def _application(name: str) -> Program | None:
    """Return the module of ``package.module:object`` or ``folder/module.py:object``."""
    if script := _script_program(name.partition(":")[0]):
        return replace(script, is_script=False, is_application=True)
    module = _APPLICATION.fullmatch(name)
    return Program(name=module["module"], is_module=True, is_application=True) if module else None


def _flask_applications(words: Sequence[str], variables: Mapping[str, str]) -> Iterator[Program]:
    """Yield the module of ``flask --app NAME``, of the variable ``FLASK_APP``, or those that flask looks for."""
    named = variables.get("FLASK_APP", "")
    for position, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in ("--app", "-A"):
            named = value if equals else "".join(words[position + 1 : position + 2])
    for name in [named] if named else _FLASK_MODULES:
        if program := _application(name):
            yield replace(program, is_additional=not named)


def _programs_in_shell(
    words: Sequence[str], depth: int, variables: Mapping[str, str]
) -> Iterator[Program | ProgramCall]:
    for index, word in enumerate(words[:-1]):
        if re.fullmatch(r"-[a-z]*c[a-z]*", word):
            yield from _programs_in_text(words[index + 1], depth - 1, {**variables})
            return
        if not word.startswith("-"):
            return


def _module_of_python(words: Sequence[str], variables: Mapping[str, str]) -> Iterator[Program | ProgramCall]:
    """Yield the module of ``-m NAME``, with what it serves, the script that is run, or what ``-c TEXT`` imports."""
    for index, word in enumerate(words):
        if option := _PYTHON_OPTION.fullmatch(word):
            value, *rest = (option["value"], *words[index + 1 :]) if option["value"] else (*words[index + 1 :], "", "")
            if option["name"] == "c":
                yield from _imported_by(value)
            elif _MODULE.fullmatch(value):
                yield Program(name=value, is_module=True)
                yield from _applications(value, rest, variables)
                yield ProgramCall(name=value, arguments=tuple(filter(None, rest)))
            return
        if not word.startswith("-") and (index == 0 or words[index - 1] not in ("-W", "-X")):
            if script := _script_program(word):
                yield script
                yield ProgramCall(name=f"{script.name}.py", arguments=tuple(words[index + 1 :]))
            elif _PYTHON_COMMAND.fullmatch(name := word.rpartition("/")[2]):
                yield Program(name=name, is_script=True, folder=_folder_of(word.removesuffix(name)))
            return


def _imported_by(text: str) -> Iterator[Program]:
    """Yield the modules that the text of ``python -c`` imports in any case, and what may be modules of a package."""
    tree = parse_python(text[:MAX_LENGTH].strip())
    names: list[str] = []
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    for name in islice(filter(_MODULE.fullmatch, dict.fromkeys(names)), _MAX_IMPORTS):
        yield Program(name=name, is_module=True, is_application=True)


def _script_program(word: str) -> Program | None:
    """Return the program of a Python file; ``setup.py`` starts no service."""
    script = _PYTHON_FILE.fullmatch(word)
    if script is None or script["name"] == "setup":
        return None
    return Program(name=script["name"], is_module=True, is_script=True, folder=_folder_of(script["folder"]))


def _folder_of(folder: str) -> str:
    """Return a folder of a command; where an image has that of an absolute path is not analyzed."""
    return "" if folder.startswith("/") else posixpath.normpath(folder).strip("./")
