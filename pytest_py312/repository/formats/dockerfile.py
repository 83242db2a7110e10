"""Dockerfiles: text in, instructions and stages with their effective base images out. Never raises.

Follows the reference: line continuations (``\\`` or what the ``escape`` directive says), comment lines within them,
here-documents, ``ARG`` before the first ``FROM``, ``${X:-default}``, stages that build on stages.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.formats.image_reference import python_image
from pytest_py312.repository.formats.text_positions import Traced, expanded

LINE_LIMIT = 20_000
INSTRUCTION_LIMIT = 200_000
"""Characters of one instruction."""

_HEREDOC = re.compile(r"<<-?(?P<quote>[\"']?)(?P<end>[A-Za-z_]\w*)(?P=quote)")
_WITH_HEREDOC = frozenset({"RUN", "COPY", "ADD"})
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(?:=(\"[^\"]*\"|'[^']*'|\S*))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """One instruction: its keyword in upper case, the rest joined to one line, and the lines that it spans.

    ``start`` and ``end`` are its characters, of ``body_end`` on the bodies of here-documents. ``escape`` continues
    its lines.
    """

    keyword: str
    arguments: str
    line: int
    end_line: int
    start: int = 0
    end: int = 0
    body_end: int = 0
    escape: str = "\\"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One ``FROM``.

    ``base`` is what stands there, ``resolved`` the same with variables put in, ``image`` the image that the chain of
    stages begins with, ``image_line`` the line of the ``FROM`` that names it. ``parent`` is the index of the stage
    that this one builds on. ``python`` is true when ``image`` is a Python image, ``interpreter`` is set where its tag
    names one minor. ``unresolved`` are variables without a value.
    """

    index: int
    name: str
    base: str
    resolved: str
    image: str
    image_line: int
    line: int
    platform: str = ""
    parent: int | None = None
    python: bool = False
    interpreter: Interpreter | None = None
    unresolved: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DockerfileText:
    """What a Dockerfile says. The last stage is the one that an ordinary build makes."""

    path: str
    instructions: tuple[Instruction, ...] = ()
    stages: tuple[Stage, ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()
    """``ARG`` names and defaults that hold in ``FROM`` lines."""

    @property
    def final(self) -> Stage | None:
        return self.stages[-1] if self.stages else None

    @property
    def final_python(self) -> Stage | None:
        """The last stage that is based on a Python image."""
        return next((stage for stage in reversed(self.stages) if stage.python), None)

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """One for each ``FROM`` that names a Python image itself."""
        return tuple(
            Declaration(
                kind="image",
                text=stage.image,
                location=Location(path=self.path, line=stage.line),
                interpreter=stage.interpreter,
            )
            for stage in self.stages
            if stage.python and stage.parent is None
        )


def read_dockerfile(text: str, path: str) -> DockerfileText:
    """Read a Dockerfile. ``path`` is only carried along."""
    # a space in the place of a byte order mark keeps all positions
    instructions = tuple(_instructions(" " + text[1:] if text.startswith("\ufeff") else text))
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for instruction in instructions:
        if instruction.keyword == "ARG" and not stages:
            for name, value in _assignments(instruction.arguments):
                arguments[name] = substitute(value, arguments)[0]
        elif instruction.keyword == "FROM":
            stages.append(_stage(instruction, arguments, stages))
    return DockerfileText(
        path=path, instructions=instructions, stages=tuple(stages), arguments=tuple(sorted(arguments.items()))
    )


def substitute(text: str, values: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """``text`` with ``$X``, ``${X}``, ``${X:-y}`` and ``${X:+y}`` put in, and the names that have no value."""
    missing: list[str] = []
    known = {name: Traced(value, ()) for name, value in values.items()}
    found = expanded(Traced(text, ()), known, missing)
    return found.text, tuple(dict.fromkeys(missing))


def python_of(image: str) -> tuple[bool, Interpreter | None]:
    """Whether ``image`` is a Python image (``[registry/][library/]python[:tag]``), and the minor that its tag names.

    A tag that says ``python3.11`` (``uv:python3.11-bookworm``) counts as well.
    """
    found = python_image(image)
    if found is None:
        return False, None
    named = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower() == "python"
    return named or found.version is not None, found.version


def _stage(instruction: Instruction, arguments: Mapping[str, str], earlier: list[Stage]) -> Stage:
    words = instruction.arguments.split()
    flags = [word for word in words if word.startswith("--")]
    words = [word for word in words if not word.startswith("--")]
    base = words[0] if words else ""
    named = len(words) >= 3 and words[1].lower() == "as"
    platform = next((flag.partition("=")[2] for flag in flags if flag.startswith("--platform")), "")
    resolved, missing = substitute(base.strip("\"'"), arguments)
    parent = next((stage for stage in reversed(earlier) if stage.name and stage.name == resolved.lower()), None)
    image = parent.image if parent else resolved
    python, interpreter = python_of(image)
    return Stage(
        index=len(earlier),
        name=words[2].lower() if named else "",
        base=base,
        resolved=resolved,
        image=image,
        image_line=parent.image_line if parent else instruction.line,
        line=instruction.line,
        platform=platform,
        parent=parent.index if parent else None,
        python=python,
        interpreter=interpreter,
        unresolved=missing,
    )


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    """``A=1 B="2"`` as pairs; a name without a value has none, so it is left out."""
    for match in _ASSIGNMENT.finditer(text):
        if match[2] is not None:
            yield match[1], match[2].strip("\"'")


def _instructions(text: str) -> Iterator[Instruction]:
    lines = re.split(r"\r\n|\r|\n", text)[:LINE_LIMIT]
    starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]
    escape = _escape_character(lines)
    number = 0
    while number < len(lines):
        start = number
        parts: list[str] = []
        while number < len(lines):
            line = lines[number]
            number += 1
            if line.lstrip().startswith("#") or (parts and not line.strip()):
                continue  # comment lines and empty lines do not end a continued instruction
            stripped = line.rstrip()
            if not parts:
                start = number
            parts.append(stripped.removesuffix(escape))
            if not stripped.endswith(escape):
                break
        joined = " ".join(part.strip() for part in parts).strip()[:INSTRUCTION_LIMIT]
        keyword, _, rest = joined.partition(" ") if " " in joined else joined.partition("\t")
        if not keyword:
            continue
        end = starts[number - 1] + len(lines[number - 1])
        if keyword.upper() in _WITH_HEREDOC:
            number = _after_heredocs(lines, number, rest)
        yield Instruction(
            keyword=keyword.upper(),
            arguments=rest.strip(),
            line=start,
            end_line=number,
            start=starts[start - 1],
            end=end,
            body_end=starts[number - 1] + len(lines[number - 1]),
            escape=escape,
        )


def _escape_character(lines: list[str]) -> str:
    for line in lines:
        directive = re.fullmatch(r"\s*#\s*(\w+)\s*=\s*(\S*)\s*", line, re.ASCII)
        if not directive:
            break
        if directive[1].lower() == "escape" and directive[2] in ("`", "\\"):
            return directive[2]
    return "\\"


def _after_heredocs(lines: list[str], number: int, arguments: str) -> int:
    """The number of lines read once the here-documents that ``arguments`` opens are passed over."""
    for match in _HEREDOC.finditer(arguments):
        end = match["end"]
        closing = next((at for at in range(number, len(lines)) if lines[at].strip("\t ") == end), None)
        if closing is None:
            return number
        number = closing + 1
    return number
