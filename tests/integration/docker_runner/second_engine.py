"""A private Docker engine that may be killed, in its own network namespace (its start would delete docker0)."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.runners.docker.ping import engine_version
from tests.integration.docker_runner.conftest import unavailable

START_LIMIT = 60.0


@dataclass(frozen=True, kw_only=True)
class SecondEngine:
    """A running engine and its address."""

    process: subprocess.Popen[bytes]
    address: str

    def listed(self, *words: str) -> list[str]:
        """Return the lines that the docker command line prints."""
        done = subprocess.run(["docker", "-H", self.address, *words], capture_output=True, text=True, check=True)
        return done.stdout.split()


@contextlib.contextmanager
def running_engine(*images: str) -> Iterator[SecondEngine]:
    """Start an engine that has ``images`` of this machine's engine, and remove it at the end."""
    if os.getuid() != 0:
        unavailable("a second engine needs root")
    folder = Path(tempfile.mkdtemp(prefix="engine-"))  # a short path: its sockets' names have at most 107 bytes
    address = f"unix://{folder}/d.sock"
    command = ["unshare", "-n", "dockerd", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"]
    command += ["--pidfile", f"{folder}/d.pid", "-H", address]
    command += ["--bridge=none", "--iptables=false", "--ip6tables=false"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + START_LIMIT
        while engine_version(address=address) is None:
            assert time.monotonic() < deadline, (folder / "log").read_text("utf-8", "replace")[-3000:]
            time.sleep(0.05)
        for image in images:
            with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
                subprocess.run(["docker", "-H", address, "load", "-q"], stdin=saved.stdout, check=True)
        yield SecondEngine(process=process, address=address)
    finally:
        _end_all_of(process, folder)
        shutil.rmtree(folder, ignore_errors=True)


def _end_all_of(engine: subprocess.Popen[bytes], folder: Path) -> None:
    """Kill the engine, its containerd and its containers: all processes whose command line names its folder."""
    engine.kill()
    engine.wait()
    shims, mine = [], str(folder).encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mine in path.read_bytes() and path.parent.name != str(os.getpid()):
                shims.append(int(path.parent.name))
        except OSError:
            continue
    for pid in shims:
        with contextlib.suppress(OSError):  # some end together
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        if line.split()[1].startswith(str(folder)):
            subprocess.run(["umount", "-l", line.split()[1]], check=False)
