"""Fetch the constraints files at an address that commands name: ``pip install -c https://...``.

Each is fetched once in a run, within limits, and kept as long as locks are. Its lines become constraints of the set, so
that nothing else of a set has to ask the network for them.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.files import write_json_atomically
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.dependencies.diagnosis.package_index import without_credentials
from pytest_py312.repository.formats.requirements_file import read_requirements

SIZE_LIMIT = 2 * 1024**2
"""Bytes of one file."""
CONNECT_LIMIT, SILENCE_LIMIT, TIME_LIMIT = 10.0, 20.0, 60.0
"""Seconds: for a connection, between two parts of an answer, for the whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteConstraints:
    """The lines of a file; ``problem`` says why there are none."""

    lines: tuple[str, ...] = ()
    problem: str = ""


_FETCHED: Work[RemoteConstraints] = Work("constraints at an address")


class ConstraintsFetcher:
    """Fetcher of constraints files, with a cache. Safe for threads and several processes.

    :param lock_hours: for how long a file is used again. ``offline``: files of any age are used, and none is fetched.
    """

    def __init__(self, *, cache: Path, lock_hours: float, offline: bool = False) -> None:
        self._folder = cache / "constraints"
        self._seconds = lock_hours * 3600.0
        self._offline = offline
        self._single_flight = SingleFlight(None)

    def fetch(self, url: str) -> RemoteConstraints:
        """Return the constraints at an address. Never raises for failures of the network or the disk."""
        return self._single_flight.run(_FETCHED.of(url), lambda: self._fetch(url))

    def _fetch(self, url: str) -> RemoteConstraints:
        path = self._folder / f"{hashlib.sha256(url.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"
        kept = self._read_cached(path)
        if kept is not None:
            return RemoteConstraints(lines=tuple(kept))
        place = f"the constraints at {without_credentials(url)}"
        if self._offline:
            return RemoteConstraints(problem=f"{place} are not in the cache, and it is offline")
        text, problem = _download(url)
        if problem:
            return RemoteConstraints(problem=f"{place} could not be fetched: {problem}")
        parsed = read_requirements(text, url)
        lines = tuple(entry.text for entry in parsed.entries if not entry.url)
        has_content = any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())
        if parsed.problems or parsed.includes or parsed.local_paths or (has_content and not parsed.entries):
            return RemoteConstraints(problem=f"{place} are not a file of constraints that can be read")
        try:
            write_json_atomically(path, {"fetched": clock.timestamp(), "lines": lines})
        except OSError as error:
            return RemoteConstraints(problem=f"the cache folder cannot be written: {error}")
        return RemoteConstraints(lines=lines)

    def _read_cached(self, path: Path) -> Sequence[str] | None:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            age = clock.timestamp() - float(data["fetched"])
            is_fresh = self._offline or 0 <= age < self._seconds
            return [str(line) for line in data["lines"]] if is_fresh else None
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None


def address_for(url: str, baseline: Interpreter, interpreter: Interpreter) -> str:
    """Return the address on another interpreter: the names of Airflow's files are ``constraints-3.9.txt``.

    https://airflow.apache.org/docs/apache-airflow/stable/installation/installing-from-pypi.html#constraints-files
    """
    folder, slash, name = url.rpartition("/")
    return f"{folder}{slash}" + re.sub(rf"(?<![\d.]){re.escape(str(baseline))}(?!\d|\.\d)", str(interpreter), name)


def _download(url: str) -> tuple[str, str]:
    """Return the text at an address, and the reason why there is none."""
    import requests  # slow to import, and rarely needed

    started = clock.stopwatch()
    try:
        with requests.get(url, timeout=(CONNECT_LIMIT, SILENCE_LIMIT), stream=True) as response:
            if response.status_code != 200:
                return "", f"the answer has status {response.status_code}"
            body = bytearray()
            for chunk in response.iter_content(16_384):
                body += chunk
                if len(body) > SIZE_LIMIT or clock.stopwatch() - started > TIME_LIMIT:
                    return "", "it is too large or took too long"
    except (requests.RequestException, OSError, ValueError) as error:
        # without the error's text: it contains the address and possibly its credentials
        return "", type(error).__name__
    return bytes(body).decode("utf-8", "replace"), ""
