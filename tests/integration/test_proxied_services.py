"""Services with a proxy for external requests are called, and call each other, without it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pytest_py312.rollout.domain.contracts import parse_answer
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.target_model import ServiceSpec
from pytest_py312.rollout.execution.contract_runner import script_text
from pytest_py312.rollout.targets.swarm.specs import START_INTERVAL_API, health_check
from tests.integration.prometheus_tools import free_port


class Well(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Well)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxied() -> dict[str, str]:
    """Variables of a process whose proxy does not exist."""
    kept = {name: text for name, text in os.environ.items() if "proxy" not in name.lower()}
    return kept | {"http_proxy": f"http://127.0.0.1:{free_port()}"}


def test_a_call_to_another_service_is_direct(port: int, proxied: dict[str, str]) -> None:
    request = {"do": "ask", "url": f"http://127.0.0.1:{port}/", "command": [], "function": "", "limit": 5.0}
    done = subprocess.run(
        [sys.executable, "-c", script_text(), json.dumps(request)],
        env=proxied,
        capture_output=True,
        text=True,
        check=False,
    )
    assert parse_answer(done.stdout).result is Result.SUCCESSFUL


def test_the_health_check_of_a_swarm_is_direct(port: int, proxied: dict[str, str]) -> None:
    kind, text = health_check(ServiceSpec(service="a", container="a", port=port, health="/"), START_INTERVAL_API)[
        "Test"
    ]
    assert kind == "CMD-SHELL"
    assert subprocess.run(["sh", "-c", text], env=proxied, capture_output=True, check=False).returncode == 0
