"""Read Dockerfiles: text in, instructions and stages with their effective base images out. Never raises.

Follows the reference: line continuations (``\\`` or the character of the ``escape`` directive), comment lines within
them, here-documents, ``ARG`` before the first ``FROM``, ``${X:-default}``, stages that build on stages.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.formats.image_reference import parse_python_image, python_of_distribution
from pytest_py312.repository.formats.text_positions import TrackedText, expand_variables

MAX_LINES = 20_000
MAX_INSTRUCTIONS = 2_000
MAX_STAGES = 100
MAX_INSTRUCTION_LENGTH = 50_000
"""Characters of one instruction."""

_HEREDOC = re.compile(r"<<-?(?P<quote>[\"']?)(?P<end>[A-Za-z_]\w*)(?P=quote)")
_HEREDOC_KEYWORDS = frozenset({"RUN", "COPY", "ADD"})
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ENVIRONMENT_PAIR = re.compile(r"([A-Za-z_]\w*)=((?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|[^\s\"'])*)", re.ASCII)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(?:=(\"[^\"]*\"|'[^']*'|\S*))?")
_DOCKERFILE = re.compile(
    r"(?:(?:Docker|Container)file(?:[._-].+)?|.+\.(?:Docker|Container)file|[\w-]+Dockerfile)", re.IGNORECASE
)
_SYSTEM_PYTHON = re.compile(r"python3?(?:\.\d+)?(?:-pip|-dev|-minimal)?(?:[=~<>@]\S*)?|py3-pip", re.ASCII)
_VERSIONED_PYTHON = re.compile(
    r"python3(?:\.(?P<dotted>\d{1,2})|(?P<joined>\d{1,2}))(?:-[a-z]{1,20})?(?:=\S*)?", re.ASCII
)
"""A package of one version: ``python3.9``, or ``python39-devel`` of older releases of RHEL."""
_SYSTEM_INSTALLERS = frozenset({"apk", "apt", "apt-get", "dnf", "microdnf", "yum"})
_STARTS_PYTHON = re.compile(r"\bpython3?\b|\.py\b|\b(?:gunicorn|uvicorn|hypercorn|daphne|flask|celery|uwsgi)\b")
_NOT_DOCKERFILE_ENDINGS = (
    ".dockerignore", ".bak", ".orig", ".md", ".j2", ".jinja", ".tmpl", ".template", ".py", ".sh", "~"
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """One instruction: its keyword in upper case, its arguments joined to one line, and the lines that it spans.

    ``start`` and ``end`` are character offsets; ``body_end`` is the end of its here-documents. ``escape`` is the
    character that continues its lines.
    """

    keyword: str
    arguments: str
    line: int
    end_line: int
    start: int = 0
    end: int = 0
    body_end: int = 0
    escape: str = "\\"


_FOR_DEVELOPERS = re.compile(
    r"(?:^|[-_.])(?:(?:app|dev|e2e|func|integration|py|run|smoke|unit)?test(?:s|bed|er|ing|suite)?|lint(?:er|ing)?|"
    r"debug[a-z]*|dev(?!ice)[a-z]*)(?:$|[-_.\d])",
    re.IGNORECASE,
)
"""Words in the names of stages that are no image of production."""
_FOR_PRODUCTION = re.compile(
    r"(?:^|[-_.])(?:app|deploy|final|live|prod(?:uction)?|release|runtime)(?:$|[-_.\d])", re.IGNORECASE
)
"""Words in the names of stages that are one, whatever starts it."""
_FROM_STAGE = re.compile(r"--from=[\"']?([\w.-]+)|\bfrom=([\w.-]+)")


def is_stage_for_developers(name: str) -> bool:
    """Return whether a stage with this name is no image of production."""
    return _FOR_DEVELOPERS.search(name) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildStage:
    """One ``FROM``.

    ``base`` is the reference as written, ``resolved`` the same with variables substituted, ``image`` the image at the
    start of the chain of stages, ``image_line`` the line of the ``FROM`` that names it. ``parent`` is the index of the
    stage that this one builds on. ``is_python`` is true if ``image`` is a Python image; ``interpreter`` is set if its
    tag names one minor version. ``unresolved`` are variables without a value.
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
    is_python: bool = False
    interpreter: Interpreter | None = None
    unresolved: tuple[str, ...] = ()


