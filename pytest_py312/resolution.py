"""Requirements to a lock: the exact versions of one cell, found by uv for the whole set at once.

Wheels first. Where a requirement has no fitting wheel, building its source is allowed for that project alone, and the
build is then really tried when it is installed (distributions.py): that uv finds versions proves nothing by itself.
"""

import hashlib
import json
import os
import re
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from pytest_py312 import clock
from pytest_py312.last_words import last_words
from pytest_py312.locks import NAME, KeptLocks, pins_of
from pytest_py312.locks import Blocked as Blocked
from pytest_py312.locks import Lock as Lock
from pytest_py312.locks import Pin as Pin
from pytest_py312.locks import Unchecked as Unchecked
from pytest_py312.locks import Wanted as Wanted
from pytest_py312.locks import write_whole as write_whole
from pytest_py312.model import Finding, InterpreterBuild
from pytest_py312.parts import Parts
from pytest_py312.runners.base import CommandRun, Ended, Runner
from pytest_py312.solutions import solution_of
from pytest_py312.successors import IN_WHEELS
from pytest_py312.uv_settings import index_settings, only_index, settings_digest

MOST_ROUNDS = 200
"""How many times a resolution is tried again with one more project allowed to build from source: uv names one at a
time, and sets that were pinned years ago have dozens that never had a wheel."""


