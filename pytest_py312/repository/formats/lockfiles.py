"""Lock files: uv.lock, poetry.lock, pdm.lock, pylock.toml (PEP 751) and Pipfile.lock. Text in, pins with lines out.

Never raises. What a lock file says beyond its pins is left alone: it was made by a tool, for that tool. Of each pin it
is told which version was chosen, when it is wanted, what it wants itself, and where it comes from.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_py312.repository.formats.requirements_file import Problem
from pytest_py312.repository.formats.toml import texts

LENGTH_LIMIT = 4_000_000
"""Characters: a lock of several hundred projects, each with all its wheels, has a quarter of them."""
MOST_PINS = 20_000

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?", re.ASCII)
_NAME_LINE = re.compile(r"^[ \t]*(name)[ \t]*=", re.MULTILINE)
_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*packages?[ \t]*\]\]", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What a pin wants beside itself: a normalised name, with which extras, and where (a marker, empty: everywhere)."""

    name: str
    marker: str = ""
    extras: tuple[str, ...] = ()
    only_with: str = ""
    """The extra of the pin that asks for it; empty: it is always wanted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedPin:
    """One version of one project. ``line`` counts from 1, ``None`` where it cannot be told.

    ``markers``: one of them holds where this pin is meant; none of them: everywhere. ``source`` is ``index``, ``git``,
    ``url`` or ``path``. ``files`` are the names of its files, ``hashes`` theirs (``sha256:...``).
    """

    name: str
    version: str
    line: int | None = None
    markers: tuple[str, ...] = ()
    requires_python: str = ""
    source: str = "index"
    path: str = ""
    needs: tuple[Need, ...] = ()
    files: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LockText:
    """What a lock file says. ``each_is_wanted``: each pin whose markers hold is; else what is required needs it."""

    path: str
    pins: tuple[LockedPin, ...] = ()
    requires_python: str = ""
    each_is_wanted: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class _Unreadable(Exception):
    """The file is no lock file of its kind. ``str()`` is a sentence."""

    def __init__(self, message: str, line: int = 1) -> None:
        self.line = line
        super().__init__(message)


def is_lock_file(name: str) -> bool:
    """Whether a file of this name is a lock file that is read."""
    return name in ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock") or _is_pylock(name)


def _is_pylock(name: str) -> bool:
    return re.fullmatch(r"pylock(?:\.[^.]+)?\.toml", name) is not None


def read_lock_file(text: str, path: str) -> LockText:
    """Read the lock file ``path``, whose kind is told by its name; a problem where it is none."""
    name = path.rpartition("/")[2]
    reader: Callable[[str, str], LockText] = _read_pylock if _is_pylock(name) else _READERS.get(name, _read_pylock)
    try:
        if len(text) > LENGTH_LIMIT:
            raise _Unreadable(f"The lock file is longer than {LENGTH_LIMIT} characters, and is not read.")
        return reader(text.removeprefix("\ufeff").replace("\r\n", "\n"), path)
    except _Unreadable as error:
        problem = Problem(line=error.line, column=1, text="", message=str(error))
    except (RecursionError, OverflowError):
        problem = Problem(line=1, column=1, text="", message="The lock file is nested too deeply.")
    return LockText(path=path, problems=(problem,))


# -- TOML


def _toml(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:
        at_line = re.search(r"at line (\d{1,9})", str(error))
        raise _Unreadable(f"The lock file is no TOML: {str(error)[:200]}.", int(at_line[1]) if at_line else 1) from None


def _tables(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = data.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise _Unreadable(f'"{key}" of the lock file is no list of tables.')
    if len(found) > MOST_PINS:
        raise _Unreadable(f"The lock file has more than {MOST_PINS} projects, and is not read.")
    return found


def _lines(text: str, count: int) -> list[int | None]:
    """The lines with the names of so many packages; none where the number of their headers does not agree."""
    headers = [match.start() for match in _HEADER.finditer(text)]
    if len(headers) != count:
        return [None] * count  # a wrong line is worse than none
    names = [_NAME_LINE.search(text, *span) for span in pairwise([*headers, len(text)])]
    starts = [found.start(1) if found else header for header, found in zip(headers, names, strict=True)]
    lines: list[int | None] = []
    line, before = 1, 0
    for start in starts:
        line += text.count("\n", before, start)
        lines.append(line)
        before = start
    return lines


def _pin(item: Mapping[str, Any], line: int | None) -> LockedPin:
    """Name and version of a package; the version may be empty, as that of a project of the repository."""
    name, version = item.get("name"), item.get("version", "")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(version, str):
        raise _Unreadable(f"A project of the lock file has no name, or a version that is no text: {str(name)[:80]}.",
                          line or 1)  # fmt: skip
    try:
        Version(version)
    except (InvalidVersion, ValueError):
        if version:
            raise _Unreadable(f"{name} has the version {version[:80]!r}, which is none.", line or 1) from None
    return LockedPin(name=canonicalize_name(name), version=version, line=line)


def _pins(text: str, tables: list[Mapping[str, Any]]) -> Iterator[tuple[LockedPin, Mapping[str, Any]]]:
    for item, line in zip(tables, _lines(text, len(tables)), strict=True):
        yield _pin(item, line), item


def _files(items: Any, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and hashes of a list of file tables; ``name`` is the key of the name, ``url`` stands in for it."""
    names, hashes = [], []
    for item in items if isinstance(items, list) else [items]:
        if not isinstance(item, dict):
            continue
        called = item.get(name) or str(item.get("url") or item.get("path") or "").rpartition("/")[2]
        if isinstance(called, str) and called:
            names.append(called.partition("#")[0])
        if isinstance(item.get("hash"), str):
            hashes.append(item["hash"])
        if isinstance(item.get("hashes"), dict):
            hashes += [f"{kind}:{value}" for kind, value in item["hashes"].items()]
    return tuple(names), tuple(hashes)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _read_uv(text: str, path: str) -> LockText:
    data = _toml(text)
    pins = []
    for pin, item in _pins(text, _tables(data, "package")):
        source = _table(item.get("source"))
        wheels, hashes = _files(item.get("wheels"), "filename")
        sources, more = _files(item.get("sdist"), "filename")
        kind = next((kind for kind in ("registry", "git", "url") if kind in source), "path" if source else "registry")
        local = next((source[key] for key in ("editable", "virtual", "directory") if key in source), "")
        pins.append(
            replace(
                pin,
                markers=texts(item.get("resolution-markers")),
                source="index" if kind == "registry" else kind,
                path=_text(local),
                needs=tuple(_uv_needs(item)),
                files=(*wheels, *sources),
                hashes=(*hashes, *more),
            )
        )
    return LockText(path=path, pins=tuple(pins), requires_python=_text(data.get("requires-python")))


