"""What a package index has of a project, asked in JSON (PEP 691) and kept in the cache.

One page a project, slimmed to what tells whether a file fits an interpreter: its version, tags, Requires-Python,
whether it was yanked, and when it was uploaded. An answer that is late, cut short or not understood is never taken for
one: the page is then *unknown*, and says why. Neither the index's address nor its credentials are printed or kept.
"""

import hashlib
import json
import os
import re
import threading
import uuid
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
from pytest_py312.core.concurrency import Once

if TYPE_CHECKING:
    import requests

JSON_KIND = "application/vnd.pypi.simple.v1+json"
FORMAT = 1
"""Of the cached pages; another one is fetched again."""

THREADS = 6
ATTEMPTS = 3
CONNECT_LIMIT = 5.0
SILENCE_LIMIT = 15.0
PAGE_LIMIT = 60.0
"""Seconds: until a connection stands, between two pieces of an answer, and for the whole of one."""
FIRST_PAUSE = 0.25
"""Seconds before the second attempt; twice as long before each further one."""
SIZE_LIMIT = 64 * 1024 * 1024
"""Bytes of one page, unpacked. The largest known is a third of it."""
MOST_FILES = 200_000
MOST_FAILURES = 4
"""Pages that fail before anything was answered; after them the index counts as away for this run."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,198}[a-z0-9])?")
_SOURCE_ENDS = (".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz")


class PageState(Enum):
    """*Missing*: the index says that it has no such project. *Unknown*: it did not say anything that could be used."""

    FOUND = "found"
    MISSING = "missing"
    UNKNOWN = "unknown"


class File(NamedTuple):
    """One file of a release. ``tags`` as in a wheel's name (``cp312-cp312-linux_x86_64``), empty for a source."""

    version: str
    tags: str
    requires_python: str
    yanked: bool
    uploaded: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What the index has of one project. ``files`` maps versions, as they are written, to their files."""

    name: str
    state: PageState
    files: Mapping[str, tuple[File, ...]] = field(default_factory=dict)
    reason: str = ""
    """Why it is unknown, in words that a sentence can end with."""
    worked_out: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)
    """What was told from it, by the question: sets ask the same ones, and a page may have thousands of files."""


def unknown(name: str, reason: str) -> Page:
    return Page(name=name, state=PageState.UNKNOWN, reason=reason)


def read_page(name: str, body: bytes | str) -> Page:
    """An index's answer as a page; unknown where it is not one about ``name``. Never raises."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return unknown(name, "the index's answer is cut short or no JSON")
    garbage = unknown(name, "the index's answer is not a project page")
    if not isinstance(data, dict) or not isinstance(data.get("files"), list):
        return garbage
    meta = data.get("meta")
    version = meta.get("api-version") if isinstance(meta, dict) else None
    if not isinstance(version, str) or not version.startswith("1.") or len(data["files"]) > MOST_FILES:
        return garbage
    if not isinstance(data.get("name"), str) or canonicalize_name(data["name"]) != name:
        return garbage
    found: dict[str, list[File]] = {}
    for item in data["files"]:
        if not _is_file(item):
            return garbage
        file = _slimmed(name, item)
        if file is not None:
            found.setdefault(file.version, []).append(file)
    return Page(name=name, state=PageState.FOUND, files={key: tuple(files) for key, files in found.items()})


def _is_file(item: object) -> bool:
    if not isinstance(item, dict):
        return False
    texts = (item.get("filename"), item.get("requires-python") or "", item.get("upload-time") or "")
    return all(isinstance(text, str) for text in texts) and isinstance(item.get("yanked", False), bool | str)


def _slimmed(name: str, item: Mapping[str, Any]) -> File | None:
    """``None`` for what no installer takes (eggs, installers of Windows) and for what is of another project."""
    filename: str = item["filename"]
    if filename.endswith(".whl"):
        parts = filename[:-4].split("-")
        if len(parts) not in (5, 6) or canonicalize_name(parts[0]) != name:
            return None
        version, tags = parts[1], "-".join(parts[-3:])
    else:
        end = next((end for end in _SOURCE_ENDS if filename.endswith(end)), None)
        version, tags = _source_version(name, filename[: -len(end)]) if end else "", ""
    if not version:
        return None
    return File(
        version=version,
        tags=tags,
        requires_python=item.get("requires-python") or "",
        yanked=item.get("yanked", False) is not False,
        uploaded=item.get("upload-time") or "",
    )


def _source_version(name: str, stem: str) -> str:
    """The version in ``name-version``, where either may hold hyphens."""
    for match in re.finditer("-", stem[:400]):
        if canonicalize_name(stem[: match.start()]) == name:
            return stem[match.end() :]
    return ""