def _is_for_production(stage: BuildStage) -> bool:
    return _FOR_PRODUCTION.search(stage.name) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class DockerfileText:
    """The content of a Dockerfile. An ordinary build produces the last stage."""

    path: str
    instructions: tuple[Instruction, ...] = ()
    stages: tuple[BuildStage, ...] = ()
    arguments: tuple[tuple[str, str], ...] = ()
    """Names and defaults of ``ARG`` that apply to ``FROM`` lines."""
    problem: str = ""
    """Why the rest of the file is not read (empty: it was): a sentence."""

    @property
    def final_stage(self) -> BuildStage | None:
        """The stage of the image in production: the last one, unless its name says that it is for developers or tests.

        Such stages follow the one that is built with ``--target`` then. Of the others that no other of them is made
        from, it is the last that starts something, or one beside those for developers, with a common base, that is
        named for production: what starts it may be elsewhere. If the last stage has a Python image, it has one.
        """
        if not self.stages or not is_stage_for_developers(self.stages[-1].name):
            return self.stages[-1] if self.stages else None
        last = self.stages[-1]
        others = [stage for stage in self.stages if not is_stage_for_developers(stage.name)]
        used = {source for stage in others for source in self.sources_of(stage)}
        targets = [stage for stage in reversed(others) if stage.index not in used and stage.is_python >= last.is_python]
        bases = {stage.index for stage in self.chain_of(last)}
        beside = (
            stage
            for stage in targets
            if stage.index not in bases | self.sources_of(last) and stage.parent in bases and _is_for_production(stage)
        )
        return next(filter(self._starts_something, targets), next(beside, last))

    def sources_of(self, stage: BuildStage) -> set[int]:
        """Return the indexes of the stages that a stage builds on or copies from."""
        pairs = [pair for item in self.instructions_of(stage) for pair in _FROM_STAGE.findall(item.arguments)]
        copied = {name.lower() for pair in pairs for name in pair if name}
        sources = {each.index for each in self.stages[: stage.index] if {each.name, str(each.index)} & copied}
        return sources | (set() if stage.parent is None else {stage.parent})

    def made_from(self, stage: BuildStage) -> frozenset[int]:
        """Return the indexes of a stage and of all that it builds on or copies from, also through others."""
        pending, seen = [stage.index], {stage.index}
        while pending:
            pending += (new := self.sources_of(self.stages[pending.pop()]) - seen)
            seen |= new
        return frozenset(seen)

    @property
    def build_target(self) -> str:
        """What ``docker build --target`` needs for the image of production; empty if that is the last stage."""
        final = self.final_stage
        return "" if final is None or final is self.stages[-1] else final.name or str(final.index)

    def _starts_something(self, stage: BuildStage) -> bool:
        items = (item for each in self.chain_of(stage) for item in self.instructions_of(each))
        return any(item.keyword in ("CMD", "ENTRYPOINT") for item in items)

    @property
    def final_python_stage(self) -> BuildStage | None:
        """The stage of the image in production or, if that is none of Python, the last one that is."""
        final = self.final_stage
        stages = (*self.stages, final) if final is not None else ()
        return next((stage for stage in reversed(stages) if stage.is_python), None)

    @property
    def starts_system_python(self) -> bool:
        """Whether its last stage installs the Python of its distribution, and starts it: others are built with one."""
        stages = list(self.chain_of(self.final_stage)) if self.final_stage else []
        own = [item for stage in stages for item in self.instructions_of(stage)]
        starts = [item.arguments for item in own if item.keyword in ("CMD", "ENTRYPOINT")]
        return any(map(_STARTS_PYTHON.search, starts)) and any(map(_installs_python, own))

    @property
    def system_python(self) -> tuple[Interpreter, int, str] | None:
        """The Python of a distribution that the image of production installs, with its line and package.

        ``apt-get install python3.9``, ``microdnf install python39``, or ``python3`` on a release that is known, if the
        image starts it. ``None`` if there is none of a version, or several.
        """
        places: dict[Interpreter, tuple[int, str]] = {}
        stages = list(self.chain_of(self.final_stage)) if self.final_stage else []
        packages = [
            (item.line, word)
            for stage in stages
            for item in self.instructions_of(stage)
            for word in _installed_packages(item)
        ]
        for line, word in packages:
            if match := _VERSIONED_PYTHON.fullmatch(word):
                places.setdefault(Interpreter(3, int(match["dotted"] or match["joined"])), (line, word))
        unversioned = next(((line, word) for line, word in packages if _SYSTEM_PYTHON.fullmatch(word)), None)
        release = python_of_distribution(stages[-1].image) if stages and not places else None
        if release is not None and unversioned is not None and self.starts_system_python:
            return release, unversioned[0], f"{unversioned[1]} of {stages[-1].image}"
        return next(((version, *place) for version, place in places.items()), None) if len(places) == 1 else None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that its last stage sets for what it starts."""
        environment: dict[str, str] = {}
        arguments: dict[str, str] = {}
        for stage in reversed(list(self.chain_of(self.final_stage))) if self.final_stage else ():
            for instruction in self.instructions_of(stage):
                if instruction.keyword == "ARG":
                    arguments.update(_assignments(instruction.arguments))
                elif instruction.keyword == "ENV":
                    environment.update(environment_pairs(instruction.arguments, {**arguments, **environment}))
        return environment

    def chain_of(self, stage: BuildStage) -> Iterator[BuildStage]:
        """Yield a stage and those that it builds on, the nearest first."""
        yield stage
        while stage.parent is not None:
            stage = self.stages[stage.parent]
            yield stage

    def instructions_of(self, stage: BuildStage) -> tuple[Instruction, ...]:
        """Return the instructions of a stage, without those of the stages that it builds on."""
        following = self.stages[stage.index + 1 : stage.index + 2]
        end = following[0].line if following else float("inf")
        return tuple(item for item in self.instructions if stage.line < item.line < end)

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """One declaration for each ``FROM`` that names a Python image directly."""
        return tuple(
            Declaration(
                kind="image",
                text=stage.image,
                location=Location(path=self.path, line=stage.line),
                interpreter=stage.interpreter,
            )
            for stage in self.stages
            if stage.is_python and stage.parent is None
        )


def is_dockerfile(name: str) -> bool:
    """Return whether a file of this name is a Dockerfile, with any prefix or suffix."""
    return _DOCKERFILE.fullmatch(name) is not None and not name.lower().endswith(_NOT_DOCKERFILE_ENDINGS)


def _installs_python(instruction: Instruction) -> bool:
    """Return whether a line installs the Python of a distribution: ``apk add python3``."""
    return any(map(_SYSTEM_PYTHON.fullmatch, _installed_packages(instruction)))


def _installed_packages(instruction: Instruction) -> Iterator[str]:
    """Yield the words of the commands of a line that install packages of the system."""
    commands = re.split(r"[;&|\n]", instruction.arguments.replace("\\\n", " ")) if instruction.keyword == "RUN" else ()
    for words in map(str.split, commands):
        if not (_SYSTEM_INSTALLERS.isdisjoint(words) or {"add", "install"}.isdisjoint(words)):
            yield from words


@lru_cache(maxsize=8)
def read_dockerfile(text: str, path: str) -> DockerfileText:
    """Read a Dockerfile. ``path`` is only stored in the result. Cached: several steps read the same file."""
    # replacing the byte order mark by a space keeps all positions
    found = _instructions(" " + text[1:] if text.startswith("\ufeff") else text)
    instructions = tuple(islice(found, MAX_INSTRUCTIONS + 1))
    problem = _limit_problem(text, instructions)
    instructions = instructions[:MAX_INSTRUCTIONS]
    arguments: dict[str, str] = {}
    stages: list[BuildStage] = []
    for instruction in instructions:
        if instruction.keyword == "ARG" and not stages:
            for name, value in _assignments(instruction.arguments):
                arguments[name] = substitute_variables(value, arguments)[0]
        elif instruction.keyword == "FROM" and len(stages) < MAX_STAGES:
            stages.append(_build_stage(instruction, arguments, stages))
    return DockerfileText(
        path=path, instructions=instructions, stages=tuple(stages), arguments=tuple(sorted(arguments.items())),
        problem=problem,
    )  # fmt: skip


def _limit_problem(text: str, instructions: tuple[Instruction, ...]) -> str:
    """Return a sentence if the file exceeds a limit; empty otherwise."""
    for count, limit, noun in (
        (len(instructions), MAX_INSTRUCTIONS, "instructions"),
        (sum(instruction.keyword == "FROM" for instruction in instructions), MAX_STAGES, "stages"),
        (text.count("\n"), MAX_LINES, "lines"),
        (max((len(instruction.arguments) for instruction in instructions), default=0), MAX_INSTRUCTION_LENGTH - 1,
         "characters in one instruction"),
    ):  # fmt: skip
        if count > limit:
            return f"It has more than {limit} {noun}; the rest is not checked."
    return ""


def substitute_variables(text: str, values: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Substitute ``$X``, ``${X}``, ``${X:-y}`` and ``${X:+y}``; return the text and the names without a value."""
    missing: list[str] = []
    tracked_values = {name: TrackedText(values[name], ()) for name in set(_NAME.findall(text)) & values.keys()}
    expanded_text = expand_variables(TrackedText(text, ()), tracked_values, missing)
    return expanded_text.text, tuple(dict.fromkeys(missing))


