"""Find the Python versions in the environments of a tox.ini: sections, conditions, commands. Never raises.

An environment of the target needs all that the one of the baseline has: a section of its own where the baseline has
one, the conditional settings, and the images that its commands build.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.declarations.declaration import (
    BUILD_VARIABLE,
    DeclarationCollector,
    DeclarationRole,
    ListItem,
    VersionDeclaration,
    version_of,
)
from pytest_py312.repository.declarations.ini import (
    FACTOR_SET,
    LENGTH_LIMIT,
    IniValue,
    add_set,
    ini_values,
    read_ini_declarations,
)
from pytest_py312.repository.formats.image_reference import parse_python_image

_HEADER = re.compile(r"^\[(?P<name>testenv:[^\]\r\n]+)\][^\r\n]*", re.MULTILINE)
_ANY_HEADER = re.compile(r"^\[[^\]\r\n]+\]", re.MULTILINE)
_FACTOR = re.compile(r"(?<![\w.!])(?:python|py)-?(?P<version>3\.?\d{1,2})(?![\w.])", re.ASCII)
_CONDITION = re.compile(r"[ \t]*(?P<factors>!?[\w.-]+(?:[ \t]*,[ \t]*!?[\w.-]+)*)[ \t]*:(?=[ \t]|\Z)", re.ASCII)
_GENERATIVE_CONDITION = re.compile(r"[ \t]*(?P<factors>!?[\w.,{}-]*\{[\w.,{}-]*)[ \t]*:(?=[ \t]|\Z)", re.ASCII)
_REFERENCED_SET = re.compile(
    r"(?<![\w.])(?:python|py)-?(?P<head>3?\.?)\{\[(?P<section>[^\]\r\n{}]{1,100})\](?P<key>\w{1,100})\}", re.ASCII
)
_NUMBERS = re.compile(r"\s*\{?(?P<pieces>[\d,. \t]+)\}?", re.ASCII)
_LINE = re.compile(r"[^\r\n]+")
_RUNS_ELSEWHERE = re.compile(r"(?<![\w./-])(?:docker|podman|buildah|nerdctl|tox|nox)(?![\w.-])", re.ASCII)
"""Commands that run another Python than that of their environment."""
_BUILD_ARGUMENT = re.compile(
    r"--build-arg[= \t]+[\"']?(?P<name>[A-Za-z_]\w{0,100})=(?P<value>[^\s\"']{1,200})", re.ASCII
)
_IMAGE = re.compile(r"(?<![\w.=:/-])(?:[\w.-]+(?::\d+)?/){0,5}python:3\.[\w.-]+", re.ASCII)
_MADE_FOR_ONE = "It names a file that is made for {0}; make that for the target first, and write the line."
_FILE_SUFFIX = re.compile(r"\.py-?3\.?\d{1,2}(?![\w-])", re.ASCII)
_CONDITIONAL_KEYS = frozenset({"basepython", "base_python"})
"""Keys whose conditions repeat the name of the environment."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A version in a command: its span, and the build argument or image that it is part of."""

    start: int
    end: int
    version: Interpreter
    subject: str
    image: str = ""


def read_tox_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Return the declarations of a tox.ini: those of any ini file, and those of its environments."""
    settings = read_ini_declarations(text, path)
    if len(text) > LENGTH_LIMIT:
        return settings
    collector = DeclarationCollector(text, path)
    versioned = tuple(_add_sections(collector, settings))
    values = [
        value
        for value in ini_values(text)
        if value.section.partition(":")[0] == "testenv"
        and not any(start <= value.start < end for start, end in versioned)
    ]
    _add_referenced_sets(collector)
    newest = max((version for version in _environment_versions(collector, settings, values)), default=None)
    if newest is not None:
        _add_generative(collector, [value for value in ini_values(text) if value.section != "tox"], newest)
    for value in values:
        if value.key.startswith("commands"):
            _add_commands(collector, value)
        if value.key not in _CONDITIONAL_KEYS and newest is not None:
            _add_conditions(collector, value, newest)
    taken = {declaration.start for declaration in settings}
    in_section = [
        declaration
        for declaration in settings
        if not any(start <= declaration.start < end for start, end in versioned)
        or declaration.role is DeclarationRole.IGNORED
    ]
    added = (declaration for declaration in collector.declarations if declaration.start not in taken)
    return tuple(sorted((*in_section, *added), key=lambda declaration: declaration.start))


def tox_parts(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, name) of each environment: its entry in the envlist, and its section."""
    if len(text) > LENGTH_LIMIT:
        return
    for value in ini_values(text):
        if value.section == "tox" and value.key in ("envlist", "env_list"):
            for entry in re.finditer(r"(?:\{[^}\r\n]*\}?|[^\s,{])+", text[value.start : value.end]):
                yield value.start + entry.start(), value.start + entry.end(), entry[0]
    for header in _HEADER.finditer(text):
        yield header.start(), _section_end(text, header.end()), header["name"].partition(":")[2]