def _uv_needs(item: Mapping[str, Any]) -> Iterator[Need]:
    listed = [("", item.get("dependencies")), *_table(item.get("optional-dependencies")).items()]
    for extra, needs in listed:
        for need in needs if isinstance(needs, list) else ():
            if isinstance(need, dict) and isinstance(need.get("name"), str):
                yield Need(
                    name=canonicalize_name(need["name"]),
                    marker=_text(need.get("marker")),
                    extras=texts(need.get("extra")),
                    only_with=extra,
                )


def _read_poetry(text: str, path: str) -> LockText:
    data = _toml(text)
    metadata = _table(data.get("metadata"))
    files_of = _table(metadata.get("files"))  # before 2022 they stood there
    pins = []
    for pin, item in _pins(text, _tables(data, "package")):
        source = _table(item.get("source"))
        names, hashes = _files(item.get("files", files_of.get(pin.name)), "file")
        markers = item.get("markers")
        kinds = {"git": "git", "url": "url", "directory": "path", "file": "path"}
        pins.append(
            replace(
                pin,
                markers=tuple(map(str, markers.values())) if isinstance(markers, dict) else texts(markers),
                requires_python=_text(item.get("python-versions")),
                source=kinds.get(_text(source.get("type")), "index"),
                needs=tuple(_poetry_needs(item)),
                files=names,
                hashes=hashes,
            )
        )
    return LockText(path=path, pins=tuple(pins), requires_python=_text(metadata.get("python-versions")))


def _poetry_needs(item: Mapping[str, Any]) -> Iterator[Need]:
    asked_by: dict[str, str] = {}
    for extra, names in _table(item.get("extras")).items():
        asked_by |= {canonicalize_name(re.split(r"[\s\[(;<>=!~]", one)[0]): extra for one in texts(names)}
    for name, forms in _table(item.get("dependencies")).items():
        for form in forms if isinstance(forms, list) else [forms]:
            table = _table(form)
            normal = canonicalize_name(name)
            yield Need(
                name=normal,
                marker=_text(table.get("markers")),
                extras=texts(table.get("extras")),
                only_with=asked_by.get(normal, "?") if table.get("optional") is True else "",
            )


