"""Resolving from nothing but the cache: what was resolved before, and what uv finds in its own.

That uv resolves a set from its cache is sound. That it does not proves nothing: a project that is not in the cache
looks like one that does not exist. So a refusal is never a verdict here; what blocks is told only where the index's
page is in the cache and still holds (dependencies/diagnosis/package_index.py), or where an earlier run's answer does.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandRun
from pytest_py312.dependencies.resolution.lock import NAME, Blocked, Lock, Unchecked, Wanted
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from pytest_py312.runners.runner import CellJob, CellRun, Runner


class OfflineRunner:
    """Another runner, whose uv never goes to the network."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.name = runner.name

    def describe(self) -> str:
        return self._runner.describe()

    def find(self, interpreter: Interpreter) -> InterpreterBuild:
        return self._runner.find(interpreter)

    def tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandRun:
        return self._runner.tool(build, _offline(argv), stdin=stdin, time_limit=time_limit)

    def inside(self, path: Path) -> str:
        return self._runner.inside(path)

    def run(self, job: CellJob) -> CellRun:
        return self._runner.run(job)

    def close(self) -> None:
        self._runner.close()


def _offline(argv: Sequence[str]) -> list[str]:
    """The command line of a tool, with uv kept from the network."""
    words = list(argv)
    if words[0] != "{uv}" or "--offline" in words:
        return words
    if "--refresh" in words:
        # nothing can be refreshed offline, and what an older Python has built must not be taken for built on this one:
        # an empty cache does the same for what lies on this machine, and fails for the rest
        at = words.index("--refresh")
        words[at : at + 1] = ["--cache-dir", f"{words[words.index('--directory') + 1]}/uv"]
    return [words[0], "--offline", *words[1:]]


class OfflineResolver(Resolver):
    """uv that asks nobody. Locks of earlier runs hold whatever their age."""

    offline = True

    def describe(self) -> str:
        return f"{super().describe()}, offline"

    def known(self, wanted: Wanted, build: InterpreterBuild) -> Lock | None:
        return self._locks.known(self.key(wanted, build), wanted, any_age=True)

    def resolve(self, wanted: Wanted, build: InterpreterBuild) -> Lock:
        """A lock, which is not kept where it is new: with the network, uv might have taken newer versions.

        :raises Unchecked: there is none in the cache. Never ``Blocked``.
        """
        return self.known(wanted, build) or self._from_cache(wanted, build, ())

    def refusal(self, wanted: Wanted, build: InterpreterBuild, from_source: Sequence[str] = ()) -> Finding | None:
        """``None`` where ``wanted`` can be had.

        :raises Unchecked: all else.
        """
        self._from_cache(wanted, build, from_source)
        return None

    def _from_cache(self, wanted: Wanted, build: InterpreterBuild, from_source: Sequence[str]) -> Lock:
        try:
            return self._ask(wanted, build, from_source, offline=True)
        except Blocked as blocked:
            raise _not_to_be_told(blocked.findings[0]) from None
        except Unchecked as reason:
            raise Unchecked(_in_short(str(reason)), reason.names) from None


def _not_to_be_told(finding: Finding) -> Unchecked:
    missing = re.findall(rf"{NAME}\S* was not found in the cache", finding.message)
    if missing:
        return Unchecked(f"offline, and {' and '.join(missing)} is not in the cache", finding.names)
    about = ", ".join(finding.names) or "the set"
    return Unchecked(f"offline, and what is in the cache does not settle {about}: {finding.message}", finding.names)


def _in_short(reason: str) -> str:
    file = re.search(r"wasn't found in the cache[^:]*:\s+`?\S*/([^\s/`]+)", reason)
    return f"offline, and {file[1]} is not in the cache" if file else f"offline: {reason}"