def _section_end(text: str, start: int) -> int:
    following = _ANY_HEADER.search(text, start)
    return following.start() if following else len(text)


# ---- sections


def _add_sections(collector: DeclarationCollector, settings: Sequence[VersionDeclaration]) -> Iterator[tuple[int, int]]:
    """Add the sections whose environment names one version, and yield their spans.

    Such a section is an item of a list as a whole: what stands in it is for its version. Sections of old environments
    only are no list; the newest one has what it needs.
    """
    text = collector.text
    sections = list(_versioned_sections(text))
    for header, factor, version, other_factors in sections:
        start, end = header.start(), _section_end(text, header.end())
        yield start, end
        newest = max(other for _, _, other, factors in sections if factors == other_factors)
        if any(listed > newest for listed in _listed_versions(settings, other_factors)):
            continue
        blank_line = re.search(r"(?:\r\n|\n|\r)(?P<blank>(?:\r\n|\n|\r))\Z", text[max(0, start - 4) : start])
        item = ListItem(
            group=f"@section:{other_factors}",
            start=start - len(blank_line["blank"]) if blank_line else start,
            end=end,
            on_own_lines=True,
            is_combination=True,
        )
        collector.add(
            "tool", DeclarationRole.LIST_ITEM, *factor, subject="tox sections", text=header[0], version=version,
            item=item, declared=False,
        )  # fmt: skip


def _versioned_sections(text: str) -> Iterator[tuple[re.Match[str], tuple[int, int], Interpreter, str]]:
    """Yield the header, the span of the version, the version, and the other factors of each section for one version."""
    for header in _HEADER.finditer(text):
        factors = list(_FACTOR.finditer(header["name"]))
        version = version_of(factors[0]["version"]) if len(factors) == 1 else None
        if version is None or "{" in header["name"]:
            continue
        span = (header.start("name") + factors[0].start("version"), header.start("name") + factors[0].end("version"))
        yield header, span, version, f"{header['name'][8 : factors[0].start()]}|{header['name'][factors[0].end() :]}"


def _add_referenced_sets(collector: DeclarationCollector) -> None:
    """Add the sets that environments refer to: ``python_matrix = {39,310}`` for ``py{[common]python_matrix}``."""
    values = {(value.section, value.key): value for value in ini_values(collector.text)}
    for match in _REFERENCED_SET.finditer(collector.text):
        value = values.get((match["section"], match["key"].lower()))
        numbers = _NUMBERS.fullmatch(collector.text, value.start, value.end) if value else None
        if numbers:
            add_set(collector, match["head"], *numbers.span("pieces"), "tox environments")


def _add_generative(collector: DeclarationCollector, values: Sequence[IniValue], newest: Interpreter) -> None:
    """Add the sets in names of sections and in conditions that are for the newest Python: ``py{39,310}-x: mock``."""
    text = collector.text
    spans = [header.span("name") for header in _HEADER.finditer(text)]
    for value in values:
        for line in _LINE.finditer(text, value.start, value.end):
            condition = _GENERATIVE_CONDITION.match(line[0])
            if condition:
                spans.append((line.start() + condition.start("factors"), line.start() + condition.end("factors")))
    for start, end in spans:
        for match in FACTOR_SET.finditer(text, start, end):
            pieces = re.findall(r"[\d.]+", match["pieces"])
            if newest in (version_of(match["head"] + piece) for piece in pieces):
                add_set(collector, match["head"], *match.span("pieces"), "tox sections", declared=False)


def _listed_versions(settings: Sequence[VersionDeclaration], other_factors: str) -> Iterator[Interpreter]:
    """Yield the versions of the envlist's environments with these other factors, or with alternatives in braces."""
    for declaration in settings:
        if declaration.subject == "tox environments" and declaration.version and declaration.item:
            group = declaration.item.group.partition(":")
            if not group[1] or group[2] == other_factors:
                yield declaration.version


# ---- conditions


def _environment_versions(
    collector: DeclarationCollector, settings: Sequence[VersionDeclaration], values: Sequence[IniValue]
) -> Iterator[Interpreter]:
    """Yield all versions for which the file has environments."""
    for declaration in (*settings, *collector.declarations):
        if (
            declaration.role is DeclarationRole.LIST_ITEM
            and declaration.subject.startswith("tox")
            and declaration.version
        ):
            yield declaration.version
    for value in values:
        for _, _, condition in _conditions(collector.text, value):
            for factor in _FACTOR.finditer(condition["factors"]):
                version = version_of(factor["version"])
                if version:
                    yield version


