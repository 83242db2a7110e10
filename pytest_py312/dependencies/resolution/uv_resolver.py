"""Resolve requirements to a lock, the exact versions for one cell, with uv.

Only wheels are allowed at first. If a requirement has no matching wheel, its source is allowed for that project alone.
That uv finds versions does not prove that the source builds: the build runs when the set is installed
(dependencies/store/distribution_store.py).
"""

import hashlib
import json
import os
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult
from pytest_py312.dependencies.resolution.conflict_cache import ConflictCache
from pytest_py312.dependencies.resolution.format_control import ALL
from pytest_py312.dependencies.resolution.install_sequence import resolve_parts
from pytest_py312.dependencies.resolution.known_solutions import parse_solution
from pytest_py312.dependencies.resolution.lock import (
    MAX_NEWER_ATTEMPTS,
    DependencyLock,
    LockCache,
    ResolutionRequest,
    Undetermined,
    Unresolvable,
    costs_an_earlier_one,
    may_go_back,
    newer_versions,
    parse_pins,
)
from pytest_py312.dependencies.resolution.pip_wheels import PipWheels, refused_by_uv
from pytest_py312.dependencies.resolution.source_metadata import MetadataBuilds
from pytest_py312.dependencies.resolution.uv_config import (
    build_constraints_toml,
    index_settings_toml,
    single_index_url,
    uv_folder,
    uv_settings_digest,
)
from pytest_py312.dependencies.resolution.uv_messages import (
    explain_failure,
    projects_with_disabled_builds,
    projects_without_wheels,
    unwrap_message,
)
from pytest_py312.runners.runner import Runner, confinement_of

MAX_ROUNDS = 200
"""How many times a resolution is repeated with one more project allowed to build from source. uv names one at a time,
and sets pinned years ago have dozens that never had a wheel."""

_METHOD = "newest versions of what is required directly, installed ones as pip keeps or replaces them"
"""How versions are chosen; locks of another method are not used."""


