"""How long a container of a service's own image takes until it is healthy, measured from inside."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from pytest_py312.repository.services.images import ImageJob, ImageStart
from pytest_py312.runners.docker.errors import EngineLost, Refused
from pytest_py312.runners.docker.service_image import CANCELLED, ImageTrials, patience

LIMIT = 120.0
"""Seconds that a start may take, whatever the image declares."""

_ADDRESS = re.compile(r"http://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::(\d{1,5}))?(/[^\s'\"\\)]*)?", re.ASCII)

START = """\
import json, os, subprocess, sys, time
from http.client import HTTPConnection
asked = json.loads(sys.argv[1])
test = asked["test"]
check = ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:]
null = subprocess.DEVNULL

def answers():
    port, path = asked["address"]
    connection = HTTPConnection("localhost", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 400
    except Exception:
        return False
    finally:
        connection.close()

def well():
    try:
        return subprocess.call(check, stdin=null, stdout=null, stderr=null, timeout=30) == 0
    except subprocess.TimeoutExpired:
        return False

def memory():
    peak = 0
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open("/proc/%s/status" % name) as file:
                    peak += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
            except OSError:
                pass
    return peak

begin = time.monotonic()
service = subprocess.Popen(asked["argv"], stdin=null, stdout=null, stderr=null)
while time.monotonic() - begin < asked["limit"] and service.poll() is None:
    if not asked["address"] or answers():
        before = time.monotonic()
        peak = memory()
        if well():
            # of a check that asks for one address, that it answers there; of any other, when it says so
            seconds = (before if asked["address"] else time.monotonic()) - begin
            print(json.dumps({"seconds": seconds, "memory": peak}))
            break
    time.sleep(0.005)
else:
    print(json.dumps({"ended": service.poll()}))
sys.stdout.flush()
os._exit(0)
"""
"""Starts the image's command beside itself and asks for its health without a pause, which the engine would not do.

Runs on any Python 3. Where the check fetches one address of the service, that is fetched, since a check that has to be
started itself takes longer than many a service; what the check says decides all the same.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Image:
    """A built image and the question to its containers, or why there is none."""

    tag: str = ""
    argv: tuple[str, ...] = ()
    limit: float = 0.0
    trouble: str = ""


@dataclass(kw_only=True)
class ImageStarts:
    """Starts images, each of which is built when it is first asked for. For one caller at a time."""

    trials: ImageTrials
    _lock: Lock = field(default_factory=Lock)
    _images: dict[tuple[str, str], _Image] = field(default_factory=dict)

    def start(self, job: ImageJob, seed: int) -> ImageStart:
        """See :class:`~pytest_py312.repository.services.images.ImageStarter`."""
        try:
            with self._lock:
                key = (job.identifier, job.image.dockerfile)
                if key not in self._images:
                    self._images[key] = self._image(job)
                image = self._images[key]
            if image.trouble:
                return ImageStart(unchecked=image.trouble)
            said = self.trials.answer(job, image.tag, image.argv, limit=image.limit + 60.0, seed=seed)
        except (EngineLost, Refused) as trouble:
            return ImageStart(unchecked=CANCELLED if self.trials.closing.is_set() else str(trouble))
        return read_start(said.output, job)

    def _image(self, job: ImageJob) -> _Image:
        where = f"{job.image.dockerfile} on {job.interpreter}"
        tag, run = self.trials.made(job)
        if not tag:
            return _Image(trouble=f"{where}: {run.unchecked or f'it cannot be built: {run.failed[:200]}'}")
        config = self.trials.config(tag)
        check = config.get("Healthcheck") or {}
        test = list(check.get("Test") or ())
        argv = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
        if len(test) < 2 or not argv:
            return _Image(trouble=f"{where}: it declares no health check, or nothing to start")
        program, said = self.trials.version(job, tag)
        if said.code != 0:
            return _Image(trouble=f"{where}: it has no Python that answers")
        limit = min(LIMIT, patience(check))
        asked = json.dumps({"argv": argv, "test": test, "address": address_of(test), "limit": limit})
        return _Image(tag=tag, argv=(program, "-I", "-c", START, asked), limit=limit)


def address_of(test: Sequence[str]) -> tuple[int, str] | None:
    """The port and the path that a health check asks itself; ``None`` where it is not just one address."""
    found = {(int(port or 80), path or "/") for port, path in _ADDRESS.findall(" ".join(test[1:]))}
    return found.pop() if len(found) == 1 and all(0 < port < 2**16 for port, _ in found) else None


def read_start(output: str, job: ImageJob) -> ImageStart:
    """What a container said, which is not to be trusted."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    try:
        told: Mapping[str, Any] = json.loads(lines[-1])
        seconds, memory = float(told["seconds"]), int(told["memory"])
    except (IndexError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        seconds, memory = 0.0, 0
    if not (0 < seconds < 10 * LIMIT and 0 <= memory < 2**50):
        return ImageStart(unchecked=f"{job.image.dockerfile} on {job.interpreter}: it did not become healthy")
    return ImageStart(seconds=seconds, memory=memory)
