"""Read shell text: commands with their words, redirections, here-documents and lines out. Never raises.

Words keep how they are quoted, so that variables can be expanded later, with the values that hold when the command
runs. Commands of loops and conditions are not judged here: the keywords are words like others.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from pytest_py312.repository.formats.text_positions import MAX_LENGTH, TrackedText, expand_variables

TEXT_LIMIT = 200_000
"""Characters of a script that are read."""
COMMAND_LIMIT = 5_000
WORD_LIMIT = 1_000
"""Words of one command after expansion."""

ARGUMENT = "_ARGUMENT"
"""``$1`` is the variable ``_ARGUMENT1``, ``$@`` is ``_ARGUMENTS``, and ``$*`` is ``_ARGUMENTJ``."""

_OPERATORS = ("&&", "||", ";;", ";", "|", "&", "(", ")")
_REDIRECTION = re.compile(r"(?:\d*|&)(?P<operator>>>|>\||>&|>|<<<|<&|<>|<)")
_HERE_DOCUMENT = re.compile(r"\d*<<(?P<dash>-?)[ \t]*(?P<quote>[\"']?)(?P<end>[A-Za-z_]\w*)(?P=quote)")
_BRACED = re.compile(r"\$\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ASSIGNMENT_START = re.compile(r"[A-Za-z_]\w*\+?=", re.ASCII)
_BEFORE_ASSIGNMENTS = frozenset(
    {"export", "local", "declare", "readonly", "typeset", "env", "then", "do", "else", "{", "!", "time", "command"}
)
_PLAIN = re.compile(r"[^\s\\'\"`$;&|()<>#]+|#")


class Quoting(Enum):
    """How a part of a word is quoted."""

    PLAIN = "plain"
    """Variables are expanded, and their values split into words."""
    DOUBLE = "double"
    """Variables are expanded."""
    LITERAL = "literal"
    """Nothing is expanded."""
    COMMAND = "command"
    """The output of a command, which only a shell can know."""


@dataclass(frozen=True, slots=True)
class WordPart:
    """A part of a word with one kind of quoting."""

    text: str
    quoting: Quoting


ShellWord = tuple[WordPart, ...]
"""A word before expansion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShellCommand:
    """One simple command.

    ``operator`` has all operators between it and the command in front of it: ``&&``, or ``);(``. ``line`` counts from
    1. ``output`` is the file that its output is written to (at its end, if it ``appends``), ``input`` the one that its
    input is read from, ``here_document`` the text of its input.
    """

    words: tuple[ShellWord, ...]
    line: int
    operator: str = ""
    output: ShellWord = ()
    appends: bool = False
    input: ShellWord = ()
    here_document: str = ""
    here_document_line: int = 0


def read_shell(text: str) -> tuple[ShellCommand, ...]:
    """Split shell text into its commands, in the order in which they are written."""
    reader = _ShellReader(text.replace("\r\n", "\n").replace(UNKNOWN, "")[:TEXT_LIMIT])
    reader.read()
    return tuple(reader.commands)


UNKNOWN = "\0"
"""Surrounds what only a shell could know in an expanded word: a variable without a value, or ``$(...)``."""


def expand_words(words: tuple[ShellWord, ...], variables: Mapping[str, str]) -> tuple[str, ...]:
    """Expand variables as a shell does. What has no value is shown between two :data:`UNKNOWN`."""
    names = {name for word in words for part in word for name in _NAME.findall(part.text)}
    tracked = {name: TrackedText(variables[name], ()) for name in names & variables.keys()}
    missing: list[str] = []
    expanded = _expand_all(words, tracked, missing)
    if missing:
        unknown = {name: TrackedText(f"{UNKNOWN}${name}{UNKNOWN}", ()) for name in missing}
        expanded = _expand_all(words, {**tracked, **unknown}, [])
    return expanded


def unknown_parts(text: str) -> tuple[str, ...]:
    """Return what is unknown in an expanded word: ``$NAME``, ``$(...)``."""
    return tuple(text.split(UNKNOWN)[1::2])


def _expand_all(
    words: tuple[ShellWord, ...], variables: Mapping[str, TrackedText], missing: list[str]
) -> tuple[str, ...]:
    expanded: list[str] = []
    may_assign = True
    for word in words:
        pieces = list(_expand_word(word, variables, missing))
        if may_assign and word and _ASSIGNMENT_START.match(word[0].text):
            pieces = [" ".join(pieces)]  # the value of an assignment is not split
        else:
            may_assign = may_assign and "".join(pieces) in _BEFORE_ASSIGNMENTS
        expanded += pieces
        if len(expanded) > WORD_LIMIT:
            break
    return tuple(expanded[:WORD_LIMIT])


