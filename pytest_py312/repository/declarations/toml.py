"""Find the Python versions in TOML files: pyproject.toml, ruff.toml, mise.toml, Pipfile. Never raises."""

import re
from typing import Any

from pytest_py312.repository.declarations.declaration import (
    DeclarationCollector,
    DeclarationRole,
    ListItem,
    VersionDeclaration,
    version_of,
)
from pytest_py312.repository.declarations.ini import add_tox_environments
from pytest_py312.repository.formats.toml import KeyPath, TomlText, read_toml
from pytest_py312.repository.formats.version_ranges import is_readable_range, single_minor

CLASSIFIER = re.compile(r"\s*Programming Language :: Python :: (?P<version>3\.\d{1,2})\s*", re.ASCII)
_VERSION_IN_PATH = re.compile(r"python(?P<version>3\.\d{1,2})(?!\d)", re.ASCII)
_MINIMUM_KEYS: tuple[KeyPath, ...] = (
    ("tool", "mypy", "python_version"),
    ("tool", "pyright", "pythonVersion"),
    ("tool", "basedpyright", "pythonVersion"),
    ("tool", "ruff", "target-version"),
    ("tool", "pylint", "main", "py-version"),
    ("tool", "pylint", "MASTER", "py-version"),
    ("tool", "isort", "py_version"),
)
_RANGE_KEYS: tuple[KeyPath, ...] = (
    ("project", "requires-python"),
    ("tool", "flit", "metadata", "requires-python"),
    ("tool", "poetry", "dependencies", "python"),
    ("tool", "poetry", "dependencies", "Python"),
)


def read_pyproject_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a pyproject.toml."""
    reader = _TomlReader(text, path)
    for keys in _RANGE_KEYS:
        reader.add_range(keys)
    for table in (("project",), ("tool", "poetry"), ("tool", "flit", "metadata")):
        reader.add_classifiers((*table, "classifiers"))
    for keys in _MINIMUM_KEYS:
        reader.add_version("tool", DeclarationRole.MINIMUM, keys)
    reader.add_version("tool", DeclarationRole.LIST_ITEM, ("tool", "black", "target-version"))
    reader.add_tox()
    reader.add_hatch()
    reader.add_paths(("tool", "coverage", "paths"))
    return reader.declarations


def read_ruff_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a ruff.toml."""
    reader = _TomlReader(text, path)
    reader.add_version("tool", DeclarationRole.MINIMUM, ("target-version",))
    return reader.declarations


def read_pipfile_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a Pipfile; pipenv prefers the full version."""
    reader = _TomlReader(text, path)
    reader.add_version("pin", DeclarationRole.EXACT, ("requires", "python_full_version"), keeps_patch=True)
    reader.add_version("pin", DeclarationRole.EXACT, ("requires", "python_version"))
    return reader.declarations


def read_pants_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a pants.toml: the Pythons of the code, and those of single tools."""
    reader = _TomlReader(text, path)
    for table in reader.tables[:100]:
        reader.add_constraints((table, "interpreter_constraints"))
    return reader.declarations


