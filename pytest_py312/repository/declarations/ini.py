"""Find the Python versions in ini files: setup.cfg, tox.ini, mypy.ini, .pylintrc, .coveragerc. Never raises."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_py312.repository.declarations.declaration import (
    DeclarationCollector,
    DeclarationRole,
    ListItem,
    VersionDeclaration,
    version_of,
)

LENGTH_LIMIT = 200_000
_SECTION = re.compile(r"\[(?P<name>[^\]\r\n]+)\]")
_KEY = re.compile(r"(?P<key>[^\s=:#;\[][^=:\r\n]*?)[ \t]*[=:][ \t]*")
_LINE = re.compile(r"(?P<body>[^\r\n]*)(?:\r\n|\r|\n|\Z)")
_TOX_FACTOR = re.compile(r"(?<![\w.])(?:python|py)-?(?P<version>3\.?\d{1,2})(?![\w.])", re.ASCII)
_OWN_VERSION = re.compile(r"(?<![\w.])(?:(?:python|py|cp)-?3\.?\d|3\.\d)|pypy", re.ASCII)
FACTOR_SET = re.compile(r"(?<![\w.])(?:python|py)(?P<head>3?\.?)\{(?P<pieces>[\d,.\s]{1,200})\}", re.ASCII)
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (?P<version>3\.\d{1,2})(?=\s*(?:\r|\n|,|\Z))", re.ASCII)
_VERSION_IN_PATH = re.compile(r"python(?P<version>3\.\d{1,2})(?!\d)", re.ASCII)
_ENVLIST_ENTRY = re.compile(r"(?:\{[^}\r\n]*\}?|[^\s,{])+")
_END_OF_LINE = re.compile(r"[ \t]*(?:\r|\n|\Z)")
_MAPPED_VERSION = re.compile(r"(?m)^[ \t]*(?P<item>(?P<version>3\.\d{1,2})[ \t]*:[^\r\n#]*[^\s#])", re.ASCII)
_PYLINT_SECTIONS = frozenset({"main", "master", "pylint.main", "pylint.master"})


@dataclass(frozen=True, slots=True)
class IniValue:
    """A value with its position; ``key`` is in lower case."""

    section: str
    key: str
    start: int
    end: int


def read_ini_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Return the declarations of an ini file. Any of these files may contain the sections of the others."""
    collector = DeclarationCollector(text, path)
    if len(text) > LENGTH_LIMIT:
        collector.add_unreadable_file("tool", f"it is longer than {LENGTH_LIMIT} characters")
        return collector.declarations
    for value in ini_values(text):
        _add_value(collector, value)
    return collector.declarations


def add_tox_environments(collector: DeclarationCollector, start: int, end: int) -> None:
    """Add the environments of a tox.ini that is embedded in another file."""
    for value in ini_values(collector.text[start:end]):
        if value.section == "tox" and value.key in ("envlist", "env_list"):
            _add_envlist(collector, start + value.start, start + value.end)


def ini_values(text: str) -> Iterator[IniValue]:
    """Yield each value with its position; it continues on lines that are indented deeper than its key."""
    section, key, start, end = "", "", 0, 0
    for line in _LINE.finditer(text.replace("\ufeff", " ", 1) if text.startswith("\ufeff") else text):
        body = line["body"]
        stripped = body.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if key and body[0] in " \t":
            end = line.start() + len(body.rstrip())
            continue
        if key:
            yield IniValue(section, key, start, end)
            key = ""
        header, key_match = _SECTION.match(stripped), _KEY.match(stripped)
        if header:
            section = header["name"]
        elif key_match:
            key = key_match["key"].lower()
            start = line.start() + body.index(stripped) + key_match.end()
            end = max(start, line.start() + len(body.rstrip()))
    if key:
        yield IniValue(section, key, start, end)


