"""The current time on three clocks, and the identity of users, hosts and processes."""

import getpass
import socket

from pytest_py312.core import clock
from pytest_py312.core.process_identity import ProcessIdentity, is_abandoned, process_start_ticks, this_process
from pytest_py312.rollout.domain.model import Timestamp


def current_timestamp() -> Timestamp:
    return Timestamp(wall=clock.timestamp(), boottime=clock.boottime(), boot=this_process().boot_id)


def current_user_name() -> str:
    """Return the name of the current user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in a container
        return f"user {this_process().user}"


def current_host_name() -> str:
    return socket.gethostname()


def is_dead(process: str) -> bool:
    """Return whether a process has certainly ended.

    That can be known only on the same boot of the same machine; everywhere else the answer is ``False``.

    :param process: as :class:`~pytest_py312.core.process_identity.ProcessIdentity` writes it.
    """
    now = clock.timestamp()
    return ProcessIdentity.parse(process) is not None and is_abandoned(
        process, created=now, now=now, observer=this_process()
    )


def is_alive(process: str) -> bool:
    """Return whether a process is certainly running; ``False`` if that cannot be known, as in :func:`is_dead`."""
    identity, current = ProcessIdentity.parse(process), this_process()
    if (
        identity is None
        or not current.boot_id
        or (identity.boot_id, identity.namespace) != (current.boot_id, current.namespace)
    ):
        return False
    return process_start_ticks(identity.pid) == identity.start_ticks
