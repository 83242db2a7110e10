"""Cache of sources that do not build, next to the distribution store.

    <cache>/builds/<digest>.json    {"created": ..., "finding": ...}

Only a failure of the build backend or compiler is cached. A network error or a missing compiler says nothing about the
source, so such a build is tried again in each run. A build that exceeded its time limit is cached with that limit, and
is tried again only with a longer one. A build takes its tools from the index, so an entry is valid for as long as a
lock.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.files import write_json_atomically
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.serialization import decode, encode
from pytest_py312.dependencies.resolution.lock import Pin, ResolutionRequest, Undetermined, Unresolvable

CACHE_VERSION = 3
"""Part of each key. Raise it when build output is parsed in another way, so that wrong findings are discarded."""


class BuildFailureCache:
    """Build failures by source (name, version, index and hashes), interpreter build, runner and tool version."""

    def __init__(self, *, cache: Path, tools: str, lock_hours: float) -> None:
        self._folder = cache / "builds"
        self._tools = tools
        self._seconds = lock_hours * 3600.0

    def raise_if_known(self, pin: Pin, build: InterpreterBuild, request: ResolutionRequest, time_limit: float) -> None:
        """Raise the cached failure of ``pin``, if there is one.

        :raises Unresolvable: it does not build; the finding has the location that ``request`` gives for it.
        :raises Undetermined: an earlier build with at least this time limit did not finish.
        """
        data = self._read(pin, build)
        finding, seconds = data.get("finding"), data.get("unfinished", 0.0)
        if finding is not None:
            try:
                cached_finding = decode(Finding, finding)
            except (ValueError, TypeError, KeyError):
                return
            raise Unresolvable([replace(cached_finding, location=request.location_of(pin.name))])
        if isinstance(seconds, int | float) and seconds >= time_limit:
            raise unfinished_build(pin, build, time_limit)

    def put(self, pin: Pin, build: InterpreterBuild, blocked: Unresolvable) -> None:
        """Cache why ``pin`` does not build."""
        (finding, *more) = blocked.findings
        if finding.code == "PY104" and not more:
            self._write(pin, build, {"finding": encode(finding)})

    def put_unfinished(self, pin: Pin, build: InterpreterBuild, seconds: float) -> None:
        """Cache that a build of ``pin`` was ended after ``seconds``."""
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
            return  # the source at a URL may change at any time
        try:
            write_json_atomically(self._file(pin, build), {"created": clock.timestamp(), **data})
        except OSError:  # only a cache: a full disk is reported where it matters
            return

    def _file(self, pin: Pin, build: InterpreterBuild) -> Path:
        key = json.dumps([CACHE_VERSION, self._tools, build.digest, pin.name, pin.version, pin.line, pin.index])
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.json"


def unfinished_build(pin: Pin, build: InterpreterBuild, seconds: float) -> Undetermined:
    """Return the error for a build that was ended after ``seconds``."""
    return Undetermined(
        f"{pin.name}=={pin.version} has no wheel for {build.interpreter}, and building its source was not finished "
        f"within {seconds:g} s",
        names=(pin.name,),
    )
