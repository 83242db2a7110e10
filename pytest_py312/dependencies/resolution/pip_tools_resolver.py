"""pip-compile as the resolver, for teams that lock with it: run by the cell's own interpreter.

pip evaluates markers with the Python that runs it, so each interpreter gets an environment with pip-tools in it, made
once by uv and kept in the cache. Wheels only, and sources for those projects alone that have no fitting wheel: then a
build that fails does not decide about projects that would not have been built.

Of what it says on failure little is read: the exit code, and the requirements that it names. pip takes an index that
does not answer for one that has nothing, so its refusal is no verdict by itself: see dependencies/diagnosis/locker.py.
"""

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from pytest_py312.core import clock
from pytest_py312.core.files import write_whole
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandRun, Ended
from pytest_py312.dependencies.resolution.lock import NAME, Blocked, KeptLocks, Lock, Unchecked, Wanted, pins_of
from pytest_py312.dependencies.resolution.uv_config import pip_settings_digest, says_which_index
from pytest_py312.dependencies.resolution.uv_messages import broken_source
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from pytest_py312.runners.runner import Runner

PIP_TOOLS = "7.6.2"
"""The release that is taken on every interpreter: 3.9 is the oldest that it runs on."""
TIME_LIMIT = 1200.0
"""Seconds for one run of pip-compile."""
MOST_ROUNDS = 20
"""As in uv_resolver.py; what uv would build is allowed from the start, and each round takes many seconds."""

_VERSIONS = "import json; from importlib.metadata import version as v; print(json.dumps([v('pip-tools'), v('pip')]))"
_CUT_OFF_SINCE = 26
"""The first pip that knows a cut-off date."""
_AWAY = re.compile(
    r"Retrying \(Retry\(|connection error|Connection refused|Max retries exceeded|Read timed out|name resolution"
    r"|(?:401|403|407|429|50\d) (?:Client|Server) Error",
    re.IGNORECASE,
)
_BUILD_FAILED = re.compile(rf"Failed to build '?{NAME}'?|Preparing metadata for '?{NAME}")
_BUILD_FAILED_SOMEWHERE = ("metadata-generation-failed", "InstallationSubprocessError")


