"""Servers on 127.0.0.1 for tests of network clients; each test has its own, in its own event loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    """Run a server whose connections ``handler`` answers; yields its port."""

    answering: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.close()

    def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # no coroutine: a connection is registered as soon as it exists
        answering[asyncio.ensure_future(handle(reader, writer))] = writer

    server = await asyncio.start_server(on_connect, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await asyncio.sleep(0.02)  # a connection that was just accepted must be registered before the server closes
        server.close()
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        for writer in answering.values():
            writer.transport.abort()
        await asyncio.sleep(0.01)  # the loop closes their sockets in its next rounds


async def request_on(reader: asyncio.StreamReader) -> bytes:
    """Read one request: its head, and its body if the head has a length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    return head + (await reader.readexactly(length) if length else b"")


def answer_with(answer: bytes) -> Handler:
    """Return a handler that answers each request of a connection with ``answer``."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                await request_on(reader)
                writer.write(answer)
                await writer.drain()

    return handler


async def answer_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a byte every 50 ms, for ever: no limit on single reads is ever reached."""
    await request_on(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
