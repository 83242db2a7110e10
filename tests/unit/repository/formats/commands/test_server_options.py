"""The modules that servers import because of their options and their configuration files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.commands.server_options import (
    configuration_names,
    modules_of_configuration,
    modules_of_options,
)
from pytest_py312.repository.formats.start_commands import read_command


def options_of(text: str) -> list[str]:
    calls = read_command(text).calls
    return [module for call in calls for module in modules_of_options(call.name, call.arguments)]


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ('["gunicorn", "-b", "[::]:5000", "app:app", "-k", "gevent"]', ["gunicorn.workers.ggevent"]),
        ("gunicorn --worker-class=gevent app:app", ["gunicorn.workers.ggevent"]),
        ("gunicorn -kgthread app:app", ["gunicorn.workers.gthread"]),
        ("gunicorn --threads 8 app:app", ["gunicorn.workers.gthread"]),
        ("gunicorn --threads 1 app:app", []),
        ("gunicorn -k uvicorn.workers.UvicornWorker app:app", ["uvicorn.workers"]),
        ("gunicorn -k ${WORKER:-eventlet} app:app", ["gunicorn.workers.geventlet"]),
        ("gunicorn -k $WORKER app:app", []),
        ("GUNICORN_CMD_ARGS='-k gevent' gunicorn app:app", ["gunicorn.workers.ggevent"]),
        ("uvicorn --loop uvloop --http httptools app:app",
         ["uvicorn.loops.uvloop", "uvloop", "uvicorn.protocols.http.httptools_impl"]),
        ("python -m uvicorn app:app --ws=websockets", ["uvicorn.protocols.websockets.websockets_impl"]),
        ("uvicorn --loop auto app:app", []),
        ("celery -A shop worker --pool gevent", ["celery.concurrency.gevent", "gevent.monkey", "gevent.pool"]),
        ("celery -A shop worker -P eventlet", ["celery.concurrency.eventlet", "eventlet"]),
        ("celery -A shop beat -S django_celery_beat.schedulers:DatabaseScheduler", ["django_celery_beat.schedulers"]),
        ("rq worker -w shop.workers.Worker", ["shop.workers"]),
        ("hypercorn -k trio app:app", ["hypercorn.trio"]),
        ("other -k gevent", []),
        ("gunicorn app:app -k", []),
    ],
)  # fmt: skip
def test_options_name_modules(text: str, modules: list[str]) -> None:
    assert options_of(text) == modules


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("gunicorn app:app", ("gunicorn.conf.py",)),
        ("gunicorn -c conf/web.py app:app", ("web.py",)),
        ("gunicorn --config=python:shop.web_settings app:app", ("web_settings.py",)),
        ("celery -c 4", ()),
    ],
)
def test_the_configuration_file_of_a_server(text: str, files: tuple[str, ...]) -> None:
    calls = read_command(text).calls
    assert tuple(name for call in calls for name in configuration_names(call.name, call.arguments)) == files


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ('worker_class = "gevent"\n', ("gunicorn.workers.ggevent",)),
        ('import os\nworker_class = os.environ.get("KIND", "gevent")\n', ("gunicorn.workers.ggevent",)),
        ('worker_class = "shop.workers.Own"\nthreads = 4\n', ("shop.workers", "gunicorn.workers.gthread")),
        ("worker_class = pick()\nthreads = 2 * 4\n", ()),
        ("worker_class = (\n", ()),
        ("", ()),
    ],
)
def test_settings_of_a_configuration_file(text: str, modules: tuple[str, ...]) -> None:
    assert modules_of_configuration(text) == modules


@given(st.text(max_size=200))
def test_no_text_crashes_the_readers(text: str) -> None:
    assert all(modules_of_configuration(text))
    assert all(options_of(f"gunicorn {text}"))
