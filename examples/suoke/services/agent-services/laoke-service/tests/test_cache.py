import asyncio

from laoke.cache import HeardStories, open_cache


class FakeRedis:
    def __init__(self):
        self.sets = {}
        self.lifetimes = {}

    async def sadd(self, key, value):
        self.sets.setdefault(key, set()).add(value)

    async def expire(self, key, seconds):
        self.lifetimes[key] = seconds

    async def smembers(self, key):
        return self.sets.get(key, set())


def test_what_was_heard_is_remembered():
    async def scene():
        heard = HeardStories(FakeRedis())
        await heard.add("lin", "Ginger for a rainy day")
        return await heard.of("lin"), await heard.of("mei")

    assert asyncio.run(scene()) == ({"Ginger for a rainy day"}, set())


def test_it_is_forgotten_after_ninety_days():
    redis = FakeRedis()
    asyncio.run(HeardStories(redis).add("lin", "Ginger for a rainy day"))
    assert redis.lifetimes == {"laoke:heard:lin": 7_776_000}


def test_the_url_chooses_the_database():
    async def scene():
        return open_cache("redis://cache:6379/3").connection_pool.connection_kwargs

    chosen = asyncio.run(scene())
    assert (chosen["host"], chosen["db"]) == ("cache", 3)


def test_answers_of_redis_are_text():
    async def scene():
        return open_cache("redis://cache:6379").connection_pool.connection_kwargs

    assert asyncio.run(scene())["decode_responses"] is True
