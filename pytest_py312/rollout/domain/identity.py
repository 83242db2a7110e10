"""Now, by the three clocks of :class:`~pytest_py312.rollout.domain.model.Moment`, and who asks."""

import getpass
import socket

from pytest_py312.core import clock
from pytest_py312.core.process_identity import Owner, is_abandoned, started_at, this_process
from pytest_py312.rollout.domain.model import Moment


def this_moment() -> Moment:
    return Moment(wall=clock.timestamp(), boottime=clock.boottime(), boot=this_process().boot)


def this_operator() -> str:
    """The user's name, as this machine knows it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user number without a name, as in a container
        return f"user {this_process().user}"


def this_host() -> str:
    return socket.gethostname()


def is_gone(process: str) -> bool:
    """Whether a process (as :class:`~pytest_py312.core.process_identity.Owner` writes it) is certain to have ended.

    Only of this start of this machine can that be known; everywhere else the answer is no.
    """
    now = clock.timestamp()
    return Owner.parse(process) is not None and is_abandoned(process, created=now, now=now, me=this_process())


def is_alive(process: str) -> bool:
    """Whether a process is certain to run: no wherever that cannot be known, as :func:`is_gone`."""
    owner, me = Owner.parse(process), this_process()
    if owner is None or not me.boot or (owner.boot, owner.namespace) != (me.boot, me.namespace):
        return False
    return started_at(owner.pid) == owner.started
