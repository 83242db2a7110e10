"""Constraints files are fetched over HTTP, within limits."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pytest_py312.dependencies.requests import remote_constraints
from pytest_py312.dependencies.requests.remote_constraints import ConstraintsFetcher


class Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path != "/missing.txt" else 404)
        self.end_headers()
        self.wfile.write(b"a==1\n" if self.path == "/c.txt" else b"#" * 4096)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_a_server_answers(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_constraints, "SIZE_LIMIT", 1024)
    fetcher = ConstraintsFetcher(cache=tmp_path, lock_hours=1.0)

    assert fetcher.fetch(f"{address}/c.txt").lines == ("a==1",)
    problems = [fetcher.fetch(f"{url}.txt").problem for url in (f"{address}/missing", f"{address}/large", "http://[x")]
    assert [problem.rpartition(": ")[2] for problem in problems] == [
        "the answer has status 404", "it is too large or took too long", "InvalidURL",
    ]  # fmt: skip
