"""Build an image, with BuildKit if the ``docker`` program has it, else with the engine's classic builder.

The SDK supports the classic builder only. BuildKit needs a session, which ``docker buildx`` provides.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Thread
from typing import Any

from pytest_py312.core import process
from pytest_py312.core.process import ExitReason
from pytest_py312.repository.formats.dockerfile import DockerfileText, read_dockerfile
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused, translate_errors
from pytest_py312.runners.docker.ping import engine_address

BUILD_LIMIT = 1800.0
"""Seconds for one build."""
OUTPUT_LIMIT = 16 * 1024
"""Characters kept of the end of a build's output."""

ENVIRONMENT_FAILURE = re.compile(
    r"temporary failure in name resolution|temporary failure resolving|could not resolve host|no such host"
    r"|network is unreachable|connection refused|connection reset by peer|connection timed out|i/o timeout"
    r"|tls handshake timeout|toomanyrequests|no space left on device|failed to establish a new connection"
    r"|newconnectionerror|name or service not known|pull access denied|unauthorized:|requires buildkit"
    r"|unknown flag: (?:mount|link|chmod|parents)|failed to read dockerfile",
    re.IGNORECASE,
)
"""Failures that are not Python's fault: network, registry, disk, or a builder that lacks a requested feature."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STEP = re.compile(r"Step (?P<number>\d+)/\d+ : (?P<text>.*)")
_RUNNING = re.compile(r" ---> Running in ([0-9a-f]{12,64})")
_LAYER = re.compile(r" ---> (?P<id>[0-9a-f]{12,64})\s*\Z")
_BUILDKIT_FAILED = re.compile(r"^ > (?:\[(?P<stage>[^\]]*)\] )?(?P<text>.*?):?$", re.MULTILINE)
_BUILDKIT_LINE = re.compile(r"^[\w./-]*:(?P<line>\d+)$", re.MULTILINE)


@dataclass(kw_only=True)
class BuildResult:
    """The result of a build: the id of the ``image``, or the instruction that ``failed`` and its ``line``.

    ``unchecked`` says why there is no result. ``layers`` are images that the build has left, the oldest first.
    """

    image: str = ""
    failed: str = ""
    line: int | None = None
    output: str = ""
    unchecked: str = ""
    layers: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildRequest:
    """What to build: the ``folder``, the ``dockerfile`` in it, and the ``labels`` and the ``tag`` of the image."""

    folder: Path
    dockerfile: str
    tag: str
    labels: Mapping[str, str]


def build(engine: DockerEngine, request: BuildRequest, closing: Event) -> BuildResult:
    """Build an image; a failed build is a result.

    :raises EngineUnavailable: the engine does not answer.
    """
    result = _build_with_buildkit(request, closing) if has_buildkit() else _build_classic(engine, request, closing)
    if result.failed and (environment_failure := ENVIRONMENT_FAILURE.search(result.output)):
        message = next((line.strip() for line in result.output.splitlines() if environment_failure[0] in line), "")
        result.unchecked = f"the image could not be built, which is not Python's fault: {message[:300]}"
    return result


@cache
def has_buildkit() -> bool:
    """Return whether the ``docker`` program is installed and has BuildKit."""
    return process.run(["docker", "buildx", "version"], time_limit=20.0).ok


# ---- BuildKit


def _build_with_buildkit(request: BuildRequest, closing: Event) -> BuildResult:
    id_file = request.folder.with_suffix(".id")
    argv = ["docker", "buildx", "build", "--load", "--progress=plain", f"--iidfile={id_file}", f"--tag={request.tag}"]
    argv += [f"--label={name}={value}" for name, value in request.labels.items()]
    target = _dockerfile_of(request).build_target
    argv += [f"--target={target}"] * bool(target)
    argv += [f"--file={request.folder / request.dockerfile}", "--", str(request.folder)]
    result = process.run(
        argv,
        env={**os.environ, "DOCKER_HOST": engine_address()},
        time_limit=BUILD_LIMIT,
        tail_limit=OUTPUT_LIMIT,
        merge_stderr=True,
        cancelled=closing,
    )
    if result.ok:
        return BuildResult(image=id_file.read_text("ascii").strip(), output=result.stdout)
    if result.exit_reason is ExitReason.TIMED_OUT:
        return BuildResult(unchecked=f"its build took longer than {BUILD_LIMIT:g} s", output=result.stdout)
    if result.exit_reason is not ExitReason.EXITED:
        return BuildResult(
            unchecked=f"its build was stopped: {result.exit_reason.value}", output=result.stdout or result.stderr
        )
    failed, line = parse_buildkit_failure(result.stdout)
    return BuildResult(failed=failed, line=line, output=result.stdout)


def parse_buildkit_failure(output: str) -> tuple[str, int | None]:
    """Return the instruction that failed according to BuildKit's output, and its line if that is shown."""
    failures = list(_BUILDKIT_FAILED.finditer(output))
    line = next((int(match["line"]) for match in _BUILDKIT_LINE.finditer(output)), None)
    return (failures[-1]["text"] if failures else "the Dockerfile"), line