def _expand_word(word: ShellWord, variables: Mapping[str, TrackedText], missing: list[str]) -> Iterator[str]:
    current, exists = "", False
    for part in word:
        if len(current) > MAX_LENGTH:
            current = current[:MAX_LENGTH]
            break
        if part.quoting is Quoting.LITERAL:
            current, exists = current + part.text, True
        elif part.quoting is Quoting.COMMAND:
            current, exists = f"{current}{UNKNOWN}{part.text}{UNKNOWN}", True
        else:
            value = expand_variables(TrackedText(part.text, ()), variables, missing).text
            if part.quoting is Quoting.DOUBLE:
                current, exists = current + value, True
                continue
            pieces = re.split(r"\s+", value)
            for piece in pieces[:-1]:
                current += piece
                if current or exists:
                    yield current
                current, exists = "", False
            current += pieces[-1]
    if current or exists:
        yield current


@dataclass(slots=True)
class _ShellReader:
    text: str
    position: int = 0
    line: int = 1
    commands: list[ShellCommand] = field(default_factory=list)
    words: list[ShellWord] = field(default_factory=list)
    parts: list[WordPart] = field(default_factory=list)
    operator: str = ""
    first_line: int = 1
    output: ShellWord = ()
    input: ShellWord = ()
    redirection: str = ""
    """The operator in front of a file that is no word of the command; empty if the next word is one."""
    appends: bool = False
    pending: list[tuple[str, bool]] = field(default_factory=list)

    def read(self) -> None:
        while self.position < len(self.text) and len(self.commands) < COMMAND_LIMIT:
            self._read_next(self.text[self.position])
        self._end_command("")

    def _read_next(self, character: str) -> None:
        if character == "\n":
            self._end_command("\n")
            self.position += 1
            self.line += 1
        elif character.isspace():
            self._end_word()
            self.position += 1
        elif character == "\\":
            self._read_escape()
        elif character == "#" and not self.parts:
            end = self.text.find("\n", self.position)
            self.position = len(self.text) if end < 0 else end
        elif character == "'":
            end = self.text.find("'", self.position + 1)
            end = len(self.text) if end < 0 else end
            self._take(self.text[self.position + 1 : end], Quoting.LITERAL, end + 1)
        elif character == '"':
            self._read_double_quotes()
        elif character in "$`":
            self._read_substitution(Quoting.PLAIN)
        elif not self._read_redirection():
            self._read_operator_or_text()

    def _read_escape(self) -> None:
        following = self.text[self.position + 1 : self.position + 2]
        if following == "\n":
            self.line += 1
            self.position += 2
        else:
            self._take(following, Quoting.LITERAL, self.position + 2)

    def _read_double_quotes(self) -> None:
        self.position += 1
        self._take("", Quoting.DOUBLE, self.position)
        while self.position < len(self.text):
            character = self.text[self.position]
            if character == '"':
                self.position += 1
                return
            if character == "\\" and self.text[self.position + 1 : self.position + 2] in tuple('$`"\\\n'):
                escaped = self.text[self.position + 1]
                self.line += escaped == "\n"
                self._take("" if escaped == "\n" else escaped, Quoting.LITERAL, self.position + 2, counts=False)
            elif character in "$`":
                self._read_substitution(Quoting.DOUBLE)
            else:
                match = re.compile(r"[^\"\\$`]+").match(self.text, self.position)
                end = match.end() if match else self.position + 1
                self._take(self.text[self.position : end], Quoting.LITERAL, end)

    def _read_substitution(self, quoting: Quoting) -> None:
        start = self.position
        if self.text.startswith("$(", start):
            self._take(*self._balanced(start))
        elif self.text[start] == "`":
            end = self.text.find("`", start + 1)
            end = len(self.text) if end < 0 else end + 1
            self._take(self.text[start:end], Quoting.COMMAND, end)
        else:
            match = _BRACED.match(self.text, start) or re.compile(r"\$(?:[1-9@*?!$#0-]|\w+)?").match(self.text, start)
            end = match.end() if match else start + 1
            self._take_variable(self.text[start:end], quoting, max(end, start + 1))

    def _take_variable(self, text: str, quoting: Quoting, end: int) -> None:
        if text in ("$?", "$!", "$$", "$#", "$-", "$0"):
            self._take(text, Quoting.COMMAND, end)
        else:
            # arguments of a script have names, so that they are expanded like variables
            name = re.sub(r"^\$(\{?)([1-9])(?!\d)", rf"$\1{ARGUMENT}\2", text)
            all_of_them = {"$@": "S", "${@}": "S", "$*": "J", "${*}": "J"}
            self._take(f"${{{ARGUMENT}{all_of_them[text]}}}" if text in all_of_them else name, quoting, end)

    def _balanced(self, start: int) -> tuple[str, Quoting, int]:
        depth = 0
        for end in range(start + 1, len(self.text)):
            depth += {"(": 1, ")": -1}.get(self.text[end], 0)
            if depth == 0:
                return self.text[start : end + 1], Quoting.COMMAND, end + 1
        return self.text[start:], Quoting.COMMAND, len(self.text)

    def _read_redirection(self) -> bool:
        at_word_start = not self.parts
        character = self.text[self.position]
        if character not in "<>" and not (at_word_start and (character.isdigit() or character == "&")):
            return False
        document = _HERE_DOCUMENT.match(self.text, self.position)
        if document:
            self._end_word()
            self.pending.append((document["end"], bool(document["dash"])))
            self.position = document.end()
            return True
        match = _REDIRECTION.match(self.text, self.position)
        if not match:
            return False
        self._end_word()
        is_error = match["operator"].startswith(">") and match[0][:1] not in ("1", ">")
        self.redirection = "2>" if is_error else match["operator"]
        self.position = match.end()
        return True

    def _read_operator_or_text(self) -> None:
        for operator in _OPERATORS:
            if self.text.startswith(operator, self.position):
                self._end_command(operator)
                self.position += len(operator)
                return
        match = _PLAIN.match(self.text, self.position)
        end = match.end() if match else self.position + 1
        self._take(self.text[self.position : end], Quoting.LITERAL, end)

    def _take(self, text: str, quoting: Quoting, end: int, *, counts: bool = True) -> None:
        if not self.words and not self.parts:
            self.first_line = self.line
        if counts:
            self.line += self.text.count("\n", self.position, end)
        self.parts.append(WordPart(text, quoting))
        self.position = min(end, len(self.text))

    def _end_word(self) -> None:
        if not self.parts:
            return
        word, self.parts = tuple(self.parts), []
        if not self.redirection:
            self.words.append(word)
        elif self.redirection in (">", ">>", ">|"):
            self.output, self.appends = word, self.redirection == ">>"
        elif self.redirection == "<":
            self.input = word
        self.redirection = ""

    def _end_command(self, operator: str) -> None:
        self._end_word()
        body, body_line = "", 0
        if operator == "\n":
            if self.pending:
                body, body_line = self._read_here_documents()
        elif self.pending and operator:
            # the rest of the line belongs to other commands; the document goes to this one
            body, body_line = self._peek_here_documents()
        if self.words or body:
            command = ShellCommand(
                words=tuple(self.words), line=self.first_line if self.words else self.line, operator=self.operator,
                output=self.output, appends=self.appends, input=self.input, here_document=body,
                here_document_line=body_line,
            )  # fmt: skip
            self.commands.append(command)
            self.operator = ""
        self.operator += ";" if operator == "\n" and not self.operator.endswith(("&&", "||", "|")) else operator.strip()
        self.words, self.output, self.input, self.appends, self.redirection = [], (), (), False, ""

    def _peek_here_documents(self) -> tuple[str, int]:
        """Cut the bodies of the pending here-documents out of the text that is still to be read."""
        end_of_line = self.text.find("\n", self.position)
        if end_of_line < 0:
            self.pending = []
            return "", 0
        body, end = self._body_at(end_of_line + 1)
        first_line = self.line + self.text.count("\n", self.position, end_of_line) + 1
        removed_lines = self.text.count("\n", end_of_line + 1, end)
        # an empty line for each removed line keeps the numbers of those below
        self.text = self.text[: end_of_line + 1] + "\n" * removed_lines + self.text[end:]
        return body, first_line

    def _read_here_documents(self) -> tuple[str, int]:
        body, end = self._body_at(self.position + 1)
        first_line = self.line + 1
        self.line += self.text.count("\n", self.position, max(end - 1, self.position))
        self.position = max(end - 1, self.position)
        return body, first_line

    def _body_at(self, position: int) -> tuple[str, int]:
        bodies = ""
        for end_word, strips_tabs in self.pending:
            lines: list[str] = []
            while position < len(self.text):
                end = self.text.find("\n", position)
                end = len(self.text) if end < 0 else end
                line = self.text[position:end]
                position = end + 1
                if (line.lstrip("\t") if strips_tabs else line).strip() == end_word:
                    break
                lines.append(line)
            bodies = bodies or "\n".join(lines) + "\n"
        self.pending = []
        return bodies, min(position, len(self.text))
