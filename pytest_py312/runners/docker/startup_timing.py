"""Measure how long a container of a service's own image takes until it is healthy, from inside."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from pytest_py312.repository.services.images import ImageJob, ImageStartup
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable
from pytest_py312.runners.docker.service_image import CANCELLED, ServiceImageTester, health_check_timeout

START_LIMIT = 120.0
"""Seconds for a start, whatever the image declares."""

_ADDRESS = re.compile(r"http://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::(\d{1,5}))?(/[^\s'\"\\)]*)?", re.ASCII)

START_SCRIPT = """\
import json, os, subprocess, sys, time
from http.client import HTTPConnection
request = json.loads(sys.argv[1])
test = request["test"]
check = ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:]
null = subprocess.DEVNULL

def is_answered():
    port, path = request["address"]
    connection = HTTPConnection("localhost", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 400
    except Exception:
        return False
    finally:
        connection.close()

def is_healthy():
    try:
        return subprocess.call(check, stdin=null, stdout=null, stderr=null, timeout=30) == 0
    except subprocess.TimeoutExpired:
        return False

def peak_memory():
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
service = subprocess.Popen(request["argv"], stdin=null, stdout=null, stderr=null)
while time.monotonic() - begin < request["limit"] and service.poll() is None:
    if not request["address"] or is_answered():
        answered_at = time.monotonic()
        peak = peak_memory()
        if is_healthy():
            # the time of the address's answer, for checks of a single address; else the time when the check succeeded
            seconds = (answered_at if request["address"] else time.monotonic()) - begin
            print(json.dumps({"seconds": seconds, "memory": peak}))
            break
    time.sleep(0.005)
else:
    print(json.dumps({"ended": service.poll()}))
sys.stdout.flush()
os._exit(0)
"""
"""Starts the image's command as a child and checks its health continuously, while the engine checks at intervals.

Runs on any Python 3. If the health check fetches a single address of the service, the script polls that address itself,
since starting the check takes longer than many services need to start. The declared check decides all the same.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class _PreparedImage:
    """A built image and the command for its containers, or why there is none (``failure``)."""

    tag: str = ""
    argv: tuple[str, ...] = ()
    limit: float = 0.0
    failure: str = ""


@dataclass(kw_only=True)
class ImageStartTimer:
    """Starts images and measures the time; each image is built when first needed. For one caller at a time."""

    tester: ServiceImageTester
    _lock: Lock = field(default_factory=Lock)
    _images: dict[tuple[str, str], _PreparedImage] = field(default_factory=dict)

    def start(self, job: ImageJob, seed: int) -> ImageStartup:
        """See :class:`~pytest_py312.repository.services.images.ImageStarter`."""
        try:
            with self._lock:
                key = (job.identifier, job.image.dockerfile)
                if key not in self._images:
                    self._images[key] = self._prepare(job)
                image = self._images[key]
            if image.failure:
                return ImageStartup(unchecked=image.failure)
            container_exit = self.tester.run_command(job, image.tag, image.argv, limit=image.limit + 60.0, seed=seed)
        except (EngineUnavailable, EngineRefused) as error:
            return ImageStartup(unchecked=CANCELLED if self.tester.closing.is_set() else str(error))
        return parse_start(container_exit.output, job)

    def _prepare(self, job: ImageJob) -> _PreparedImage:
        description = f"{job.image.dockerfile} on {job.interpreter}"
        tag, run = self.tester.build_image(job)
        if not tag:
            return _PreparedImage(
                failure=f"{description}: {run.unchecked or f'it cannot be built: {run.failed[:200]}'}"
            )
        config = self.tester.config(tag)
        check = config.get("Healthcheck") or {}
        test = list(check.get("Test") or ())
        argv = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
        if len(test) < 2 or not argv:
            return _PreparedImage(failure=f"{description}: it declares no health check, or nothing to start")
        program, container_exit = self.tester.python_version(job, tag)
        if container_exit.code != 0:
            return _PreparedImage(failure=f"{description}: it has no Python that answers")
        limit = min(START_LIMIT, health_check_timeout(check))
        start_request = json.dumps({"argv": argv, "test": test, "address": health_check_address(test), "limit": limit})
        return _PreparedImage(tag=tag, argv=(program, "-I", "-c", START_SCRIPT, start_request), limit=limit)


def health_check_address(test: Sequence[str]) -> tuple[int, str] | None:
    """Return port and path if a health check fetches exactly one local address, else ``None``."""
    addresses = {(int(port or 80), path or "/") for port, path in _ADDRESS.findall(" ".join(test[1:]))}
    return addresses.pop() if len(addresses) == 1 and all(0 < port < 2**16 for port, _ in addresses) else None


def parse_start(output: str, job: ImageJob) -> ImageStartup:
    """Parse the script's output, which is untrusted."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    try:
        report: Mapping[str, Any] = json.loads(lines[-1])
        seconds, memory = float(report["seconds"]), int(report["memory"])
    except (IndexError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        seconds, memory = 0.0, 0
    if not (0 < seconds < 10 * START_LIMIT and 0 <= memory < 2**50):
        return ImageStartup(unchecked=f"{job.image.dockerfile} on {job.interpreter}: it did not become healthy")
    return ImageStartup(seconds=seconds, memory=memory)
