"""Figures over HTTP while a watcher stays, for a Prometheus to fetch."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pytest_py312.rollout.exposition import CONTENT_TYPE

PAGE_TYPE = "text/html; charset=utf-8"


@asynccontextmanager
async def serving(
    text: Callable[[], bytes], *, page: Callable[[], str] | None = None, port: int = 0, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """Answer ``/metrics`` with ``text()`` and ``/`` with ``page()``, made anew each time, and yield the port.

    :param port: 0 is any that is free.
    :raises OSError: the port is taken.
    """
    from aiohttp import web

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=text(), headers={"Content-Type": CONTENT_TYPE})

    async def root(request: web.Request) -> web.Response:
        made = page() if page is not None else ""
        headers = {"Content-Type": PAGE_TYPE, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=made.encode("utf-8", "replace"), headers=headers)

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    if page is not None:
        application.router.add_get("/", root)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
