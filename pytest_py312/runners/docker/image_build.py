"""Building an image: with BuildKit where the ``docker`` program has it, else with the engine's own classic builder.

The SDK speaks to the classic builder only; BuildKit wants a session, which ``docker buildx`` keeps.
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
from pytest_py312.core.process import Ended
from pytest_py312.repository.formats.dockerfile import read_dockerfile
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import Refused, told_apart
from pytest_py312.runners.docker.ping import engine_address

BUILD_LIMIT = 1800.0
"""Seconds that one build may take."""
OUTPUT_LIMIT = 16 * 1024
"""Characters of a build's output that are kept: the last ones."""

NOT_ITS_FAULT = re.compile(
    r"temporary failure in name resolution|temporary failure resolving|could not resolve host|no such host"
    r"|network is unreachable|connection refused|connection reset by peer|connection timed out|i/o timeout"
    r"|tls handshake timeout|toomanyrequests|no space left on device|failed to establish a new connection"
    r"|newconnectionerror|name or service not known|pull access denied|unauthorized:|requires buildkit"
    r"|unknown flag: (?:mount|link|chmod|parents)|failed to read dockerfile",
    re.IGNORECASE,
)
"""What says nothing about a Python: the network, the registry, the disk, a builder that lacks what is asked for."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STEP = re.compile(r"Step (?P<number>\d+)/\d+ : (?P<text>.*)")
_RUNNING = re.compile(r" ---> Running in ([0-9a-f]{12,64})")
_LAYER = re.compile(r" ---> (?P<id>[0-9a-f]{12,64})\s*\Z")
_KIT_FAILED = re.compile(r"^ > (?:\[(?P<stage>[^\]]*)\] )?(?P<text>.*?):?$", re.MULTILINE)
_KIT_LINE = re.compile(r"^[\w./-]*:(?P<line>\d+)$", re.MULTILINE)


@dataclass(kw_only=True)
class Built:
    """``image`` is the id of what was built; else ``failed`` names the instruction, and ``line`` its line.

    ``layers`` are images that the build has left, the oldest first.
    """

    image: str = ""
    failed: str = ""
    line: int | None = None
    output: str = ""
    unchecked: str = ""
    layers: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What to build: the ``folder``, the ``dockerfile`` in it, and the ``labels`` and the ``tag`` of the image."""

    folder: Path
    dockerfile: str
    tag: str
    labels: Mapping[str, str]


def build(engine: Engine, order: Order, closing: Event) -> Built:
    """Build an image; what goes wrong in it is in the answer.

    :raises EngineLost: the engine went away.
    """
    built = _with_kit(order, closing) if has_kit() else _classic(engine, order, closing)
    if built.failed and (found := NOT_ITS_FAULT.search(built.output)):
        words = next((line.strip() for line in built.output.splitlines() if found[0] in line), "")
        built.unchecked = f"the image could not be built for want of something else: {words[:300]}"
    return built


@cache
def has_kit() -> bool:
    """Whether the ``docker`` program is here and has BuildKit."""
    return process.run(["docker", "buildx", "version"], time_limit=20.0).ok


# ---- BuildKit


def _with_kit(order: Order, closing: Event) -> Built:
    id_file = order.folder.with_suffix(".id")
    argv = ["docker", "buildx", "build", "--load", "--progress=plain", f"--iidfile={id_file}", f"--tag={order.tag}"]
    argv += [f"--label={name}={value}" for name, value in order.labels.items()]
    argv += [f"--file={order.folder / order.dockerfile}", "--", str(order.folder)]
    done = process.run(
        argv,
        env={**os.environ, "DOCKER_HOST": engine_address()},
        time_limit=BUILD_LIMIT,
        tail=OUTPUT_LIMIT,
        merge=True,
        cancelled=closing,
    )
    if done.ok:
        return Built(image=id_file.read_text("ascii").strip(), output=done.stdout)
    if done.ended is not Ended.EXITED:
        return Built(unchecked=f"its build was ended: {done.ended.value}", output=done.stdout or done.stderr)
    failed, line = kit_failure(done.stdout)
    return Built(failed=failed, line=line, output=done.stdout)


