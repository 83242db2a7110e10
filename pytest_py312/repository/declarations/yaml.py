"""YAML of workflows, pipelines, compose files, manifests and tools: every place that says a Python version.

One walk for all: dialects differ in which keys say it, and in how an expression leads to where the value stands.
Positions are those of the parser's events, because replacing a span is the smallest change there is: ruamel.yaml keeps
comments too, and yet writes the rest of the file anew. Never raises.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pytest_py312.repository.declarations.declaration import Item, Meaning, Place, Scribe, version_of
from pytest_py312.repository.declarations.yaml_walk import Around, members_of, pairs_of
from pytest_py312.repository.formats.image_reference import python_image
from pytest_py312.repository.formats.text_positions import Traced, expanded
from pytest_py312.repository.formats.version_ranges import only_minor
from pytest_py312.repository.formats.yaml import Mapping as YamlMapping
from pytest_py312.repository.formats.yaml import (
    Node,
    NotYaml,
    Scalar,
    Sequence,
    child,
    content_of,
    documents_of,
    end_of,
    text_of,
)

NAME = re.compile(r"(?:DEFAULT_|BASE_)?PY(?:THON)?[-_.]?VER(?:SION)?S?", re.IGNORECASE | re.ASCII)
_IMAGE_KEYS = frozenset({"image", "container", "base_image", "baseImage"})
_SCRIPT_KEYS = frozenset({"run", "script", "before_script", "after_script", "command", "entry", "install"})
_REFERENCE = re.compile(
    r"\$\{\{\s*(?:matrix|env|inputs|parameters|variables|vars|steps|needs|github)?"
    r"(?:\.?(?P<dotted>[\w.-]+)|\[\s*'(?P<bracket>[\w.-]+)'\s*\])\s*\}\}"
    r"|\$\((?P<azure>[\w.]+)\)"
    r"|<<\s*(?:parameters|matrix|pipeline\.parameters)\.(?P<circle>[\w-]+)\s*>>"
    r"|\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bare>[A-Za-z_]\w*))",
    re.ASCII,
)
_SHELL = re.compile(r"\$(?:\{[A-Za-z_]|[A-Za-z_])", re.ASCII)
_OTHER_PYTHON = re.compile(
    r"pypy|graalpy|jython|ironpython|micropython|3\.\d{1,2}(?:\.\d+)?t(?:-dev)?\Z", re.IGNORECASE | re.ASCII
)
_RANGE = re.compile(
    r"[\s\dvx.*<>=~^|,-]+|python\d?|latest|lts|stable|system|default|(?:mini|ana)conda\S*|(?:mamba|mini)forge\S*",
    re.ASCII,
)
_IN_LIST = re.compile(r"([\"'])(?P<version>3\.\d{1,2}(?:\.\d{1,3})?)\1", re.ASCII)
_IN_WORDS = re.compile(r"\bpython[ -]?v?(?P<version>3\.\d{1,2}(?:\.\d{1,3})?)(?![\w.]*\d)", re.IGNORECASE | re.ASCII)
_IN_SCRIPT = re.compile(r"(?<![\w.-])(?:python|pip)(?P<version>3\.\d{1,2})(?!\d|\.\d)", re.ASCII)
_ENV_NAME = re.compile(r"(?<![\w.])(?:py|python)-?(?P<version>3\.?\d{1,2})(?![\w.])", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """``kind`` is that of the declarations. ``keys`` say a version wherever they stand, ``paths`` (key above, key)
    only there; ``pipeline``: names of steps, scripts and matrices count too. ``words``: what is looked for in the
    scalars below a key, with what it means.
    """

    kind: str
    pipeline: bool = False
    keys: frozenset[str] = frozenset()
    paths: frozenset[tuple[str, str]] = frozenset()
    words: tuple[tuple[str, re.Pattern[str], Meaning], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class YamlText:
    """What a YAML text says of Python versions; ``trouble`` is not empty when it cannot be read."""

    name: str = ""
    """What the file calls itself: the ``name`` of a workflow."""
    documents: int = 0
    places: tuple[Place, ...] = ()
    trouble: str = ""
    trouble_line: int | None = None


def read_yaml_places(text: str, path: str, dialect: Dialect) -> YamlText:
    """Every place of ``text``. ``path`` is only carried along."""
    try:
        documents = documents_of(text)
    except NotYaml as error:
        return YamlText(trouble=str(error), trouble_line=error.line)
    reader = _Reader(text, path, dialect)
    for document in documents:
        reader.read(document)
    name = text_of(child(documents[0], "name")) if documents else ""
    return YamlText(name=name, documents=len(documents), places=reader.places)


class _Reader:
    def __init__(self, text: str, path: str, dialect: Dialect) -> None:
        self._text = text
        self._dialect = dialect
        self._scribe = Scribe(text, path)

    @property
    def places(self) -> tuple[Place, ...]:
        return self._scribe.places

    def read(self, root: Node) -> None:
        pairs = list(pairs_of(root))
        for around, key, value in pairs:
            self._version_key(around, key, value)
        for around, key, value in pairs:
            self._other_key(around, key, value)

    def _version_key(self, around: Around, key: str, value: Node) -> None:
        dialect = self._dialect
        if key == "config" and around.matrix is not None:
            self._configurations(around, value)
        if "features/python" in key:  # of a devcontainer
            value = child(value, "version") or value
        said = key in dialect.keys or "features/python" in key or (around.parent, key) in dialect.paths
        if not said and not (NAME.fullmatch(key) and self._names_count(around)):
            return
        for inner in (value, child(value, "default"), child(value, "options"), child(value, "enum")):
            for scalar, item in members_of(inner):
                self._scalar(around, scalar, item, key)

    def _configurations(self, around: Around, value: Node) -> None:
        """``config: [["3.10", "py310"]]``: lists of a version and what is run with it."""
        if not isinstance(value, Sequence):
            return
        for row in value.items[:200]:
            if isinstance(row, Sequence) and row.items and isinstance(row.items[0], Scalar):
                first = row.items[0]
                item = Item(group=f"@{value.start}", start=row.start, end=end_of(row), lines=not value.flow, whole=True)
                if version_of(first.value):
                    self._scalar(around, first, item, "config")

    def _names_count(self, around: Around) -> bool:
        """In a manifest only what is an argument or a variable: its other keys are of other programs."""
        return self._dialect.pipeline or bool({"args", "environment", "env", "containerEnv"} & {*around.keys[:-1]})

    def _other_key(self, around: Around, key: str, value: Node) -> None:
        if key in _IMAGE_KEYS or (key == "name" and around.parent == "image"):
            for scalar, _ in members_of(value):
                self._image(around, scalar)
            self._helm_image(value)
        elif key in ("args", "environment", "env"):
            self._assignments(value)
        for name, pattern, meaning in self._dialect.words:
            if key == name:
                self._words(value, pattern, meaning, key, declared=True, item=around.item)
        if not self._dialect.pipeline:
            return
        if key in ("name", "displayName"):
            self._words(value, _IN_WORDS, Meaning.LABEL, "a name")
        elif key in _SCRIPT_KEYS:
            self._words(value, _IN_SCRIPT, Meaning.EXACT, "a command")
        elif key.lower() in ("toxenv", "tox_env", "tox-env", "nox_session"):
            for scalar, item in members_of(value):
                self._environment_name(around, scalar, item)

    # ---- versions

    def _scalar(self, around: Around, scalar: Scalar, item: Item | None, subject: str, image: str = "") -> None:
        value = scalar.value.strip()
        content = content_of(self._text, scalar)
        if scalar.style in ("|", ">"):
            self._lines(scalar, subject)
        elif value and content and _IN_LIST.search(value) and "[" in value:
            for match in _IN_LIST.finditer(scalar.value):
                at = Item(group=f"@{scalar.start}", start=content[0] + match.start(), end=content[0] + match.end())
                self._note(Meaning.MEMBER, (content[0] + match.start("version"), content[0] + match.end("version")),
                           subject=subject, version=version_of(match["version"]), item=at)  # fmt: skip
        elif reference := _REFERENCE.fullmatch(value):
            targets = list(self._meant(around, reference))
            for target_around, target, target_item in targets:
                if not _REFERENCE.search(target.value):
                    self._scalar(target_around, target, target_item, subject, image)
            if not targets and around.is_given(reference[0]):
                self._note(Meaning.APART, content or (scalar.start, scalar.end), subject=subject, declared=False)
            elif not targets:
                self._unknown(scalar, subject)
        elif value:
            self._plain(around, scalar, item, subject, image)

    def _plain(self, around: Around, scalar: Scalar, item: Item | None, subject: str, image: str) -> None:
        value = scalar.value.strip()
        content = content_of(self._text, scalar)
        version = version_of(value)
        start, end = content or (scalar.start, scalar.end)
        start += len(scalar.value) - len(scalar.value.lstrip()) if content else 0
        span = (start, start + len(value)) if content else (start, end)
        if self._scribe.has(span[0]):
            self._scribe.also_in(span[0], image)
            return
        item = _within_matrix(around, item or around.item)
        if version and around.left_out:
            self._note(Meaning.APART, span, subject=subject, version=version, declared=False)
        elif version:
            self._note(
                Meaning.MEMBER if item else Meaning.EXACT, span, subject=subject, version=version, item=item,
                quoted=bool(scalar.style), misread=_misread(scalar), images=(image,) if image else (),
                fixed="" if content else "It is written with escapes or over several lines.",
            )  # fmt: skip
        elif _OTHER_PYTHON.match(value):
            self._note(Meaning.APART, span, subject=subject)
        elif _RANGE.fullmatch(value):
            self._note(
                Meaning.FLOATING, span, subject=subject,
                unclear="It is a range or no minor: which Python it is changes without a change here.",
            )  # fmt: skip
        elif around.is_given(value):
            self._note(Meaning.APART, span, subject=subject, declared=False)
        else:
            self._unknown(scalar, subject)

    def _unknown(self, scalar: Scalar, subject: str) -> None:
        content = content_of(self._text, scalar) or (scalar.start, scalar.end)
        self._note(
            Meaning.UNKNOWN, content, subject=subject, text=scalar.value[:200],
            unclear="The value is computed, or comes from outside of the file.",
        )  # fmt: skip

    def _lines(self, scalar: Scalar, subject: str) -> None:
        """setup-python reads a block as one version a line."""
        first = self._text.find("\n", scalar.start, scalar.end) + 1
        for match in re.finditer(r"[^\s#](?:[^\r\n]*[^\s])?", self._text[first : scalar.end] if first else ""):
            span = (first + match.start(), first + match.end())
            item = Item(group=f"@{scalar.start}", start=span[0], end=span[1], lines=True)
            version = version_of(match[0])
            self._note(Meaning.MEMBER if version else Meaning.APART, span, subject=subject, version=version, item=item)

    def _environment_name(self, around: Around, scalar: Scalar, item: Item | None) -> None:
        content = content_of(self._text, scalar)
        item = _within_matrix(around, item or around.item)
        for match in _ENV_NAME.finditer(scalar.value) if content else ():
            start = content[0] if content else 0
            self._note(
                Meaning.MEMBER if item else Meaning.EXACT,
                (start + match.start("version"), start + match.end("version")), subject="a tox environment",
                item=item, version=version_of(match["version"]), declared=False,
            )  # fmt: skip

    # ---- expressions

    def _meant(self, around: Around, reference: re.Match[str]) -> Iterator[tuple[Around, Scalar, Item | None]]:
        """The scalars that an expression stands for, where the pipeline would look for them."""
        name = next((value for value in reference.groupdict().values() if value), "")
        expression = reference[0]
        if "matrix" in expression or reference["azure"] or reference["circle"]:
            strategy = next(iter(around.nearest("strategy")), None)
            yield from _in_matrix(strategy, name)
        nearest = next(iter([*around.nearest("env", name), *around.nearest("variables", name)]), None)
        if nearest is not None:
            for scalar, item in members_of(nearest):
                yield around_of(around), scalar, item
        for table in ("inputs", "parameters"):
            for mapping in around.mappings:
                for holder in (mapping, child(mapping, "on")):
                    yield from _defaults(around, holder, table, name)

    # ---- images

    def _image(self, around: Around, scalar: Scalar) -> None:
        content = content_of(self._text, scalar)
        value = scalar.value.strip()
        if not value or ("python" not in value.lower() and python_image(value) is None and "$" not in value):
            return
        start = content[0] if content else scalar.start
        reference = _REFERENCE.search(value)
        if reference and not _SHELL.match(reference[0]):
            for target_around, target, item in self._meant(around, reference):
                image = value.replace(reference[0], target.value.strip())
                if python_image(image):
                    self._scalar(target_around, target, item, "an image", image)
            return
        values = self._variables(around)
        missing: list[str] = []
        word = Traced(scalar.value, range(start, start + len(scalar.value)))
        traced = expanded(word, values, missing)
        found = python_image(traced.text.strip())
        if found is None:
            return
        if missing:
            self._unknown(scalar, "an image")
            return
        self._found_image(traced, found.span, (start, start + len(scalar.value)), exact=content is not None)

    def _found_image(self, image: Traced, span: tuple[int, int] | None, whole: tuple[int, int], *, exact: bool) -> None:
        found = python_image(image.text)
        if found is None:
            return
        place = image.span(*span) if span and exact else None
        if place and self._scribe.has(place[0]):
            self._scribe.also_in(place[0], image.text)
            return
        reason = found.reason or ("" if place else "The version is put together from several values.")
        self._note(
            Meaning.EXACT if found.version else Meaning.FLOATING, place or whole, subject="an image",
            text=image.text, version=found.version, images=(image.text,), fixed=reason,
            unclear="" if found.version else reason,
        )  # fmt: skip

    def _variables(self, around: Around) -> Mapping[str, Traced]:
        found: dict[str, Traced] = {}
        for table in (*around.nearest("variables"), *around.nearest("env")):
            for key, value in table.pairs if isinstance(table, YamlMapping) else ():
                holder = child(value, "value") or value
                content = content_of(self._text, holder) if isinstance(holder, Scalar) else None
                if isinstance(key, Scalar) and content:
                    found.setdefault(key.value, Traced.of(self._text, *content))
        return found

    def _helm_image(self, value: Node) -> None:
        """``image: {repository: python, tag: 3.10-slim}``"""
        repository, tag = child(value, "repository"), child(value, "tag")
        if not isinstance(repository, Scalar) or not isinstance(tag, Scalar):
            return
        content = content_of(self._text, tag)
        image = Traced(
            f"{repository.value}:{tag.value}",
            [*[-1] * (len(repository.value) + 1), *range(*content or (0, len(tag.value)))],
        )
        found = python_image(image.text)
        if found:
            self._found_image(image, found.span, content or (tag.start, tag.end), exact=content is not None)

    def _assignments(self, value: Node) -> None:
        """``- PYTHON_VERSION=3.10`` of compose, ``- {name: PYTHON_VERSION, value: ...}`` of Kubernetes."""
        for scalar, item in members_of(value):
            name, equals, version = scalar.value.partition("=")
            content = content_of(self._text, scalar)
            if equals and name.strip().lower() == "toxenv" and self._dialect.pipeline:
                self._environment_name(Around(), scalar, item)
            if equals and content and NAME.fullmatch(name.strip()) and version_of(version):
                self._note(Meaning.EXACT, (content[0] + len(name) + 1, content[1]), subject=name.strip(),
                           version=version_of(version))  # fmt: skip
        for entry in value.items if isinstance(value, Sequence) else ():
            name_node, said = child(entry, "name"), child(entry, "value")
            if isinstance(name_node, Scalar) and isinstance(said, Scalar) and NAME.fullmatch(name_node.value):
                self._scalar(Around(), said, None, name_node.value)

    # ---- words

    def _words(
        self, value: Node, pattern: re.Pattern[str], meaning: Meaning, subject: str, *, declared: bool = False,
        item: Item | None = None,
    ) -> None:  # fmt: skip
        for scalar, _ in members_of(value):
            for match in pattern.finditer(self._text, scalar.start, scalar.end):
                ranged = match.groupdict().get("range")
                span = match.span("range" if ranged else "version")
                version = only_minor(ranged) if ranged else version_of(match["version"])
                if ranged or version:
                    if item and meaning is Meaning.EXACT:
                        meaning = Meaning.MEMBER
                    self._note(
                        Meaning.RANGE if ranged else meaning, span, subject=subject, version=version,
                        text=ranged or match[0].strip(), declared=declared, item=item,
                    )  # fmt: skip

    def _note(self, meaning: Meaning, span: tuple[int, int], **more: Any) -> None:
        self._scribe.note(self._dialect.kind, meaning, *span, **more)


def _in_matrix(strategy: Node | None, name: str) -> Iterator[tuple[Around, Scalar, Item | None]]:
    matrix = child(strategy, "matrix")
    if matrix is None or not isinstance(strategy, YamlMapping):
        return
    for found, key, value in pairs_of(matrix, Around(mappings=(strategy,), keys=("matrix",))):
        if key == name:
            for scalar, item in members_of(value):
                yield found, scalar, item


def _defaults(
    around: Around, holder: Node | None, table: str, name: str
) -> Iterator[tuple[Around, Scalar, Item | None]]:
    for inner in (holder, child(holder, "workflow_call"), child(holder, "workflow_dispatch")):
        default = child(child(child(inner, table), name), "default")
        for scalar, item in members_of(default):
            yield around_of(around), scalar, item


def _within_matrix(around: Around, item: Item | None) -> Item | None:
    """All versions of one matrix are one list, whether they stand in its lists or in combinations that are added."""
    matrix = around.matrix
    if item is None or matrix is None or (item.whole and "include" not in around.keys):
        return item
    return replace(item, group=f"@{matrix.start}")


def around_of(around: Around) -> Around:
    """The same surroundings, outside of any combination."""
    return replace(around, item=None, left_out=False)


def _misread(scalar: Scalar) -> str:
    value = scalar.value.strip()
    return value.rstrip("0") if not scalar.style and re.fullmatch(r"3\.\d+0", value, re.ASCII) else ""
