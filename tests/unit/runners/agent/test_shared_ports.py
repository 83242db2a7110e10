"""Cells that run as plain processes take turns at the ports that their tests name."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_py312.runners.agent import shared_ports


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(socket.socket, "bind", socket.socket.bind)  # both are put back after the test
    monkeypatch.setattr(socket.socket, "close", socket.socket.close)
    shared_ports.wait_for_ports(str(tmp_path / "ports"))
    return tmp_path / "ports"


def bound_socket() -> tuple[socket.socket, int]:
    for port in range(21_000, 21_200):
        opened = socket.socket()
        try:
            opened.bind(("127.0.0.1", port))
            return opened, port
        except OSError:
            opened.close()
    raise AssertionError("no port is free")


@contextmanager
def held_by_another_cell(file: Path) -> Iterator[bool]:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def test_a_port_is_held_until_its_last_socket_is_closed(folder: Path) -> None:
    opened, port = bound_socket()
    with held_by_another_cell(folder / str(port)) as is_free:
        assert not is_free
    opened.close()
    with held_by_another_cell(folder / str(port)) as is_free:
        assert is_free


def test_a_socket_that_is_only_forgotten_holds_nothing(folder: Path) -> None:
    opened, port = bound_socket()
    os.close(opened.detach())
    del opened
    with held_by_another_cell(folder / str(port)) as is_free:
        assert is_free


def test_a_bind_waits_for_another_cell_but_not_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, port = bound_socket()
    opened.close()
    monkeypatch.setattr(shared_ports, "WAIT_LIMIT", 0.1)
    with held_by_another_cell(folder / str(port)) as is_free, socket.socket() as second:
        assert is_free
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        second.bind(("127.0.0.1", port))
        assert second.getsockname()[1] == port


def test_ports_that_the_system_hands_out_are_not_shared(folder: Path) -> None:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        assert not folder.exists()
