"""Read the pages of a package index as JSON (PEP 691), and cache them.

There is one page per project, reduced to what decides whether a file can be installed: version, tags, Requires-Python,
whether it was yanked, and its upload time. If an answer is late, truncated or unintelligible, the page is *unknown* and
has the reason. Neither the index's address nor its credentials are printed or stored.
"""

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from packaging.utils import canonicalize_name

from pytest_py312.core import clock
from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.files import write_json_atomically

if TYPE_CHECKING:
    import requests

JSON_MEDIA_TYPE = "application/vnd.pypi.simple.v1+json"
FORMAT_VERSION = 1
"""Format of the cached pages; pages of another format are fetched again."""

THREADS = 6
MAX_ATTEMPTS = 3
CONNECT_LIMIT = 5.0
SILENCE_LIMIT = 15.0
PAGE_LIMIT = 60.0
"""Seconds: to connect, between two chunks of a response, and for a whole response."""
INITIAL_BACKOFF = 0.25
"""Seconds before the second attempt; doubled before each further one."""
SIZE_LIMIT = 64 * 1024 * 1024
"""Bytes of one page, unpacked. The largest known is a third of it."""
MAX_FILES = 200_000
MAX_FAILURES = 4
"""Pages that fail before the first success; after them the index counts as unreachable for this run."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,198}[a-z0-9])?")
_SOURCE_SUFFIXES = (".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz")


class PageState(Enum):
    """*Missing*: the index has no such project. *Unknown*: there was no usable answer."""

    FOUND = "found"
    MISSING = "missing"
    UNKNOWN = "unknown"


class DistributionFile(NamedTuple):
    """One file of a release. ``tags`` are from a wheel's name (``cp312-cp312-linux_x86_64``), empty for a source."""

    version: str
    tags: str
    requires_python: str
    yanked: bool
    uploaded: str


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexPage:
    """The index's page of one project. ``files`` maps versions, as written there, to their files."""

    name: str
    state: PageState
    files: Mapping[str, tuple[DistributionFile, ...]] = field(default_factory=dict)
    reason: str = ""
    """Why the page is unknown, as the end of a sentence."""
    computed: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)
    """Results derived from the page: sets need the same ones, and a page may have thousands of files."""


def unknown_page(name: str, reason: str) -> IndexPage:
    return IndexPage(name=name, state=PageState.UNKNOWN, reason=reason)


