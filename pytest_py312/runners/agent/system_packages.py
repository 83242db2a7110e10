"""Install packages of the system with apt, in the container of an image that is being made.

Runs inside of that container as root, on the standard library of Python 3.8 or newer. The request is a JSON file: the
``names`` of packages, whether what they recommend is installed too (``recommends``), environment ``variables``
(proxies, which must not get into the image), and the path of ``certificates``, which may be empty. The last line of
the output is a JSON object: ``error`` is empty, or says why the packages were not installed; ``unknown`` are those that
the distribution does not have.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from typing import Callable, Dict, List, Sequence, Tuple

ATTEMPTS = 5
"""How often the installation is tried, each time without what the distribution turned out not to have."""
OPTIONS = ("-q", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", "-o", "Acquire::https::Timeout=30")
_NAME = r"([a-z0-9][a-z0-9+.-]*)"
_UNKNOWN = re.compile(
    rf"^E: (?:Unable to locate package {_NAME}|Package '?{_NAME}'? has no installation candidate"
    rf"|Couldn't find any package by (?:glob|regex) '{_NAME}')\s*$",
    re.MULTILINE,
)
_UNREACHABLE = re.compile(
    r"[^\n]*(?:Failed to fetch|Could not resolve|Temporary failure|Unable to connect|Could not connect|Connection "
    r"(?:failed|timed out|refused)|Network is unreachable)[^\n]*"
)


def unknown_packages(output: str) -> List[str]:
    """Return the packages that apt does not know or has no version of, according to its output."""
    return list(dict.fromkeys(next(filter(None, names)) for names in _UNKNOWN.findall(output)))


def describe_failure(output: str) -> str:
    """Return why apt failed, according to its output."""
    unreachable = _UNREACHABLE.search(output)
    if unreachable:
        return "apt's servers could not be reached: " + unreachable.group(0).strip()
    errors = [line for line in output.splitlines() if line.startswith(("E: ", "dpkg: error"))]
    return "apt-get failed: " + (errors[-1] if errors else "it gave no reason")


def install(
    names: Sequence[str], recommends: bool, run: Callable[[List[str]], Tuple[int, str]]
) -> Tuple[str, List[str]]:
    """Install ``names``; return why that failed (or an empty text), and the packages that are not known.

    :param run: runs apt-get with some arguments, and returns its exit code and output.
    """
    code, output = run(["update", "-o", "APT::Update::Error-Mode=any"])
    if code != 0 or _UNREACHABLE.search(output):
        return describe_failure(output), []
    wanted = list(names)
    unknown: List[str] = []
    flags = ["--yes", "--install-recommends" if recommends else "--no-install-recommends", "--no-remove"]
    for _ in range(ATTEMPTS):
        if not wanted:
            break
        code, output = run(["install", *flags, "--", *wanted])
        if code == 0:
            return "", unknown
        dropped = [name for name in unknown_packages(output) if name in wanted]
        if not dropped:
            return describe_failure(output), unknown
        unknown += dropped
        wanted = [name for name in wanted if name not in dropped]
    return "the image's distribution does not have " + ", ".join(unknown), unknown


def main(path: str) -> None:
    """Carry out the request in the file ``path``."""
    with open(path, encoding="utf-8") as file:
        request = json.load(file)
    environment: Dict[str, str] = {**os.environ, **request["variables"]}
    environment.update(DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
    options = list(OPTIONS)
    if request["certificates"]:
        options += ["-o", "Acquire::https::CAInfo=" + request["certificates"]]

    def run(argv: List[str]) -> Tuple[int, str]:
        result = subprocess.run(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output = result.stdout.decode("utf-8", "replace")
        print(output[-4000:], flush=True)
        return result.returncode, output

    def apt_get(arguments: List[str]) -> Tuple[int, str]:
        return run(["apt-get", *options, *arguments])

    unknown: List[str] = []
    if shutil.which("apt-get") is None:
        error = "the image has no apt-get"
    else:
        error, unknown = install(request["names"], request["recommends"], apt_get)
        run(["apt-get", "clean"])
        run(["find", "/var/lib/apt/lists", "-type", "f", "-delete"])
    print(json.dumps({"error": error[:400], "unknown": unknown}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
