"""What confined commands have in common on all runners: the script that starts them, and what it reports.

A build that failed for lack of network or memory says nothing about its source. Its own messages do not always tell, so
the kernel is asked: it counts packets without a route, and kills for lack of memory.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pytest_py312.core.process import CommandResult, ExitReason

NETWORK_TRIED = "Network is unreachable: the build tried to use the network, which builds do not have"
"""A line of ``stderr`` of a confined command that failed and had tried to use the network."""
MEMORY_REACHED = "the build reached its memory limit"
MIN_MEMORY = 2 * 1024**3
"""Bytes of memory that a build gets at least."""

CONFINED_SCRIPT = f"""
import os, sys
def numbers(path):
    found = {{}}
    try:
        with open(path, encoding="ascii") as file:
            lines = [line.split() for line in file]
    except (OSError, ValueError):
        return found
    for words, following in zip(lines, lines[1:] + [[]]):
        if len(words) == 2 and words[1].isdigit():
            found[words[0]] = int(words[1])
        elif following[:1] == words[:1]:
            found.update((words[0] + name, int(value)) for name, value in zip(words[1:], following[1:]))
    return found
code = os.spawnvp(os.P_WAIT, sys.argv[1], sys.argv[1:])
if code:
    tried = {{**numbers("/proc/net/snmp"), **numbers("/proc/net/snmp6")}}
    if any(tried.get(name) for name in ("Ip:OutNoRoutes", "Ip6OutNoRoutes", "Udp:NoPorts")):
        sys.stderr.write({NETWORK_TRIED!r} + "\\n")
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        if numbers(path).get("oom_kill"):
            sys.stderr.write({MEMORY_REACHED!r} + "\\n")
sys.exit(code if code >= 0 else 128 - code)
"""
"""Runs the command of its arguments; of one that fails, reports whether it lacked network or memory."""

_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|(?:^|_)KEY(?:_|$)|AUTH", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """Return ``text`` with the user names and passwords of its URLs removed."""
    return _PASSWORD.sub("", text)


def variables_without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables without those whose names are of secrets, and without passwords in URLs."""
    return {name: without_passwords(value) for name, value in variables.items() if not _SECRET_NAME.search(name)}


def memory_of_builds(parallel: int) -> int:
    """Return the bytes that each of ``parallel`` builds may use: its share of this machine's memory."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(MIN_MEMORY, total // max(parallel, 1))


def explain_exit(result: CommandResult) -> CommandResult:
    """Return the result of a confined command; one that lacked memory was not simply wrong."""
    if result.exit_reason is ExitReason.EXITED and not result.ok and MEMORY_REACHED in result.stderr:
        return replace(result, exit_reason=ExitReason.OUT_OF_MEMORY, exit_code=None)
    return result


def hand_over(folder: Path, user: str) -> None:
    """Give a folder and all in it to ``user`` (``uid:gid``), who may write there; links are not followed."""
    uid, gid = map(int, user.split(":"))
    for name in ("tmp", "cache"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for path, folders, files in os.walk(folder):
        for item in (path, *(os.path.join(path, name) for name in (*folders, *files))):  # noqa: PTH118 - as os.walk
            if os.getuid() == 0:
                os.chown(item, uid, gid, follow_symlinks=False)
            if not os.path.islink(item):  # noqa: PTH114 - see above
                mode = os.stat(item).st_mode  # noqa: PTH116 - see above
                os.chmod(item, mode | (0o777 if os.path.isdir(item) else 0o666))  # noqa: PTH101, PTH112 - see above
