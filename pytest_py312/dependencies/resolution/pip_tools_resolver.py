"""Resolve requirements with pip-compile, for teams that lock with it.

pip evaluates markers with the Python that runs it, so each interpreter gets an environment with pip-tools, created by
uv and stored in the cache. Only wheels are allowed, and sources for those projects alone that have no matching wheel,
so that no unnecessary build can fail.

Of a failure only the exit code and the named requirements are interpreted. pip treats an index that does not answer as
empty, so its failure is not a proof: dependencies/diagnosis/locker.py has it confirmed.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from pytest_py312.core import clock
from pytest_py312.core.files import write_json_atomically
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.core.text import shorten
from pytest_py312.dependencies.resolution.format_control import ALL
from pytest_py312.dependencies.resolution.install_sequence import resolve_parts
from pytest_py312.dependencies.resolution.lock import (
    PROJECT_NAME,
    DependencyLock,
    LockCache,
    ResolutionRequest,
    Undetermined,
    Unresolvable,
    parse_pins,
)
from pytest_py312.dependencies.resolution.uv_config import only_uv_has_index, pip_settings_digest, uv_folder
from pytest_py312.dependencies.resolution.uv_messages import explain_source_failure, relaxation_of, unresolvable_set
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.dependencies.system.confined_builds import needs_build, without_builds
from pytest_py312.dependencies.system.file_manifests import state_digest
from pytest_py312.runners.probe_records import read_bounded
from pytest_py312.runners.runner import ConfinedCommand, Runner, confinement_of

PIP_TOOLS_VERSION = "7.6.2"
"""The release used on every interpreter; it runs on Python 3.9 and later."""
TIME_LIMIT = 1200.0
"""Seconds for one run of pip-compile."""
OUTPUT_LIMIT = 16 * 1024**2
"""Bytes that are read of its output file."""
MAX_ROUNDS = 20
"""As in uv_resolver.py, but fewer: projects that uv would build are allowed from the start, and a round is slow."""

_VERSIONS_SCRIPT = (
    "import json; from importlib.metadata import version as v; print(json.dumps([v('pip-tools'), v('pip')]))"
)
_CUT_OFF_SUPPORTED_SINCE = 26
"""The first pip release with a cut-off date."""
_INDEX_UNREACHABLE = re.compile(
    r"Retrying \(Retry\(|connection error|Connection refused|Max retries exceeded|Read timed out|name resolution"
    r"|(?:401|403|407|429|50\d) (?:Client|Server) Error",
    re.IGNORECASE,
)
_BUILD_FAILED = re.compile(rf"Failed to build '?{PROJECT_NAME}'?|Preparing metadata for '?{PROJECT_NAME}")
_UNNAMED_BUILD_FAILURES = ("metadata-generation-failed", "InstallationSubprocessError")


class PipToolsResolver:
    """pip-compile, run by the cell's interpreter. uv creates its environments and explains unresolvable sets."""

    def __init__(
        self, *, uv: UvResolver, cache: Path, runner: Runner, lock_hours: float, offline: bool = False
    ) -> None:
        self.diagnoser = uv
        self.offline = offline
        self._cache = cache
        self._runner = runner
        self._locks = LockCache(cache=cache, lock_hours=lock_hours)
        self._settings_digest = pip_settings_digest(os.environ)

    def describe(self) -> str:
        return f"pip-tools {PIP_TOOLS_VERSION} under each interpreter, with {self.diagnoser.describe()}"

    def cache_key(self, request: ResolutionRequest, build: InterpreterBuild) -> str:
        versions = self._installed_versions(self._tool_folder(build))
        return hashlib.sha256(
            json.dumps(
                ["pip-tools", versions, self._settings_digest, self.diagnoser.cache_key(request, build)]
            ).encode()
        ).hexdigest()[:40]

    def cached_lock(self, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock | None:
        """Return the lock of an earlier run; none without an installed pip-tools, as the key needs its version."""
        if request.unknown_constraints or not self._installed_versions(self._tool_folder(build)):
            return None
        return self._locks.get(self.cache_key(request, build), request, any_age=self.offline)

    def resolve(self, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock:
        """Return the lock of ``request``.

        :raises Unresolvable: no set of versions exists.
        :raises Undetermined: pip-compile or the index did not answer.
        """
        lock = self.cached_lock(request, build)
        if lock is None:
            lock = self._resolve_uncached(request, build, self._projects_to_build(request, build))
            self._locks.put(self.cache_key(request, build), lock)
        return lock

    def explain(
        self, request: ResolutionRequest, build: InterpreterBuild, from_source: Sequence[str] = ()
    ) -> Finding | None:
        """Return why ``request`` is unresolvable, or ``None`` if it resolves. Stores no lock.

        :raises Undetermined: pip-compile or the index did not answer.
        """
        try:
            self._resolve_uncached(request, build, from_source or self._projects_to_build(request, build))
        except Unresolvable as unresolvable:
            return unresolvable.findings[0]
        return None

    def _projects_to_build(self, request: ResolutionRequest, build: InterpreterBuild) -> list[str]:
        """Return what uv would build from source; faster than one pip-compile run per such project."""
        try:
            pins = self.diagnoser.resolve(request, build).pins
        except (Unresolvable, Undetermined):
            return []
        return [pin.name for pin in pins if pin.from_source and " @ " not in pin.line]

    def _resolve_uncached(
        self, request: ResolutionRequest, build: InterpreterBuild, sources: Sequence[str]
    ) -> DependencyLock:
        return resolve_parts(request, lambda part: self._resolve_part(part, build, sources))

    def _resolve_part(
        self, request: ResolutionRequest, build: InterpreterBuild, sources: Sequence[str]
    ) -> DependencyLock:
        if request.no_deps:
            return self.diagnoser.resolve(request, build)  # pip-compile has no such option, and nothing to decide
        if self.offline:
            raise Undetermined("offline, and pip-compile, which has no offline mode, has not resolved this set before")
        tool, pip = self._ensure_tool(build)
        if request.exclude_newer and int(pip.partition(".")[0] or 0) < _CUT_OFF_SUPPORTED_SINCE:
            raise Undetermined(
                f"pip {pip}, with which pip-tools runs on {build.interpreter}, does not support a cut-off date"
            )
        formats = request.formats
        allowed = (name for name in sources if not formats.is_wheel_only(name))
        from_source = list(dict.fromkeys((*allowed, *sorted(formats.source_only - {ALL}))))
        for _ in range(MAX_ROUNDS):
            result = self._compile(tool, request, build, from_source)
            if result.ok:
                pins = parse_pins(result.stdout, from_source, "\n".join(request.options))
                pins = tuple(
                    replace(pin, from_source=pin.from_source or formats.is_source_only(pin.name)) for pin in pins
                )
                return DependencyLock(pins=pins, created=clock.timestamp())
            newly_without_wheels = [
                name
                for name in _projects_not_found(result.stderr)
                if name not in from_source and not formats.is_wheel_only(name)
            ]
            if not newly_without_wheels or _INDEX_UNREACHABLE.search(result.stderr):
                raise _explain_failure(result, request, build)
            from_source += newly_without_wheels
        raise Undetermined(f"pip-compile did not settle in {MAX_ROUNDS} rounds (built from source: {from_source})")

    def _compile(
        self, tool: Path, request: ResolutionRequest, build: InterpreterBuild, from_source: Sequence[str]
    ) -> CommandResult:
        with uv_folder(self._cache) as folder:
            requirements, constraints = folder / "requirements.in", folder / "constraints.txt"
            options = (*self._index_options(request, build), *request.options)
            # the requirements first: pip names them by their line
            requirements.write_text("\n".join((*request.lines, *options)) + "\n", encoding="utf-8")
            constraints.write_text("\n".join(request.constraints) + "\n", encoding="utf-8")
            inside = self._runner.path_inside
            pip = ["--only-binary :all:", *(f"--no-binary {name}" for name in from_source)]
            if request.formats.is_source_by_default:
                pip = ["--no-binary :all:", *(f"--only-binary {name}" for name in sorted(request.formats.wheel_only))]
            pip += ["--retries 2", "--timeout 20", "--disable-pip-version-check"]
            pip += [f"--uploaded-prior-to {request.exclude_newer}"] if request.exclude_newer else []
            # -I: otherwise files of the current folder, such as a build.py, would be imported
            # -B: its byte code would be taken for a change of the environment
            argv = [inside(tool / "bin" / "python"), "-I", "-B", "-m", "piptools", "compile", "--no-config"]
            argv += ["--no-header", "--no-annotate", "--strip-extras", "--allow-unsafe", "--no-emit-options"]
            argv += ["--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links"]
            argv += ["--pip-args", " ".join(pip)]
            argv += ["--generate-hashes"] if request.hashes else []
            argv += ["--constraint", inside(constraints)] if request.constraints else []
            result = self._run(argv, request, build, folder, tool)
            if not request.installed:
                return result
            text = read_bounded(folder / "scratch" / "installed.txt", OUTPUT_LIMIT) or b""
            return replace(result, stdout=text.decode("utf-8", "replace")) if result.ok else result

    def _run(
        self, argv: Sequence[str], request: ResolutionRequest, build: InterpreterBuild, folder: Path, tool: Path
    ) -> CommandResult:
        """Run pip-compile without builds first, where the runner can confine it, and confined if it has to build.

        Then it has the network all the same, as pip fetches and builds in one command.
        """
        inside, scratch = self._runner.path_inside, folder / "scratch"
        confinement = confinement_of(self._runner)
        last = ["--output-file", inside(scratch / "installed.txt") if request.installed else "-"]
        last.append(inside(folder / "requirements.in"))
        command = [*argv, "--cache-dir", inside(self._cache / "pip"), *last]
        self._prepare(scratch, request)
        result = self._runner.run_tool(
            build, without_builds(command) if confinement else command, time_limit=TIME_LIMIT
        )
        if confinement is None or not needs_build(result):
            return result
        self._prepare(scratch, request)
        confined = ConfinedCommand(
            argv=(*argv, "--cache-dir", inside(scratch / "cache"), *last),
            folder=scratch,
            readable=(folder, tool),
            time_limit=TIME_LIMIT,
            fetches=True,
        )
        return confinement.run_confined(build, confined)

    @staticmethod
    def _prepare(scratch: Path, request: ResolutionRequest) -> None:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        if request.installed:
            # pip-compile keeps the versions of an existing output file where it can
            (scratch / "installed.txt").write_text("\n".join(request.installed) + "\n", encoding="utf-8")

    def _index_options(self, request: ResolutionRequest, build: InterpreterBuild) -> list[str]:
        """Return options that select uv's index for pip, if the user has configured an index for uv only."""
        if not only_uv_has_index(os.environ):
            return []
        url = self.diagnoser.index_url(request, build)
        return [f"--index-url {url}"] if url else []

    # -- the tool

    def _tool_folder(self, build: InterpreterBuild) -> Path:
        # inside the distribution store, so that its size counts and it is pruned with the rest
        return self._cache / "store" / f"{self._runner.name}-{build.digest}" / f"pip-tools-{PIP_TOOLS_VERSION}-tool"

    @staticmethod
    def _installed_versions(folder: Path) -> tuple[str, str] | None:
        """Return the versions of pip-tools and pip in a finished environment."""
        try:
            data = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
            if data["state"] != state_digest(folder, ignored="entry.json"):
                return None  # it has changed since, or was copied: it is made again
            return str(data["pip-tools"]), str(data["pip"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _ensure_tool(self, build: InterpreterBuild) -> tuple[Path, str]:
        """Return the pip-tools environment for ``build``, created when first needed, and its version of pip.

        :raises Undetermined: it cannot be created.
        """
        folder = self._tool_folder(build)
        versions = self._installed_versions(folder)
        if versions is None:
            from filelock import FileLock

            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.parent.parent / f"{self._runner.name}-{build.digest}-tool.lock"):
                versions = self._installed_versions(folder) or self._make_tool(folder, build)
        return folder, versions[1]

    def _make_tool(self, folder: Path, build: InterpreterBuild) -> tuple[str, str]:
        with uv_folder(self._cache) as temporary_folder:
            inside, environment = self._runner.path_inside, temporary_folder / "environment"
            python = inside(environment / "bin" / "python")
            install = ["{uv}", "pip", "install", "--quiet", "--color", "never", "--directory", inside(temporary_folder)]
            install.append("--compile-bytecode")  # now, as a file that is added later would be taken for a change
            result = CommandResult(
                argv=(), exit_reason=ExitReason.EXITED, exit_code=0, stdout="", stderr="", seconds=0.0
            )
            for argv in (
                ["{uv}", "venv", "--quiet", "--no-project", "--python", "{python}", inside(environment)],
                [*install, "--python", python, "--only-binary", ":all:", f"pip-tools=={PIP_TOOLS_VERSION}"],
                [python, "-I", "-c", _VERSIONS_SCRIPT],
            ):
                result = self._runner.run_tool(build, argv)
                if not result.ok:
                    error_text = " ".join(result.stderr.split())[-300:]
                    raise Undetermined(f"pip-tools could not be installed for {build.interpreter}: {error_text}")
            tools, pip = json.loads(result.stdout)
            shutil.rmtree(folder, ignore_errors=True)
            environment.rename(folder)
            state = state_digest(folder, ignored="entry.json")
            write_json_atomically(folder / "entry.json", {"pip-tools": tools, "pip": pip, "state": state})
            return str(tools), str(pip)


def _projects_not_found(stderr: str) -> list[str]:
    """Return the projects for which pip found no file: they do not exist, or have no matching wheel."""
    names = re.findall(rf"No matching distribution found for {PROJECT_NAME}", stderr)
    return list(dict.fromkeys(canonicalize_name(name) for name in names))


def _explain_failure(result: CommandResult, request: ResolutionRequest, build: InterpreterBuild) -> Exception:
    """Return the exception that a failed pip-compile amounts to."""
    stderr = result.stderr
    if result.exit_reason is not ExitReason.EXITED:
        return Undetermined(f"pip-compile was stopped: {result.exit_reason.value} {stderr.strip()[-200:]}".strip())
    if _INDEX_UNREACHABLE.search(stderr):
        return Undetermined(f"the index does not answer pip-compile: {_last_line(stderr)}")
    failed = _BUILD_FAILED.search(stderr)
    if failed or any(text in stderr for text in _UNNAMED_BUILD_FAILURES):
        name = canonicalize_name(failed[1] or failed[2]) if failed else ""
        return explain_source_failure(name, "", stderr.partition("[end of output]")[0], request, build)
    names = _conflicting_projects(stderr, request) or tuple(_projects_not_found(stderr))
    if not names:
        return Undetermined(f"pip-compile could not resolve the set: {_last_line(stderr)}")
    interpreter = build.interpreter
    if _projects_not_found(stderr):
        code, description = "PY102", f"pip finds no file of {', '.join(names)} that fits {interpreter}"
        remedy = "require a version that has one"
    else:
        code, description = "PY101", f"the set conflicts on {interpreter} according to pip: {', '.join(names)}"
        remedy = relaxation_of(names)
    return unresolvable_set(code, description, remedy, names, request)


def _conflicting_projects(stderr: str, request: ResolutionRequest) -> tuple[str, ...]:
    """Return the requested projects in pip's "Cannot install A, -r FILE (line N) and B because ..."."""
    sentence = re.search(r"Cannot install (.+?) because ", stderr, re.DOTALL)
    if not sentence:
        return ()
    names: dict[str, None] = {}
    for item in re.split(r",\s+|\s+and\s+", sentence[1]):
        line = re.search(r"\(line (\d{1,6})\)", item)
        text = request.lines[int(line[1]) - 1] if line and 0 < int(line[1]) <= len(request.lines) else item
        name = re.match(PROJECT_NAME, text.strip())
        if name:
            names[canonicalize_name(name[1])] = None
    requested = request.names
    return tuple(name for name in names if name in requested)


def _last_line(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return shorten(lines[-1], 400) if lines else "no reason given"
