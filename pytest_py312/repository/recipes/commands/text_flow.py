"""Follow text from files to the commands that install it: pipes, ``xargs``, ``$(cat FILE)``, files that are written.

Filters such as ``grep`` and ``sed`` are taken to hand on all of what they read. Nothing is executed.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import takewhile

from pytest_py312.repository.formats.commands.install_commands import read_install_command
from pytest_py312.repository.formats.commands.shell import UNKNOWN, ShellCommand, ShellWord, read_shell
from pytest_py312.repository.recipes.commands.file_map import FileMap, resolve_path

STANDARD_INPUT = "/dev/stdin"
FILE_LIMIT = 200
"""Maximum number of files that one command reads or finds."""

_FILTERS = frozenset(
    {"cat", "grep", "egrep", "fgrep", "sed", "awk", "cut", "tr", "head", "tail", "sort", "uniq", "envsubst"}
)
"""Programs that hand on the lines of their files, or some of them."""
_REQUIREMENTS_NAME = re.compile(r"require|\breqs?\b|\bdep(?:endencie)?s\b|\.(?:txt|in|list|pip)$", re.IGNORECASE)
_READ_FILE = re.compile(r"\$\(\s*<\s*(?P<path>[^\s()<>|;&]+)\s*\)")
_XARGS_VALUES = frozenset(
    {"-n", "-L", "-P", "-s", "-d", "-E", "-I", "-a", "--max-args", "--max-lines", "--max-procs", "--delimiter",
     "--replace", "--arg-file"}
)  # fmt: skip
_DEPTH = 8
"""Levels below a folder in which ``find`` looks."""

Expand = Callable[[tuple[ShellWord, ...]], tuple[str, ...]]
"""Expands words as the shell does at that place."""


@dataclass(slots=True)
class TextFlow:
    """What one command hands on to the next: names of files, or the text of files. Paths are those of ``files``."""

    files: FileMap
    texts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def commands_of(self, words: Sequence[str], command: ShellCommand, folder: str, expand: Expand) -> list[list[str]]:
        """Return the commands that are run instead of one which gets its words or its input from files."""
        is_piped = command.operator.endswith("|") and not command.operator.endswith("||")
        read = self._existing(expand((command.input,)), folder) if command.input else ()
        texts = read or (self.texts if is_piped else ())
        names = self.names if is_piped else ()
        self.texts, self.names = (), ()
        program = words[0].rpartition("/")[2]
        if program in _FILTERS:
            self.texts = self._existing(words[1:], folder) or texts
        elif program == "ls":
            self.names = self._existing(words[1:], folder)
        elif program == "find":
            return self._found(words, folder)
        elif program == "xargs":
            return self._of_xargs(words[1:], folder, texts, names)
        replaced = self._with_outputs(words, folder, expand)
        return [_with_input(replaced, texts or (STANDARD_INPUT,)) if is_piped or read else replaced]

    def _existing(self, words: Iterable[str], folder: str) -> tuple[str, ...]:
        """Return the absolute paths of the files that ``words`` name."""
        patterns = (resolve_path(word, folder) for word in words if UNKNOWN not in word and not word.startswith("-"))
        paths = (path for pattern in patterns for path in self.files.expand(pattern))
        return tuple(path for path in paths if self._is_file(path))[:FILE_LIMIT]

    def _is_file(self, path: str) -> bool:
        found = self.files.find(path)
        return self.files.tree.is_file(found) if found is not None else bool(self.files.find_generated(path))

    def _found(self, words: Sequence[str], folder: str) -> list[list[str]]:
        """Return what ``find ... -exec COMMAND {} ;`` runs; without it, the names of the files are handed on."""
        places = list(takewhile(lambda word: not word.startswith(("-", "(", "!")), words[1:])) or ["."]
        pattern = next((words[at + 1] for at, word in enumerate(words[:-1]) if word in ("-name", "-iname")), "")
        if not pattern or UNKNOWN in pattern:
            return [list(words)]
        names: list[str] = []
        for place in (resolve_path(name, folder) for name in places):
            source = self.files.find(place)
            scan = self.files.tree.scan_folder(source, depth=_DEPTH) if source is not None else None
            names += [posixpath.join(place, path) for path in (scan.files if scan else ())]
        names = [name for name in names if fnmatchcase(posixpath.basename(name), pattern)][:FILE_LIMIT]
        actions = [at for at, word in enumerate(words) if word in ("-exec", "-execdir", "-ok")]
        if not actions:
            self.names = tuple(names)
            return [list(words)]
        action = list(takewhile(lambda word: word not in (";", "+"), words[actions[0] + 1 :]))
        if not _installs([word for word in action if word != "{}"]):
            return [list(words)]
        return [[name if word == "{}" else word for word in action] for name in names]

    def _of_xargs(
        self, words: Sequence[str], folder: str, texts: tuple[str, ...], names: tuple[str, ...]
    ) -> list[list[str]]:
        """Return what ``xargs`` runs: an installer gets the files whose text are its arguments as ``-r FILE``."""
        command = list(words)
        placeholder = ""
        while command and command[0].startswith("-"):
            option, equals, value = command.pop(0).partition("=")
            if option[:2] == "-I" or option == "--replace":
                placeholder = option[2:] if len(option) > 2 and option[1] == "I" else value
            if option in _XARGS_VALUES and not equals and command:
                value = command.pop(0)
                placeholder = value if option in ("-I", "--replace") else placeholder
            texts = self._existing((value,), folder) if option in ("-a", "--arg-file") else texts
        if not command:
            return [["xargs", *words]]
        if command[0].rpartition("/")[2] in _FILTERS:  # find ... | xargs cat | xargs pip install
            self.texts = names
            return [command]
        plain = [word for word in command if word != (placeholder or "{}")]
        if names and plain[-1] in ("-r", "--requirement"):
            return [[*plain[:-1], *(part for name in names for part in (plain[-1], name))]]
        if names or not _installs(plain):
            return [[*plain, *names]]
        return [[*plain, *(part for text in texts for part in ("-r", text))]]

    def _with_outputs(self, words: Sequence[str], folder: str, expand: Expand) -> list[str]:
        """Replace ``$(cat FILE)`` in the arguments of an installer by ``-r FILE``."""
        if not any(UNKNOWN in word for word in words) or not _installs(words):
            return list(words)
        replaced: list[str] = []
        for word in words:
            is_output = len(word) > 2 and word[0] == word[-1] == UNKNOWN and word.count(UNKNOWN) == 2
            texts = self._output_texts(word.strip(UNKNOWN), folder, expand) if is_output else ()
            replaced += [part for text in texts for part in ("-r", text)] or [word]
        return replaced

    def _output_texts(self, text: str, folder: str, expand: Expand) -> tuple[str, ...]:
        """Return the files whose text the commands in ``$(...)`` print; none if they may print anything else."""
        read = _READ_FILE.fullmatch(text)
        if read:
            return self._existing((read["path"].strip("\"'"),), folder)
        inner = text[2:-1] if text.startswith("$(") else text.strip("`")
        texts: tuple[str, ...] = ()
        for command in read_shell(inner):
            words = expand(command.words)
            if not words or words[0].rpartition("/")[2] not in _FILTERS:
                return ()
            texts += self._existing((*words[1:], *(expand((command.input,)) if command.input else ())), folder)
        return texts


def _with_input(words: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Replace the standard input in ``pip install -r -`` by the files that are piped into it."""
    option = next((at for at, word in enumerate(words) if word in ("-", STANDARD_INPUT)), 0)
    if not option or not _installs(words):
        return list(words)
    return [*words[:option], texts[0], *(part for text in texts[1:] for part in ("-r", text)), *words[option + 1 :]]


