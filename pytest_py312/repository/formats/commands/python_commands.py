"""Extract the Python that Dockerfiles and scripts of a shell contain: ``python -c``, ``python -m`` and here-documents.

The text is searched, whatever its format is, so that a command in JSON (``CMD ["python", "-m", "smtpd"]``), in YAML or
in a Makefile is found as well. What is printed, and what may fail, is no such command. Never raises.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from textwrap import dedent

from pytest_py312.repository.formats.text_positions import blanked

MAX_LENGTH = 500_000
"""Characters of a file that are searched."""
MAX_COMMANDS = 2_000
_MAX_LINE = 1_000
"""Characters of a line in front of a command, and behind it, that are looked at."""
_PROGRAM = (
    r"(?P<program>(?:[\w.${}()-]{0,80}/){0,8}python(?:3(?:\.(?P<minor>\d{1,2}))?)?(?![\w.-])"
    r"|\$\{?PYTHON3?(?::-[^}\s]{0,60})?\}?|\$\(PYTHON3?\)"
    r"|\$(?:(?P<variable>[A-Za-z_]\w{0,60})|\{(?P<braced>[A-Za-z_]\w{0,60})\}|\((?P<of_make>[A-Za-z_]\w{0,60})\)))"
)
_BLANK = r"""(?:[ \t,]|\\\r?\n|\r?\n[ \t]{0,60}-[ \t])"""
"""What separates words: also in JSON, and in a list of YAML with an item on each line."""
_VALUE_OPTION = rf"""[WX]["']?{_BLANK}{{1,40}}["']?[\w.:=/-]{{1,60}}"""
_OPTIONS = rf"""(?:{_BLANK}{{1,40}}["']?-(?:{_VALUE_OPTION}|[A-Za-bd-ln-z]{{1,8}})["']?){{0,8}}"""
_COMMAND = re.compile(
    rf"""(?<![\w.$-]){_PROGRAM}["']?{_OPTIONS}{_BLANK}{{0,40}}(?:
      (?<=[\s,\\])["']?-[A-Za-bd-ln-z]{{0,8}}m["']?{_BLANK}{{0,40}}["']?(?:
        (?P<module>[A-Za-z_][\w.]{{0,200}})
        | \$[{{(]?(?P<named>[A-Za-z_]\w{{0,60}})(?::?[-=](?P<default>[A-Za-z_][\w.]{{0,200}}))?)
    | (?<=[\s,\\])["']?-[A-Za-bd-ln-z]{{0,8}}c["']?(?:
        {_BLANK}{{0,40}}(?P<quote>\\?"|')
        | (?P<plain>[ \t]{{0,9}}\r?\n(?P<indentation>[ \t]{{0,60}})-[ \t]{{1,9}}
            (?:(?P<block>[|>])[+-]?[ \t]{{0,9}}\r?\n|(?=[A-Za-z_@(])))
        | (?P<flow>,[ \t]{{0,9}}(?=[A-Za-z_@(])))
    | (?:-(?:[ \t][^\r\n<|;&]{{0,100}})?)?<<-?[ \t]{{0,9}}(?P<literal>\\|["']?)(?P<end>[A-Za-z_]\w{{0,40}})[^\r\n]*\r?\n
    )""",
    re.ASCII | re.VERBOSE,
)
_ASSIGNMENT = re.compile(
    r"^[ \t]*(?:(?:export|readonly|local|declare|ENV)[ \t]+)?(?P<name>[A-Za-z_]\w{0,60})[ \t]{0,9}[:?]?=[ \t]{0,9}"
    r"(?P<quote>[\"']?)(?:\$\{\w{1,60}:?[-=])?(?P<value>[\w./-]{1,200})\}?(?P=quote)[ \t]{0,9};?[ \t]{0,9}\r?$",
    re.MULTILINE | re.ASCII,
)
_ITEM_END = (re.compile(r"[ \t]#|\r?\n|\Z"), re.compile(r"[,\]\r\n]|\Z"))
"""The end of an item of YAML without quotation marks: in a block, and between brackets."""
_MAX_BLOCK = 20_000
"""Characters of an item of several lines."""
_PYTHON_NAME = re.compile(r"(?:.*/)?python(?:3(?:\.\d{1,2})?)?", re.ASCII)
_MODULE_NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*", re.ASCII)
_COMMENT_LINE = re.compile(r"^[ \t]*#(?!!).*$", re.MULTILINE)
_DEFINITION = re.compile(r"^define[ \t][^\n]*\n(?:(?!define[ \t]|endef).*\n){0,500}endef", re.MULTILINE)
_PRINTED_QUOTATION = re.compile(
    r"(?:\b(?:echo|printf)\b[^\n\"';&|]{0,200}|\b\w+=)\"(?P<text>(?:\\.|[^\"\\]){1,5000})\"", re.DOTALL
)
_PRINTED_DOCUMENT = re.compile(
    r"\b(?:cat|tee|read)\b[^\r\n|;&]{0,200}<<-?[ \t]{0,9}[\\\"']?(?P<end>[A-Za-z_]\w{0,40})[^\r\n|]*\n"
)
_DOCUMENT_END = re.compile(r"^[ \t]*(?P<word>[A-Za-z_]\w{0,40})[ \t]*\r?$", re.MULTILINE | re.ASCII)

_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"")
_TAKES_COMMAND = re.compile(r"(?:-[a-z]*c[\"']?[\s,]*|\beval\s+|[\[,:]\s*)\Z")
"""What stands in front of a quotation that is a command: ``sh -c "``, ``["``, ``command: "``."""
_SUBSTITUTION = re.compile(r"\$\(|`")
_COMMAND_START = re.compile(r"[;&|()`]|\b(?:then|do|else)\b")
_OTHER_PROGRAMS = frozenset(
    {
        "#", "//", "echo", "printf", "cat", "grep", "egrep", "sed", "awk", "pgrep", "pkill", "which", "type", "alias",
        "docker", "docker-compose", "podman", "nerdctl", "kubectl", "oc", "ssh", "scp", "helm", "vagrant",
        "LABEL", "MAINTAINER", "ENV", "ARG", "COPY", "ADD", "EXPOSE", "info", "warning",
    }
)  # fmt: skip
"""Words in front of a Python that is only printed or searched for, or runs elsewhere: in an image, on a machine."""
_CONDITION = re.compile(r"(?:^|[\s;&|(@])(?:if|elif|while|until|!)\s")
_IGNORED_BY_MAKE = re.compile(r"\t[@+]*-")
_REDIRECTION = re.compile(r"\d?>&\d|&?\d?>>?[ \t]*[\w./-]+")
_FAILS_AS_WELL = re.compile(r"\|\|[\s{(]*(?:[^|&\n]{0,200};\s*)?(?:exit|return|false)\b(?!\s+0)")
_OTHERWISE = re.compile(r"[^;&|\n]*\|\|")
_ALTERNATIVE = re.compile(r"[^;&|\n]*&&[^;\n]*\|\|")
_QUESTION = re.compile(r"[^;&|\n]*&&\s*(?:echo|printf|return\b|exit 0|\{|\w+=)")
"""What follows a command that only asks for something: ``&& a || b``, ``&& echo yes``."""
_ENDS_WITH_FAILURE = re.compile(r"\s*RUN\b|\t")
"""The beginning of a command whose failure ends the build, or the target of a Makefile."""
_STATUS_TEST = re.compile(r"\n[ \t]*(?:if[ \t]+)?\[+[ \t]+\"?\$\?")
_EXPANSION = re.compile(r"(?<!\\)\$(?:\w+|\{[^{}\n]*\}|\([^()\n]*\))|`[^`\n]*`")
_ESCAPED = re.compile(r"\\(?:\r?\n|([\"\\$`]))")


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonCommand:
    """A run of Python: the stdlib or other ``module`` of ``-m``, or the ``code`` of ``-c`` or of a here-document.

    ``line`` and ``column`` count from 1. In the code, expansions of the shell are replaced by the name ``expanded``.
    ``minor``: the command names that version of Python, as ``python3.9`` does.
    """

    line: int
    column: int
    module: str = ""
    code: str = ""
    minor: str = ""


