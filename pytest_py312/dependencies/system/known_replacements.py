"""Projects without a version or a wheel for new Pythons, and their replacements. Each row has its source."""

SUCCESSORS: dict[str, str] = {
    # the project's page: "Aioredis is now in redis-py 4.2.0rc1+"
    "aioredis": "its code lives on in redis from 4.2 on, as redis.asyncio",
    # the project's page: the runtime under its new name
    "tflite-runtime": "the runtime is published as ai-edge-litert now",
    # the project's page: unmaintained; the fork keeps its interface
    "python-consul": "py-consul is its maintained fork",
}

WHEEL_ALTERNATIVES: dict[str, str] = {
    # https://www.psycopg.org/docs/install.html: "the psycopg2-binary package"
    "psycopg2": "psycopg2-binary",
}
"""Projects that publish sources only -> projects that publish the same code as wheels."""
