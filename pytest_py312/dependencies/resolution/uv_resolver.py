"""Requirements to a lock: the exact versions of one cell, found by uv for the whole set at once.

Wheels first. Where a requirement has no fitting wheel, building its source is allowed for that project alone, and the
build is then really tried when it is installed (dependencies/installation/distribution_store.py): that uv finds
versions proves nothing by itself.
"""

import hashlib
import json
import os
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandRun
from pytest_py312.dependencies.resolution.conflict_cache import Parts
from pytest_py312.dependencies.resolution.known_solutions import solution_of
from pytest_py312.dependencies.resolution.lock import Blocked, KeptLocks, Lock, Unchecked, Wanted, pins_of
from pytest_py312.dependencies.resolution.uv_config import index_settings, only_index, settings_digest
from pytest_py312.dependencies.resolution.uv_messages import _folded, _refusal, _without_wheels
from pytest_py312.runners.runner import Runner

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
        """As :meth:`_ask`, where it is only asked whether there is a lock: what it shows is remembered in
        conflict_cache.py.
        """
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
