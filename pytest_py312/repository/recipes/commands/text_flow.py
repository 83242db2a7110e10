"""Follow text from files to the commands that install it: pipes, ``xargs``, ``$(cat FILE)``, files that are written.

Filters such as ``grep`` and ``sed`` are taken to hand on all of what they read. What cannot be followed becomes an
unknown word of the command that gets it. Nothing is executed.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice, pairwise, takewhile

from pytest_py312.repository.formats.commands.install_commands import read_install_command
from pytest_py312.repository.formats.commands.install_options import takes_value
from pytest_py312.repository.formats.commands.shell import UNKNOWN, ShellCommand, ShellWord, read_shell
from pytest_py312.repository.recipes.commands.file_map import FileMap, resolve_path

STANDARD_INPUT = "/dev/stdin"
FILE_LIMIT = 200
"""Maximum number of files that one command reads or finds."""

_FILTERS = frozenset(
    {"cat", "grep", "egrep", "fgrep", "sed", "awk", "cut", "tr", "head", "tail", "sort", "uniq", "envsubst"}
)
"""Programs that hand on the lines of their files, or some of them."""
_PATTERN_FILE = re.compile(r"-[A-Za-z]*f")
"""An option of grep, sed or awk whose file has patterns or a program, and no lines that are handed on."""
_REQUIREMENTS_NAME = re.compile(r"require|\breqs?\b|\bdep(?:endencie)?s\b|\.(?:txt|in|list|pip)$", re.IGNORECASE)
_READ_FILE = re.compile(r"\$\(\s*<\s*(?P<path>[^\s()<>|;&]+)\s*\)")
_XARGS_VALUES = frozenset(
    {"-n", "-L", "-P", "-s", "-d", "-E", "-I", "-a", "--max-args", "--max-lines", "--max-procs", "--delimiter",
     "--replace", "--arg-file"}
)  # fmt: skip
_FIND_TESTS = frozenset({"-name", "-iname", "-type", "-maxdepth", "-print", "-print0"})
"""What is understood of ``find``; any other test may leave files out."""
_DEPTH = 8
"""Levels below a folder in which ``find`` looks."""
_UNKNOWN_FILE = f"{UNKNOWN}the files that a command finds{UNKNOWN}"

Expand = Callable[[tuple[ShellWord, ...]], tuple[str, ...]]
"""Expands words as the shell does at that place."""


@dataclass(slots=True)
class TextFlow:
    """What one command hands on to the next: names of files, the text of files, or words."""

    files: FileMap
    texts: tuple[str, ...] = ()
    """Absolute paths of the files whose text it is."""
    names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def commands_of(self, words: Sequence[str], command: ShellCommand, folder: str, expand: Expand) -> list[list[str]]:
        """Return the commands that are run instead of one which gets its words or its input from others."""
        is_piped = command.operator.endswith("|") and not command.operator.endswith("||")
        read = self._existing(expand((command.input,)), folder) if command.input else ()
        incoming = TextFlow(
            self.files, read or (self.texts if is_piped else ()), self.names if is_piped else (), self.words * is_piped
        )
        self.texts, self.names, self.words = (), (), ()
        program = words[0].rpartition("/")[2]
        if program in _FILTERS:
            self._filter(words, folder, incoming)
        elif program == "ls":
            self.names = self._existing(words[1:], folder)
        elif program in ("echo", "printf"):
            self.words = tuple(_printed(words).split())
        elif program == "find":
            return self._found(words, folder)
        elif program == "xargs":
            return self._of_xargs(words[1:], folder, incoming)
        replaced = self._with_outputs(words, folder, expand)
        if is_piped or read:
            return [_with_input(replaced, incoming.texts or (STANDARD_INPUT,))]
        return [replaced]

    def _filter(self, words: Sequence[str], folder: str, incoming: "TextFlow") -> None:
        self.texts = self._existing(_arguments_of_filter(words), folder) or incoming.texts
        if self.texts:
            return
        if words[0].rpartition("/")[2] in ("cat", "sort", "uniq"):
            self.names, self.words = incoming.names, incoming.words
        elif incoming.names:
            self.names = (_UNKNOWN_FILE,)  # a part of the names

    def _existing(self, words: Iterable[str], folder: str) -> tuple[str, ...]:
        """Return the absolute paths of the files that ``words`` name."""
        patterns = (resolve_path(word, folder) for word in words if UNKNOWN not in word and not word.startswith("-"))
        paths = (path for pattern in islice(patterns, FILE_LIMIT) for path in self.files.expand(pattern))
        return tuple(path for path in islice(paths, FILE_LIMIT) if self._is_file(path))

    def _is_file(self, path: str) -> bool:
        found = self.files.find(path)
        return self.files.tree.is_file(found) if found is not None else bool(self.files.find_generated(path))

    def _found(self, words: Sequence[str], folder: str) -> list[list[str]]:
        """Return what ``find ... -exec COMMAND {} ;`` runs; without it, the names of the files are handed on."""
        at_action = next((at for at, word in enumerate(words) if word in ("-exec", "-execdir", "-ok")), len(words))
        names = self._names_found(words[1:at_action], folder)
        action = list(takewhile(lambda word: word not in (";", "+"), words[at_action + 1 :]))
        if not action:
            self.names = names
            return [list(words)]
        if not _installs([word for word in action if word != "{}"]):
            return [list(words)]
        return [[name if word == "{}" else word for word in action] for name in names]

    def _names_found(self, words: Sequence[str], folder: str) -> tuple[str, ...]:
        """Return the files that the tests of ``find`` fit to; a file that is not known where a test is not."""
        places = list(takewhile(lambda word: not word.startswith(("-", "(", "!")), words)) or ["."]
        tests = words[len(places) if places != ["."] or words[:1] == ["."] else 0 :]
        options = dict(pairwise([*tests, ""]))
        pattern = options.get("-name", options.get("-iname", ""))
        depth = options.get("-maxdepth", str(_DEPTH))
        is_known = all(word in _FIND_TESTS for word in tests if word.startswith(("-", "!", "(")))
        sources = [(place, self.files.find(place)) for place in (resolve_path(name, folder) for name in places)]
        if not (pattern and is_known and depth.isdigit()) or UNKNOWN in pattern or None in dict(sources).values():
            return (_UNKNOWN_FILE,)
        levels = min(int(depth) - 1, _DEPTH)
        paths = (
            posixpath.join(place, path)
            for place, source in sources
            if source is not None and levels >= 0
            for path in self.files.tree.scan_folder(source, depth=levels).files
        )
        return tuple(islice((name for name in paths if fnmatchcase(posixpath.basename(name), pattern)), FILE_LIMIT))

    def _of_xargs(self, words: Sequence[str], folder: str, incoming: "TextFlow") -> list[list[str]]:
        """Return what ``xargs`` runs: an installer gets the files whose text are its arguments as ``-r FILE``."""
        command, texts, placeholder = list(words), incoming.texts, "{}"
        while command and command[0].startswith("-"):
            option, equals, value = command.pop(0).partition("=")
            if option.startswith("-I") and len(option) > 2:
                placeholder = option[2:]
            elif option in _XARGS_VALUES and not equals and command:
                value = command.pop(0)
            placeholder = value if option in ("-I", "--replace") and value else placeholder
            texts = self._existing((value,), folder) if option in ("-a", "--arg-file") else texts
        if not command or command[0] == "xargs":
            return [["true"]]
        if command[0].rpartition("/")[2] in _FILTERS:  # find ... | xargs cat | xargs pip install
            self.texts = incoming.names
            return [command]
        plain = [word for word in command if word != placeholder]
        if not plain or not _installs(plain):
            return [[*plain, *incoming.names] if plain else ["true"]]
        if any(placeholder in word for word in plain):  # pip install {}==1.0
            return [[*(word for word in plain if placeholder not in word), _UNKNOWN_FILE]]
        if incoming.names and plain[-1] in ("-r", "--requirement"):
            return [[*plain[:-1], *(part for name in incoming.names for part in (plain[-1], name))]]
        given = [*incoming.names, *incoming.words]
        if not given and not texts:
            return [[*plain, _UNKNOWN_FILE]]
        return [[*plain, *given, *(part for text in texts for part in ("-r", text))]]

    def _with_outputs(self, words: Sequence[str], folder: str, expand: Expand) -> list[str]:
        """Replace ``$(cat FILE)`` in the arguments of an installer by ``-r FILE``; not the value of an option."""
        if not any(UNKNOWN in word for word in words) or not _installs(words):
            return list(words)
        replaced: list[str] = []
        for at, word in enumerate(words):
            is_output = len(word) > 2 and word[0] == word[-1] == UNKNOWN and word.count(UNKNOWN) == 2
            is_argument = not takes_value(words[at - 1])
            texts = self._output_texts(word.strip(UNKNOWN), folder, expand) if is_output and is_argument else ()
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
            read_too = expand((command.input,)) if command.input else ()
            texts += self._existing((*_arguments_of_filter(words), *read_too), folder)
        return texts


def _arguments_of_filter(words: Sequence[str]) -> list[str]:
    """Return the arguments of a filter without the file of its patterns: ``grep -vf FILE``."""
    option = next((at for at, word in enumerate(words) if at and _PATTERN_FILE.fullmatch(word)), len(words))
    return [*words[1:option], *words[option + 2 :]]


def _with_input(words: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Replace the standard input in ``pip install -r -`` by the files that are piped into it."""
    option = next((at for at, word in enumerate(words) if word in ("-", STANDARD_INPUT)), 0)
    if not option or STANDARD_INPUT in texts[1:] or not _installs(words):
        return list(words)
    return [*words[:option], texts[0], *(part for text in texts[1:] for part in ("-r", text)), *words[option + 1 :]]