class UvResolver:
    """uv, used through its command line. Locks are stored by content in ``cache`` and reused for ``lock_hours``."""

    offline = False

    def __init__(self, *, cache: Path, runner: Runner, uv_version: str, lock_hours: float) -> None:
        self.uv_version = uv_version
        self._cache = cache
        self._runner = runner
        self._lock_hours = lock_hours
        self._locks = LockCache(cache=cache, lock_hours=lock_hours)
        self.conflict_cache = ConflictCache(cache=cache, key_provider=self, lock_hours=lock_hours)
        """Conflicts and solutions that :meth:`explain_offline` and :meth:`explain` have found."""
        self._pip_wheels = PipWheels(cache=cache, runner=runner)
        self._settings_digest = uv_settings_digest(os.environ)
        self._index_urls: dict[tuple[str, ...], str | None] = {}
        self._index_url_lock = threading.Lock()

    @cached_property
    def _metadata_builds(self) -> MetadataBuilds | None:
        confinement = confinement_of(self._runner)
        return MetadataBuilds(cache=self._cache, runner=self._runner, confinement=confinement) if confinement else None

    @property
    def diagnoser(self) -> "UvResolver":
        """The resolver that explains unresolvable sets: this one."""
        return self

    def describe(self) -> str:
        return f"uv {self.uv_version}"

    def cached_lock(self, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock | None:
        """Return the still valid lock of an earlier run, without running uv."""
        return None if request.unknown_constraints else self._locks.get(self.cache_key(request, build), request)

    def resolve(self, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock:
        """Return the lock of ``request`` on ``build``.

        :raises Unresolvable: no set of versions exists.
        :raises Undetermined: uv or the index did not answer.
        """
        lock = self.cached_lock(request, build)
        if lock is not None:
            return lock
        lock = self._resolve_uncached(request, build)
        self._locks.put(self.cache_key(request, build), lock)
        return lock

    def explain_offline(
        self, request: ResolutionRequest, build: InterpreterBuild, from_source: Sequence[str] = ()
    ) -> Finding | None:
        """Return why ``request`` does not resolve from uv's cache alone; ``None`` proves that it resolves.

        A reason proves nothing: a project that is not in the cache looks like one that does not exist, and projects
        that other sets had to build are allowed to be built here as well.
        """
        sources = dict.fromkeys((*from_source, *self.conflict_cache.scope_for(request, build).built_from_source()))
        try:
            self._resolve_and_record(request, build, tuple(sources), offline=True)
        except Unresolvable as unresolvable:
            return unresolvable.findings[0]
        except Undetermined as reason:
            return Finding(code="PY101", message=str(reason))
        return None

    def explain(
        self, request: ResolutionRequest, build: InterpreterBuild, from_source: Sequence[str] = ()
    ) -> Finding | None:
        """Return why ``request``, without its ``others``, is unresolvable; ``None`` if it resolves. Stores no lock.

        :raises Undetermined: uv or the index did not answer.
        """
        try:
            self._resolve_and_record(request, build, from_source)
        except Unresolvable as unresolvable:
            return unresolvable.findings[0]
        return None

    def index_url(self, request: ResolutionRequest, build: InterpreterBuild) -> str | None:
        """Return the index that uv uses for ``request``, with credentials; ``None`` if it is not the only source."""
        return self._index_url(request.options, build)

    def _index_url(self, options: tuple[str, ...], build: InterpreterBuild) -> str | None:
        with self._index_url_lock:
            if options not in self._index_urls:
                empty_request = ResolutionRequest(lines=(), options=options)
                result = self._compile(
                    empty_request,
                    build,
                    (),
                    extra_options=("--no-annotate", "--emit-index-url", "--emit-find-links"),
                    settings="",
                )
                self._index_urls[options] = single_index_url(result.stdout) if result.ok else None
            return self._index_urls[options]

    def settings_toml(self, options: tuple[str, ...], build: InterpreterBuild) -> str:
        """Return the content of uv's settings file for ``options``: how long pages of its index are reused.

        That only if uv uses a single index without a password. And the constraints of builds.
        """
        return build_constraints_toml(options) + index_settings_toml(self._index_url(options, build))

    def cache_key(self, request: ResolutionRequest, build: InterpreterBuild) -> str:
        """Return a digest of everything that a lock depends on."""
        inputs = json.dumps(
            [
                _METHOD,
                self._runner.name,
                self.uv_version,
                self._settings_digest,
                build.digest,
                sorted(request.lines),
                sorted(request.constraints),
                sorted(request.at_commits),
                request.options,
                request.exclude_newer,
                request.hashes,
                request.no_deps,
                sorted(request.formats.source_only),
                sorted(request.formats.wheel_only),
                request.best_match,
                request.upgrade,
                request.provided,
                request.position if request.others else 0,
                [self.cache_key(other, build) for other in request.others],
            ]
        )
        return hashlib.sha256(inputs.encode()).hexdigest()[:40]

    def _resolve_uncached(
        self, request: ResolutionRequest, build: InterpreterBuild, sources: Sequence[str] = (), *, offline: bool = False
    ) -> DependencyLock:
        return resolve_parts(request, lambda part: self._resolve_part(part, build, sources, offline=offline))

    def _resolve_part(
        self, request: ResolutionRequest, build: InterpreterBuild, sources: Sequence[str], *, offline: bool
    ) -> DependencyLock:
        compile_set = partial(
            self._compile_allowing_builds, build=build, offline=offline, extra_options=("--no-annotate",)
        )
        text, from_source, wheels = compile_set(request, sources=sources)
        if may_go_back(request):
            newest = ""
            with suppress(Unresolvable, Undetermined):
                newest, *_ = compile_set(replace(request, no_deps=True), sources=from_source)
            kept: tuple[str, ...] = ()
            newer = newer_versions(request, text, newest)
            attempts = [newer, *((line,) for line in newer if len(newer) > 1)] if newer else []
            for more in attempts[:MAX_NEWER_ATTEMPTS]:
                narrowed = replace(request, constraints=(*request.constraints, *kept, *more))
                with suppress(Unresolvable, Undetermined):
                    # an old source of what is required directly is no better: boto3 would go back to its beginnings
                    attempt = compile_set(narrowed, sources=from_source, wheels_only=request.names)
                    if costs_an_earlier_one(request, text, attempt[0], more):
                        continue
                    text, from_source, wheels = attempt
                    kept = (*kept, *more)
                if kept == newer:
                    break
        pins = (
            replace(pin, index="\n".join((pin.index, self._find_links(wheels[pin.name]))).strip())
            if pin.name in wheels
            else replace(pin, from_source=pin.from_source or request.formats.is_source_only(pin.name))
            for pin in parse_pins(text, from_source, "\n".join(request.options))
        )
        return DependencyLock(pins=tuple(pins), created=clock.timestamp())

    def _resolve_and_record(
        self, request: ResolutionRequest, build: InterpreterBuild, sources: Sequence[str] = (), *, offline: bool = False
    ) -> None:
        """Resolve without keeping the lock; the solution goes to the conflict cache."""
        annotation_options = ("--annotation-style", "split")
        text, from_source, _wheels = self._compile_allowing_builds(
            request, build, sources, offline=offline, extra_options=annotation_options
        )
        scope = self.conflict_cache.scope_for(request, build)
        scope.add_built_from_source(name for name in from_source if name not in sources)
        solution = parse_solution(request.lines, text)
        if solution is not None:
            scope.add_solution(solution)

    def _compile_allowing_builds(
        self,
        request: ResolutionRequest,
        build: InterpreterBuild,
        sources: Sequence[str],
        *,
        offline: bool,
        extra_options: Sequence[str],
        wheels_only: Collection[str] = (),
    ) -> tuple[str, list[str], dict[str, Path]]:
        """Return uv's output, the projects that it has to build from source, and folders with wheels that pip built.

        :param wheels_only: projects that are not built from source unless they are among ``sources``.
        :raises Unresolvable, Undetermined: see :meth:`resolve`.
        """
        allowed = (name for name in sources if not request.formats.is_wheel_only(name))
        from_source = list(dict.fromkeys((*allowed, *sorted(request.formats.source_only - {ALL}))))
        wheels: dict[str, Path] = {}
        for _ in range(MAX_ROUNDS):
            find_links = [word for folder in wheels.values() for word in self._find_links(folder).split(" ", 1)]
            result = self._compile(
                request, build, from_source, offline=offline, extra_options=(*extra_options, *find_links)
            )
            if result.ok:
                return result.stdout, from_source, wheels
            refused = refused_by_uv(result.stderr)
            if refused and refused[0] not in wheels:
                if offline or self.offline or request.hashes:
                    # hashes of a requirements file are those of the source, and not of a wheel that is built from it
                    raise Undetermined(
                        f"uv refuses the source of {'=='.join(refused)}, and pip was not asked: "
                        f"{'its wheel would have another hash' if request.hashes else 'it needs the network'}",
                        (refused[0],),
                    )
                index_url = self._index_url(request.options, build)
                wheels[refused[0]] = self._pip_wheels.build(*refused, request, build, index_url)
                from_source = [name for name in from_source if name not in wheels]
                continue
            message = unwrap_message(result.stderr)
            without_wheels = [*projects_without_wheels(message), *projects_with_disabled_builds(message)]
            newly_without_wheels = [
                name
                for name in dict.fromkeys(without_wheels)
                if name not in (*from_source, *wheels_only) and not request.formats.is_wheel_only(name)
            ]
            if not newly_without_wheels:
                raise explain_failure(result, message, request, build)
            from_source += newly_without_wheels
        raise Undetermined(f"the resolution did not settle in {MAX_ROUNDS} rounds (built from source: {from_source})")

    def _find_links(self, folder: Path) -> str:
        return f"--find-links {self._runner.path_inside(folder)}"

    def _compile(
        self,
        request: ResolutionRequest,
        build: InterpreterBuild,
        from_source: Sequence[str],
        *,
        offline: bool = False,
        extra_options: Sequence[str] = (),
        settings: str | None = None,
    ) -> CommandResult:
        settings = self.settings_toml(request.options, build) if settings is None else settings
        inside = self._runner.path_inside
        with uv_folder(self._cache, settings) as folder:
            requirements, installed = folder / "requirements.in", folder / "installed.txt"
            requirements.write_text("\n".join((*request.options, *request.lines)) + "\n", encoding="utf-8")
            argv = ["{uv}", "pip", "compile", "--quiet", "--no-header", "--color", "never"]
            argv += ["--directory", inside(folder), "--python", "{python}"]
            argv += [*_compile_options(request, from_source), *(["--offline"] if offline else []), *extra_options]
            for option, name, lines in (
                ("--constraint", "constraints.txt", request.constraints),
                ("--override", "overrides.txt", request.at_commits),
                ("--output-file", installed.name, request.installed),  # uv prefers the versions of an existing file
            ):
                if lines:
                    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
                    argv += [option, inside(folder / name)]
            argv += [inside(requirements)]
            if self._metadata_builds is None:
                result = self._runner.run_tool(build, argv, time_limit=600)
            else:
                result = self._metadata_builds.run(
                    argv,
                    build,
                    settings_file=folder / "uv.toml",
                    options=request.options,
                    compile_options=lambda name: [*_index_strategy(request), "--no-binary", name],
                )
            if not request.installed:
                return result
            return replace(result, stdout=installed.read_text(encoding="utf-8")) if result.ok else result


def _index_strategy(request: ResolutionRequest) -> list[str]:
    return ["--index-strategy", "unsafe-best-match"] if request.best_match else []


def _compile_options(request: ResolutionRequest, from_source: Sequence[str]) -> list[str]:
    """Return the options of uv for what ``request`` allows, with the sources of ``from_source``."""
    if request.formats.is_source_by_default:
        options = ["--no-binary", ALL]
        options += [word for name in sorted(request.formats.wheel_only) for word in ("--only-binary", name)]
    else:
        options = ["--only-binary", ALL]
        options += [word for name in from_source for word in ("--no-binary", name)]
    options += [*(["--no-deps"] if request.no_deps else []), *_index_strategy(request)]
    options += ["--exclude-newer", request.exclude_newer] if request.exclude_newer else []
    return options + (["--generate-hashes"] if request.hashes else [])