def read_python_commands(text: str) -> tuple[PythonCommand, ...]:
    """Return the commands of a text that run Python of their own, except those whose failure is expected."""
    return tuple(islice(_commands(text[:MAX_LENGTH]), MAX_COMMANDS))


def _commands(text: str) -> Iterator[PythonCommand]:
    ends = _ends_of_documents(text)
    text = _without_printed_text(text, ends)
    variables = _variables_in(text)
    line, counted, position = 1, 0, 0
    while match := _COMMAND.search(text, position):
        position = match.end()
        start_of_line = text.rfind("\n", 0, match.start()) + 1
        leading_text = _leading_text(text, match, start_of_line)
        line, counted = line + text.count("\n", counted, match.start()), match.start()
        program = match["variable"] or match["braced"] or match["of_make"]
        if not _is_command(leading_text) or (program and not _PYTHON_NAME.fullmatch(variables.get(program, ""))):
            continue
        module = match["module"] or (variables.get(match["named"]) or match["default"] if match["named"] else "") or ""
        if match["named"] and not _MODULE_NAME.fullmatch(module):
            continue
        code, end = "", match.end()
        if match["quote"]:
            code, end = _quoted(text, match.end(), match["quote"])
        elif match["plain"] or match["flow"]:
            code, end = _yaml_item(text, match)
        elif match["end"]:
            code, end = _here_document(text, match, ends)
        position = max(position, end)
        rest = text[match.end("end") : match.end()] if match["end"] else text[end : end + _MAX_LINE]
        if end == -1 or _may_fail(leading_text, _rest_of_command(rest)) or _is_tested(text, end):
            continue
        yield PythonCommand(
            line=line,
            column=match.start() - start_of_line + 1,
            module=module.rstrip("."),
            code=code,
            minor=match["minor"] or "",
        )


