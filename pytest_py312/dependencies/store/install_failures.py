"""What a failed installation means: a source that does not build, a hash that does not match, or nothing certain."""

import re
from collections.abc import Iterable

from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.core.text import shorten
from pytest_py312.dependencies.resolution.lock import Pin, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.uv_messages import BUILD_FAILURE_MESSAGES, explain_build_failure


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
