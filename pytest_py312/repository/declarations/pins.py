"""Pins of version managers and platforms, and Jenkins pipelines: plain texts without a grammar. Never raises."""

import re
from collections.abc import Iterator

from pytest_py312.repository.declarations.declaration import Item, Meaning, Place, Scribe, version_of
from pytest_py312.repository.formats.image_reference import python_image

_QUOTED = re.compile(r"([\"'])(?P<text>[^\"'\r\n$]{1,300})\1")
_LIMIT = 500_000


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """(where it starts, the line without its comment and blanks) of each line that says something."""
    for number, match in enumerate(re.finditer(r"[^\r\n]+", text[:_LIMIT])):
        bare = match[0].partition("#")[0]
        bare = " " + bare[1:] if number == 0 and bare.startswith("\ufeff") else bare
        if bare.strip():
            yield match.start() + len(bare) - len(bare.lstrip()), bare.strip()[:200]


def read_python_version_places(text: str, path: str) -> tuple[Place, ...]:
    """.python-version: pyenv runs the first line, and offers the others after it."""
    scribe = Scribe(text, path)
    for number, (start, line) in enumerate(_lines(text)):
        head = re.match(r"(?:cpython-|python-?)?", line)
        begin = head.end() if head else 0
        version = version_of(line[begin:])
        meaning = Meaning.APART if number else Meaning.EXACT if version else _without(line)
        scribe.note(
            "pin", meaning, start + begin, start + len(line), subject="the pin", version=version,
            unclear="" if version else "It names no minor of CPython.", declared=number == 0,
        )  # fmt: skip
        if number >= 50:
            break
    return scribe.places


def _without(line: str) -> Meaning:
    return Meaning.FLOATING if re.fullmatch(r"3|system|latest", line) else Meaning.UNKNOWN


def read_runtime_places(text: str, path: str) -> tuple[Place, ...]:
    """runtime.txt: ``python-3.10.13``."""
    scribe = Scribe(text, path)
    for start, line in _lines(text):
        match = re.match(r"python-*", line, re.IGNORECASE)
        if match:
            _pin(scribe, start + match.end(), line[match.end() :], line)
            break
    return scribe.places


def read_tool_versions_places(text: str, path: str) -> tuple[Place, ...]:
    """.tool-versions: asdf runs the first of several."""
    scribe = Scribe(text, path)
    for start, line in _lines(text):
        match = re.fullmatch(r"python[ \t]+(?P<version>\S+).*", line)
        if match:
            _pin(scribe, start + match.start("version"), match["version"], line)
            break
    return scribe.places


def _pin(scribe: Scribe, start: int, written: str, line: str) -> None:
    version = version_of(written)
    if written:
        scribe.note(
            "pin", Meaning.EXACT if version else Meaning.FLOATING, start, start + len(written), subject="the pin",
            text=line, version=version, keeps_patch=written.count(".") > 1,
            unclear="" if version else "It names no minor of CPython.",
        )  # fmt: skip


def read_jenkins_places(text: str, path: str) -> tuple[Place, ...]:
    """A Jenkinsfile: the Python images that stand in it as plain strings."""
    scribe = Scribe(text, path)
    for match in _QUOTED.finditer(text[:_LIMIT]):
        image = python_image(match["text"])
        if image is None or ("/" not in match["text"] and ":" not in match["text"]):
            continue
        first = match.start("text")
        span = (first + image.span[0], first + image.span[1]) if image.span else match.span("text")
        scribe.note(
            "workflow", Meaning.EXACT if image.version else Meaning.FLOATING, *span, subject="an image",
            text=match["text"], version=image.version, images=(match["text"],), fixed=image.reason,
            unclear="" if image.version else image.reason,
        )  # fmt: skip
    return scribe.places


def read_manylinux_places(text: str, path: str) -> tuple[Place, ...]:
    """.manylinux-install.sh: the tags of the interpreters for which wheels are built."""
    scribe = Scribe(text, path)
    for match in re.finditer(r"(?<![A-Za-z])cp(?P<version>3\d{1,2})(?!\d)", text[:_LIMIT], re.ASCII):
        scribe.note(
            "tool", Meaning.MEMBER, *match.span("version"), subject="wheels", text=match[0],
            version=version_of(match[0]), item=Item(group="wheels", start=match.start(), end=match.end()),
            fixed="It stands in a shell script; add the target by hand.", declared=False,
        )  # fmt: skip
    return scribe.places
