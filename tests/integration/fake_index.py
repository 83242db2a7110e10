"""A small local package index that can fail in all the ways in which indexes fail."""

import io
import json
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pytest_py312.dependencies.diagnosis.package_index import JSON_MEDIA_TYPE

PROJECTS: Mapping[str, Mapping[str, str]] = {
    "lib": {"1.0": "", "2.0": ""},
    "one": {"1.0": "lib==1.0"},
    "two": {"1.0": "lib==2.0"},
    "fine": {"1.0": ""},
    "old": {"1.0": "", "2.0": ""},
    "needs-old": {"1.0": "old"},
}
"""name -> version -> what it requires"""
TAGS = {("old", "1.0"): "cp39-none-any"}
"""(name, version) -> the tags of its wheel, if it is not universal"""
SOURCES: Mapping[tuple[str, str], str] = {}
"""(name, version) -> the source of its module, if it is not empty"""


def wheel(name: str, version: str, requires: str) -> bytes:
    project, name = name, name.replace("-", "_")
    info = f"{name}-{version}.dist-info"
    requires_line = f"Requires-Dist: {requires}\n" if requires else ""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{name}.py", SOURCES.get((project, version), ""))
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires_line}"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """The index. ``fault`` selects how it fails; with ``screen_only`` it does not fail for uv."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.fault = ""
        self.screen_only = False
        self.asked: Counter[str] = Counter()
        self.stopped = threading.Event()

    @property
    def url(self) -> str:
        return f"http://user:secret@127.0.0.1:{self.server_address[1]}/simple"


class Answer(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = self.path.strip("/").split("/")
        self.server.asked[self.path] += 1
        is_uv = self.headers.get("User-Agent", "").startswith("uv")
        fault = "" if self.server.screen_only and is_uv else self.server.fault
        if fault == "hangs up":
            self.close_connection = True
        elif parts[0] == "files":
            name, version = parts[1].split("-")[:2]
            name = name.replace("_", "-")
            self._respond(200, "application/octet-stream", wheel(name, version, PROJECTS[name][version]))
        elif parts[-1] not in PROJECTS:
            self._respond(404, "text/plain", b"no such project")
        else:
            self._page(parts[-1], fault)

    def _page(self, name: str, fault: str) -> None:
        names = [
            f"{name.replace('-', '_')}-{version}-{TAGS.get((name, version), 'py3-none-any')}.whl"
            for version in PROJECTS[name]
        ]
        files = [{"filename": file_name, "url": f"/files/{file_name}", "hashes": {}} for file_name in names]
        body = json.dumps({"meta": {"api-version": "1.0"}, "name": name, "files": files}).encode()
        if fault == "500" or (fault == "500 at first" and self.server.asked[self.path] <= 2):
            self._respond(500, "text/plain", b"broken")
        elif fault == "denied":
            self._respond(403, "text/plain", b"denied")
        elif fault == "garbage":
            self._respond(200, JSON_MEDIA_TYPE, b"\x00\xff garbage")
        elif fault == "truncated":
            self._respond(200, JSON_MEDIA_TYPE, body[: len(body) // 2])
        elif fault == "cut off":
            self._respond(200, JSON_MEDIA_TYPE, body, promised=len(body) + 1000)
        elif fault == "html":
            self._respond(200, "text/html", b"<html><body>log in</body></html>")
        elif fault == "large":
            self._respond(200, JSON_MEDIA_TYPE, body + b" " * 100_000)
        elif fault == "silent":
            self.server.stopped.wait(30)
        elif fault == "drip":
            self._drip(body)
        else:
            self._respond(200, JSON_MEDIA_TYPE, body)

    def _drip(self, body: bytes) -> None:
        self._respond(200, JSON_MEDIA_TYPE, b"", promised=len(body))
        for byte in body:
            if self.server.stopped.wait(0.05):
                return
            self.wfile.write(bytes([byte]))
            self.wfile.flush()

    def _respond(self, status: int, kind: str, body: bytes, promised: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = promised is not None and promised != len(body) and bool(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: tests read ``asked``."""


@contextmanager
def running(uv_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run an index that uv is configured to use."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        for name, value in {
            "UV_DEFAULT_INDEX": server.url,
            "UV_CACHE_DIR": str(uv_cache),
            "UV_HTTP_TIMEOUT": "1",
            "UV_HTTP_RETRIES": "0",
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        yield server
        server.stopped.set()
        server.shutdown()
        thread.join(10)
