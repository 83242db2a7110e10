"""Machines of a network, each a namespace of this one (``ip netns``), joined by a bridge that is in one of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

HUB_ADDRESS = "10.117.0.1"


def can_make_namespaces() -> bool:
    """Return whether this user may make network namespaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"probe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True)
    if made.returncode:
        return False
    _ip("netns", "del", name)
    return True


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@dataclass(kw_only=True)
class MachineNetwork:
    """A network with machines 1 to ``machines``, and a hub that reaches all of them at :data:`HUB_ADDRESS`."""

    machines: int

    @property
    def hub(self) -> str:
        return f"py312hub{os.getpid()}"

    def machine(self, number: int) -> str:
        return f"py312m{os.getpid()}n{number}"

    def inside(self, number: int = 0) -> list[str]:
        """Return the beginning of a command on a machine; 0 is the hub."""
        return ["ip", "netns", "exec", self.machine(number) if number else self.hub]

    def create(self) -> None:
        _ip("netns", "add", self.hub)
        hub = ("-n", self.hub)
        _ip(*hub, "link", "set", "lo", "up")
        _ip(*hub, "link", "add", "bridge", "type", "bridge")
        _ip(*hub, "address", "add", f"{HUB_ADDRESS}/24", "dev", "bridge")
        _ip(*hub, "link", "set", "bridge", "up")
        for number in range(1, self.machines + 1):
            name, port = self.machine(number), f"port{number}"
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", self.hub)
            _ip("-n", name, "address", "add", f"10.117.0.{number + 1}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip(*hub, "link", "set", port, "master", "bridge", "up")

    def cut(self, number: int) -> None:
        """Cut a machine off."""
        _ip("-n", self.machine(number), "link", "set", "eth0", "down")

    def join(self, number: int) -> None:
        """Connect a machine again."""
        _ip("-n", self.machine(number), "link", "set", "eth0", "up")

    def remove(self) -> None:
        for name in (self.hub, *map(self.machine, range(1, self.machines + 1))):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@contextmanager
def network(machines: int) -> Iterator[MachineNetwork]:
    """A network of machines, removed at the end."""
    made = MachineNetwork(machines=machines)
    try:
        made.create()
        yield made
    finally:
        made.remove()
