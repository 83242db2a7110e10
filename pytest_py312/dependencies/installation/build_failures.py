"""What is remembered of sources that do not build: the verdict of a backend or compiler, next to the store.

    <cache>/builds/<digest>.json    {"created": ..., "finding": ...}

Only a true failure is a verdict. That a network was away or this machine lacks a compiler says nothing of the source,
and is found out anew each time; that a build took longer than it was given is kept apart, and holds for those who give
no more time. A build takes its tools from the index, so what is kept holds as long as a lock does.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.files import write_whole
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.serialization import decode, encode
from pytest_py312.dependencies.resolution.lock import Blocked, Pin, Unchecked, Wanted

FORM = 2
"""Raised when a backend's words are read in another way: what was told wrongly must not outlive the mistake."""


class FailedBuilds:
    """Failures by source (its name, version, index and hashes), interpreter build, runner and tool version."""

    def __init__(self, *, cache: Path, tools: str, lock_hours: float) -> None:
        self._folder = cache / "builds"
        self._tools = tools
        self._seconds = lock_hours * 3600.0

    def check(self, pin: Pin, build: InterpreterBuild, wanted: Wanted, time_limit: float) -> None:
        """Pass where nothing is known against building ``pin``.

        :raises Blocked: it does not build; the finding is at the place that ``wanted`` has for it.
        :raises Unchecked: a build has had as long as this one would, and was not finished.
        """
        data = self._read(pin, build)
        finding, seconds = data.get("finding"), data.get("unfinished", 0.0)
        if finding is not None:
            try:
                found = decode(Finding, finding)
            except (ValueError, TypeError, KeyError):
                return
            raise Blocked([replace(found, location=wanted.where(pin.name))])
        if isinstance(seconds, int | float) and seconds >= time_limit:
            raise unfinished(pin, build, time_limit)

    def keep(self, pin: Pin, build: InterpreterBuild, blocked: Blocked) -> None:
        """Remember why ``pin`` does not build."""
        (finding, *more) = blocked.findings
        if finding.code == "PY104" and not more:
            self._write(pin, build, {"finding": encode(finding)})

    def keep_unfinished(self, pin: Pin, build: InterpreterBuild, seconds: float) -> None:
        """Remember that a build of ``pin`` was ended after ``seconds``."""
        self._write(pin, build, {"unfinished": seconds})

    def _read(self, pin: Pin, build: InterpreterBuild) -> dict[str, object]:
        try:
            data = json.loads(self._file(pin, build).read_text(encoding="utf-8"))
            fresh = 0 <= clock.timestamp() - float(data["created"]) < self._seconds
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return {}
        return dict(data) if fresh else {}

    def _write(self, pin: Pin, build: InterpreterBuild, data: dict[str, object]) -> None:
        if " @ " in pin.line:
            return  # what lies at an address may be another source tomorrow
        try:
            write_whole(self._file(pin, build), {"created": clock.timestamp(), **data})
        except OSError:  # only a cache: a full disk shows itself where it matters
            return

    def _file(self, pin: Pin, build: InterpreterBuild) -> Path:
        key = json.dumps([FORM, self._tools, build.digest, pin.name, pin.version, pin.line, pin.index])
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.json"


def unfinished(pin: Pin, build: InterpreterBuild, seconds: float) -> Unchecked:
    """What a build is that was ended after ``seconds``."""
    return Unchecked(
        f"{pin.name}=={pin.version} has no wheel for {build.interpreter}, and building its source was not finished "
        f"within {seconds:g} s",
        names=(pin.name,),
    )