class Resolver:
    """uv, through its command line. Locks are kept by content in ``cache`` and used again for ``lock_hours``."""

    offline = False

    def __init__(self, *, cache: Path, runner: Runner, uv_version: str, lock_hours: float) -> None:
        self.uv_version = uv_version
        self._cache = cache
        self._temporary = cache / "tmp"
        self._runner = runner
        self._lock_hours = lock_hours
        self._locks = KeptLocks(cache=cache, lock_hours=lock_hours)
        self.parts = Parts(cache=cache, keyed=self, lock_hours=lock_hours)
        """What answers to :meth:`guess` and :meth:`refusal` have shown of sets and their parts."""
        self._settings = settings_digest(os.environ)
        self._index_urls: dict[tuple[str, ...], str | None] = {}
        self._asking = threading.Lock()

    @property
    def uv(self) -> "Resolver":
        """Who tells all that blocks a set: itself."""
        return self

    def describe(self) -> str:
        return f"uv {self.uv_version}"

    def known(self, wanted: Wanted, build: InterpreterBuild) -> Lock | None:
        """The lock of an earlier run that still holds, without asking anyone."""
        return self._locks.known(self.key(wanted, build), wanted)

    def resolve(self, wanted: Wanted, build: InterpreterBuild) -> Lock:
        """The lock of ``wanted`` on ``build``.

        :raises Blocked: no set of versions exists.
        :raises Unchecked: it could not be found out.
        """
        lock = self.known(wanted, build)
        if lock is not None:
            return lock
        lock = self._ask(wanted, build)
        self._locks.keep(self.key(wanted, build), lock)
        return lock

    def guess(self, wanted: Wanted, build: InterpreterBuild, from_source: Sequence[str] = ()) -> Finding | None:
        """Why ``wanted`` does not resolve from what is in uv's cache, or ``None`` when it does: then it resolves.

        A reason is a guess and no more: a project that is not in the cache looks like one that does not exist, and what
        other sets had to build is built here as well.
        """
        sources = dict.fromkeys((*from_source, *self.parts.of(wanted, build).built()))
        try:
            self._learn(wanted, build, tuple(sources), offline=True)
        except Blocked as blocked:
            return blocked.findings[0]
        except Unchecked as reason:
            return Finding(code="PY101", message=str(reason))
        return None

    def refusal(self, wanted: Wanted, build: InterpreterBuild, from_source: Sequence[str] = ()) -> Finding | None:
        """Why ``wanted`` cannot be had, or ``None`` when it can. Keeps nothing.

        :raises Unchecked: it could not be found out.
        """
        try:
            self._learn(wanted, build, from_source)
        except Blocked as blocked:
            return blocked.findings[0]
        return None

    def index_url(self, wanted: Wanted, build: InterpreterBuild) -> str | None:
        """The one index that uv uses for ``wanted``, credentials and all; ``None`` where it uses more than that."""
        return self._index_url(wanted.options, build)

    def _index_url(self, options: tuple[str, ...], build: InterpreterBuild) -> str | None:
        with self._asking:
            if options not in self._index_urls:
                asked = Wanted(lines=(), options=options)
                said = self._compile(
                    asked, build, (), more=("--no-annotate", "--emit-index-url", "--emit-find-links"), settings=""
                )
                self._index_urls[options] = only_index(said.stdout) if said.ok else None
            return self._index_urls[options]

    def settings(self, options: tuple[str, ...], build: InterpreterBuild) -> str:
        """The text of uv's settings file where ``options`` say what to resolve from: how long pages of its index hold.

        Not empty only where uv uses one index, and that without a password.
        """
        return index_settings(self._index_url(options, build))

    def key(self, wanted: Wanted, build: InterpreterBuild) -> str:
        """What a lock depends on, in one digest."""
        key = json.dumps(
            [
                self._runner.name,
                self.uv_version,
                self._settings,
                build.digest,
                sorted(wanted.lines),
                sorted(wanted.constraints),
                wanted.options,
                wanted.exclude_newer,
                wanted.hashes,
            ]
        )
        return hashlib.sha256(key.encode()).hexdigest()[:40]

    def _ask(
        self, wanted: Wanted, build: InterpreterBuild, sources: Sequence[str] = (), *, offline: bool = False
    ) -> Lock:
        text, from_source = self._answer(wanted, build, sources, offline=offline, more=("--no-annotate",))
        return Lock(pins=pins_of(text, from_source, "\n".join(wanted.options)), created=clock.timestamp())

    def _learn(
        self, wanted: Wanted, build: InterpreterBuild, sources: Sequence[str] = (), *, offline: bool = False
    ) -> None:
        """As :meth:`_ask`, where it is only asked whether there is a lock: what it shows is remembered in parts.py."""
        why = ("--annotation-style", "split")
        text, from_source = self._answer(wanted, build, sources, offline=offline, more=why)
        scope = self.parts.of(wanted, build)
        scope.add_built(name for name in from_source if name not in sources)
        solution = solution_of(wanted.lines, text)
        if solution is not None:
            scope.add_solution(solution)

    def _answer(
        self, wanted: Wanted, build: InterpreterBuild, sources: Sequence[str], *, offline: bool, more: Sequence[str]
    ) -> tuple[str, list[str]]:
        """What uv printed, and what it had to build for that.

        :raises Blocked, Unchecked: see :meth:`resolve`.
        """
        from_source = list(sources)
        for _ in range(MOST_ROUNDS):
            answer = self._compile(wanted, build, from_source, offline=offline, more=more)
            if answer.ok:
                return answer.stdout, from_source
            words = _folded(answer.stderr)
            without = [name for name in _without_wheels(words) if name not in from_source]
            if not without:
                raise _refusal(answer, words, wanted, build)
            from_source += without
        raise Unchecked(f"the resolution did not settle in {MOST_ROUNDS} rounds (built from source: {from_source})")

    def _compile(
        self,
        wanted: Wanted,
        build: InterpreterBuild,
        from_source: Sequence[str],
        *,
        offline: bool = False,
        more: Sequence[str] = (),
        settings: str | None = None,
    ) -> CommandRun:
        settings = self.settings(wanted.options, build) if settings is None else settings
        folder = self._temporary / uuid.uuid4().hex
        folder.mkdir(parents=True)
        requirements, constraints = folder / "requirements.in", folder / "constraints.txt"
        # uv takes the nearest settings above its folder, beside the user's: else those of a parent of the cache
        settings_file = folder / "uv.toml"
        try:
            settings_file.write_text(settings, encoding="utf-8")
            requirements.write_text("\n".join((*wanted.options, *wanted.lines)) + "\n", encoding="utf-8")
            constraints.write_text("\n".join(wanted.constraints) + "\n", encoding="utf-8")
            inside = self._runner.inside
            argv = ["{uv}", "pip", "compile", "--quiet", "--no-header", "--color", "never"]
            argv += ["--directory", inside(folder), "--python", "{python}", "--only-binary", ":all:"]
            argv += [word for name in from_source for word in ("--no-binary", name)]
            argv += ["--exclude-newer", wanted.exclude_newer] if wanted.exclude_newer else []
            argv += ["--generate-hashes"] if wanted.hashes else []
            argv += ["--offline"] if offline else []
            argv += more
            argv += ["--constraint", inside(constraints)] if wanted.constraints else []
            return self._runner.tool(build, [*argv, inside(requirements)], time_limit=600)
        finally:
            for file in (requirements, constraints, settings_file):
                file.unlink(missing_ok=True)
            folder.rmdir()