# ---- the classic builder


class _BuildAborted(Exception):
    """The build was cancelled or took too long. ``str()`` says which."""


def _build_classic(engine: DockerEngine, request: BuildRequest, closing: Event) -> BuildResult:
    result = BuildResult()
    output: list[str] = []
    try:
        output.extend(_read_message(message, result) for message in _messages(engine, request, closing))
    except EngineRefused as refused:  # before the first step: the Dockerfile is invalid
        result.failed = "the Dockerfile"
        output.append(str(refused))
    except _BuildAborted as reason:
        result.unchecked = f"its build was stopped: {reason}"
        for container in _RUNNING.findall("".join(output))[-1:]:
            engine.remove(container)  # removing the container of the current step makes the engine abort the build
    finally:
        result.layers = list(built_layers(output))
    result.output = _COLOUR.sub("", "".join(output))[-OUTPUT_LIMIT:]
    if result.failed:
        result.image = ""
        result.failed, result.line = _failed_instruction(request, output)
    elif not result.image:
        result.unchecked = result.unchecked or "the engine did not report the id of the built image"
    return result


def _messages(engine: DockerEngine, request: BuildRequest, closing: Event) -> Iterator[Mapping[str, Any]]:
    """Yield the engine's messages during a build. A thread reads them, since a step may be silent for long.

    :raises EngineUnavailable, EngineRefused: the engine failed.
    :raises _BuildAborted: the run was cancelled, or the time limit was reached. When this process ends, the engine
        aborts the build.
    """
    received: Queue[Mapping[str, Any] | Exception | None] = Queue()

    def listen() -> None:
        try:
            with translate_errors():
                for message in engine.client.build(
                    path=str(request.folder), dockerfile=request.dockerfile, tag=request.tag,
                    target=_dockerfile_of(request).build_target or None, labels=dict(request.labels),
                    rm=True, forcerm=True, decode=True, timeout=int(BUILD_LIMIT),
                ):  # fmt: skip
                    received.put(message)
            received.put(None)
        except Exception as error:  # raised again by the waiting thread
            received.put(error)

    Thread(target=listen, daemon=True, name=f"build of {request.dockerfile}").start()
    deadline = time.monotonic() + BUILD_LIMIT
    while True:
        try:
            message = received.get(timeout=0.5)
        except Empty:
            message = {}
        if closing.is_set():
            raise _BuildAborted("cancelled")
        if time.monotonic() > deadline:
            raise _BuildAborted(f"it took longer than {BUILD_LIMIT:g} s")
        if message is None:
            return
        if isinstance(message, Exception):
            raise message
        yield message


def _read_message(message: Mapping[str, Any], result: BuildResult) -> str:
    if "error" in message:
        result.failed = "a step"
        return f"{message['error']}\n"
    if isinstance(message.get("aux"), Mapping) and "ID" in message["aux"]:
        result.image = str(message["aux"]["ID"])
    return str(message.get("stream", ""))


def built_layers(output: Iterable[str]) -> tuple[str, ...]:
    """Return the images that a classic build has created, in order, without base images and cached layers."""
    layers: dict[str, None] = {}
    cached = base = False
    for text in output:
        step = _STEP.match(text)
        if step:
            base, cached = step["text"].upper().startswith("FROM "), False
        elif "Using cache" in text:
            cached = True
        elif layer := _LAYER.search(text):
            if not base and not cached:
                layers[layer["id"]] = None
            cached = False
    return tuple(layers)


def _dockerfile_of(request: BuildRequest) -> DockerfileText:
    return read_dockerfile((request.folder / request.dockerfile).read_text("utf-8", "replace"), request.dockerfile)


def _failed_instruction(request: BuildRequest, output: Sequence[str]) -> tuple[str, int | None]:
    """Return the instruction of the last started step and its line; "the Dockerfile" if no step was started."""
    steps = [match for text in output if (match := _STEP.match(text))]
    if not steps:
        return "the Dockerfile", None
    number, text = int(steps[-1]["number"]), steps[-1]["text"].strip()
    instructions = _dockerfile_of(request).instructions
    instruction = instructions[number - 1] if 0 < number <= len(instructions) else None
    line = instruction.line if instruction and text.upper().startswith(instruction.keyword) else None
    return text, line