def python_version_of(image: str) -> tuple[bool, Interpreter | None]:
    """Return whether ``image`` is a Python image (``[registry/][library/]python[:tag]``), and the minor version of its
    tag.

    A tag that contains ``python3.11`` (``uv:python3.11-bookworm``) counts as well.
    """
    python_reference = parse_python_image(image)
    if python_reference is None:
        return False, None
    is_named_python = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower() == "python"
    return is_named_python or python_reference.version is not None, python_reference.version


def _build_stage(instruction: Instruction, arguments: Mapping[str, str], earlier: list[BuildStage]) -> BuildStage:
    words = instruction.arguments.split()
    flags = [word for word in words if word.startswith("--")]
    words = [word for word in words if not word.startswith("--")]
    base = words[0] if words else ""
    has_alias = len(words) >= 3 and words[1].lower() == "as"
    platform = next((flag.partition("=")[2] for flag in flags if flag.startswith("--platform")), "")
    resolved, missing = substitute_variables(base.strip("\"'"), arguments)
    parent = next((stage for stage in reversed(earlier) if stage.name and stage.name == resolved.lower()), None)
    image = parent.image if parent else resolved
    is_python, interpreter = python_version_of(image)
    return BuildStage(
        index=len(earlier),
        name=words[2].lower() if has_alias else "",
        base=base,
        resolved=resolved,
        image=image,
        image_line=parent.image_line if parent else instruction.line,
        line=instruction.line,
        platform=platform,
        parent=parent.index if parent else None,
        is_python=is_python,
        interpreter=interpreter,
        unresolved=missing,
    )


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of ``A=1 B="2"``; names without a value are omitted."""
    for match in _ASSIGNMENT.finditer(text):
        if match[2] is not None:
            yield match[1], match[2].strip("\"'")


def environment_pairs(arguments: str, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of ``ENV A=1 B="2"`` or ``ENV A 1``."""
    if "=" not in arguments.split(" ", 1)[0]:
        name, _, value = arguments.strip().partition(" ")
        yield name, substitute_variables(value.strip().strip("\"'"), variables)[0]
        return
    for match in _ENVIRONMENT_PAIR.finditer(arguments):
        yield match[1], substitute_variables(without_quotes(match[2]), variables)[0]