def _folded(text: str) -> str:
    """uv's message on one line, which it wraps and indents for people, without the markers that it puts after names:
    ``greenlet{platform_machine == 'x86_64'}==1.1.2``."""
    return re.sub(r"(?<=[\w\]])\{[^{}]*\}", "", " ".join(text.split()))


def _without_wheels(words: str) -> list[str]:
    """Projects that uv says have a source distribution but no wheel that fits."""
    cause = words.split("hint:")[0]
    found = re.findall(rf"{NAME}(?:\[[^\]]*\])?(?:[=<>!~]=?\S+)? (?:has|have) no (?:usable )?wheels", cause)
    return list(dict.fromkeys(canonicalize_name(name) for name in found))


_AWAY = re.compile(r"Failed to fetch: `?(https?://\S+/)[\w.-]+/`? cause: error sending request")


def _refusal(answer: CommandRun, words: str, wanted: Wanted, build: InterpreterBuild) -> Exception:
    """What a failed ``uv pip compile`` means."""
    if answer.ended is not Ended.EXITED:
        return Unchecked(f"uv was ended: {answer.ended.value} {answer.stderr.strip()[-200:]}".strip())
    if any(text in words for text in BUILD_FAILED):
        return build_refusal(answer.stderr, wanted, build)
    away = _AWAY.search(words)
    if away:
        # not which project was asked for: a run that has this for all cells tells it once
        return Unchecked(f"the index {away[1]} did not answer: {words.rpartition('cause: ')[2][:200]}")
    if "No solution found" not in words:
        return Unchecked(f"uv could not resolve the set: {words.removeprefix('error: ')[:400] or 'it gave no reason'}")
    denied = re.search(r"hint: An index .*?((?:401|403) \w+)", words)
    if denied:  # uv goes on as if the index had nothing
        return Unchecked(f"the index refuses to answer ({denied[1]}): check its address and credentials")
    cause = re.sub(r"^.*?cause: ", "", words.split("hint:")[0]).strip()
    names = _blamed(cause, wanted)
    missing = re.search(rf"{NAME} was not found in the (?:package registry|provided package locations)", cause)
    absent = re.search(rf"there is no version of {NAME}|only {NAME}\S* is available", cause)
    if missing:
        code, message = "PY102", f"{missing[1]} is not on the index"
        remedy = "correct the name, or point the resolver at the index that has it"
    elif absent and "depends on" not in cause:
        name = absent[1] or re.split(r"[<>=!~]", absent[2])[0]
        code, message = "PY102", f"no version of {name} fits: {_readable(cause)}"
        remedy = f"require a version of {name} that exists"
    else:
        code, message = "PY101", f"the set conflicts on {build.interpreter}: {_readable(cause)}"
        remedy = f"loosen one of {', '.join(names)}" if names else "loosen one of the requirements that are named"
    where = next((place for name in names if (place := wanted.where(name))), None)
    return Blocked([Finding(code=code, message=message, remedy=remedy, location=where, names=names)])


def _blamed(cause: str, wanted: Wanted) -> tuple[str, ...]:
    """The required projects that uv's cause mentions, those first of which it says "you require".

    Where it mentions none of them, all that it says are required.
    """
    required = [canonicalize_name(name) for name in re.findall(rf"you require {NAME}", cause)]
    mentioned = [canonicalize_name(name) for name in re.findall(rf"(?<![\w.-]){NAME}(?=[\s=<>!~\[,]|$)", cause)]
    here = wanted.names
    names = tuple(dict.fromkeys(name for name in (*required, *mentioned) if name in here))
    return names or tuple(dict.fromkeys(required))


def _readable(cause: str) -> str:
    text = re.sub(r",? we can conclude that your requirements are unsatisfiable\.?$", "", cause)
    return text.removeprefix("Because ").strip()[:500]


BUILD_FAILED = ("Failed to build", "Failed to download and build", "The build backend returned an error")
"""uv's words for a build that failed; the last ones, without a name, of a folder that is required by path."""

