"""Ini files (setup.cfg, tox.ini, mypy.ini, .pylintrc, .coveragerc): every place that says a Python version.

Never raises.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_py312.repository.declarations.declaration import Item, Meaning, Place, Scribe, version_of
from pytest_py312.repository.formats.version_ranges import only_minor, readable

LENGTH_LIMIT = 2_000_000
_SECTION = re.compile(r"\[(?P<name>[^\]\r\n]+)\]")
_KEY = re.compile(r"(?P<key>[^\s=:#;\[][^=:\r\n]*?)[ \t]*[=:][ \t]*")
_LINE = re.compile(r"(?P<body>[^\r\n]*)(?:\r\n|\r|\n|\Z)")
_FACTOR = re.compile(r"(?<![\w.])(?:python|py)-?(?P<version>3\.?\d{1,2})(?![\w.])", re.ASCII)
_OF_ITSELF = re.compile(r"(?<![\w.])(?:(?:python|py|cp)-?3\.?\d|3\.\d)|pypy", re.ASCII)
_SET = re.compile(r"(?<![\w.])(?:python|py)(?P<head>3?\.?)\{(?P<pieces>[\d,.\s]{1,200})\}", re.ASCII)
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (?P<version>3\.\d{1,2})(?=\s*(?:\r|\n|,|\Z))", re.ASCII)
_IN_PATH = re.compile(r"python(?P<version>3\.\d{1,2})(?!\d)", re.ASCII)
_ENTRY = re.compile(r"(?:\{[^}\r\n]*\}?|[^\s,{])+")
_MAPPED = re.compile(r"(?m)^[ \t]*(?P<item>(?P<version>3\.\d{1,2})[ \t]*:[^\r\n#]*[^\s#])", re.ASCII)
_PYLINT = frozenset({"main", "master", "pylint.main", "pylint.master"})


@dataclass(frozen=True, slots=True)
class _Value:
    section: str
    key: str
    start: int
    end: int


def read_ini_places(text: str, path: str) -> tuple[Place, ...]:
    """Any ini file: each may hold the sections of the others."""
    scribe = Scribe(text, path)
    if len(text) > LENGTH_LIMIT:
        scribe.unreadable("tool", f"it is longer than {LENGTH_LIMIT} characters")
        return scribe.places
    for value in _values(text):
        _note(scribe, value)
    return scribe.places


def note_environments(scribe: Scribe, start: int, end: int) -> None:
    """The environments of a tox.ini that stands within another file."""
    for value in _values(scribe.text[start:end]):
        if value.section == "tox" and value.key in ("envlist", "env_list"):
            _environments(scribe, start + value.start, start + value.end)


def _values(text: str) -> Iterator[_Value]:
    """Each value with where it stands; it goes on in the lines that are indented deeper than its key."""
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
            yield _Value(section, key, start, end)
            key = ""
        header, found = _SECTION.match(stripped), _KEY.match(stripped)
        if header:
            section = header["name"]
        elif found:
            key = found["key"].lower()
            start = line.start() + body.index(stripped) + found.end()
            end = max(start, line.start() + len(body.rstrip()))
    if key:
        yield _Value(section, key, start, end)


def _note(scribe: Scribe, value: _Value) -> None:
    section, key = value.section, value.key
    start, end = value.start, value.end
    text = scribe.text[start:end]
    if section == "options" and key in ("python_requires", "python-requires"):
        _range(scribe, start, end)
    elif section == "metadata" and key in ("classifiers", "classifier"):
        for match in _CLASSIFIER.finditer(scribe.text, start, end):
            item = _alone(scribe.text, "classifiers", *match.span())
            scribe.note("metadata", Meaning.MEMBER, *match.span("version"), subject="classifiers", text=match[0],
                        version=version_of(match["version"]), item=item)  # fmt: skip
    elif (section == "mypy" and key == "python_version") or (section.lower() in _PYLINT and key == "py-version"):
        _version(scribe, start, text, Meaning.FLOOR, f"{section}.{key}")
    elif section == "tox" and key in ("envlist", "env_list"):
        _environments(scribe, start, end)
    elif section.startswith("testenv") and key in ("basepython", "base_python"):
        for match in _FACTOR.finditer(scribe.text, start, end):
            if ":" in re.split(r"[\r\n]", scribe.text[match.end() : end], maxsplit=1)[0]:
                continue  # a factor, not the value
            line = re.split(r"[\r\n]", scribe.text[start : match.start()])[-1]
            # "py39: python3.9", or in [testenv:py39]: it is what the environment's own name says
            named = _OF_ITSELF.search(line.rpartition(":")[0] or section.partition(":")[2])
            _factor(scribe, match, Meaning.APART if named else Meaning.EXACT, None, "basepython")
    elif section in ("gh-actions", "gh") and key == "python":
        for match in _MAPPED.finditer(scribe.text, start, end):
            item = Item(group=f"@{start}", start=match.start("item"), end=match.end("item"), lines=True)
            scribe.note("tool", Meaning.MEMBER, *match.span("version"), subject=section, item=item,
                        version=version_of(match["version"]), declared=False)  # fmt: skip
    elif section in ("paths", "coverage:paths"):
        for match in _IN_PATH.finditer(scribe.text, start, end):
            scribe.note("tool", Meaning.PATH, *match.span("version"), subject="a path",
                        version=version_of(match["version"]), declared=False)  # fmt: skip


def _range(scribe: Scribe, start: int, end: int) -> None:
    # the value may begin on the next line
    text = scribe.text[start:end]
    start += len(text) - len(text.lstrip())
    text = text.strip()
    clear = bool(text) and readable(text)
    scribe.note(
        "metadata", Meaning.RANGE if clear else Meaning.UNKNOWN, start, start + len(text), subject="python_requires",
        version=only_minor(text), fixed="It is written over several lines." if "\n" in text else "",
        unclear="" if clear else "It is no range of versions that can be read.",
    )  # fmt: skip


def _version(scribe: Scribe, start: int, text: str, meaning: Meaning, subject: str) -> None:
    start += len(text) - len(text.lstrip())
    text = text.strip()[:200]
    version = version_of(text)
    if text:
        scribe.note(
            "tool", meaning if version else Meaning.FLOATING, start, start + len(text), subject=subject,
            version=version, unclear="" if version else "It names no minor.",
        )  # fmt: skip


def _environments(scribe: Scribe, start: int, end: int) -> None:
    """Each Python that an envlist names: ``py39``, ``py3.10``, ``py3{9,10}``, ``py{39,310}``, ``{py39,py310}-x``."""
    text = scribe.text
    for first, last in _entries(text, start, end):
        for match in _SET.finditer(text, first, last):
            at = match.start("pieces")
            for piece in re.finditer(r"[\d.]+", match["pieces"]):
                version = version_of(match["head"] + piece[0])
                item = Item(group=f"@{at}", start=at + piece.start(), end=at + piece.end())
                if version:
                    scribe.note("tool", Meaning.MEMBER, item.start, item.end, subject="tox environments",
                                text=match[0], version=version, item=item)  # fmt: skip
        for match in _FACTOR.finditer(text, first, last):
            opened = text.rfind("{", first, match.start())
            if opened >= 0 and text.find("}", opened, match.start()) < 0:
                before = re.search(r"[^{,]*\Z", text[opened : match.start()])
                after = re.match(r"[^},\r\n]*", text[match.end() : last])
                begin = match.start() - len((before[0] if before else "").lstrip())
                item = Item(group=f"@{opened}", start=begin, end=match.end() + len(after[0].rstrip() if after else ""))
            else:
                rest = text[first : match.start()] + "|" + text[match.end() : last]
                item = _alone(text, f"@{start}:{rest}", first, last)
            _factor(scribe, match, Meaning.MEMBER, item, "tox environments")


def _factor(scribe: Scribe, match: re.Match[str], meaning: Meaning, item: Item | None, subject: str) -> None:
    version = version_of(match["version"])
    if version:
        scribe.note("tool", meaning, *match.span("version"), subject=subject, text=match[0], version=version, item=item)


def _entries(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of an envlist between commas and blanks, those within braces left alone, without comments."""
    for line in _LINE.finditer(text, start, end):
        bare = re.split(r"(?:^|\s)[#;]", line["body"], maxsplit=1)[0]
        for entry in _ENTRY.finditer(text, line.start(), line.start() + len(bare)):
            yield entry.span()


def _alone(text: str, group: str, start: int, end: int) -> Item:
    """An item that fills its line, or one among commas."""
    first = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    lines = not text[first:start].strip() and re.match(r"[ \t]*(?:\r|\n|\Z)", text[end:]) is not None
    return Item(group=group, start=start, end=end, lines=lines)