def parse_page(name: str, body: bytes | str) -> IndexPage:
    """Parse an index's answer; the page is unknown if the answer is not about ``name``. Never raises."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return unknown_page(name, "the index's answer is truncated or not JSON")
    invalid_page = unknown_page(name, "the index's answer is not a project page")
    if not isinstance(data, dict) or not isinstance(data.get("files"), list):
        return invalid_page
    meta = data.get("meta")
    version = meta.get("api-version") if isinstance(meta, dict) else None
    if not isinstance(version, str) or not version.startswith("1.") or len(data["files"]) > MAX_FILES:
        return invalid_page
    if not isinstance(data.get("name"), str) or canonicalize_name(data["name"]) != name:
        return invalid_page
    files_by_version: dict[str, list[DistributionFile]] = {}
    for item in data["files"]:
        if not _is_file_entry(item):
            return invalid_page
        file = _parse_file(name, item)
        if file is not None:
            files_by_version.setdefault(file.version, []).append(file)
    return IndexPage(
        name=name, state=PageState.FOUND, files={key: tuple(files) for key, files in files_by_version.items()}
    )


def _is_file_entry(item: object) -> bool:
    if not isinstance(item, dict):
        return False
    texts = (item.get("filename"), item.get("requires-python") or "", item.get("upload-time") or "")
    return all(isinstance(text, str) for text in texts) and isinstance(item.get("yanked", False), bool | str)


def _parse_file(name: str, item: Mapping[str, Any]) -> DistributionFile | None:
    """Parse an entry; ``None`` for files that installers ignore (eggs, ``.exe``) and those of another project."""
    filename: str = item["filename"]
    if filename.endswith(".whl"):
        parts = filename[:-4].split("-")
        if len(parts) not in (5, 6) or canonicalize_name(parts[0]) != name:
            return None
        version, tags = parts[1], "-".join(parts[-3:])
    else:
        suffix = next((suffix for suffix in _SOURCE_SUFFIXES if filename.endswith(suffix)), None)
        version, tags = _source_version(name, filename[: -len(suffix)]) if suffix else "", ""
    if not version:
        return None
    return DistributionFile(
        version=version,
        tags=tags,
        requires_python=item.get("requires-python") or "",
        yanked=item.get("yanked", False) is not False,
        uploaded=item.get("upload-time") or "",
    )


def _source_version(name: str, stem: str) -> str:
    """Return the version in ``name-version``, where both may contain hyphens."""
    for match in re.finditer("-", stem[:400]):
        if canonicalize_name(stem[: match.start()]) == name:
            return stem[match.end() :]
    return ""


def parse_timestamp(text: str) -> datetime | None:
    """Parse an RFC 3339 time; ``None`` if it is invalid. Without a zone it is UTC."""
    try:
        timestamp = datetime.fromisoformat(text)
    except ValueError:
        return None
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)


class _FetchFailed(Exception):
    """A failed attempt. ``retryable``: another one may succeed."""

    def __init__(self, reason: str, *, retryable: bool) -> None:
        self.retryable = retryable
        super().__init__(reason)


_PAGE: "Work[IndexPage]" = Work("page")


class PackageIndex:
    """The index at ``url`` (PEP 503's root) with its cache. Safe for threads and several processes.

    ``url`` is ``None`` if there is no single index to query (several ones, links, no network protocol): every page is
    unknown then. Pages are reused for ``lock_hours``, or forever if they were fetched after the cut-off date
    ``exclude_newer``. ``offline``: pages that are not in the cache are unknown.
    """

    def __init__(
        self, *, cache: Path, url: str | None, lock_hours: float, exclude_newer: str = "", offline: bool = False
    ) -> None:
        self._folder = cache / "simple"
        self._offline = offline
        self._url = url if url and urlsplit(url).scheme in ("http", "https") else None
        self._identity = hashlib.sha256(without_credentials(self._url or "").encode()).hexdigest()[:16]
        self._lock_seconds = lock_hours * 3600.0
        self._cut_off = parse_timestamp(exclude_newer)
        self._single_flight = SingleFlight(None)
        self._guard = threading.Lock()
        self._session: requests.Session | None = None
        self._failures = 0
        self.has_failed = False
        """Whether a page could not be fetched."""
        self._fetched_pages: dict[str, IndexPage] = {}

    def pages(self, names: Iterable[str]) -> dict[str, IndexPage]:
        """Return the pages of projects (normalised names), fetching several in parallel."""
        unique_names = list(dict.fromkeys(names))
        with ThreadPoolExecutor(THREADS) as pool:
            return dict(zip(unique_names, pool.map(self.page, unique_names), strict=True))

    def page(self, name: str) -> IndexPage:
        """Return the page of one project. Never raises for failures of the index or the disk."""
        if self._url is None:
            return unknown_page(name, "there is no single index that can be queried")
        if not _NAME.fullmatch(name):
            return unknown_page(name, "its name is not valid on an index")
        self._fetched_pages[name] = self._single_flight.run(
            _PAGE.of(name), lambda: self._read_cached(name) or self._fetch_unless_offline(name)
        )
        return self._fetched_pages[name]

    def page_if_fetched(self, name: str) -> IndexPage | None:
        """Return the page of one project if this run has fetched it already."""
        return self._fetched_pages.get(name)

    # -- the cache

    def _read_cached(self, name: str) -> IndexPage | None:
        try:
            data = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
            if (data["format"], data["index"]) != (FORMAT_VERSION, self._identity) or not self._is_fresh(
                float(data["fetched"])
            ):
                return None
            files = {
                version: tuple(DistributionFile(version, *row) for row in rows)
                for version, rows in data["files"].items()
            }
            return IndexPage(name=name, state=PageState(data["state"]), files=files)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def _is_fresh(self, fetched: float) -> bool:
        if self._cut_off is not None and fetched >= self._cut_off.timestamp():
            return True
        return 0 <= clock.timestamp() - fetched < self._lock_seconds

    def _write_cached(self, page: IndexPage) -> None:
        rows = {version: [file[1:] for file in files] for version, files in page.files.items()}
        data = {
            "format": FORMAT_VERSION,
            "index": self._identity,
            "fetched": clock.timestamp(),
            "state": page.state.value,
            "files": rows,
        }
        path = self._folder / f"{page.name}.json"
        with suppress(OSError, ValueError):  # only a cache: a full disk is reported where it matters
            write_json_atomically(path, data)

    # -- the network

    def _fetch_unless_offline(self, name: str) -> IndexPage:
        return unknown_page(name, "offline, and its page is not in the cache") if self._offline else self._fetch(name)

    def _fetch(self, name: str) -> IndexPage:
        reason = "the index did not answer"
        for attempt in range(MAX_ATTEMPTS):
            if self._is_unreachable():
                return unknown_page(name, "the index did not answer for other projects either")
            if attempt:
                clock.pause(INITIAL_BACKOFF * 2 ** (attempt - 1))
            try:
                page = self._request_page(name)
            except _FetchFailed as failure:
                reason = str(failure)
                if not failure.retryable:
                    break
                continue
            if page.state is PageState.UNKNOWN:
                reason = page.reason
                continue
            with self._guard:
                self._failures = -1
            self._write_cached(page)
            return page
        with self._guard:
            self._failures += self._failures >= 0
            self.has_failed = True
        return unknown_page(name, reason)

    def _is_unreachable(self) -> bool:
        with self._guard:
            return self._failures >= MAX_FAILURES

    def _request_page(self, name: str) -> IndexPage:
        """Request a page once.

        :raises _FetchFailed: no usable answer.
        """
        import requests  # slow to import, and not needed for a set that resolves
        from urllib3.exceptions import HTTPError

        url = f"{str(self._url).rstrip('/')}/{name}/"
        limits = (CONNECT_LIMIT, SILENCE_LIMIT)
        started = clock.stopwatch()
        try:
            with self._get_session().get(
                url, headers={"Accept": JSON_MEDIA_TYPE}, timeout=limits, stream=True
            ) as response:
                if response.status_code in (404, 410):
                    return IndexPage(name=name, state=PageState.MISSING)
                if response.status_code != 200:
                    retryable = response.status_code >= 500 or response.status_code in (408, 429)
                    raise _FetchFailed(f"the index answered with status {response.status_code}", retryable=retryable)
                media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                if media_type not in (JSON_MEDIA_TYPE, "application/vnd.pypi.simple.latest+json"):
                    raise _FetchFailed("the index does not offer JSON pages", retryable=False)
                body = bytearray()
                for chunk in _body_chunks(response):
                    body += chunk
                    if len(body) > SIZE_LIMIT:
                        raise _FetchFailed(f"its page is larger than {SIZE_LIMIT // 1024**2} MiB", retryable=False)
                    if clock.stopwatch() - started > PAGE_LIMIT:
                        raise _FetchFailed(f"its page took longer than {PAGE_LIMIT:g} s", retryable=False)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # without the error's text: it contains the address and possibly its credentials
            raise _FetchFailed(f"the index did not answer ({type(error).__name__})", retryable=True) from None
        return parse_page(name, bytes(body))

    def _get_session(self) -> "requests.Session":
        import requests
        from requests.adapters import HTTPAdapter

        with self._guard:
            if self._session is None:
                session = requests.Session()
                session.max_redirects = 5
                session.verify = os.environ.get("SSL_CERT_FILE") or True
                for scheme in ("http://", "https://"):
                    session.mount(scheme, HTTPAdapter(pool_connections=THREADS, pool_maxsize=THREADS))
                self._session = session
            return self._session


def _body_chunks(response: "requests.Response") -> Iterator[bytes]:
    """Yield the body as it arrives: waiting for chunks of a fixed size would defeat the time limit."""
    read = getattr(response.raw, "read1", None)
    if read is None:  # urllib3 before 2.1
        yield from response.iter_content(512)
        return
    while chunk := read(65536, decode_content=True):
        yield chunk


def without_credentials(url: str) -> str:
    """Return an address without the name and the password of a user."""
    try:
        parts = urlsplit(url)
    except ValueError:  # no address that anything can ask
        return url.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
