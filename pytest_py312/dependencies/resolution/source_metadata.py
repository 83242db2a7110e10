"""What sources require that say so only when they are built: learned from confined builds, and given to uv as settings.

    <cache>/metadata/<digest of source, index and interpreter build>.json

uv resolves without running foreign code (dependencies/system/confined_builds.py). Where it would have to build, the
metadata of that one source is built apart, and the resolution is repeated with it (uv's ``dependency-metadata``). For a
source from git uv takes no such setting; what its build wrote is checked and put where uv looks first, in its cache.
There it has made a folder by the digest of the URL as it was written and by commit
(``sdists-v11/git/e57c86552c8f20ca/153f17428dae795f``). One source has the same metadata on each interpreter there, so
each of these has a cache of its own for such sets:

    <cache>/uv-git/<runner>-<build digest>/
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_py312.core.files import write_atomically, write_json_atomically
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult
from pytest_py312.dependencies.resolution.uv_config import uv_folder
from pytest_py312.dependencies.system.confined_builds import (
    SourceBuild,
    as_written,
    needs_build,
    run_source_build,
    source_to_build,
    without_builds,
)
from pytest_py312.runners.confinement import without_passwords
from pytest_py312.runners.probe_records import read_bounded
from pytest_py312.runners.runner import Runner, SupportsConfinement

MAX_SOURCES = 500
"""How many sources one resolution may have built."""
METADATA_LIMIT = 4 * 1024**2
_MAX_ITEMS = 20_000
GIT_MARK = " @ git+"
"""In what uv calls a source from git."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceMetadata:
    """The metadata of a source that decide a resolution."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    extras: tuple[str, ...] = ()

    def toml(self, *, with_version: bool = True) -> str:
        """Return uv's setting that replaces a build of the source."""
        lines = ["[[dependency-metadata]]", f"name = {json.dumps(self.name)}"]
        lines += [f"version = {json.dumps(self.version)}"] if with_version else []
        lines += [f"requires-dist = {json.dumps(list(self.requires))}"]
        lines += [f"requires-python = {json.dumps(self.requires_python)}"] if self.requires_python else []
        lines += [f"provides-extra = {json.dumps(list(self.extras))}"] if self.extras else []
        return "\n".join(lines) + "\n"


def parse_metadata(content: bytes) -> SourceMetadata | None:
    """Return what uv has written into its cache about a built source; ``None`` for anything that is not valid."""
    try:
        values = list(_unpack(content))
        name, version, requires, requires_python, extras, *_ = values[0]
        return checked_metadata(name, version, requires, requires_python, extras)
    except (ValueError, TypeError, IndexError, AttributeError, RecursionError, UnicodeDecodeError):
        return None


def _has_unchecked_values(content: bytes) -> bool:
    """Return whether valid metadata have more than what :func:`parse_metadata` checks and a flag."""
    (first, *others) = _unpack(content)
    return bool(others) or not all(isinstance(value, bool) for value in first[5:])


def checked_metadata(
    name: str, version: str, requires: Sequence[str], requires_python: str | None, extras: Sequence[str]
) -> SourceMetadata:
    """Return metadata that a build has written, after a check of each value.

    :raises ValueError: one is not what it should be.
    """
    try:
        return SourceMetadata(
            name=canonicalize_name(name, validate=True),
            version=str(Version(version)),
            requires=tuple(str(Requirement(line)) for line in requires),
            requires_python=str(SpecifierSet(requires_python or "")),
            extras=tuple(canonicalize_name(extra, validate=True) for extra in extras),
        )
    except (InvalidRequirement, InvalidSpecifier, InvalidVersion) as error:
        raise ValueError(str(error)) from error