CANNOT_BE_BUILT = "cannot be built here"
"""How a source is told of that this machine lacks something for."""

_MACHINE_LACKS = re.compile(
    r"(?:command '\S+' failed: No such file or directory"
    r"|unable to execute '?\S+'?: No such file"
    # longintrepr.h moved in 3.11: a header that the interpreter lost is the source's trouble, not the machine's
    r"|fatal error: (?!longintrepr\.h)\S+: No such file or directory"
    r"|(?:pg_config|mysql_config|cmake|ninja|rustc|cargo|pkg-config)\S* (?:executable )?(?:is )?not "
    r"(?:be )?(?:found|installed)"
    r"|No such file or directory: '(?:[\w.+-]+-config|bazel|cargo|cmake|gfortran|git|make|meson|ninja)'"
    r"|No such file or directory: '(?:nvcc|protoc|rustc|swig)'"
    r"|Rust toolchain"
    r"|Temporary failure in name resolution|error sending request|Failed to fetch|Connection refused"
    r"|Packages were unavailable because the network was disabled|Network connectivity is disabled"
    # a build that fetches more by itself, and one whose native part is configured by what the machine has
    r"|Failed to download any of the following|CalledProcessError: Command '\['[^']*cmake'"
    r"|No space left on device)[^\n]*"
)

_WAITED = re.compile(r"Timeout \(\d+s\) when waiting for lock")
"""Another process builds the same source, and has not come to its end: that says nothing of the source."""


_NOT_CLONED = "Git operation failed"
"""No network, no access, no such tag, no git: nothing that was fetched is to blame."""


def build_refusal(stderr: str, wanted: Wanted, build: InterpreterBuild) -> Exception:
    """What a failed build of a source distribution means: broken there, or not to be told on this machine."""
    named = re.search(rf"Failed to (?:download and )?build `{NAME}(?:==([^`]+))?", stderr)
    name = canonicalize_name(named[1]) if named else ""
    version = f"=={named[2]}" if named and named[2] else ""
    return broken_source(name, version, stderr, wanted, build)


def _without_frame(said: str) -> str:
    """What tells best why a build failed; where uv refuses the source itself, all that it says under ``cause``."""
    told = last_words(said)
    if not any(text in told for text in BUILD_FAILED):
        return told
    cause = said.rpartition("cause: ")[2].splitlines()
    return " ".join(line.strip() for line in cause if not re.match(r"\s*\d*\s*\|", line)).strip()[:400] or told


def broken_source(name: str, version: str, stderr: str, wanted: Wanted, build: InterpreterBuild) -> Exception:
    """As :func:`build_refusal`, where it is known which source it was; ``version`` with its ``==``, or empty."""
    what = f"{name or 'a source'}{version}"
    if _WAITED.search(stderr):
        return Unchecked(
            f"{what} was not built on {build.interpreter}: another process that builds it did not come to its end "
            "in time. Run it again",
            names=(name,) if name else (),
        )
    if _NOT_CLONED in stderr:
        told = re.findall(r"^\s*(?:fatal|cause): (.+)", stderr, re.MULTILINE)[-1]
        return Unchecked(f"{what} could not be fetched with git: {told}", names=(name,) if name else ())
    lacks = _MACHINE_LACKS.search(stderr)
    if lacks:
        return Unchecked(
            f"{name}{version} has no wheel for {build.interpreter}, and its source {CANNOT_BE_BUILT}: "
            f"{lacks[0].strip()}. Install what its build needs, or use an image that has it"
            + (f"; {IN_WHEELS[name]} is the same code in wheels" if name in IN_WHEELS else ""),
            names=(name,) if name else (),
        )
    said = re.split(r"^\s*hint:", stderr, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    detail = "\n".join(lines[-6:])
    compiler = next((line for line in lines if re.search(r":\d+: (?:fatal )?error: ", line)), "")
    reason = compiler or _without_frame(said) or "no reason given"
    return Blocked(
        [
            Finding(
                code="PY104",
                message=f"{what}: no wheel for {build.interpreter}, and its source fails to build: {reason}",
                remedy=f"require a version of {name} that has a wheel for {build.interpreter}",
                location=wanted.where(name),
                names=(name,) if name else (),
                detail=detail,
            )
        ]
    )