def kit_failure(output: str) -> tuple[str, int | None]:
    """The instruction at which BuildKit says that it failed, and its line where that is told."""
    found = list(_KIT_FAILED.finditer(output))
    line = next((int(match["line"]) for match in _KIT_LINE.finditer(output)), None)
    return (found[-1]["text"] if found else "the Dockerfile"), line


# ---- the classic builder


class _GivenUp(Exception):
    """Nobody waits for the build any more. ``str()`` says why."""


def _classic(engine: Engine, order: Order, closing: Event) -> Built:
    built = Built()
    told: list[str] = []
    try:
        told.extend(_said(message, built) for message in _messages(engine, order, closing))
    except Refused as refused:  # at once: the Dockerfile cannot be read
        built.failed = "the Dockerfile"
        told.append(str(refused))
    except _GivenUp as reason:
        built.unchecked = f"its build was ended: {reason}"
        for container in _RUNNING.findall("".join(told))[-1:]:
            engine.remove(container)  # the step that is under way: the engine gives the build up with it
    finally:
        built.layers = list(layers_in(told))
    built.output = _COLOUR.sub("", "".join(told))[-OUTPUT_LIMIT:]
    if built.failed:
        built.image = ""
        built.failed, built.line = _place(order, told)
    elif not built.image:
        built.unchecked = built.unchecked or "the engine did not say what it had built"
    return built


def _messages(engine: Engine, order: Order, closing: Event) -> Iterator[Mapping[str, Any]]:
    """What the engine says while it builds. A thread listens, since a step may be silent for as long as it takes.

    :raises EngineLost, Refused: the engine's troubles.
    :raises _GivenUp: the run is closed, or the time is over. With the end of the process the engine gives up too.
    """
    heard: Queue[Mapping[str, Any] | Exception | None] = Queue()

    def listen() -> None:
        try:
            with told_apart():
                for message in engine.client.build(
                    path=str(order.folder), dockerfile=order.dockerfile, tag=order.tag, labels=dict(order.labels),
                    rm=True, forcerm=True, decode=True, timeout=int(BUILD_LIMIT),
                ):  # fmt: skip
                    heard.put(message)
            heard.put(None)
        except Exception as error:  # for the thread that waits
            heard.put(error)

    Thread(target=listen, daemon=True, name=f"build of {order.dockerfile}").start()
    deadline = time.monotonic() + BUILD_LIMIT
    while True:
        try:
            message = heard.get(timeout=0.5)
        except Empty:
            message = {}
        if closing.is_set():
            raise _GivenUp("cancelled")
        if time.monotonic() > deadline:
            raise _GivenUp(f"time limit of {BUILD_LIMIT:g} s reached")
        if message is None:
            return
        if isinstance(message, Exception):
            raise message
        yield message


def _said(message: Mapping[str, Any], built: Built) -> str:
    if "error" in message:
        built.failed = "a step"
        return f"{message['error']}\n"
    if isinstance(message.get("aux"), Mapping) and "ID" in message["aux"]:
        built.image = str(message["aux"]["ID"])
    return str(message.get("stream", ""))


def layers_in(told: Iterable[str]) -> tuple[str, ...]:
    """The images that a classic build has made, in order: neither those it began with nor those it had already."""
    found: dict[str, None] = {}
    cached = base = False
    for text in told:
        step = _STEP.match(text)
        if step:
            base, cached = step["text"].upper().startswith("FROM "), False
        elif "Using cache" in text:
            cached = True
        elif layer := _LAYER.search(text):
            if not base and not cached:
                found[layer["id"]] = None
            cached = False
    return tuple(found)


def _place(order: Order, told: Sequence[str]) -> tuple[str, int | None]:
    """The last step that was begun, and the line of its instruction; the Dockerfile where none was."""
    steps = [match for text in told if (match := _STEP.match(text))]
    if not steps:
        return "the Dockerfile", None
    number, text = int(steps[-1]["number"]), steps[-1]["text"].strip()
    content = (order.folder / order.dockerfile).read_text("utf-8", "replace")
    instructions = read_dockerfile(content, order.dockerfile).instructions
    found = instructions[number - 1] if 0 < number <= len(instructions) else None
    line = found.line if found and text.upper().startswith(found.keyword) else None
    return text, line