def _unpack(content: bytes) -> Iterator[Any]:
    """Yield the values of MessagePack data, of the few types that metadata have.

    :raises ValueError: another type, more values than there may be, or data that end too early.
    """
    position, count = 0, 0

    def take(size: int) -> bytes:
        nonlocal position
        position += size
        if position > len(content):
            raise ValueError("the data end too early")
        return content[position - size : position]

    def value() -> Any:
        nonlocal count
        count += 1
        kind = take(1)[0]
        if count > _MAX_ITEMS:
            raise ValueError("too many values")
        if kind in (0xC0, 0xC2, 0xC3):
            return None if kind == 0xC0 else kind == 0xC3
        if 0x90 <= kind <= 0x9F or kind in (0xDC, 0xDD):
            size = kind & 0x0F if kind <= 0x9F else int.from_bytes(take(2 if kind == 0xDC else 4), "big")
            return [value() for _ in range(size)]
        if 0xA0 <= kind <= 0xBF or kind in (0xD9, 0xDA, 0xDB):
            size = kind & 0x1F if kind <= 0xBF else int.from_bytes(take(2 ** (kind - 0xD9)), "big")
            return take(size).decode("utf-8")
        raise ValueError(f"a value of type {kind:#x}")

    while position < len(content):
        yield value()


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedGitSource:
    """A source at its commit, which uv finds without the network once it is in a cache.

    ``folder`` is where uv waits for its metadata, relative to the cache.
    """

    line: str
    folder: Path


def pin_git_source(source: str, cache: Path) -> PinnedGitSource | None:
    """Return ``source`` at the commit that uv has just fetched into ``cache``, which has nothing else from git.

    No foreign code may have run there. ``None`` if uv has left something else than is known of it.
    """
    folders = [folder for folder in cache.glob("sdists-*/git/*/*") if folder.is_dir()]
    heads = list(cache.glob("git-*/checkouts/*/*/.git/HEAD"))
    if len(folders) != 1 or len(heads) != 1:
        return None
    with suppress(OSError, ValueError):  # unreadable, or no URL
        commit = _commit_of(heads[0])
        if _COMMIT.fullmatch(commit) and commit.startswith(folders[0].name):
            return PinnedGitSource(line=_at_commit(source, commit), folder=folders[0].relative_to(cache))
    return None


def _commit_of(head: Path) -> str:
    """Return the commit that a fresh checkout is at, by its ``HEAD``."""
    text = head.read_text(encoding="ascii").strip()
    if not text.startswith("ref: refs/heads/") or ".." in text:
        return text
    return (head.parent / text.removeprefix("ref: ")).read_text(encoding="ascii").strip()


def _at_commit(source: str, commit: str) -> str:
    name, mark, url = source.partition(GIT_MARK)
    parts = urlsplit(url)
    repository = parts.path.rpartition("@")[0] or parts.path
    return f"{name}{mark}{urlunsplit(parts._replace(path=f'{repository}@{commit}'))}"


def give_metadata_to_uv(content: bytes, source: PinnedGitSource, cache: Path) -> None:
    """Put checked metadata where uv waits for them in a cache. If that fails, uv asks for a build again."""
    file = cache / source.folder / "metadata.msgpack"
    if file.parent.is_dir() and not file.exists():
        with suppress(OSError):
            write_atomically(file, content)