def _variables_in(text: str) -> dict[str, str]:
    """Return the variables that the text gives one literal value, or default, and no other."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for match in _ASSIGNMENT.finditer(text) if "$" in text else ():
        values[match["name"]].add(match["value"])
    return {name: next(iter(own)) for name, own in values.items() if len(own) == 1}


# ---- what is a command


def _without_printed_text(text: str, ends: Mapping[str, Sequence[tuple[int, int]]]) -> str:
    """Replace comments, definitions of Make and here-documents that are only printed or written by blanks."""
    text = _COMMENT_LINE.sub(blanked, text)
    text = _DEFINITION.sub(blanked, text) if "endef" in text else text
    text = _PRINTED_QUOTATION.sub(_blank_lines, text)
    parts, position = [], 0
    for document in _PRINTED_DOCUMENT.finditer(text):
        end = _end_of_document(ends, document["end"], document.end())
        if document.end() >= position and end is not None:
            parts += [text[position : document.end()], re.sub(r"[^\n]", " ", text[document.end() : end[0]])]
            position = end[0]
    return "".join([*parts, text[position:]])


def _blank_lines(match: re.Match[str]) -> str:
    """Replace a quotation of several lines by blanks, unless a command is in it."""
    is_text = "\n" in match["text"] and not _SUBSTITUTION.search(match["text"])
    return blanked(match) if is_text else match[0]


def _leading_text(text: str, match: re.Match[str], start_of_line: int) -> str:
    """Return what precedes a program in its command, with the lines that it continues, without its own quotation."""
    start = start_of_line
    while match.start() - start < _MAX_LINE and start:
        before = text.rfind("\n", 0, start - 1) + 1
        if not text[before : start - 1].rstrip().endswith(("\\", "&&", "||", "|")):
            break
        start = before
    leading_text = text[max(start, match.start() - _MAX_LINE) : match.start()].replace("\\\n", " ").replace("\n", " ")
    quote = leading_text[-1:]
    is_quoted = quote in ("'", '"') and text[match.end("program") : match.end("program") + 1] == quote
    return leading_text[:-1] if is_quoted else leading_text


def _is_command(leading_text: str) -> bool:
    """Return whether a program may stand behind this start of a line, and not a word of a text."""
    without_quotations = _QUOTED.sub("", leading_text)
    quote = re.search(r"[\"']", without_quotations)
    inside = without_quotations
    if quote:
        inside = without_quotations[quote.end() :]
        substitutions = list(_SUBSTITUTION.finditer(inside))
        if substitutions:
            inside = inside[substitutions[-1].end() :]
        elif not _TAKES_COMMAND.search(leading_text[: leading_text.rfind(quote[0])]):
            return False
    return _OTHER_PROGRAMS.isdisjoint(_COMMAND_START.split(inside)[-1].split())


def _is_tested(text: str, end: int) -> bool:
    """Return whether the next line asks how the command at ``end`` has ended."""
    line_end = text.find("\n", end)
    return line_end != -1 and _STATUS_TEST.match(text, line_end) is not None


def _rest_of_command(text: str) -> str:
    """Return what follows a command up to the end of its line, with continued lines, without redirections."""
    rest = re.match(r"(?:[^\n\\]|\\\r?\n|\\.)*", text)
    return _REDIRECTION.sub(" ", rest[0].replace("\\\n", " ")) if rest else ""


def _may_fail(leading_text: str, following_text: str) -> bool:
    """Return whether the program goes on if this command fails."""
    without_quotations = _QUOTED.sub("", leading_text)
    if _CONDITION.search(re.split(r";|\b(?:then|do|else)\b", without_quotations)[-1]):
        return True
    if _IGNORED_BY_MAKE.match(leading_text):
        return True
    if _FAILS_AS_WELL.search(following_text):
        return False
    if _OTHERWISE.match(following_text) or _ALTERNATIVE.match(following_text):
        return True
    is_substituted = _SUBSTITUTION.search(without_quotations) is not None
    is_question = _QUESTION.match(following_text) is not None
    return is_question and (is_substituted or not _ENDS_WITH_FAILURE.match(leading_text))


# ---- the code of a command


def _quoted(text: str, start: int, quote: str) -> tuple[str, int]:
    """Return the text of a quotation that begins at ``start``, and where it ends; ``-1`` if it does not end."""
    end = start
    while end < len(text) and not text.startswith(quote, end):
        end += 2 if text[end] == "\\" and quote == '"' else 1
    if end >= len(text):
        return "", -1
    content = text[start:end]
    return (content if quote == "'" else _expanded(content)), end + len(quote)


def _yaml_item(text: str, match: re.Match[str]) -> tuple[str, int]:
    """Return the item of a list of YAML that begins at the end of a match, without quotation marks; and its end."""
    start = match.end()
    if not match["block"]:
        end = _ITEM_END[bool(match["flow"])].search(text, start).start()  # type: ignore[union-attr]  # matches at the end
        return text[start:end], end
    lines = []
    end = start
    for line in text[start : start + _MAX_BLOCK].splitlines(keepends=True):
        if line.strip() and not line.startswith(match["indentation"] + " "):
            break
        lines.append(line)
        end += len(line)
    code = dedent("".join(lines))
    return (code if match["block"] == "|" else code.replace("\n", " ")), end


def _here_document(text: str, match: re.Match[str], ends: Mapping[str, Sequence[tuple[int, int]]]) -> tuple[str, int]:
    """Return the lines up to the one that is the word, and where that ends; ``-1`` if there is none."""
    end = _end_of_document(ends, match["end"], match.end())
    if end is None:
        return "", -1
    content = text[match.end() : end[0]]
    return (content if match["literal"] else _expanded(content)), end[1]


def _ends_of_documents(text: str) -> Mapping[str, Sequence[tuple[int, int]]]:
    """Return the places of the lines that consist of one word, by that word."""
    ends: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for match in _DOCUMENT_END.finditer(text) if "<<" in text else ():
        ends[match["word"]].append(match.span())
    return ends


def _end_of_document(ends: Mapping[str, Sequence[tuple[int, int]]], word: str, start: int) -> tuple[int, int] | None:
    places = ends.get(word, ())
    index = bisect_left(places, (start, 0))
    return places[index] if index < len(places) else None


def _expanded(text: str) -> str:
    return _ESCAPED.sub(lambda match: match[1] or "", _EXPANSION.sub("expanded", text))
