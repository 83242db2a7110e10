"""TOML files (pyproject, ruff, mise, Pipfile): every place that says a Python version. Never raises."""

import re
from typing import Any

from pytest_py312.repository.declarations.declaration import Item, Meaning, Place, Scribe, version_of
from pytest_py312.repository.declarations.ini import note_environments
from pytest_py312.repository.formats.toml import KeyPath, TomlText, read_toml
from pytest_py312.repository.formats.version_ranges import only_minor, readable

CLASSIFIER = re.compile(r"\s*Programming Language :: Python :: (?P<version>3\.\d{1,2})\s*", re.ASCII)
_IN_PATH = re.compile(r"python(?P<version>3\.\d{1,2})(?!\d)", re.ASCII)
_FLOORS: tuple[KeyPath, ...] = (
    ("tool", "mypy", "python_version"),
    ("tool", "pyright", "pythonVersion"),
    ("tool", "basedpyright", "pythonVersion"),
    ("tool", "ruff", "target-version"),
    ("tool", "pylint", "main", "py-version"),
    ("tool", "pylint", "MASTER", "py-version"),
    ("tool", "isort", "py_version"),
)
_RANGES: tuple[KeyPath, ...] = (
    ("project", "requires-python"),
    ("tool", "flit", "metadata", "requires-python"),
    ("tool", "poetry", "dependencies", "python"),
    ("tool", "poetry", "dependencies", "Python"),
)


def read_pyproject_places(text: str, path: str) -> tuple[Place, ...]:
    """A pyproject.toml."""
    reader = _Reader(text, path)
    for keys in _RANGES:
        reader.range(keys)
    for table in (("project",), ("tool", "poetry"), ("tool", "flit", "metadata")):
        reader.classifiers((*table, "classifiers"))
    for keys in _FLOORS:
        reader.version("tool", Meaning.FLOOR, keys)
    reader.version("tool", Meaning.MEMBER, ("tool", "black", "target-version"))
    reader.tox()
    reader.hatch()
    reader.paths(("tool", "coverage", "paths"))
    return reader.places


def read_ruff_places(text: str, path: str) -> tuple[Place, ...]:
    """A ruff.toml."""
    reader = _Reader(text, path)
    reader.version("tool", Meaning.FLOOR, ("target-version",))
    return reader.places


def read_pipfile_places(text: str, path: str) -> tuple[Place, ...]:
    """A Pipfile, of which pipenv reads the full version first."""
    reader = _Reader(text, path)
    reader.version("pin", Meaning.EXACT, ("requires", "python_full_version"), keeps_patch=True)
    reader.version("pin", Meaning.EXACT, ("requires", "python_version"))
    return reader.places


def read_mise_places(text: str, path: str) -> tuple[Place, ...]:
    """A mise.toml: the first of several versions is the one that runs."""
    reader = _Reader(text, path)
    for keys in (("tools", "python"), ("tools", "python", "version"), ("tools", "python", 0)):
        reader.version("pin", Meaning.EXACT, keys)
    return reader.places


