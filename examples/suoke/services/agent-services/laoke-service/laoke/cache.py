"""What each listener has heard, kept in Redis where there is one."""


def open_cache(url):
    """A client for the Redis at ``url``. Nothing is connected until it is used."""
    import aioredis

    return aioredis.from_url(url, encoding="utf-8", decode_responses=True)


class HeardStories:
    """A set of titles per listener, forgotten after ``days``."""

    def __init__(self, client, days=90):
        self._client = client
        self._seconds = days * 24 * 3600

    async def add(self, listener, title):
        await self._client.sadd(self._key(listener), title)
        await self._client.expire(self._key(listener), self._seconds)

    async def of(self, listener):
        return set(await self._client.smembers(self._key(listener)))

    @staticmethod
    def _key(listener):
        return "laoke:heard:" + listener