def read_mise_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a mise.toml: the first of several versions runs."""
    reader = _TomlReader(text, path)
    for keys in (("tools", "python"), ("tools", "python", "version"), ("tools", "python", 0)):
        reader.add_version("pin", DeclarationRole.EXACT, keys)
    return reader.declarations


class _TomlReader:
    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._toml: TomlText = read_toml(text)
        self._collector = DeclarationCollector(text, path)
        if self._toml.parse_error:
            self._collector.add_unreadable_file(
                "tool", f"it is not valid TOML: {self._toml.parse_error}", self._toml.parse_error_line
            )

    @property
    def declarations(self) -> tuple[VersionDeclaration, ...]:
        return self._collector.declarations

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables at the top."""
        return tuple(name for name, value in self._toml.data.items() if isinstance(value, dict))

    def _value(self, keys: KeyPath) -> Any:
        node: Any = self._toml.data
        for key in keys:
            exists = isinstance(node, dict) if isinstance(key, str) else isinstance(node, list) and key < len(node)
            if not exists:
                return None
            node = node.get(key) if isinstance(key, str) else node[key]
        return node

    def _content(self, keys: KeyPath) -> tuple[int, int, bool] | None:
        """Return the span of a value without quotation marks, and whether these characters equal the value."""
        span = self._toml.span(*keys)
        if span is None:
            return None
        start, end = span
        raw = self._text[start:end]
        value = self._value(keys)
        if not isinstance(value, str):
            return start, end, True
        quote_length = 3 if raw[:3] in ('"""', "'''") else 1
        start, end = start + quote_length, end - quote_length
        if quote_length == 3:
            start += 2 if self._text.startswith("\r\n", start) else 1 if self._text.startswith("\n", start) else 0
        return start, end, self._text[start:end].replace("\r\n", "\n") == value

    def add_version(self, kind: str, role: DeclarationRole, keys: KeyPath, *, keeps_patch: bool = False) -> None:
        """Add a value that is a version, or a list of them."""
        value = self._value(keys)
        if isinstance(value, list):
            for index in range(min(len(value), 200)):
                self.add_version(kind, role, (*keys, index))
            return
        content = self._content(keys)
        if not isinstance(value, str | int | float) or isinstance(value, bool) or content is None:
            return
        start, end, is_literal = content
        source_text = self._text[start:end]
        version = version_of(source_text)
        item = None
        span = self._toml.span(*keys)
        if span and isinstance(keys[-1], int) and role is DeclarationRole.LIST_ITEM:
            item = ListItem(group=".".join(str(key) for key in keys[:-1]), start=span[0], end=span[1])
        elif role is DeclarationRole.LIST_ITEM:
            role = DeclarationRole.EXACT
        misread_as = (
            source_text.rstrip("0") if isinstance(value, float) and re.fullmatch(r"3\.\d+0", source_text) else ""
        )
        self._collector.add(
            kind,
            role if version else DeclarationRole.FLOATING,
            start,
            end,
            subject=_subject(keys),
            version=version,
            item=item,
            quoted=isinstance(value, str),
            misread_as=misread_as,
            text=source_text[:200],
            not_editable_reason="" if is_literal else "It contains escape sequences.",
            keeps_patch=keeps_patch and source_text.count(".") > 1,
            unknown_reason="" if version else "It names no minor version.",
        )

    def add_range(self, keys: KeyPath) -> None:
        """Add a version range."""
        value, content = self._value(keys), self._content(keys)
        if not isinstance(value, str) or content is None:
            return
        reason = "" if content[2] else "It contains escape sequences."
        self._collector.add_range(*content[:2], value, _subject(keys), reason)

    def add_constraints(self, keys: KeyPath) -> None:
        """Add a list of ranges; one that allows a single minor version chooses the Python that runs."""
        value = self._value(keys)
        for index, constraint in enumerate(value[:20] if isinstance(value, list) else ()):
            content = self._content((*keys, index))
            if not isinstance(constraint, str) or content is None or not is_readable_range(constraint):
                continue
            version = single_minor(constraint)
            self._collector.add(
                "pin",
                DeclarationRole.EXACT if version else DeclarationRole.RANGE,
                content[0],
                content[1],
                subject=_subject(keys),
                text=constraint,
                version=version,
                not_editable_reason="" if content[2] else "It contains escape sequences.",
            )

    def add_classifiers(self, keys: KeyPath) -> None:
        """Add the classifiers that name a minor version."""
        value = self._value(keys)
        for index, classifier in enumerate(value[:500] if isinstance(value, list) else ()):
            match = CLASSIFIER.fullmatch(classifier) if isinstance(classifier, str) else None
            content, span = self._content((*keys, index)), self._toml.span(*keys, index)
            if match and content and span and content[2]:
                start, end = content[0] + match.start("version"), content[0] + match.end("version")
                item = ListItem(group=_subject(keys), start=span[0], end=span[1])
                self._collector.add_classifier(start, end, classifier.strip(), item)

    def add_tox(self) -> None:
        """Add the environments of tox, in either of its formats."""
        content = self._content(("tool", "tox", "legacy_tox_ini"))
        if content and content[2] and isinstance(self._value(("tool", "tox", "legacy_tox_ini")), str):
            add_tox_environments(self._collector, content[0], content[1])
        env_list = self._value(("tool", "tox", "env_list"))
        for index, name in enumerate(env_list[:200] if isinstance(env_list, list) else ()):
            keys: KeyPath = ("tool", "tox", "env_list", index)
            content, span = self._content(keys), self._toml.span(*keys)
            match = (
                re.match(r"(?:py|python)-?(?P<version>3\.?\d{1,2})(?![\w.])", name) if isinstance(name, str) else None
            )
            if match and content and span:
                other_factors = name[match.end() :]
                item = ListItem(group=f"tox:{other_factors}", start=span[0], end=span[1])
                start = content[0]
                self._collector.add(
                    "tool", DeclarationRole.LIST_ITEM, start + match.start("version"), start + match.end("version"),
                    subject="tox environments", text=match[0], version=version_of(match["version"]), item=item,
                )  # fmt: skip

    def add_hatch(self) -> None:
        """Add the Pythons of Hatch's environments."""
        for name, environment in list(self._toml.table("tool", "hatch", "envs").items())[:100]:
            keys: KeyPath = ("tool", "hatch", "envs", name)
            self.add_version("tool", DeclarationRole.EXACT, (*keys, "python"))
            matrix = environment.get("matrix") if isinstance(environment, dict) else None
            for index in range(min(len(matrix), 50) if isinstance(matrix, list) else 0):
                for variable in ("python", "py"):
                    self.add_version("tool", DeclarationRole.LIST_ITEM, (*keys, "matrix", index, variable))

    def add_paths(self, keys: KeyPath) -> None:
        """Add the paths that contain a version."""
        for name, path_list in list(self._toml.table(*(str(key) for key in keys)).items())[:100]:
            for index in range(min(len(path_list), 100) if isinstance(path_list, list) else 0):
                content = self._content((*keys, name, index))
                for match in _VERSION_IN_PATH.finditer(self._text, *content[:2]) if content else ():
                    self._collector.add(
                        "tool", DeclarationRole.PATH, *match.span("version"), subject="a path",
                        version=version_of(match["version"]), declared=False,
                    )  # fmt: skip


def _subject(keys: KeyPath) -> str:
    return ".".join(str(key) for key in keys if not isinstance(key, int))
