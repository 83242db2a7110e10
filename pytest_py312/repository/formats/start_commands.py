"""Start commands: words or a shell's text in, the programs and modules of Python that they may run out. Never raises.

What a word names is not known here: a program counts only where it turns out to be the console script of something
that is installed. So rather too much is listed than too little.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.fleet import Program

TEXT_LIMIT = 100_000
"""Characters of a start script that are read."""
_DEPTH = 3
"""Shells within shells."""
SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_PYTHON = re.compile(r"python(?:3(?:\.\d+)?)?", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_NAME = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_SEPARATOR = re.compile(r"[;&|()]+")
_SCRIPT = re.compile(r"[\w.-]+\.(?:sh|bash)|(?:docker-)?entrypoint", re.ASCII)
_PREFIXES = frozenset(
    {
        "exec", "env", "tini", "dumb-init", "catatonit", "nohup", "time", "nice", "sudo", "then", "do", "else", "if",
        "while", "until", "!", "{",
    }
)  # fmt: skip
"""What stands in front of a command and is none."""
_BUILT_IN = frozenset(
    {
        "break", "case", "cd", "chmod", "chown", "continue", "cp", "done", "echo", "esac", "exit", "export", "false",
        "fi", "for", "grep", "ln", "ls", "mkdir", "mv", "printf", "read", "return", "rm", "sed", "set", "shift",
        "sleep", "source", "test", "trap", "true", "unset", "wait",
    }
)  # fmt: skip
"""Of a shell and its system; no Python."""
_AS_USER = frozenset({"gosu", "su-exec", "chpst", "setuidgid"})
_MANAGERS = frozenset({"poetry", "pipenv", "uv", "pdm", "hatch", "rye"})
"""``poetry run PROGRAM``: the program is in the environment."""
_WRAPPERS = frozenset(
    {"opentelemetry-instrument", "ddtrace-run", "newrelic-admin", "scout-apm", "honcho", "aws-lambda"}
)
"""Programs of Python that start the one which they are told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """The programs of Python that a command may run, and the names of the shell scripts among its words."""

    programs: tuple[Program, ...] = ()
    scripts: tuple[str, ...] = ()


def read_command(text: str, *, is_script: bool = False) -> Command:
    """The arguments of CMD and ENTRYPOINT, a line of a Procfile: JSON, or in the manner of a shell.

    ``is_script``: a whole file of commands.
    """
    if not is_script and text.lstrip().startswith("["):
        try:
            listed = json.loads(text)
        except (ValueError, RecursionError):
            listed = None
        if isinstance(listed, list):
            return read_words([str(word) for word in listed])
    text = text[:TEXT_LIMIT]
    return Command(
        programs=tuple(dict.fromkeys(_of_text(text, _DEPTH))), scripts=_scripts(re.split(r"[\s\"';&|]+", text))
    )


def read_words(words: Sequence[str]) -> Command:
    """One command, whose words are known."""
    return Command(
        programs=tuple(dict.fromkeys(_of_words(list(words), _DEPTH))),
        scripts=_scripts(part for word in words for part in re.split(r"[\s;&|]+", word)),
    )


def _scripts(words: Iterable[str]) -> tuple[str, ...]:
    names = (word.rpartition("/")[2] for word in words)
    return tuple(dict.fromkeys(name for name in names if _SCRIPT.fullmatch(name)))


def _of_text(text: str, depth: int) -> Iterator[Program]:
    if depth == 0:
        return
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()")
        lexer.whitespace_split = True
        try:
            tokens = list(lexer)
        except ValueError:
            continue  # a quotation that goes on in the next line
        command: list[str] = []
        for token in [*tokens, ";"]:
            if _SEPARATOR.fullmatch(token):
                yield from _of_words(command, depth)
                command = []
            else:
                command.append(token)


def _of_words(words: list[str], depth: int) -> Iterator[Program]:
    while words:
        word = words.pop(0)
        name = word.rpartition("/")[2]
        if name in _PREFIXES or _ASSIGNMENT.match(word) or word.startswith("-"):
            continue
        if name in _AS_USER:
            del words[:1]
        elif name in SHELLS:
            yield from _of_shell(words, depth)
            return
        elif _PYTHON.fullmatch(name):
            yield from _of_python(words)
            return
        elif name in _MANAGERS:
            if words[:1] != ["run"]:
                return
            del words[:1]
        elif name in _BUILT_IN:
            return
        elif _NAME.fullmatch(name) and not _SCRIPT.fullmatch(name):
            yield Program(name=name)
            if name not in _WRAPPERS:
                return
            words = words[1:] if words[:1] in (["run-program"], ["start"]) else words
        else:
            return


def _of_shell(words: Sequence[str], depth: int) -> Iterator[Program]:
    for number, word in enumerate(words[:-1]):
        if re.fullmatch(r"-[a-z]*c[a-z]*", word):
            yield from _of_text(words[number + 1], depth - 1)
            return
        if not word.startswith("-"):
            return


def _of_python(words: Sequence[str]) -> Iterator[Program]:
    """``-m NAME``; of a script nothing is said."""
    for number, word in enumerate(words[:-1]):
        if word == "-m":
            if _MODULE.fullmatch(words[number + 1]):
                yield Program(name=words[number + 1], is_module=True)
            return
        if not word.startswith("-") and (number == 0 or words[number - 1] not in ("-W", "-X")):
            return