def moment(text: str) -> datetime | None:
    """An RFC 3339 time; ``None`` where it is none. Without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class _Trouble(Exception):
    """One attempt that brought nothing. ``again``: another one may."""

    def __init__(self, reason: str, *, again: bool) -> None:
        self.again = again
        super().__init__(reason)


class Index:
    """The index at ``url`` (PEP 503's root), through the cache. Safe for threads and several processes.

    ``url`` is ``None`` where the index cannot be asked directly (several of them, links, no network protocol): every
    page is unknown then. Pages are used again for ``lock_hours``, or for ever when they were fetched after the cut-off
    date ``exclude_newer``. ``offline``: what is not in the cache is unknown.
    """

    def __init__(
        self, *, cache: Path, url: str | None, lock_hours: float, exclude_newer: str = "", offline: bool = False
    ) -> None:
        self._folder = cache / "simple"
        self._offline = offline
        self._url = url if url and urlsplit(url).scheme in ("http", "https") else None
        self._identity = hashlib.sha256(_without_credentials(self._url or "").encode()).hexdigest()[:16]
        self._lock_seconds = lock_hours * 3600.0
        self._cut_off = moment(exclude_newer)
        self._once = Once(None)
        self._guard = threading.Lock()
        self._session: requests.Session | None = None
        self._failures = 0
        self._seen: dict[str, Page] = {}

    def pages(self, names: Iterable[str]) -> dict[str, Page]:
        """The pages of projects (normalised names), a few at a time."""
        wanted = list(dict.fromkeys(names))
        with ThreadPoolExecutor(THREADS) as pool:
            return dict(zip(wanted, pool.map(self.page, wanted), strict=True))

    def page(self, name: str) -> Page:
        """The page of one project. Never raises for what the index or the disk does."""
        if self._url is None:
            return unknown(name, "the index cannot be asked directly")
        if not _NAME.fullmatch(name):
            return unknown(name, "its name is none that an index can have")
        self._seen[name] = self._once(name, lambda: self._kept(name) or self._elsewhere(name))
        return self._seen[name]

    def seen(self, name: str) -> Page | None:
        """The page of one project where this run has asked for it before; asks nobody."""
        return self._seen.get(name)

    # -- the cache

    def _kept(self, name: str) -> Page | None:
        try:
            data = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
            if (data["format"], data["index"]) != (FORMAT, self._identity) or not self._holds(float(data["fetched"])):
                return None
            files = {version: tuple(File(version, *row) for row in rows) for version, rows in data["files"].items()}
            return Page(name=name, state=PageState(data["state"]), files=files)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def _holds(self, fetched: float) -> bool:
        if self._cut_off is not None and fetched >= self._cut_off.timestamp():
            return True
        return 0 <= clock.timestamp() - fetched < self._lock_seconds

    def _keep(self, page: Page) -> None:
        rows = {version: [file[1:] for file in files] for version, files in page.files.items()}
        data = {
            "format": FORMAT,
            "index": self._identity,
            "fetched": clock.timestamp(),
            "state": page.state.value,
            "files": rows,
        }
        path = self._folder / f"{page.name}.json"
        part = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(data, separators=(",", ":")), encoding="utf-8")
            part.replace(path)
        except (OSError, ValueError):  # only a cache: a full disk shows itself where it matters
            with suppress(OSError):
                part.unlink()

    # -- the network

    def _elsewhere(self, name: str) -> Page:
        return unknown(name, "offline, and its page is not in the cache") if self._offline else self._fetched(name)

    def _fetched(self, name: str) -> Page:
        reason = "the index did not answer"
        for attempt in range(ATTEMPTS):
            if self._is_away():
                return unknown(name, "the index did not answer for other projects either")
            if attempt:
                clock.pause(FIRST_PAUSE * 2 ** (attempt - 1))
            try:
                page = self._asked(name)
            except _Trouble as trouble:
                reason = str(trouble)
                if not trouble.again:
                    break
                continue
            if page.state is PageState.UNKNOWN:
                reason = page.reason
                continue
            with self._guard:
                self._failures = -1
            self._keep(page)
            return page
        with self._guard:
            self._failures += self._failures >= 0
        return unknown(name, reason)

    def _is_away(self) -> bool:
        with self._guard:
            return self._failures >= MOST_FAILURES

    def _asked(self, name: str) -> Page:
        """One attempt.

        :raises _Trouble: no answer, or none that can be used.
        """
        import requests  # slow to import, and a set that resolves has no use for it
        from urllib3.exceptions import HTTPError

        url = f"{str(self._url).rstrip('/')}/{name}/"
        limits = (CONNECT_LIMIT, SILENCE_LIMIT)
        started = clock.stopwatch()
        try:
            with self._opened().get(url, headers={"Accept": JSON_KIND}, timeout=limits, stream=True) as answer:
                if answer.status_code in (404, 410):
                    return Page(name=name, state=PageState.MISSING)
                if answer.status_code != 200:
                    again = answer.status_code >= 500 or answer.status_code in (408, 429)
                    raise _Trouble(f"the index answered with status {answer.status_code}", again=again)
                kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                if kind not in (JSON_KIND, "application/vnd.pypi.simple.latest+json"):
                    raise _Trouble("the index does not speak JSON", again=False)
                body = bytearray()
                for piece in _pieces(answer):
                    body += piece
                    if len(body) > SIZE_LIMIT:
                        raise _Trouble(f"its page is larger than {SIZE_LIMIT // 1024**2} MiB", again=False)
                    if clock.stopwatch() - started > PAGE_LIMIT:
                        raise _Trouble(f"its page took longer than {PAGE_LIMIT:g} s", again=False)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # the error's own text holds the address, and what stands in it
            raise _Trouble(f"the index did not answer ({type(error).__name__})", again=True) from None
        return read_page(name, bytes(body))

    def _opened(self) -> "requests.Session":
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


def _pieces(answer: "requests.Response") -> Iterator[bytes]:
    """The body as it comes in: waiting for a piece of some size would be waiting without end for a slow index."""
    read = getattr(answer.raw, "read1", None)
    if read is None:  # urllib3 before 2.1
        yield from answer.iter_content(512)
        return
    while piece := read(65536, decode_content=True):
        yield piece


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