class PipTools:
    """Resolves by pip-compile. ``uv`` makes its environments, and explains what it refuses."""

    def __init__(self, *, uv: Resolver, cache: Path, runner: Runner, lock_hours: float, offline: bool = False) -> None:
        self.uv = uv
        self.offline = offline
        self._cache = cache
        self._runner = runner
        self._locks = KeptLocks(cache=cache, lock_hours=lock_hours)
        self._settings = pip_settings_digest(os.environ)

    def describe(self) -> str:
        return f"pip-tools {PIP_TOOLS} under each interpreter, with {self.uv.describe()}"

    def key(self, wanted: Wanted, build: InterpreterBuild) -> str:
        versions = self._versions(self._tool_folder(build))
        return hashlib.sha256(
            json.dumps(["pip-tools", versions, self._settings, self.uv.key(wanted, build)]).encode()
        ).hexdigest()[:40]

    def known(self, wanted: Wanted, build: InterpreterBuild) -> Lock | None:
        """The lock of an earlier run; none where the tool itself is not there, as its version is not known then."""
        if not self._versions(self._tool_folder(build)):
            return None
        return self._locks.known(self.key(wanted, build), wanted, any_age=self.offline)

    def resolve(self, wanted: Wanted, build: InterpreterBuild) -> Lock:
        """:raises Blocked, Unchecked: no set of versions exists, or it could not be found out."""
        lock = self.known(wanted, build)
        if lock is None:
            lock = self._ask(wanted, build, self._sources(wanted, build))
            self._locks.keep(self.key(wanted, build), lock)
        return lock

    def refusal(self, wanted: Wanted, build: InterpreterBuild, from_source: Sequence[str] = ()) -> Finding | None:
        """:raises Unchecked: it could not be found out."""
        try:
            self._ask(wanted, build, from_source or self._sources(wanted, build))
        except Blocked as blocked:
            return blocked.findings[0]
        return None

    def _sources(self, wanted: Wanted, build: InterpreterBuild) -> list[str]:
        """What uv would build of the set: asking it is cheaper than finding out one run after the other."""
        try:
            pins = self.uv.resolve(wanted, build).pins
        except (Blocked, Unchecked):
            return []
        return [pin.name for pin in pins if pin.from_source and " @ " not in pin.line]

    def _ask(self, wanted: Wanted, build: InterpreterBuild, sources: Sequence[str]) -> Lock:
        if self.offline:
            raise Unchecked("offline, and pip-compile has not resolved this set before: it has no way to do without")
        tool, pip = self._tool(build)
        if wanted.exclude_newer and int(pip.partition(".")[0] or 0) < _CUT_OFF_SINCE:
            raise Unchecked(f"pip {pip}, with which pip-tools runs on {build.interpreter}, knows no cut-off date")
        from_source = list(sources)
        for _ in range(MOST_ROUNDS):
            answer = self._compile(tool, wanted, build, from_source)
            if answer.ok:
                pins = pins_of(answer.stdout, from_source, "\n".join(wanted.options))
                return Lock(pins=pins, created=clock.timestamp())
            more = [name for name in _not_found(answer.stderr) if name not in from_source]
            if not more or _AWAY.search(answer.stderr):
                raise _refusal(answer, wanted, build)
            from_source += more
        raise Unchecked(f"pip-compile did not settle in {MOST_ROUNDS} rounds (built from source: {from_source})")

    def _compile(self, tool: Path, wanted: Wanted, build: InterpreterBuild, from_source: Sequence[str]) -> CommandRun:
        folder = self._cache / "tmp" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        try:
            requirements, constraints = folder / "requirements.in", folder / "constraints.txt"
            options = (*self._index_options(wanted, build), *wanted.options)
            # the requirements first: pip names them by their line
            requirements.write_text("\n".join((*wanted.lines, *options)) + "\n", encoding="utf-8")
            constraints.write_text("\n".join(wanted.constraints) + "\n", encoding="utf-8")
            inside = self._runner.inside
            pip = ["--only-binary :all:", *(f"--no-binary {name}" for name in from_source)]
            pip += ["--retries 2", "--timeout 20", "--disable-pip-version-check"]
            pip += [f"--uploaded-prior-to {wanted.exclude_newer}"] if wanted.exclude_newer else []
            # -I: whatever lies in the folder that this is run in, such as a build.py, would be imported else
            argv = [inside(tool / "bin" / "python"), "-I", "-m", "piptools", "compile", "--no-config", "--no-header"]
            argv += ["--no-annotate", "--strip-extras", "--allow-unsafe", "--no-emit-options", "--no-emit-index-url"]
            argv += ["--no-emit-trusted-host", "--no-emit-find-links", "--output-file", "-"]
            argv += ["--cache-dir", inside(self._cache / "pip"), "--pip-args", " ".join(pip)]
            argv += ["--generate-hashes"] if wanted.hashes else []
            argv += ["--constraint", inside(constraints)] if wanted.constraints else []
            return self._runner.tool(build, [*argv, inside(requirements)], time_limit=TIME_LIMIT)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _index_options(self, wanted: Wanted, build: InterpreterBuild) -> list[str]:
        """uv's index, where uv was told of one and pip was not: both are to look at the same."""
        if not says_which_index(os.environ):
            return []
        url = self.uv.index_url(wanted, build)
        return [f"--index-url {url}"] if url else []

    # -- the tool

    def _tool_folder(self, build: InterpreterBuild) -> Path:
        # an entry of the store like any other: it is measured and pruned with the rest
        return self._cache / "store" / f"{self._runner.name}-{build.digest}" / f"pip-tools-{PIP_TOOLS}-tool"

    @staticmethod
    def _versions(folder: Path) -> tuple[str, str] | None:
        """Versions of pip-tools and pip in a finished environment."""
        try:
            data = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
            return str(data["pip-tools"]), str(data["pip"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _tool(self, build: InterpreterBuild) -> tuple[Path, str]:
        """The environment with pip-tools for ``build``, made when first needed, and its pip's version.

        :raises Unchecked: it cannot be made.
        """
        folder = self._tool_folder(build)
        versions = self._versions(folder)
        if versions is None:
            from filelock import FileLock

            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.parent.parent / f"{self._runner.name}-{build.digest}-tool.lock"):
                versions = self._versions(folder) or self._make_tool(folder, build)
        return folder, versions[1]

    def _make_tool(self, folder: Path, build: InterpreterBuild) -> tuple[str, str]:
        part = self._cache / "tmp" / uuid.uuid4().hex
        part.mkdir(parents=True)
        try:
            (part / "uv.toml").touch()  # uv takes the nearest above its folder: not that of a parent of the cache
            inside, environment = self._runner.inside, part / "environment"
            python = inside(environment / "bin" / "python")
            install = ["{uv}", "pip", "install", "--quiet", "--color", "never", "--directory", inside(part)]
            said = CommandRun(argv=(), ended=Ended.EXITED, exit_code=0, stdout="", stderr="", seconds=0.0)
            for argv in (
                ["{uv}", "venv", "--quiet", "--no-project", "--python", "{python}", inside(environment)],
                [*install, "--python", python, "--only-binary", ":all:", f"pip-tools=={PIP_TOOLS}"],
                [python, "-I", "-c", _VERSIONS],
            ):
                said = self._runner.tool(build, argv)
                if not said.ok:
                    words = " ".join(said.stderr.split())[-300:]
                    raise Unchecked(f"pip-tools could not be installed for {build.interpreter}: {words}")
            tools, pip = json.loads(said.stdout)
            shutil.rmtree(folder, ignore_errors=True)
            environment.rename(folder)
            write_whole(folder / "entry.json", {"pip-tools": tools, "pip": pip})
            return str(tools), str(pip)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _not_found(stderr: str) -> list[str]:
    """Projects of which pip says that it has no file: absent, or without a wheel that fits."""
    found = re.findall(rf"No matching distribution found for {NAME}", stderr)
    return list(dict.fromkeys(canonicalize_name(name) for name in found))


def _refusal(answer: CommandRun, wanted: Wanted, build: InterpreterBuild) -> Exception:
    """What a failed pip-compile means."""
    said = answer.stderr
    if answer.ended is not Ended.EXITED:
        return Unchecked(f"pip-compile was ended: {answer.ended.value} {said.strip()[-200:]}".strip())
    if _AWAY.search(said):
        return Unchecked(f"the index does not answer pip-compile: {_last_line(said)}")
    failed = _BUILD_FAILED.search(said)
    if failed or any(text in said for text in _BUILD_FAILED_SOMEWHERE):
        name = canonicalize_name(failed[1] or failed[2]) if failed else ""
        return broken_source(name, "", said.partition("[end of output]")[0], wanted, build)
    names = _clashing(said, wanted) or tuple(_not_found(said))
    if not names:
        return Unchecked(f"pip-compile could not resolve the set: {_last_line(said)}")
    on = build.interpreter
    if _not_found(said):
        code, message = "PY102", f"pip finds no file of {', '.join(names)} that fits {on}"
        remedy = "require a version that has one"
    else:
        code, message = "PY101", f"the set conflicts on {on}, as pip sees it: {', '.join(names)} do not go together"
        remedy = f"loosen one of {', '.join(names)}"
    where = next((place for name in names if (place := wanted.where(name))), None)
    return Blocked([Finding(code=code, message=message, remedy=remedy, location=where, names=names)])


def _clashing(said: str, wanted: Wanted) -> tuple[str, ...]:
    """The requirements in pip's "Cannot install A, -r FILE (line N) and B because ..."."""
    sentence = re.search(r"Cannot install (.+?) because ", said, re.DOTALL)
    if not sentence:
        return ()
    names: dict[str, None] = {}
    for item in re.split(r",\s+|\s+and\s+", sentence[1]):
        line = re.search(r"\(line (\d{1,6})\)", item)
        text = wanted.lines[int(line[1]) - 1] if line and 0 < int(line[1]) <= len(wanted.lines) else item
        name = re.match(NAME, text.strip())
        if name:
            names[canonicalize_name(name[1])] = None
    here = wanted.names
    return tuple(name for name in names if name in here)


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:400] if lines else "it gave no reason"