def _installs(words: Sequence[str]) -> bool:
    read = read_install_command([*words, "name"]) if words else None
    return read is not None and read.tool in ("pip", "uv pip")


def written_requirements(words: Sequence[str], command: ShellCommand, output: str, texts: Sequence[str]) -> list[str]:
    """Return the arguments of pip that have the content of a requirements file which a command writes; none for others.

    :param output: the name of the file.
    :param texts: the files whose text the command hands on.
    """
    program = words[0].rpartition("/")[2]
    if not _REQUIREMENTS_NAME.search(posixpath.basename(output)):
        return []
    if program in ("echo", "printf"):
        escapes = program == "printf" or "-e" in words
        text = " ".join(word for word in words[1:] if word not in ("-e", "-n", "-E", "%s\\n"))
        return requirement_arguments(text.replace("\\n", "\n") if escapes else text)
    if program in ("cat", "tee") and command.here_document:
        return requirement_arguments(command.here_document)
    return [part for text in texts for part in ("-r", text)]


def requirement_arguments(text: str) -> list[str]:
    """Return the lines of a requirements file as arguments of pip."""
    arguments: list[str] = []
    for line in text.splitlines():
        requirement = re.sub(r"(?:^|\s)#.*", "", line.partition(" --hash")[0]).strip().removesuffix("\\").strip()
        arguments += requirement.split(None, 1) if requirement.startswith("-") else [requirement] if requirement else []
    return arguments
