"""Ask a Docker engine for its version over its socket, without the SDK: fast enough for pytest's header."""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
_ANSWER_LIMIT = 256 * 1024


def engine_address(environ: Mapping[str, str] | None = None) -> str:
    """Return the engine's address: ``DOCKER_HOST``, or the default socket."""
    return (os.environ if environ is None else environ).get("DOCKER_HOST", "").strip() or DEFAULT_ADDRESS


def engine_version(timeout: float = 1.0, *, address: str | None = None) -> str | None:
    """Return the version of the engine at ``DOCKER_HOST`` (``unix://`` or ``tcp://``); ``None`` if none answers.

    ``timeout`` is in seconds, for each step of the connection. Never raises: an unsupported address, a refused
    connection and an unintelligible response all give ``None``.
    """
    try:
        with _connect(address or engine_address(), timeout) as connection:
            connection.sendall(b"GET /version HTTP/1.0\r\nHost: docker\r\nAccept: application/json\r\n\r\n")
            return parse_version(_read_all(connection))
    except (OSError, ValueError):
        return None


def parse_version(response: bytes) -> str | None:
    """Return the engine's version in a complete HTTP response to ``GET /version``; ``None`` for any other bytes."""
    head, _, body = response.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if not status[0].startswith(b"HTTP/") or len(status) < 2 or status[1] != b"200":
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    version = document.get("Version") if isinstance(document, dict) else None
    return version if isinstance(version, str) and version else None


def _connect(address: str, timeout: float) -> socket.socket:
    scheme, _, rest = address.partition("://")
    if scheme == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect(rest)
        except OSError:
            connection.close()
            raise
        return connection
    if scheme in ("tcp", "http", "https"):
        host, _, port = rest.rstrip("/").rpartition(":")
        connection = socket.create_connection((host.strip("[]"), int(port)), timeout)
        if scheme == "https" or os.environ.get("DOCKER_TLS_VERIFY"):
            return _with_tls(connection, host.strip("[]"))
        return connection
    raise ValueError(f"unsupported address {address!r}")


def _with_tls(connection: socket.socket, host: str) -> socket.socket:
    import ssl  # takes some 10 ms, and is rarely needed

    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    try:
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(str(folder / "cert.pem"), str(folder / "key.pem"))
        return context.wrap_socket(connection, server_hostname=host)
    except OSError:
        connection.close()
        raise


def _read_all(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < _ANSWER_LIMIT and (part := connection.recv(65536)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)
