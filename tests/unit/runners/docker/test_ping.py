"""Asking an engine for its version, without the SDK."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.runners.docker.ping import engine_version, parse_version


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A socket that sends one answer: (its address, a list for the answer)."""
    path = tmp_path / "engine.sock"
    answers: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answers[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"unix://{path}", answers
        thread.join(5)


def test_an_engine_reports_its_version(answering: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_HOST is its address."""
    address, answers = answering
    answers.append(b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"Version": "26.1.5"}\n')
    monkeypatch.setenv("DOCKER_HOST", address)
    assert engine_version() == "26.1.5"


@pytest.mark.parametrize(
    "address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1", "tcp://x", "ssh://host", "", "unix://\0"]
)
def test_without_an_engine_there_is_no_version(address: str) -> None:
    """Nothing is raised, whatever the address."""
    assert engine_version(0.2, address=address or "nonsense") is None


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body))
def test_no_answer_crashes_the_parser(answer: bytes) -> None:
    """Another program may listen at that address."""
    assert parse_version(answer) is None or isinstance(parse_version(answer), str)