def _read_pdm(text: str, path: str) -> LockText:
    """https://pdm-project.org/en/latest/usage/lockfile/. A project has a further table for each set of its extras."""
    data = _toml(text)
    found: dict[tuple[str, str], LockedPin] = {}
    for pin, item in _pins(text, _tables(data, "package")):
        extras = texts(item.get("extras"))
        names, hashes = _files(item.get("files"), "file")
        one = replace(
            pin,
            markers=texts(item.get("marker")),
            requires_python=_text(item.get("requires_python")),
            source=next((kind for kind in ("git", "url", "path") if kind in item), "index"),
            needs=tuple(need for extra in extras or ("",) for need in _pdm_needs(item, extra)),
            files=names,
            hashes=hashes,
        )
        known = found.get((pin.name, pin.version))
        base, other = (one, known) if known is None or not extras else (known, one)
        found[pin.name, pin.version] = replace(base, needs=(*base.needs, *(other.needs if other else ())))
    targets = data.get("metadata", {}).get("targets") if isinstance(data.get("metadata"), dict) else None
    first = _table(targets[0]) if isinstance(targets, list) and len(targets) == 1 else {}
    return LockText(path=path, pins=tuple(found.values()), requires_python=_text(first.get("requires_python")))


def _pdm_needs(item: Mapping[str, Any], extra: str) -> Iterator[Need]:
    for line in texts(item.get("dependencies")):
        try:
            need = Requirement(line)
        except (InvalidRequirement, RecursionError):
            continue
        yield Need(
            name=canonicalize_name(need.name),
            marker=str(need.marker or ""),
            extras=tuple(sorted(need.extras)),
            only_with=extra,
        )


def _read_pylock(text: str, path: str) -> LockText:
    data = _toml(text)
    version = data.get("lock-version")
    if not isinstance(version, str) or not version.startswith("1."):
        raise _Unreadable(f"The lock file says lock-version {str(version)[:40]!r}, and only 1 is known (PEP 751).")
    pins = []
    for pin, item in _pins(text, _tables(data, "packages")):
        wheels, hashes = _files(item.get("wheels"), "name")
        sources, more = _files(item.get("sdist"), "name")
        kinds = {"vcs": "git", "archive": "url", "directory": "path"}
        pins.append(
            replace(
                pin,
                markers=texts(item.get("marker")),
                requires_python=_text(item.get("requires-python")),
                source=next((kind for key, kind in kinds.items() if key in item), "index"),
                files=(*wheels, *sources),
                hashes=(*hashes, *more),
            )
        )
    python = _text(data.get("requires-python"))
    return LockText(path=path, pins=tuple(pins), requires_python=python, each_is_wanted=True)


# -- JSON


def _read_pipfile(text: str, path: str) -> LockText:
    try:
        data = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise _Unreadable(f"The lock file is no JSON: {str(error)[:200]}.", line) from None
    if not isinstance(data, dict):
        raise _Unreadable("The lock file is no JSON object.")
    python = _text(_table(_table(data.get("_meta")).get("requires")).get("python_version"))
    pins: dict[tuple[str, str], LockedPin] = {}
    for section in ("default", "develop"):
        table = data.get(section, {})
        if not isinstance(table, dict) or len(table) > MOST_PINS:
            raise _Unreadable(f'"{section}" of the lock file is no object, or too large.')
        start = _json_line(text, section, 0)[1]
        for name, form in table.items():
            line, start = _json_line(text, name, start)
            if not isinstance(form, dict):
                raise _Unreadable(f"{str(name)[:80]} of the lock file is no object.", line or 1)
            one = _pipfile_pin(name, form, line)
            pins.setdefault((one.name, one.version), one)
    wanted = f"=={python}.*" if re.fullmatch(r"\d+\.\d+", python) else ""
    return LockText(path=path, pins=tuple(pins.values()), requires_python=wanted, each_is_wanted=True)


def _pipfile_pin(name: str, form: Mapping[str, Any], line: int | None) -> LockedPin:
    version = _text(form.get("version")).removeprefix("==").strip()
    pin = _pin({"name": name, "version": version}, line)
    kind = next((kind for key, kind in (("git", "git"), ("file", "url"), ("path", "path")) if key in form), "index")
    return replace(pin, markers=texts(form.get("markers")), source=kind, hashes=texts(form.get("hashes")))


def _json_line(text: str, key: str, start: int) -> tuple[int | None, int]:
    """The line of the next ``"key": {`` from ``start`` on, and where it stands."""
    match = re.compile(rf"{re.escape(json.dumps(key))}\s*:\s*\{{").search(text, start)
    if match is None:
        return None, start
    return text.count("\n", 0, match.start()) + 1, match.end()


_READERS: Mapping[str, Callable[[str, str], LockText]] = {
    "uv.lock": _read_uv,
    "poetry.lock": _read_poetry,
    "pdm.lock": _read_pdm,
    "Pipfile.lock": _read_pipfile,
}
