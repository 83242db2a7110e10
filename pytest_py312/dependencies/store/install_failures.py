"""What a failed installation means, and the cache of sources that do not build, next to the distribution store.

    <cache>/builds/<digest>.json    {"created": ..., "finding": ...}

Only a failure of the build backend or compiler is cached. A network error or a missing compiler says nothing about the
source, so such a build is tried again in each run; if something is missing, once for all cells. A build that exceeded
its time limit is cached with that limit, and is tried again only with a longer one. A build takes its tools from the
index, so an entry is valid for as long as a lock.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion

from pytest_py312.core import clock
from pytest_py312.core.files import write_json_atomically
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.core.serialization import decode, encode
from pytest_py312.core.text import shorten
from pytest_py312.dependencies.resolution.lock import Pin, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.uv_messages import BUILD_FAILURE_MESSAGES, explain_build_failure
from pytest_py312.dependencies.system.build_tools import NETWORK

CACHE_VERSION = 3
"""Part of each key. Raise it when build output is parsed in another way, so that wrong findings are discarded."""


class BuildFailureCache:
    """Build failures by source (name, version, index and hashes), interpreter build, runner and tool version."""

    def __init__(self, *, cache: Path, tools: str, lock_hours: float) -> None:
        self._folder = cache / "builds"
        self._tools = tools
        self._seconds = lock_hours * 3600.0
        self._of_this_run: dict[Path, Mapping[str, object]] = {}
        self._undetermined: dict[Path, Undetermined] = {}
        self._failed: set[tuple[str, str]] = set()
        """Name and version of what did not build in this run, on some interpreter."""

    def raise_if_known(self, pin: Pin, build: InterpreterBuild, request: ResolutionRequest, time_limit: float) -> None:
        """Raise the cached failure of ``pin``, if there is one.

        :raises Unresolvable: it does not build; the finding has the location that ``request`` gives for it.
        :raises Undetermined: an earlier build with at least this time limit did not finish.
        """
        undetermined = self._undetermined.get(self._file(pin, build))
        if undetermined is not None:
            raise undetermined
        data = self._read(pin, build)
        finding, seconds = data.get("finding"), data.get("unfinished", 0.0)
        if finding is not None:
            try:
                cached_finding = decode(Finding, finding)
            except (ValueError, TypeError, KeyError):
                return
            raise Unresolvable([replace(cached_finding, location=request.pin_location_of(pin.name))])
        if isinstance(seconds, int | float) and seconds >= time_limit:
            raise unfinished_build(pin, build, time_limit)

    def expectation(self, pin: Pin, build: InterpreterBuild) -> int:
        """Return 2 if ``pin`` is known not to build, 1 if it did not on another interpreter in this run, else 0."""
        return 2 if "finding" in self._read(pin, build) else int((pin.name, pin.version) in self._failed)

    def put(self, pin: Pin, build: InterpreterBuild, blocked: Unresolvable) -> None:
        """Cache why ``pin`` does not build."""
        self._failed.add((pin.name, pin.version))
        (finding, *more) = blocked.findings
        if finding.code == "PY104" and not more:
            self._write(pin, build, {"finding": encode(finding)})

    def put_undetermined(self, pin: Pin, build: InterpreterBuild, reason: Undetermined) -> None:
        """Remember for this run that something is missing for the build of ``pin``; the network may be back soon."""
        if reason.missing is not None and reason.missing.key != NETWORK:
            self._undetermined[self._file(pin, build)] = reason

    def put_unfinished(self, pin: Pin, build: InterpreterBuild, seconds: float) -> None:
        """Cache that a build of ``pin`` was ended after ``seconds``."""
        self._write(pin, build, {"unfinished": seconds})

    def _read(self, pin: Pin, build: InterpreterBuild) -> Mapping[str, object]:
        if self._file(pin, build) in self._of_this_run:
            return self._of_this_run[self._file(pin, build)]
        try:
            data = json.loads(self._file(pin, build).read_text(encoding="utf-8"))
            fresh = 0 <= clock.timestamp() - float(data["created"]) < self._seconds
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return {}
        return dict(data) if fresh else {}

    def _write(self, pin: Pin, build: InterpreterBuild, data: Mapping[str, object]) -> None:
        if " @ " in pin.line:  # the source at a URL may have changed in the next run
            self._of_this_run[self._file(pin, build)] = data
            return
        try:
            write_json_atomically(self._file(pin, build), {"created": clock.timestamp(), **data})
        except OSError:  # only a cache: a full disk is reported where it matters
            return

    def _file(self, pin: Pin, build: InterpreterBuild) -> Path:
        key = json.dumps([CACHE_VERSION, self._tools, build.digest, pin.name, pin.version, pin.line, pin.index])
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.json"


def unfinished_build(pin: Pin, build: InterpreterBuild, seconds: float) -> Undetermined:
    """Return the error for a build that was ended after ``seconds``."""
    if not pin.version:  # a folder, which its caller names
        return Undetermined(f"its build on {build.interpreter} took longer than {seconds:g} s, and was ended")
    return Undetermined(
        f"{pin.name}=={pin.version} has no wheel for {build.interpreter}, and the build of its source took longer than "
        f"{seconds:g} s, and was ended",
        names=(pin.name,),
    )


class HashMismatch(Unresolvable):
    """No file of a project that could be installed has a hash that its pin requires."""

    def __init__(self, name: str, request: ResolutionRequest) -> None:
        super().__init__([_hash_mismatch_finding(name, request)])
        self.name = name


def raise_unless_installed(result: CommandResult, request: ResolutionRequest, build: InterpreterBuild) -> None:
    if result.ok:
        return
    error_text = " ".join(result.stderr.split())
    if result.exit_reason is not ExitReason.EXITED:
        raise Undetermined(f"the installation was stopped: {result.exit_reason.value} {error_text[-200:]}".strip())
    mismatch = re.search(r"[Hh]ash mismatch for `?([A-Za-z0-9._-]+?)(?:==([^`\s]+))?`?(?:\s|$)", error_text)
    if mismatch:
        raise HashMismatch(canonicalize_name(mismatch[1]), request)
    if any(text in error_text for text in BUILD_FAILURE_MESSAGES):
        raise explain_build_failure(result.stderr, request, build)
    raise Undetermined(
        f"installing failed: {shorten(error_text.removeprefix('error: '), 400) or f'exit code {result.exit_code}'}"
    )


def refuse_unfit_wheel(file: str, build: InterpreterBuild) -> None:
    """Refuse a wheel that its file name tags for another Python, as pip does.

    The platform is not compared: it is the same on all Pythons, and an installation says what does not fit.

    :raises Unresolvable: it is for another Python.
    """
    from packaging.tags import compatible_tags, cpython_tags  # 4 ms, and few repositories have wheels

    try:
        tags = parse_wheel_filename(file)[3]
    except (InvalidWheelFilename, InvalidVersion):
        return
    version = (build.interpreter.major, build.interpreter.minor)
    own = f"cp{version[0]}{version[1]}"
    fitting = (*cpython_tags(version, [own], ["any"]), *compatible_tags(version, own, ["any"]))
    accepted = {(tag.interpreter, tag.abi) for tag in fitting}
    if not any((tag.interpreter, tag.abi) in accepted for tag in tags):
        message = f"{file} is a wheel for another Python, so pip refuses it on {build.interpreter}"
        remedy = f"require a wheel for {build.interpreter}"
        raise Unresolvable([Finding(code="PY104", message=message, remedy=remedy)])


def _hash_mismatch_finding(name: str, request: ResolutionRequest) -> Finding:
    return Finding(
        code="PY114",
        message=f"none of the required hashes of {name} matches its file for this interpreter, so it is refused",
        remedy="regenerate the file with the hashes, so that it includes those of the target's wheels",
        location=request.location_of(name),
        names=(name,),
    )


def require_permitted_sources(pins: Iterable[Pin], request: ResolutionRequest) -> None:
    """Refuse those ``pins``, of which no wheel has a required hash, whose source pip would not take either.

    :raises HashMismatch: it is installed with ``--only-binary``, or from a URL, which has no other file.
    """
    parts = (request, *request.others)
    for pin in pins:
        naming = [part for part in parts if pin.name in part.names] or parts
        if " @ " in pin.line or any(part.formats.is_wheel_only(pin.name) for part in naming):
            raise HashMismatch(pin.name, request)