def _conditions(text: str, value: IniValue) -> Iterator[tuple[int, int, re.Match[str]]]:
    for line in _LINE.finditer(text, value.start, value.end):
        condition = _CONDITION.match(line[0])
        if condition:
            yield line.start(), line.end(), condition


def _add_conditions(collector: DeclarationCollector, value: IniValue, newest: Interpreter) -> None:
    """Add ``py39: -r test.txt`` if the newest environment has such a line.

    What only older environments need (``py38: backport``) is nothing for the target.
    """
    conditions: list[tuple[int, int, re.Match[str], tuple[int, int], Interpreter]] = []
    for start, end, condition in _conditions(collector.text, value):
        factors = list(_FACTOR.finditer(condition["factors"]))
        version = version_of(factors[0]["version"]) if len(factors) == 1 else None
        if version:
            shift = start + condition.start("factors")
            span = (shift + factors[0].start("version"), shift + factors[0].end("version"))
            conditions.append((start, end, condition, span, version))
    if not any(version == newest for *_, version in conditions):
        return
    for start, end, condition, (position, factor_end), version in conditions:
        line = collector.text[start:end]
        first = start + len(line) - len(line.lstrip())
        other_factors = collector.text[first:position] + "|" + collector.text[factor_end : start + condition.end()]
        compact = f"{version.major}{version.minor}"
        names_file = re.search(rf"py-?(?:{compact}|{re.escape(str(version))})(?!\d)", line[condition.end() :], re.ASCII)
        collector.add(
            "tool", DeclarationRole.LIST_ITEM, position, factor_end, subject=f"conditions of {value.key}",
            text=line.strip(), version=version, declared=False,
            item=ListItem(
                group=f"@{value.start}:{other_factors}", start=first, end=start + len(line.rstrip()), on_own_lines=True
            ),
            not_editable_reason=_MADE_FOR_ONE.format(version) if names_file and version == newest else "",
        )  # fmt: skip


# ---- commands


def _add_commands(collector: DeclarationCollector, value: IniValue) -> None:
    """Add the versions that commands hand to containers and to other environments.

    Consecutive lines with the same version belong together. Where the lines of a value are for several versions, they
    are a list.
    """
    runs: list[tuple[Interpreter, list[_Place], int, int]] = []
    is_open = False
    for line in _LINE.finditer(collector.text, value.start, value.end):
        places = list(_places_in_command(line[0], line.start())) if _RUNS_ELSEWHERE.search(line[0]) else []
        versions = {place.version for place in places}
        if len(versions) != 1:
            is_open = False
            continue
        start = line.start() + len(line[0]) - len(line[0].lstrip())
        end = line.start() + len(line[0].rstrip())
        if is_open and runs[-1][0] in versions:
            version, earlier, first, _ = runs[-1]
            runs[-1] = (version, [*earlier, *places], first, end)
        else:
            runs.append((versions.pop(), places, start, end))
        is_open = True
    versions_of_runs = {version for version, *_ in runs}
    is_list = len(versions_of_runs) > 1
    for version, places, start, end in runs:
        names_file = version == max(versions_of_runs) and _FILE_SUFFIX.search(collector.text, start, end) is not None
        item = ListItem(
            group=f"@{value.start}:{value.key}", start=start, end=end, on_own_lines=True, is_combination=True
        )
        for place in places:
            collector.add(
                "tool", DeclarationRole.LIST_ITEM if is_list else DeclarationRole.EXACT, place.start, place.end,
                subject=place.subject or "a command", version=place.version,
                images=(place.image,) if place.image else (), item=item if is_list else None,
                declared=bool(place.subject) and not is_list,
                not_editable_reason=_MADE_FOR_ONE.format(version) if names_file else "",
            )  # fmt: skip


def _places_in_command(line: str, offset: int) -> Iterator[_Place]:
    covered: list[tuple[int, int]] = []
    for match in _BUILD_ARGUMENT.finditer(line):
        covered.append(match.span())
        value, start = match["value"], offset + match.start("value")
        image = parse_python_image(value)
        version = version_of(value) if BUILD_VARIABLE.fullmatch(match["name"]) else None
        if version:
            yield _Place(start, start + len(value), version, match["name"])
        elif image and image.version and image.span and not image.reason:
            yield _Place(start + image.span[0], start + image.span[1], image.version, match["name"], value)
    for match in _IMAGE.finditer(line):
        image = parse_python_image(match[0])
        if image and image.version and image.span and not any(start <= match.start() < end for start, end in covered):
            start = offset + match.start()
            yield _Place(start + image.span[0], start + image.span[1], image.version, "an image", match[0])
    for match in _FACTOR.finditer(line):
        version = version_of(match["version"])
        if version and not any(start <= match.start() < end for start, end in covered):
            yield _Place(offset + match.start("version"), offset + match.end("version"), version, "")
