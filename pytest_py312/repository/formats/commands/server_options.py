"""Which modules a server imports because an option of its command names them: workers, event loops, pools.

The server does not import them itself: ``import gunicorn`` works where ``gunicorn -k gevent`` ends at once.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from pytest_py312.core.python_syntax import parse_python

_GUNICORN_WORKERS = {
    "sync": "gunicorn.workers.sync", "gthread": "gunicorn.workers.gthread", "tornado": "gunicorn.workers.gtornado",
    "gevent": "gunicorn.workers.ggevent", "gevent_wsgi": "gunicorn.workers.ggevent",
    "gevent_pywsgi": "gunicorn.workers.ggevent", "eventlet": "gunicorn.workers.geventlet",
    "asgi": "gunicorn.workers.gasgi",
}  # fmt: skip
_CELERY_POOLS = {
    "prefork": "celery.concurrency.prefork", "processes": "celery.concurrency.prefork",
    "solo": "celery.concurrency.solo", "threads": "celery.concurrency.thread",
    "gevent": "celery.concurrency.gevent gevent.monkey gevent.pool",
    "eventlet": "celery.concurrency.eventlet eventlet",
}  # fmt: skip
_UVICORN_WEBSOCKETS = {
    "websockets": "uvicorn.protocols.websockets.websockets_impl",
    "websockets-sansio": "uvicorn.protocols.websockets.websockets_sansio_impl",
    "wsproto": "uvicorn.protocols.websockets.wsproto_impl",
}
_OPTIONS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "gunicorn": {"-k": _GUNICORN_WORKERS, "--worker-class": _GUNICORN_WORKERS},
    "celery": {"-P": _CELERY_POOLS, "--pool": _CELERY_POOLS},
    "uvicorn": {
        "--loop": {"uvloop": "uvicorn.loops.uvloop uvloop", "asyncio": "uvicorn.loops.asyncio"},
        "--http": {
            "httptools": "uvicorn.protocols.http.httptools_impl",
            "h11": "uvicorn.protocols.http.h11_impl",
        },
        "--ws": _UVICORN_WEBSOCKETS,
    },
    "hypercorn": {
        option: {"uvloop": "hypercorn.asyncio uvloop", "trio": "hypercorn.trio", "asyncio": "hypercorn.asyncio"}
        for option in ("-k", "--worker-class")
    },
    "granian": {"--loop": {"uvloop": "uvloop", "rloop": "rloop"}},
}
"""Program -> option -> value -> the modules that it makes the program import."""
_CLASS_OPTIONS = {
    "gunicorn": ("-k", "--worker-class", "--logger-class"),
    "celery": ("-P", "--pool", "-S", "--scheduler"),
    "rq": ("-w", "--worker-class", "-j", "--job-class", "--queue-class", "--connection-class"),
    "uvicorn": ("--loop",),
}
"""Options whose value may be the dotted name of a class, ``package.module.Class`` or ``package.module:Class``."""
SERVER_PACKAGES = frozenset(
    {"aiohttp", "celery", "eventlet", "gevent", "gunicorn", "hypercorn", "rloop", "uvicorn", "uvicorn_worker", "uvloop"}
)
"""Top-level modules that belong to servers: if one is missing, no folder of the repository can provide it."""
_CLASS = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)[.:][A-Za-z_]\w*", re.ASCII)
_CONFIGURED = {"worker_class": "--worker-class", "threads": "--threads", "logger_class": "--logger-class"}
"""Setting of gunicorn's configuration file -> the option that it stands for."""
_DEFAULT = re.compile(r"\$\{\w+:?-([^}]*)\}", re.ASCII)
"""``${NAME:-default}`` of the shell"""
MAX_CONFIGURATION = 100_000
"""Characters of a configuration file that are read."""


def modules_of_options(server: str, words: Sequence[str]) -> Iterator[str]:
    """Yield the modules that ``server`` imports because of the options among ``words``, its arguments."""
    for option, value in _options(words):
        known = _OPTIONS.get(server, {}).get(option, {})
        if value in known:
            yield from known[value].split()
        elif option in _CLASS_OPTIONS.get(server, ()) and (match := _CLASS.fullmatch(value)):
            yield match["module"]
        elif (server, option) == ("gunicorn", "--threads") and value.isdecimal() and int(value[:4]) > 1:
            yield "gunicorn.workers.gthread"


def configuration_names(server: str, words: Sequence[str]) -> Iterator[str]:
    """Yield the names of the Python files, without folders, that configure ``server``."""
    if server == "gunicorn":
        named = [value for option, value in _options(words) if option in ("-c", "--config")]
        for value in named or ["gunicorn.conf.py"]:
            if value.startswith("python:"):
                value = f"{value.removeprefix('python:').replace('.', '/')}.py"
            yield value.removeprefix("file:").rpartition("/")[2]


def modules_of_configuration(text: str) -> tuple[str, ...]:
    """Return the modules that gunicorn imports because of its configuration file ``text``. Nothing of it runs."""
    tree = parse_python(text[:MAX_CONFIGURATION])
    words: dict[str, str] = {}
    for node in tree.body if tree is not None else ():
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            option = _CONFIGURED.get(target.id, "") if isinstance(target, ast.Name) else ""
            if option and isinstance(node, ast.Assign):
                words[option] = f"{option}={_literal(node.value)}"
    return tuple(dict.fromkeys(modules_of_options("gunicorn", tuple(words.values()))))


def _literal(node: ast.expr) -> str:
    """Return a constant, or the default of ``os.environ.get("NAME", "default")``; empty for anything else."""
    if isinstance(node, ast.Call) and len(node.args) == 2 and not node.keywords:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else ""
        return _literal(node.args[1]) if name in ("get", "getenv") else ""
    return str(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, (str, int)) else ""


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the options among ``words`` with what may be their value: ``-k gevent``, ``-kgevent``, ``--loop=uvloop``.

    Of ``${WORKER:-gevent}`` the default counts.
    """
    words = [_DEFAULT.sub(r"\1", word) for word in words]
    for position, word in enumerate(words):
        following = words[position + 1] if position + 1 < len(words) else ""
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            yield option, value if equals else following
        elif len(word) == 2 and word.startswith("-"):
            yield word, following
        elif word.startswith("-"):
            yield word[:2], word[2:].removeprefix("=")
