"""The address of a cluster, as the option has it. Pure."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from pytest_py312.core.errors import OptionError
from pytest_py312.core.text import shorten

SCHEMES = ("tcp", "tls", "ws", "wss")
ENCRYPTED = ("tls", "wss")
MAX_LOCAL_WORKERS = 256
_LOCAL = re.compile(r"local:([0-9]{1,4})", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterAddress:
    """Where the scheduler of a cluster is; or how many workers a cluster on this machine has, for a try."""

    text: str
    workers: int = 0
    """Not 0: the cluster is made on this machine, for this run."""

    @property
    def warning(self) -> str:
        """What is to be feared of the connection; empty if nothing."""
        parts = urlsplit(self.text)
        if self.workers or parts.scheme in ENCRYPTED or _is_this_machine(parts.hostname or ""):
            return ""
        return (
            f"the cluster at {self.text} is used without TLS: anyone on the network can read the tree, and run code on "
            "its workers and here. Start its scheduler with tls://, and set distributed.comm.tls in Dask's "
            "configuration"
        )


def parse_cluster(text: str) -> ClusterAddress:
    """Return the address that ``--py312-cluster`` names.

    :raises OptionError: it is none.
    """
    local = _LOCAL.fullmatch(text.strip())
    if local:
        workers = int(local[1])
        if not 1 <= workers <= MAX_LOCAL_WORKERS:
            raise OptionError(f"--py312-cluster={text}: a cluster for a try has from 1 to {MAX_LOCAL_WORKERS} workers")
        return ClusterAddress(text=text.strip(), workers=workers)
    try:
        parts = urlsplit(text.strip())
        is_complete = parts.scheme in SCHEMES and parts.hostname and parts.port
    except ValueError:
        is_complete = False
    if not is_complete:
        raise OptionError(
            f"--py312-cluster={shorten(text, 60)}: expected the address of a Dask scheduler, as in "
            "--py312-cluster=tcp://scheduler:8786, or --py312-cluster=local:4 for one of 4 workers on this machine"
        )
    return ClusterAddress(text=text.strip())


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