def _installs(words: Sequence[str]) -> bool:
    read = read_install_command([*words, "name"]) if words else None
    return read is not None and read.tool in ("pip", "uv pip")


def _printed(words: Sequence[str]) -> str:
    """Return what ``echo`` or ``printf`` prints."""
    arguments = [word for word in words[1:] if word not in ("-e", "-n", "-E")]
    if words[0].rpartition("/")[2] == "printf" and arguments and arguments[0].startswith("%s"):
        return "\n".join(arguments[1:])
    text = " ".join(arguments)
    return text.replace("\\n", "\n") if words[0].rpartition("/")[2] == "printf" or "-e" in words else text


def written_requirements(words: Sequence[str], command: ShellCommand, output: str, flow: TextFlow) -> list[str]:
    """Return the arguments of pip that have the content of a requirements file which a command writes; none for others.

    :param output: the name of the file.
    :param flow: what the command hands on.
    """
    program = words[0].rpartition("/")[2]
    if not _REQUIREMENTS_NAME.search(posixpath.basename(output)):
        return []
    if program in ("echo", "printf"):
        return list(requirement_arguments(_printed(words)))
    if program in ("cat", "tee") and command.here_document:
        return list(requirement_arguments(command.here_document))
    return [part for text in flow.texts for part in ("-r", text)]


def requirement_arguments(text: str) -> Iterator[str]:
    """Yield the lines of a requirements file as arguments of pip."""
    for line in text.splitlines():
        requirement = re.sub(r"(?:^|\s)#.*", "", line.partition(" --hash")[0]).strip().removesuffix("\\").strip()
        if requirement.startswith("-"):
            yield from requirement.split(None, 1)
        elif requirement:
            yield requirement