class MetadataBuilds:
    """Runs resolutions of uv in which no foreign code runs. Safe for threads and several processes."""

    def __init__(self, *, cache: Path, runner: Runner, confinement: SupportsConfinement) -> None:
        self._cache = cache
        self._root = cache / "metadata"
        self._runner = runner
        self._confinement = confinement

    def run(
        self,
        argv: Sequence[str],
        build: InterpreterBuild,
        *,
        settings_file: Path,
        options: Sequence[str],
        compile_options: Callable[[str], Sequence[str]],
    ) -> CommandResult:
        """Return the result of ``uv pip compile``; what it would build is built apart, and it is run again.

        ``settings_file`` is the one that the command reads; ``compile_options(name)`` are the command's options that
        allow the build of one project, for a command of that project alone.
        """
        settings = settings_file.read_text(encoding="utf-8")
        inputs = [file.read_text(encoding="utf-8") for file in settings_file.parent.iterdir() if file.is_file()]
        learned: dict[str, str] = {}
        cache: tuple[str, ...] = ()
        for _ in range(MAX_SOURCES):
            settings_file.write_text(settings + "".join(learned.values()), encoding="utf-8")
            result = self._runner.run_tool(build, without_builds([*argv, *cache]), time_limit=600)
            source = as_written(source_to_build(result), "\n".join(inputs)) if needs_build(result) else ""
            if GIT_MARK in source and not cache:
                cache = ("--cache-dir", self._runner.path_inside(self._git_cache(build)))
                continue
            if not source or source in learned:
                return _unlearned(result, source) if needs_build(result) else result
            if "--offline" in argv and self._cached(source, build, options) is None:
                return _unlearned(result, source)
            metadata = self._cached(source, build, options) or self._build(
                source, build, settings, options, compile_options
            )
            if isinstance(metadata, CommandResult):
                return metadata
            learned[source] = "" if GIT_MARK in source else metadata.toml(with_version=" @ " not in source)
        return _unlearned(result, source)

    def _cached(self, source: str, build: InterpreterBuild, options: Sequence[str]) -> SourceMetadata | None:
        try:
            data = json.loads(self._file(source, build, options).read_text(encoding="utf-8"))
            return checked_metadata(**data)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def _file(self, source: str, build: InterpreterBuild, options: Sequence[str]) -> Path:
        key = json.dumps([source, list(options), self._runner.name, build.digest])
        return self._root / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.json"

    def _build(
        self,
        source: str,
        build: InterpreterBuild,
        settings: str,
        options: Sequence[str],
        compile_options: Callable[[str], Sequence[str]],
    ) -> SourceMetadata | CommandResult:
        """Return the metadata of ``source``, or the result of the build that failed."""
        name = canonicalize_name(source.partition("==")[0].partition(" @ ")[0].partition("[")[0].strip())
        with uv_folder(self._cache, settings) as work:
            (work / "requirements.in").write_text("\n".join((*options, source)) + "\n", encoding="utf-8")
            inside = self._runner.path_inside
            argv = ["{uv}", "pip", "compile", "--quiet", "--no-header", "--color", "never", "--python", "{python}"]
            argv += ["--directory", inside(work), *compile_options(name), inside(work / "requirements.in")]
            built = SourceBuild(folder=work, argv=tuple(argv), time_limit=600, options=options)
            from_git = None
            if GIT_MARK in source:
                fetched, from_git = self._fetch_git_source(source, built, build)
                if from_git is None:
                    return _unlearned(fetched, source) if fetched.ok or needs_build(fetched) else fetched
                (work / "requirements.in").write_text("\n".join((*options, from_git.line)) + "\n", encoding="utf-8")
                built = replace(built, copied=work / "cache")
            result = run_source_build(built, build, self._runner, self._confinement)
            # the command itself may fail: what the source requires is not there offline
            content, metadata = _find_metadata(built.scratch, name)
            if metadata is None:
                return _unlearned(result, source) if result.ok else result
            if from_git is not None:
                if not _has_unchecked_values(content):
                    give_metadata_to_uv(content, from_git, self._git_cache(build))
            elif " @ " not in source:
                with suppress(OSError):  # only a cache
                    write_json_atomically(self._file(source, build, options), asdict(metadata))
            return metadata

    def _fetch_git_source(
        self, source: str, built: SourceBuild, build: InterpreterBuild
    ) -> tuple[CommandResult, PinnedGitSource | None]:
        """Fetch a source into the folder ``cache`` beside its build, without building it."""
        cache = ["--cache-dir", self._runner.path_inside(built.folder / "cache")]
        result = self._runner.run_tool(build, without_builds([*built.argv, *cache]), time_limit=built.time_limit)
        return result, pin_git_source(source, built.folder / "cache")

    def _git_cache(self, build: InterpreterBuild) -> Path:
        """Return the cache of uv for sets with sources from git that have to be built."""
        return self._cache / "uv-git" / f"{self._runner.name}-{build.digest}"


def _find_metadata(scratch: Path, name: str) -> tuple[bytes, SourceMetadata | None]:
    """Return what uv has written about ``name``, as it is and parsed. Foreign code could write there too."""
    root = scratch.resolve()
    for path in sorted(root.glob("cache/sdists-*/**/metadata.msgpack"))[:_MAX_ITEMS]:
        content = read_bounded(path, METADATA_LIMIT) if path.resolve() == path else None
        metadata = parse_metadata(content) if content else None
        if content and metadata is not None and metadata.name == name:
            return content, metadata
    return b"", None


def _unlearned(result: CommandResult, source: str) -> CommandResult:
    """Return a failure that says nothing about a source: its metadata could not be had."""
    name = without_passwords(source) or "a source"
    text = f"{name} says what it requires only when it is built, and its build could not be confined"
    return replace(result, exit_code=2, stdout="", stderr=text)
