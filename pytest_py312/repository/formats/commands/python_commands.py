"""Extract the Python that Dockerfiles and scripts of a shell contain: ``python -c``, ``python -m`` and here-documents.

The text is searched, whatever its format is, so that a command in JSON (``CMD ["python", "-m", "smtpd"]``), in YAML or
in a Makefile is found as well. Never raises.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

MAX_LENGTH = 500_000
"""Characters of a file that are searched."""
MAX_COMMANDS = 200
_PYTHON = r"""(?<![\w.$-])(?:[\w.${}-]{0,80}/){0,8}python(?:3(?:\.\d{1,2})?)?(?![\w.-])["']?"""
_BLANK = r"""(?:[ \t,]|\\\r?\n)"""
_VALUE_OPTION = rf"""[WX]["']?{_BLANK}{{1,40}}["']?[\w.:=]{{1,60}}"""
_OPTIONS = rf"""(?:{_BLANK}{{1,40}}["']?-(?:{_VALUE_OPTION}|[A-Za-bd-ln-z]{{1,8}})["']?){{0,8}}"""
_COMMAND = re.compile(
    rf"""{_PYTHON}{_OPTIONS}{_BLANK}{{0,40}}(?:
      (?<=[\s,\\])["']?-[A-Za-bd-ln-z]{{0,8}}m["']?{_BLANK}{{0,40}}["']?(?P<module>[A-Za-z_][\w.]{{0,200}})
    | (?<=[\s,\\])["']?-[A-Za-bd-ln-z]{{0,8}}c["']?{_BLANK}{{0,40}}(?P<quote>["'])
    | (?:-[ \t])?<<-?[ \t]?(?P<end_quote>["']?)(?P<end>[A-Za-z_]\w{{0,40}})(?P=end_quote)[^\r\n]*\r?\n
    )""",
    re.ASCII | re.VERBOSE,
)
_NOT_RUN = re.compile(r"(?:^|[\s;&|])(?:#|//)|\b(?:echo|printf)\b[^;&|]*$|^[ \t]*(?:LABEL|MAINTAINER)\b")
"""What precedes a command on its line if it is a comment, or text that is printed."""
_MAY_FAIL_BEFORE = re.compile(r"(?:^|[\s;&|(@])(?:if|elif|while|until|!)\s[^;]*$")
"""What precedes a command whose failure is expected."""
_MAY_FAIL_AFTER = re.compile(r"[^\r\n;&|]*(?:\\\r?\n[^\r\n;&|]*)?\|\|")
_EXPANSION = re.compile(r"(?<!\\)\$(?:\w+|\{[^{}\n]*\})")
_ESCAPED = re.compile(r"\\(?:\r?\n|([\"\\$`]))")


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonCommand:
    """A run of Python: the stdlib or other ``module`` of ``-m``, or the ``code`` of ``-c`` or of a here-document.

    ``line`` and ``column`` count from 1. In the code, expansions of the shell are replaced by the name ``expanded``.
    """

    line: int
    column: int
    module: str = ""
    code: str = ""


def read_python_commands(text: str) -> tuple[PythonCommand, ...]:
    """Return the commands of a text that run Python of their own, except those whose failure is expected."""
    return tuple(islice(_commands(text[:MAX_LENGTH]), MAX_COMMANDS))


def _commands(text: str) -> Iterator[PythonCommand]:
    line, counted, position = 1, 0, 0
    without_end: set[str] = set()
    while match := _COMMAND.search(text, position):
        position = match.end()
        start_of_line = text.rfind("\n", 0, match.start()) + 1
        leading_text = text[max(start_of_line, match.start() - 500) : match.start()]
        line, counted = line + text.count("\n", counted, match.start()), match.start()
        code, end = "", match.end()
        mark = match["quote"] or match["end"]
        if mark in without_end:
            end = -1
        elif match["quote"]:
            code, end = _quoted(text, match.end(), mark)
        elif match["end"]:
            code, end = _here_document(text, match.end(), mark, expanded=not match["end_quote"])
        position = max(position, end)
        if end == -1:
            without_end.add(mark)  # nor has a later one an end
            continue
        if _NOT_RUN.search(leading_text) or _MAY_FAIL_BEFORE.search(leading_text):
            continue
        if not match["end"] and _MAY_FAIL_AFTER.match(text[end : end + 500]):
            continue
        yield PythonCommand(
            line=line, column=match.start() - start_of_line + 1, module=(match["module"] or "").rstrip("."), code=code
        )


def _quoted(text: str, start: int, quote: str) -> tuple[str, int]:
    """Return the text of a quotation that begins at ``start``, and where it ends; ``-1`` if it does not end."""
    end = start
    while end < len(text) and text[end] != quote:
        end += 2 if text[end] == "\\" and quote == '"' else 1
    if end >= len(text):
        return "", -1
    content = text[start:end]
    return (_expanded(content) if quote == '"' else content), end + 1


def _here_document(text: str, start: int, word: str, *, expanded: bool) -> tuple[str, int]:
    """Return the lines up to the one that is ``word``, and where that ends; ``-1`` if there is none."""
    end = re.compile(rf"^[ \t]*{word}[ \t]*$", re.MULTILINE).search(text, start)
    if end is None:
        return "", -1
    content = text[start : end.start()]
    return (_expanded(content) if expanded else content), end.end()


def _expanded(text: str) -> str:
    return _ESCAPED.sub(lambda match: match[1] or "", _EXPANSION.sub("expanded", text))