def _add_value(collector: DeclarationCollector, value: IniValue) -> None:
    section, key = value.section, value.key
    start, end = value.start, value.end
    text = collector.text[start:end]
    if section == "options" and key in ("python_requires", "python-requires"):
        start += len(text) - len(text.lstrip())  # the value may begin on the next line
        spans_lines = "It spans several lines." if "\n" in text.strip() else ""
        end = start + len(text.strip())
        collector.add_range(start, end, text.strip(), "python_requires", spans_lines, may_be_empty=False)
    elif section == "metadata" and key in ("classifiers", "classifier"):
        for match in _CLASSIFIER.finditer(collector.text, start, end):
            item = _line_or_comma_item(collector.text, "classifiers", *match.span())
            collector.add_classifier(*match.span("version"), match[0], item)
    elif (section == "mypy" and key == "python_version") or (
        section.lower() in _PYLINT_SECTIONS and key == "py-version"
    ):
        _add_version(collector, start, text, DeclarationRole.MINIMUM, f"{section}.{key}")
    elif section == "tox" and key in ("envlist", "env_list"):
        _add_envlist(collector, start, end)
    elif section.startswith("testenv") and key in ("basepython", "base_python"):
        for match in _TOX_FACTOR.finditer(collector.text, start, end):
            if ":" in re.split(r"[\r\n]", collector.text[match.end() : end], maxsplit=1)[0]:
                continue  # a factor condition, not the value
            line = re.split(r"[\r\n]", collector.text[start : match.start()])[-1]
            # "py39: python3.9", or in [testenv:py39]: it repeats the name of its environment
            own_version = _OWN_VERSION.search(line.rpartition(":")[0] or section.partition(":")[2])
            _add_factor(
                collector, match, DeclarationRole.IGNORED if own_version else DeclarationRole.EXACT, None, "basepython"
            )
    elif section in ("gh-actions", "gh") and key == "python":
        for match in _MAPPED_VERSION.finditer(collector.text, start, end):
            item = ListItem(group=f"@{start}", start=match.start("item"), end=match.end("item"), on_own_lines=True)
            collector.add("tool", DeclarationRole.LIST_ITEM, *match.span("version"), subject=section, item=item,
                        version=version_of(match["version"]), declared=False)  # fmt: skip
    elif section in ("paths", "coverage:paths"):
        for match in _VERSION_IN_PATH.finditer(collector.text, start, end):
            collector.add("tool", DeclarationRole.PATH, *match.span("version"), subject="a path",
                        version=version_of(match["version"]), declared=False)  # fmt: skip


def _add_version(collector: DeclarationCollector, start: int, text: str, role: DeclarationRole, subject: str) -> None:
    start += len(text) - len(text.lstrip())
    text = text.strip()[:200]
    version = version_of(text)
    if text:
        collector.add(
            "tool", role if version else DeclarationRole.FLOATING, start, start + len(text), subject=subject,
            version=version, unknown_reason="" if version else "It names no minor version.",
        )  # fmt: skip


def _add_envlist(collector: DeclarationCollector, start: int, end: int) -> None:
    """Add each Python of an envlist: ``py39``, ``py3.10``, ``py3{9,10}``, ``py{39,310}``, ``{py39,py310}-x``."""
    text = collector.text
    for first, last in _envlist_entries(text, start, end):
        if collector.is_full:
            return
        for match in FACTOR_SET.finditer(text, first, last):
            add_set(collector, match["head"], *match.span("pieces"), "tox environments")
        for match in _TOX_FACTOR.finditer(text, first, last):
            brace = text.rfind("{", first, match.start())
            if brace >= 0 and text.find("}", brace, match.start()) < 0:
                prefix = re.search(r"[^{,]*\Z", text[brace : match.start()])
                suffix = re.match(r"[^},\r\n]*", text[match.end() : last])
                item_start = match.start() - len((prefix[0] if prefix else "").lstrip())
                item = ListItem(
                    group=f"@{brace}", start=item_start, end=match.end() + len(suffix[0].rstrip() if suffix else "")
                )
            else:
                other_factors = text[first : match.start()] + "|" + text[match.end() : last]
                item = _line_or_comma_item(text, f"@{start}:{other_factors}", first, last)
            _add_factor(collector, match, DeclarationRole.LIST_ITEM, item, "tox environments")


def add_set(
    collector: DeclarationCollector, head: str, start: int, end: int, subject: str, *, declared: bool = True
) -> None:
    """Add each Python of a set of factors: ``39,310`` of ``py{39,310}``, or ``9,10`` of ``py3{9,10}`` (its head)."""
    for piece in re.finditer(r"[\d.]+", collector.text[start:end]):
        item = ListItem(group=f"@{start}", start=start + piece.start(), end=start + piece.end())
        version = version_of(head + piece[0])
        if version:
            collector.add("tool", DeclarationRole.LIST_ITEM, item.start, item.end, subject=subject, declared=declared,
                        text=collector.text[start:end], version=version, item=item)  # fmt: skip


def _add_factor(
    collector: DeclarationCollector, match: re.Match[str], role: DeclarationRole, item: ListItem | None, subject: str
) -> None:
    version = version_of(match["version"])
    if version:
        collector.add("tool", role, *match.span("version"), subject=subject, text=match[0], version=version, item=item)


def _envlist_entries(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the entries of an envlist, which commas and blanks outside of braces separate, without comments."""
    for line in _LINE.finditer(text, start, end):
        content = re.split(r"(?:^|\s)[#;]", line["body"], maxsplit=1)[0]
        for entry in _ENVLIST_ENTRY.finditer(text, line.start(), line.start() + len(content)):
            yield entry.span()


def _line_or_comma_item(text: str, group: str, start: int, end: int) -> ListItem:
    """Return a list item that either fills its line or is separated by commas."""
    first = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    on_own_lines = not text[first:start].strip() and _END_OF_LINE.match(text, end) is not None
    return ListItem(group=group, start=start, end=end, on_own_lines=on_own_lines)