def without_quotes(value: str) -> str:
    """Return a value without its quotation marks, which may be those of parts of it."""
    parts: Sequence[str] = re.findall(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|\\.|[^\s\"'\\]+", value)
    return "".join(part[1:-1] if part[:1] in "\"'" else part.removeprefix("\\") for part in parts)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = re.split(r"\r\n|\r|\n", text)[:MAX_LINES]
    starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]
    escape = _escape_character(lines)
    line_numbers: dict[str, list[int]] = {}
    number = 0
    while number < len(lines):
        start = number
        parts: list[str] = []
        while number < len(lines):
            line = lines[number]
            number += 1
            if line.lstrip().startswith("#") or (parts and not line.strip()):
                continue  # comments and empty lines do not end a continued instruction
            stripped = line.rstrip()
            if not parts:
                start = number
            parts.append(stripped.removesuffix(escape))
            if not stripped.endswith(escape):
                break
        joined = " ".join(part.strip() for part in parts).strip()[:MAX_INSTRUCTION_LENGTH]
        keyword, _, rest = joined.partition(" ") if " " in joined else joined.partition("\t")
        if not keyword:
            continue
        end = starts[number - 1] + len(lines[number - 1])
        if keyword.upper() in _HEREDOC_KEYWORDS:
            if not line_numbers and "<<" in rest:
                for index, line in enumerate(lines):
                    line_numbers.setdefault(line.strip("\t "), []).append(index)
            number = _skip_heredocs(line_numbers, number, rest)
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


def _skip_heredocs(line_numbers: Mapping[str, list[int]], number: int, arguments: str) -> int:
    """Return the number of lines read after skipping the here-documents that ``arguments`` opens.

    ``line_numbers`` maps each line to the sorted indexes at which it stands.
    """
    for match in _HEREDOC.finditer(arguments):
        ends = line_numbers.get(match["end"], [])
        following = bisect_left(ends, number)
        if following == len(ends):
            return number
        number = ends[following] + 1
    return number