class _Reader:
    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._toml: TomlText = read_toml(text)
        self._scribe = Scribe(text, path)
        if self._toml.trouble:
            self._scribe.unreadable("tool", f"it is no TOML: {self._toml.trouble}", self._toml.trouble_line)

    @property
    def places(self) -> tuple[Place, ...]:
        return self._scribe.places

    def _value(self, keys: KeyPath) -> Any:
        found: Any = self._toml.data
        for key in keys:
            inside = isinstance(found, dict) if isinstance(key, str) else isinstance(found, list) and key < len(found)
            if not inside:
                return None
            found = found.get(key) if isinstance(key, str) else found[key]
        return found

    def _content(self, keys: KeyPath) -> tuple[int, int, bool] | None:
        """Where the value stands without its quotation marks, and whether those characters are what it says."""
        span = self._toml.span(*keys)
        if span is None:
            return None
        start, end = span
        raw = self._text[start:end]
        value = self._value(keys)
        if not isinstance(value, str):
            return start, end, True
        mark = 3 if raw[:3] in ('"""', "'''") else 1
        start, end = start + mark, end - mark
        if mark == 3:
            start += 2 if self._text.startswith("\r\n", start) else 1 if self._text.startswith("\n", start) else 0
        return start, end, self._text[start:end].replace("\r\n", "\n") == value

    def version(self, kind: str, meaning: Meaning, keys: KeyPath, *, keeps_patch: bool = False) -> None:
        """A value that is a version, or a list of such."""
        value = self._value(keys)
        if isinstance(value, list):
            for index in range(min(len(value), 200)):
                self.version(kind, meaning, (*keys, index))
            return
        content = self._content(keys)
        if not isinstance(value, str | int | float) or isinstance(value, bool) or content is None:
            return
        start, end, exact = content
        written = self._text[start:end]
        version = version_of(written)
        item = None
        span = self._toml.span(*keys)
        if span and isinstance(keys[-1], int) and meaning is Meaning.MEMBER:
            item = Item(group=".".join(str(key) for key in keys[:-1]), start=span[0], end=span[1])
        elif meaning is Meaning.MEMBER:
            meaning = Meaning.EXACT
        misread = written.rstrip("0") if isinstance(value, float) and re.fullmatch(r"3\.\d+0", written) else ""
        self._scribe.note(
            kind, meaning if version else Meaning.FLOATING, start, end, subject=_subject(keys), version=version,
            item=item, quoted=isinstance(value, str), misread=misread, text=written[:200],
            fixed="" if exact else "It is written with escapes.", keeps_patch=keeps_patch and written.count(".") > 1,
            unclear="" if version else "It names no minor.",
        )  # fmt: skip

    def range(self, keys: KeyPath) -> None:
        """A range of versions."""
        value, content = self._value(keys), self._content(keys)
        if not isinstance(value, str) or content is None:
            return
        clear = readable(value)
        self._scribe.note(
            "metadata", Meaning.RANGE if clear else Meaning.UNKNOWN, content[0], content[1], subject=_subject(keys),
            text=value, version=only_minor(value), fixed="" if content[2] else "It is written with escapes.",
            unclear="" if clear else "It is no range of versions that can be read.",
        )  # fmt: skip

    def classifiers(self, keys: KeyPath) -> None:
        """Those that name a minor."""
        value = self._value(keys)
        for index, words in enumerate(value[:500] if isinstance(value, list) else ()):
            match = CLASSIFIER.fullmatch(words) if isinstance(words, str) else None
            content, span = self._content((*keys, index)), self._toml.span(*keys, index)
            if match and content and span and content[2]:
                start, end = content[0] + match.start("version"), content[0] + match.end("version")
                self._scribe.note(
                    "metadata", Meaning.MEMBER, start, end, subject="classifiers", text=words.strip(),
                    version=version_of(match["version"]), item=Item(group=_subject(keys), start=span[0], end=span[1]),
                )  # fmt: skip

    def tox(self) -> None:
        """Environments of tox, in either of its forms."""
        content = self._content(("tool", "tox", "legacy_tox_ini"))
        if content and content[2] and isinstance(self._value(("tool", "tox", "legacy_tox_ini")), str):
            note_environments(self._scribe, content[0], content[1])
        listed = self._value(("tool", "tox", "env_list"))
        for index, name in enumerate(listed[:200] if isinstance(listed, list) else ()):
            keys: KeyPath = ("tool", "tox", "env_list", index)
            content, span = self._content(keys), self._toml.span(*keys)
            match = (
                re.match(r"(?:py|python)-?(?P<version>3\.?\d{1,2})(?![\w.])", name) if isinstance(name, str) else None
            )
            if match and content and span:
                rest = name[match.end() :]
                item = Item(group=f"tox:{rest}", start=span[0], end=span[1])
                start = content[0]
                self._scribe.note(
                    "tool", Meaning.MEMBER, start + match.start("version"), start + match.end("version"),
                    subject="tox environments", text=match[0], version=version_of(match["version"]), item=item,
                )  # fmt: skip

    def hatch(self) -> None:
        """The Pythons of hatch's environments."""
        for name, environment in list(self._toml.table("tool", "hatch", "envs").items())[:100]:
            keys: KeyPath = ("tool", "hatch", "envs", name)
            self.version("tool", Meaning.EXACT, (*keys, "python"))
            matrix = environment.get("matrix") if isinstance(environment, dict) else None
            for index in range(min(len(matrix), 50) if isinstance(matrix, list) else 0):
                for variable in ("python", "py"):
                    self.version("tool", Meaning.MEMBER, (*keys, "matrix", index, variable))

    def paths(self, keys: KeyPath) -> None:
        """Paths with a version in them."""
        for name, listed in list(self._toml.table(*(str(key) for key in keys)).items())[:100]:
            for index in range(min(len(listed), 100) if isinstance(listed, list) else 0):
                content = self._content((*keys, name, index))
                for match in _IN_PATH.finditer(self._text, *content[:2]) if content else ():
                    self._scribe.note(
                        "tool", Meaning.PATH, *match.span("version"), subject="a path",
                        version=version_of(match["version"]), declared=False,
                    )  # fmt: skip


def _subject(keys: KeyPath) -> str:
    return ".".join(str(key) for key in keys if not isinstance(key, int))
