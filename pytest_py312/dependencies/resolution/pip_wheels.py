"""Wheels that pip builds from sources that uv alone refuses.

uv rejects file names that are older than PEP 625 and archives that it cannot read, both of which pip accepts. What pip
builds is a fact about the source, so it decides: its wheel is offered to uv in a folder of its own.

    <cache>/pip-wheels/<runner>-<build digest>/<name>-<version>-<index digest>/*.whl
"""

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.dependencies.resolution.lock import PROJECT_NAME, ResolutionRequest, Undetermined
from pytest_py312.dependencies.resolution.uv_config import only_uv_has_index, uv_folder
from pytest_py312.dependencies.resolution.uv_messages import FETCH_FAILURES, explain_source_failure
from pytest_py312.dependencies.system.build_tools import find_missing_tool
from pytest_py312.dependencies.system.built_wheels import UntrustworthyWheel, take_wheel
from pytest_py312.dependencies.system.file_manifests import content_digest_of
from pytest_py312.runners.runner import ConfinedCommand, Runner, confinement_of

TIME_LIMIT = 600.0
"""Seconds for one build."""
DIGEST = "digest.txt"
"""The file with the digest of a folder of wheels."""

_REFUSED_NAME = re.compile(rf"{PROJECT_NAME}==([^\s,]+) has a non-PEP 625-compliant source distribution filename")
_REFUSED_SOURCE = re.compile(rf"Failed to (?:download and )?build `{PROJECT_NAME}==([^`\s]+)`")
_BACKEND_FAILURE = "build backend"


def refused_by_uv(stderr: str) -> tuple[str, str] | None:
    """Return name and version of a source that uv refuses without having built it; ``None`` if that is not why."""
    text = " ".join(stderr.split())
    match = _REFUSED_NAME.search(text)
    if match is None and _BACKEND_FAILURE not in text and not any(failure in text for failure in FETCH_FAILURES):
        match = _REFUSED_SOURCE.search(text) if find_missing_tool(stderr) is None else None
    return (canonicalize_name(match[1]), match[2]) if match else None


def _is_unchanged(folder: Path) -> bool:
    """Return whether a folder has the wheels that pip built."""
    try:
        return (folder / DIGEST).read_text(encoding="utf-8") == content_digest_of(folder, ignored=DIGEST)
    except (OSError, ValueError):
        return False


class PipWheels:
    """Builds wheels with pip, run by the cell's interpreter. Safe for threads and several processes."""

    def __init__(self, *, cache: Path, runner: Runner) -> None:
        self._cache = cache
        self._runner = runner

    def build(
        self, name: str, version: str, request: ResolutionRequest, build: InterpreterBuild, index_url: str | None
    ) -> Path:
        """Return the folder that holds the wheel of ``name==version``, built when first needed.

        :param index_url: the index of uv, for pip where only uv has one.
        :raises Unresolvable: pip does not build it either.
        :raises Undetermined: pip could not be run, or lacks something for the build.
        """
        options = [
            *request.options,
            *([f"--index-url {index_url}"] if index_url and only_uv_has_index(os.environ) else []),
        ]
        digest = hashlib.sha256("\n".join(options).encode()).hexdigest()[:12]
        parent = self._cache / "pip-wheels" / f"{self._runner.name}-{build.digest}"
        folder = parent / f"{name}-{re.sub(r'[^A-Za-z0-9.+!-]', '_', version)}-{digest}"
        if _is_unchanged(folder):
            return folder
        from filelock import FileLock

        parent.mkdir(parents=True, exist_ok=True)
        with FileLock(parent / f"{folder.name}.lock"):
            if not _is_unchanged(folder):
                self._build(name, version, request, build, options, folder)
        return folder

    def _build(
        self,
        name: str,
        version: str,
        request: ResolutionRequest,
        build: InterpreterBuild,
        options: Sequence[str],
        folder: Path,
    ) -> None:
        with uv_folder(self._cache) as work:
            wheels, environment, requirements = work / "wheels", work / "environment", work / "requirements.txt"
            wheels.mkdir()
            try:
                requirements.write_text("\n".join([*options, f"{name}=={version}"]) + "\n", encoding="utf-8")
                inside = self._runner.path_inside
                python = inside(environment / "bin" / "python")
                made = self._runner.run_tool(
                    build,
                    ["{uv}", "venv", "--quiet", "--seed", "--no-project", "--python", "{python}", inside(environment)],
                )
                if not made.ok:
                    reason = " ".join(made.stderr.split())[-300:]
                    raise Undetermined(
                        f"uv refuses the source of {name}=={version}, and pip was not installed: {reason}", (name,)
                    )
                pip = [python, "-I", "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-input"]
                pip += ["--no-deps", "--no-binary", name]
                result = self._run(pip, build, work, wheels, requirements)
                if result.exit_reason is not ExitReason.EXITED:
                    raise Undetermined(
                        f"building {name}=={version} with pip was ended: {result.exit_reason.value}", (name,)
                    )
                if not result.ok:
                    raise explain_source_failure(name, f"=={version}", result.stderr, request, build)
                if confinement_of(self._runner) is not None:
                    take_wheel(work / "scratch", name, version, wheels)
                (wheels / DIGEST).write_text(content_digest_of(wheels, ignored=DIGEST), encoding="utf-8")
                shutil.rmtree(folder, ignore_errors=True)
                wheels.rename(folder)
            except UntrustworthyWheel as error:
                raise Undetermined(f"the build of {name}=={version} on {build.interpreter} {error}", (name,)) from error

    def _run(
        self, pip: Sequence[str], build: InterpreterBuild, work: Path, wheels: Path, requirements: Path
    ) -> CommandResult:
        """Run pip: confined where the runner can do that, but with the network, as pip itself fetches the source."""
        inside = self._runner.path_inside
        last = ["--requirement", inside(requirements)]
        confinement = confinement_of(self._runner)
        if confinement is None:
            argv = [*pip, "--cache-dir", inside(self._cache / "pip"), "--wheel-dir", inside(wheels), *last]
            return self._runner.run_tool(build, argv, time_limit=TIME_LIMIT)
        scratch = work / "scratch"
        argv = [*pip, "--cache-dir", inside(scratch / "cache"), "--wheel-dir", inside(scratch / "wheels"), *last]
        command = ConfinedCommand(
            argv=tuple(argv), folder=scratch, readable=(work,), time_limit=TIME_LIMIT, fetches=True
        )
        scratch.mkdir()
        return confinement.run_confined(build, command)
