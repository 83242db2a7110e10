"""HTTP requests with one deadline for everything: name resolution, connection and the complete response.

With a timeout per read, a response that trickles in could take forever and still count as healthy. Each request has its
own connection, because an open one would hide that the server no longer accepts connections.
"""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_py312.core import clock
from pytest_py312.core.concurrency import run_in_thread
from pytest_py312.rollout.domain.target_model import format_address

if TYPE_CHECKING:
    from aiohttp import ClientSession

MAX_BODY_BYTES = 1024 * 1024
USER_AGENT = "pytest-py312"


class NoResponse(Exception):
    """The server did not answer, not in time, or not with HTTP. ``str()`` is the reason."""


class RequestNotSent(Exception):
    """The request could not be sent: unknown host name or invalid URL. This says nothing about the server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpResponse:
    """Response; ``seconds`` is the time to the last byte, ``body`` is truncated to :data:`MAX_BODY_BYTES`."""

    status: int
    seconds: float
    body: bytes = b""


async def http_request(
    url: str,
    *,
    timeout: float,
    form: Mapping[str, str] | None = None,
    json: object = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """GET ``url``, or POST a ``form`` or ``json`` to it. Redirects are returned and not followed.

    :param timeout: seconds for everything.
    :raises NoResponse: the server did not answer properly.
    :raises RequestNotSent: the request could not be sent.
    """
    import aiohttp

    try:
        async with asyncio.timeout(timeout), _open_session() as session:
            method = "GET" if form is None and json is None else "POST"
            started = clock.stopwatch()
            async with session.request(
                method, url, data=form, json=json, headers=headers, allow_redirects=False
            ) as response:
                body = await _read_body(response.content)
                return HttpResponse(status=response.status, seconds=clock.stopwatch() - started, body=body)
    except TimeoutError:
        raise NoResponse(f"no complete answer within {timeout:g} s") from None
    except (aiohttp.ClientConnectorDNSError, aiohttp.InvalidURL, UnicodeError, ValueError) as error:
        raise RequestNotSent(f"cannot send a request to {url}: {error}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise NoResponse(str(error) or type(error).__name__) from error


def build_url(host: str, port: int, path: str) -> str:
    """Return ``http://host:port/path``, with brackets around an IPv6 address."""
    return f"http://{format_address(host, port)}{path}"


def _open_session() -> "ClientSession":
    import aiohttp
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Resolver(AbstractResolver):
        """Resolves names in threads that are abandoned at exit and not joined."""

        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
            addresses = await run_in_thread(
                lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM), timeout=60.0
            )
            return [
                ResolveResult(
                    hostname=host, host=str(address[0]), port=port, family=address_family, proto=proto,
                    flags=socket.AI_NUMERICHOST,
                )
                for address_family, _, proto, _, address in addresses
            ]  # fmt: skip

        async def close(self) -> None:
            return None

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, use_dns_cache=False, resolver=Resolver()),
        timeout=aiohttp.ClientTimeout(total=None),  # the deadline covers the whole request
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
    )


async def _read_body(content: Any) -> bytes:
    """Read the whole body but keep only the first :data:`MAX_BODY_BYTES`."""
    body = bytearray()
    async for chunk in content.iter_any():
        if len(body) < MAX_BODY_BYTES:
            body += chunk[: MAX_BODY_BYTES - len(body)]
    return bytes(body)
