"""Private engines, each in its own network namespace, joined by a bridge: they may be killed, cut off and removed.

The engine of this machine is not affected. A second one in *its* namespace would remove its bridge; and `ip netns
exec` would hide the control groups, so engines are started with `nsenter`.
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_py312.runners.docker.engine import DockerEngine, connect
from pytest_py312.runners.docker.ping import engine_version

_numbers = itertools.count()
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
START_LIMIT = 60.0


def namespace_obstacle() -> str:
    """Return why no engine can be started in its own namespace here; empty if one can."""
    missing = [
        tool for tool in ("ip", "nsenter", "unshare", "dockerd", "docker", "iptables") if shutil.which(tool) is None
    ]
    if missing:
        return f"there is no {', '.join(missing)}"
    if os.geteuid() != 0:
        return "creating a network namespace needs root"
    name = f"py312-try-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"no network namespace can be made: {tried.stderr.strip()}"
    _run("ip", "netns", "delete", name)
    return ""


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()}"
    return done.stdout


@dataclass(kw_only=True)
class PrivateEngine:
    """One engine: its folder, its namespace, and its address on the bridge."""

    folder: Path
    name: str
    """The host name that the engine sees."""
    namespace: str
    address: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> str:
        return f"unix://{self.folder}/d.sock"

    @property
    def cgroup(self) -> str:
        return self.namespace

    def start(self) -> None:
        """Start the engine and wait until it answers."""
        (self.folder / "d.pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    "nsenter", f"--net=/run/netns/{self.namespace}",
                    "unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name, "dockerd",
                    "--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "run"),
                    "-H", self.socket, "--pidfile", str(self.folder / "d.pid"),
                    "--cgroup-parent", f"/{self.cgroup}", "--storage-driver", "overlay2",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_LIMIT
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "log").read_text("utf-8", "replace")[-3000:]
            assert time.monotonic() < deadline, "the private engine does not answer"
            time.sleep(0.05)

    def answers(self) -> bool:
        return engine_version(address=self.socket) is not None

    def connected(self) -> DockerEngine:
        """Open a new connection."""
        return connect(self.socket)

    def kill(self) -> None:
        """Kill the engine; its containers keep running. Its containerd is killed too: the next engine would wait ten
        seconds for it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None
        pid = self.folder / "run" / "containerd" / "containerd.pid"
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(pid.read_text()), signal.SIGKILL)
        pid.unlink(missing_ok=True)

    def docker(self, *words: str) -> str:
        """Run the docker command line and return its output."""
        return _run("docker", "-H", self.socket, *words)

    def node_id(self) -> str:
        """Return the engine's id in its swarm."""
        return self.docker("info", "--format", "{{.Swarm.NodeID}}").strip()

    def cut(self) -> None:
        """Disconnect the engine from the bridge."""
        _run("ip", "-n", self.namespace, "link", "set", "e0", "down")

    def remove(self) -> None:
        """Remove containers, mounts, control groups and files. Each step is tried even if others fail."""
        self.kill()
        for line in Path("/proc").glob("[0-9]*/cgroup"):
            with contextlib.suppress(OSError):
                if f"/{self.cgroup}/" in line.read_text():
                    os.kill(int(line.parent.name), signal.SIGKILL)
        for line in Path("/proc").glob("[0-9]*/cmdline"):  # shims and containerd of this engine
            with contextlib.suppress(OSError):
                if f"{self.folder}/".encode() in line.read_bytes():
                    os.kill(int(line.parent.name), signal.SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([one for one in mounts if one.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        # those of other engines may be removed meanwhile, which ends a glob with an error
        groups = [folder for folder, _, _ in os.walk(_CONTROL_GROUPS) if self.cgroup in Path(folder).parts]
        for group in sorted(groups, reverse=True):
            with contextlib.suppress(OSError):
                Path(group).rmdir()
        if self.folder.is_mount():
            _run("umount", "-l", str(self.folder))


@dataclass(kw_only=True)
class Wires:
    """Namespaces on one bridge, which has its own namespace so that no packet filter of this machine applies."""

    name: str
    network: str
    """Its first three numbers."""
    namespaces: list[str] = field(default_factory=list)

    def plug(self, number: int) -> tuple[str, str]:
        """Create a namespace with an address on the bridge; return both."""
        namespace, address = f"{self.name}n{number}", f"{self.network}.{10 + number}"
        switch = f"{self.name}s"
        _run("ip", "netns", "add", namespace)
        self.namespaces.append(namespace)
        inside = f"ip -n {namespace}"
        _run("ip", "-n", switch, "link", "add", f"p{number}", "type", "veth", "peer", "name", "e0", "netns", namespace)
        _run("ip", "-n", switch, "link", "set", f"p{number}", "master", "b0", "up")
        for words in (f"addr add {address}/24 dev e0", "link set e0 up", "link set lo up"):
            _run(*f"{inside} {words}".split())
        return namespace, address

    def unplug(self, number: int) -> None:
        """Remove a namespace and its link to the bridge."""
        namespace = f"{self.name}n{number}"
        _run("ip", "-n", f"{self.name}s", "link", "delete", f"p{number}")
        _run("ip", "netns", "delete", namespace)
        self.namespaces.remove(namespace)


@contextlib.contextmanager
def wires() -> Iterator[Wires]:
    """Create a bridge on which this machine has the address ``.1``."""
    name = f"p{os.getpid()}x{next(_numbers)}"
    taken = _run("ip", "-4", "addr")
    # start at a different number each time: two runs that begin at once do not see each other's networks yet
    numbers = ((os.getpid() + number) % 256 for number in range(256))
    network = next(f"198.18.{number}" for number in numbers if f"198.18.{number}." not in taken)
    made, switch = Wires(name=name, network=network), f"{name}s"
    _run("ip", "netns", "add", switch)
    try:
        for words in (
            f"ip -n {switch} link add b0 type bridge",
            f"ip -n {switch} link set b0 up",
            f"ip link add {name} type veth peer name p0 netns {switch}",
            f"ip -n {switch} link set p0 master b0 up",
            f"ip addr add {network}.1/24 dev {name}",
            f"ip link set {name} up",
        ):
            _run(*words.split())
        yield made
    finally:
        for namespace in (*made.namespaces, switch):
            subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)


@contextlib.contextmanager
def private_engine(folder: Path, plugged: Wires, number: int = 1) -> Iterator[PrivateEngine]:
    """Run a private engine; it is removed afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    namespace, address = plugged.plug(number)
    # in memory: deleting so many files from a disk takes seconds
    _run("mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", str(folder))
    made = PrivateEngine(folder=folder, name=f"node-{number}", namespace=namespace, address=address)
    try:
        made.start()
        yield made
    finally:
        made.remove()
        plugged.unplug(number)
