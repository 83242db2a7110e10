"""Read uv.lock, poetry.lock, pdm.lock, pylock.toml (PEP 751) and Pipfile.lock: text in, pins with lines out.

Never raises. Of each pin it returns the version, the environments in which it applies, its dependencies and its origin.
Other content of lock files is ignored.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_py312.repository.formats.requirements_file import ReadProblem
from pytest_py312.repository.formats.toml import parse_toml, strings_in

MAX_LENGTH = 4_000_000
"""Characters: a lock of several hundred projects, each with all its wheels, has a quarter of that."""
MAX_PINS = 20_000

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_NAME_LINE = re.compile(r"^[ \t]*(name)[ \t]*=", re.MULTILINE)
_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*packages?[ \t]*\]\]", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedDependency:
    """A dependency of a pin: a normalised name, its extras, and a marker (empty: in all environments)."""

    name: str
    marker: str = ""
    extras: tuple[str, ...] = ()
    required_by_extra: str = ""
    """The extra of the pin that requires it; empty if it is always required."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedPin:
    """One version of one project. ``line`` counts from 1; ``None`` if it is unknown.

    ``markers``: the pin applies where one of them holds, or everywhere if there are none. ``source`` is ``index``,
    ``git``, ``url`` or ``path``. ``files`` are the names of its files, ``hashes`` their hashes (``sha256:...``).
    """

    name: str
    version: str
    line: int | None = None
    markers: tuple[str, ...] = ()
    requires_python: str = ""
    source: str = "index"
    path: str = ""
    commit: str = ""
    """The commit of the git repository that the project is installed from; 40 or 64 hexadecimal digits."""
    dependencies: tuple[LockedDependency, ...] = ()
    files: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LockFileText:
    """The content of a lock file.

    ``all_pins_required``: every pin whose markers hold is installed; otherwise only those that something requires.
    """

    path: str
    pins: tuple[LockedPin, ...] = ()
    requires_python: str = ""
    all_pins_required: bool = False
    problems: tuple[ReadProblem, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def format(self) -> "LockFormat | None":
        """The format that follows from the name."""
        return lock_format(self.name)


class _InvalidLockFile(Exception):
    """The file is not a lock file of its kind. ``str()`` is a sentence."""

    def __init__(self, message: str, line: int = 1) -> None:
        self.line = line
        super().__init__(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class LockFormat:
    """A lock file format, and the tool that writes it.

    ``reader`` is called with the text and the path. Commands are words; they run in the folder of the lock file.
    """

    name: str
    """The usual name of the file."""
    reader: Callable[[str, str], LockFileText]
    source_file: str
    """The name of the file that it is generated from, in its folder or (of a workspace) below it."""
    other_names: re.Pattern[str] | None = None
    """Other names that such a file may have."""
    lock_command: tuple[str, ...] = ()
    """Regenerates the file; empty if several tools write this format."""
    upgrade_command: tuple[str, ...] = ()
    """Selects other versions of the projects whose names follow; empty if ``lock_command`` is."""
    upgrade_option: str = ""
    """Precedes the name of each project; empty if there is none."""
    example_command: str = ""
    """A command that writes such a file, for messages, where ``lock_command`` is empty."""
    source_table: str = ""
    """The prefix of the tables that no other lock file belongs to, such as ``tool.poetry.``."""
    covers_workspace: bool = False
    """Whether the file may be in a folder above its source."""
    usable_alone: bool = False
    """Whether it determines what is deployed even if its source has no requirements or is missing."""

    def has_name(self, name: str) -> bool:
        """Return whether a file of this name has this format."""
        return name == self.name or (self.other_names is not None and self.other_names.fullmatch(name) is not None)

    def upgrade_words(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the command that selects other versions of ``names``, or that regenerates the file if there are none.

        It is empty if ``lock_command`` is.
        """
        arguments = [word for name in names for word in (self.upgrade_option, name) if word]
        return (*(self.upgrade_command if arguments else self.lock_command), *arguments) if self.lock_command else ()


def lock_format(name: str) -> LockFormat | None:
    """Return the format of a file of this name, ``None`` if it is not a supported lock file."""
    return next((candidate for candidate in LOCK_FORMATS if candidate.has_name(name)), None)


def read_lock_file(text: str, path: str) -> LockFileText:
    """Read the lock file ``path``, whose format follows from its name; an invalid one yields a problem."""
    file_format = lock_format(path.rpartition("/")[2])
    try:
        if file_format is None:
            raise _InvalidLockFile("The file does not have the name of a supported lock file.")
        if len(text) > MAX_LENGTH:
            raise _InvalidLockFile(f"The lock file is longer than {MAX_LENGTH} characters, and is not read.")
        return file_format.reader(text.removeprefix("\ufeff").replace("\r\n", "\n"), path)
    except _InvalidLockFile as error:
        problem = ReadProblem(line=error.line, column=1, text="", message=str(error))
    except (RecursionError, OverflowError):
        problem = ReadProblem(line=1, column=1, text="", message="The lock file is nested too deeply.")
    return LockFileText(path=path, problems=(problem,))


# -- TOML


def _parse_toml(text: str) -> Mapping[str, Any]:
    try:
        return parse_toml(text)
    except ValueError as error:
        at_line = re.search(r"at line (\d{1,9})", str(error))
        raise _InvalidLockFile(
            f"The lock file is not valid TOML: {str(error)[:200]}.", int(at_line[1]) if at_line else 1
        ) from None


def _name_lines(text: str, count: int) -> list[int | None]:
    """Return the lines of the names of ``count`` packages; all ``None`` if the number of headers differs."""
    headers = [match.start() for match in _HEADER.finditer(text)]
    if len(headers) != count:
        return [None] * count  # a wrong line is worse than no line
    names = [_NAME_LINE.search(text, *span) for span in pairwise([*headers, len(text)])]
    starts = [name_match.start(1) if name_match else header for header, name_match in zip(headers, names, strict=True)]
    lines: list[int | None] = []
    line, previous_start = 1, 0
    for start in starts:
        line += text.count("\n", previous_start, start)
        lines.append(line)
        previous_start = start
    return lines


def _make_pin(item: Mapping[str, Any], line: int | None) -> LockedPin:
    """Read name and version of a package; the version may be empty, as that of a project of the repository."""
    name, version = item.get("name"), item.get("version", "")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(version, str):
        raise _InvalidLockFile(
            f"A project of the lock file has no name, or a version that is not text: {str(name)[:80]}.", line or 1
        )
    try:
        Version(version)
    except (InvalidVersion, ValueError):
        if version:
            raise _InvalidLockFile(f"{name} has the version {version[:80]!r}, which is invalid.", line or 1) from None
    return LockedPin(name=canonicalize_name(name), version=version, line=line)


def _pins_with_tables(
    text: str, data: Mapping[str, Any], key: str = "package"
) -> Iterator[tuple[LockedPin, Mapping[str, Any]]]:
    """Yield each pin with its table in the list ``key``: name, version and line only, which all formats have alike."""
    tables = data.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(item, dict) for item in tables):
        raise _InvalidLockFile(f'"{key}" of the lock file is not a list of tables.')
    if len(tables) > MAX_PINS:
        raise _InvalidLockFile(f"The lock file has more than {MAX_PINS} projects, and is not read.")
    for item, line in zip(tables, _name_lines(text, len(tables)), strict=True):
        yield _make_pin(item, line), item


def _file_names_and_hashes(name_key: str, *tables: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names and hashes of file tables, or of lists of them.

    ``name_key`` is the key of the name, ``url`` its fallback.
    """
    names, hashes = [], []
    for item in (item for items in tables for item in (items if isinstance(items, list) else [items])):
        if not isinstance(item, dict):
            continue
        file_name = item.get(name_key) or str(item.get("url") or item.get("path") or "").rpartition("/")[2]
        if isinstance(file_name, str) and file_name:
            names.append(file_name.partition("#")[0])
        if isinstance(item.get("hash"), str):
            hashes.append(item["hash"])
        if isinstance(item.get("hashes"), dict):
            hashes += [f"{kind}:{value}" for kind, value in item["hashes"].items()]
    return tuple(names), tuple(hashes)


def _as_table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _commit(value: Any) -> str:
    """Return ``value`` if it is the hash of a commit; otherwise an empty string."""
    return value if isinstance(value, str) and _COMMIT.fullmatch(value) else ""


def _read_uv(text: str, path: str) -> LockFileText:
    data = _parse_toml(text)
    pins = []
    for pin, item in _pins_with_tables(text, data):
        source = _as_table(item.get("source"))
        names, hashes = _file_names_and_hashes("filename", item.get("wheels"), item.get("sdist"))
        kind = next((kind for kind in ("registry", "git", "url") if kind in source), "path" if source else "registry")
        local_path = next((source[key] for key in ("editable", "virtual", "directory") if key in source), "")
        pins.append(
            replace(
                pin,
                markers=strings_in(item.get("resolution-markers")),
                source="index" if kind == "registry" else kind,
                path=_as_text(local_path),
                commit=_commit(_as_text(source.get("git")).rpartition("#")[2]),
                dependencies=tuple(_uv_dependencies(item)),
                files=names,
                hashes=hashes,
            )
        )
    return LockFileText(path=path, pins=tuple(pins), requires_python=_as_text(data.get("requires-python")))


def _uv_dependencies(item: Mapping[str, Any]) -> Iterator[LockedDependency]:
    dependency_groups = [("", item.get("dependencies")), *_as_table(item.get("optional-dependencies")).items()]
    for extra, dependencies in dependency_groups:
        for dependency in dependencies if isinstance(dependencies, list) else ():
            if isinstance(dependency, dict) and isinstance(dependency.get("name"), str):
                yield LockedDependency(
                    name=canonicalize_name(dependency["name"]),
                    marker=_as_text(dependency.get("marker")),
                    extras=strings_in(dependency.get("extra")),
                    required_by_extra=extra,
                )


def _poetry_markers(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the markers of a package; since Poetry 2 (2025) those of its groups, of which one may have none."""
    markers = item.get("markers")
    if not isinstance(markers, dict):
        return strings_in(markers)
    return tuple(map(str, markers.values())) if markers.keys() >= set(strings_in(item.get("groups"))) else ()


def _read_poetry(text: str, path: str) -> LockFileText:
    data = _parse_toml(text)
    metadata = _as_table(data.get("metadata"))
    files_of = _as_table(metadata.get("files"))  # the place of the files before Poetry 1.3 (2022)
    pins = []
    for pin, item in _pins_with_tables(text, data):
        source = _as_table(item.get("source"))
        names, hashes = _file_names_and_hashes("file", item.get("files", files_of.get(pin.name)))
        kinds = {"git": "git", "url": "url", "directory": "path", "file": "path"}
        pins.append(
            replace(
                pin,
                markers=_poetry_markers(item),
                requires_python=_as_text(item.get("python-versions")),
                source=kinds.get(_as_text(source.get("type")), "index"),
                commit=_commit(source.get("resolved_reference")),
                dependencies=tuple(_poetry_dependencies(item)),
                files=names,
                hashes=hashes,
            )
        )
    return LockFileText(path=path, pins=tuple(pins), requires_python=_as_text(metadata.get("python-versions")))


def _poetry_dependencies(item: Mapping[str, Any]) -> Iterator[LockedDependency]:
    extra_by_name: dict[str, str] = {}
    for extra, names in _as_table(item.get("extras")).items():
        extra_by_name |= {
            canonicalize_name(re.split(r"[\s\[(;<>=!~]", requirement)[0]): extra for requirement in strings_in(names)
        }
    for name, forms in _as_table(item.get("dependencies")).items():
        for form in forms if isinstance(forms, list) else [forms]:
            table = _as_table(form)
            normalized = canonicalize_name(name)
            yield LockedDependency(
                name=normalized,
                marker=_as_text(table.get("markers")),
                extras=strings_in(table.get("extras")),
                required_by_extra=extra_by_name.get(normalized, "?") if table.get("optional") is True else "",
            )


def _read_pdm(text: str, path: str) -> LockFileText:
    """Read pdm.lock, which has an additional table for each set of extras of a project.

    https://pdm-project.org/en/latest/usage/lockfile/
    """
    data = _parse_toml(text)
    pins: dict[tuple[str, str], LockedPin] = {}
    for pin, item in _pins_with_tables(text, data):
        extras = strings_in(item.get("extras"))
        names, hashes = _file_names_and_hashes("file", item.get("files"))
        new_pin = replace(
            pin,
            markers=strings_in(item.get("marker")),
            requires_python=_as_text(item.get("requires_python")),
            source=next((kind for kind in ("git", "url", "path") if kind in item), "index"),
            commit=_commit(item.get("revision")),
            dependencies=tuple(
                dependency for extra in extras or ("",) for dependency in _pdm_dependencies(item, extra)
            ),
            files=names,
            hashes=hashes,
        )
        existing_pin = pins.get((pin.name, pin.version))
        base_pin, extra_pin = (new_pin, existing_pin) if existing_pin is None or not extras else (existing_pin, new_pin)
        pins[pin.name, pin.version] = replace(
            base_pin, dependencies=(*base_pin.dependencies, *(extra_pin.dependencies if extra_pin else ()))
        )
    targets = data.get("metadata", {}).get("targets") if isinstance(data.get("metadata"), dict) else None
    only_target = _as_table(targets[0]) if isinstance(targets, list) and len(targets) == 1 else {}
    return LockFileText(
        path=path, pins=tuple(pins.values()), requires_python=_as_text(only_target.get("requires_python"))
    )


def _pdm_dependencies(item: Mapping[str, Any], extra: str) -> Iterator[LockedDependency]:
    for line in strings_in(item.get("dependencies")):
        try:
            requirement = Requirement(line)
        except (InvalidRequirement, RecursionError):
            continue
        yield LockedDependency(
            name=canonicalize_name(requirement.name),
            marker=str(requirement.marker or ""),
            extras=tuple(sorted(requirement.extras)),
            required_by_extra=extra,
        )


def _read_pylock(text: str, path: str) -> LockFileText:
    data = _parse_toml(text)
    version = data.get("lock-version")
    if not isinstance(version, str) or not version.startswith("1."):
        raise _InvalidLockFile(
            f"The lock file has lock-version {str(version)[:40]!r}; only version 1 is supported (PEP 751)."
        )
    pins = []
    for pin, item in _pins_with_tables(text, data, "packages"):
        names, hashes = _file_names_and_hashes("name", item.get("wheels"), item.get("sdist"))
        kinds = {"vcs": "git", "archive": "url", "directory": "path"}
        pins.append(
            replace(
                pin,
                markers=strings_in(item.get("marker")),
                requires_python=_as_text(item.get("requires-python")),
                source=next((kind for key, kind in kinds.items() if key in item), "index"),
                commit=_commit(_as_table(item.get("vcs")).get("commit-id")),
                files=names,
                hashes=hashes,
            )
        )
    python = _as_text(data.get("requires-python"))
    return LockFileText(path=path, pins=tuple(pins), requires_python=python, all_pins_required=True)


# -- JSON


def _read_pipfile(text: str, path: str) -> LockFileText:
    try:
        data = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise _InvalidLockFile(f"The lock file is not valid JSON: {str(error)[:200]}.", line) from None
    if not isinstance(data, dict):
        raise _InvalidLockFile("The lock file is not a JSON object.")
    python = _as_text(_as_table(_as_table(data.get("_meta")).get("requires")).get("python_version"))
    pins: dict[tuple[str, str], LockedPin] = {}
    for section in ("default", "develop"):
        table = data.get(section, {})
        if not isinstance(table, dict) or len(table) > MAX_PINS:
            raise _InvalidLockFile(f'"{section}" of the lock file is not an object, or too large.')
        start = _json_line(text, section, 0)[1]
        for name, form in table.items():
            line, start = _json_line(text, name, start)
            if not isinstance(form, dict):
                raise _InvalidLockFile(f"{str(name)[:80]} of the lock file is not an object.", line or 1)
            new_pin = _pipfile_pin(name, form, line)
            pins.setdefault((new_pin.name, new_pin.version), new_pin)
    python_range = f"=={python}.*" if re.fullmatch(r"\d+\.\d+", python) else ""
    return LockFileText(path=path, pins=tuple(pins.values()), requires_python=python_range, all_pins_required=True)


def _pipfile_pin(name: str, form: Mapping[str, Any], line: int | None) -> LockedPin:
    version = _as_text(form.get("version")).removeprefix("==").strip()
    pin = _make_pin({"name": name, "version": version}, line)
    kind = next((kind for key, kind in (("git", "git"), ("file", "url"), ("path", "path")) if key in form), "index")
    return replace(
        pin,
        markers=strings_in(form.get("markers")),
        source=kind,
        commit=_commit(form.get("ref")),
        hashes=strings_in(form.get("hashes")),
    )


def _json_line(text: str, key: str, start: int) -> tuple[int | None, int]:
    """Return the line of the next ``"key": {`` from ``start`` on, and the offset after it."""
    match = re.compile(rf"{re.escape(json.dumps(key))}\s*:\s*\{{").search(text, start)
    if match is None:
        return None, start
    return text.count("\n", 0, match.start()) + 1, match.end()


LOCK_FORMATS = (
    LockFormat(
        name="uv.lock",
        reader=_read_uv,
        source_file="pyproject.toml",
        lock_command=("uv", "lock"),
        upgrade_command=("uv", "lock"),
        upgrade_option="--upgrade-package",
        covers_workspace=True,
    ),
    LockFormat(
        name="poetry.lock",
        reader=_read_poetry,
        source_file="pyproject.toml",
        lock_command=("poetry", "lock"),
        upgrade_command=("poetry", "update", "--lock"),
        source_table="tool.poetry.",
        usable_alone=True,
    ),
    LockFormat(
        name="pdm.lock",
        reader=_read_pdm,
        source_file="pyproject.toml",
        lock_command=("pdm", "lock"),
        upgrade_command=("pdm", "update", "--no-sync"),
    ),
    LockFormat(
        name="pylock.toml",
        reader=_read_pylock,
        source_file="pyproject.toml",
        other_names=re.compile(r"pylock\.[^.]+\.toml"),
        example_command="uv export --format pylock.toml",
        usable_alone=True,
    ),
    LockFormat(
        name="Pipfile.lock",
        reader=_read_pipfile,
        source_file="Pipfile",
        lock_command=("pipenv", "lock"),
        upgrade_command=("pipenv", "upgrade"),
        usable_alone=True,
    ),
)
"""All supported formats; where several lock files belong to one source, an earlier row takes precedence."""
