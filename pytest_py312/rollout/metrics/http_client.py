"""One question over HTTP with one deadline for all of it: looking the name up, connecting, and the whole answer.

A time limit on each read lets an answer that trickles take for ever and be called healthy. Each question has a
connection of its own: one that is kept open hides that nobody listens any more.
"""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_py312.core import clock
from pytest_py312.rollout.metrics.threads import in_thread

if TYPE_CHECKING:
    from aiohttp import ClientSession

MOST_BYTES = 1024 * 1024
USER_AGENT = "pytest-py312"


class NoAnswer(Exception):
    """Nobody answered, or not in time, or not HTTP. ``str()`` says which."""


class NotAsked(Exception):
    """It could not be asked: the name is not known here, the address is none. Says nothing about the other side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """``seconds`` are from the beginning to the last byte; of the body :data:`MOST_BYTES` are read."""

    status: int
    seconds: float
    body: bytes = b""


async def ask(
    url: str,
    *,
    limit: float,
    form: Mapping[str, str] | None = None,
    json: object = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """GET ``url``, or POST a ``form`` or ``json`` to it. Redirections are answers and not followed.

    :param limit: seconds for all of it.
    :raises NoAnswer: see there.
    :raises NotAsked: see there.
    """
    import aiohttp

    try:
        async with asyncio.timeout(limit), _session() as session:
            method = "GET" if form is None and json is None else "POST"
            begun = clock.stopwatch()
            async with session.request(
                method, url, data=form, json=json, headers=headers, allow_redirects=False
            ) as response:
                body = await _read(response.content)
                return Answer(status=response.status, seconds=clock.stopwatch() - begun, body=body)
    except TimeoutError:
        raise NoAnswer(f"no whole answer within {limit:g} s") from None
    except (aiohttp.ClientConnectorDNSError, aiohttp.InvalidURL, UnicodeError, ValueError) as error:
        raise NotAsked(f"{url} cannot be asked: {error}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from error


def url_of(host: str, port: int, path: str) -> str:
    """``http://host:port/path``, also of an address of IPv6."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"


def _session() -> "ClientSession":
    import aiohttp
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Resolver(AbstractResolver):
        """Names are looked up in threads that nobody waits for at the end."""

        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
            found = await in_thread(
                lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM), limit=60.0
            )
            return [
                ResolveResult(
                    hostname=host, host=str(address[0]), port=port, family=kind, proto=proto,
                    flags=socket.AI_NUMERICHOST,
                )
                for kind, _, proto, _, address in found
            ]  # fmt: skip

        async def close(self) -> None:
            return None

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, use_dns_cache=False, resolver=Resolver()),
        timeout=aiohttp.ClientTimeout(total=None),  # the deadline is around all of it
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
    )


async def _read(content: Any) -> bytes:
    """The whole body has to come, but what is beyond the limit is not kept."""
    kept = bytearray()
    async for chunk in content.iter_any():
        if len(kept) < MOST_BYTES:
            kept += chunk[: MOST_BYTES - len(kept)]
    return bytes(kept)
