"""What the programs of well-known servers and workers import when they are started.

A service that requires one starts it, and imports nothing of that: ``import celery`` works on 3.12 where
``celery worker`` dies at once. Each module is what the distribution's console script leads to, and can be imported
without starting anything.
"""

from collections.abc import Mapping, Sequence

from pytest_py312.distributions import Entry

PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "alembic": ("alembic.config",),
    "arq": ("arq.cli",),
    "celery": ("celery.bin.celery", "celery.apps.worker"),
    "daphne": ("daphne.cli",),
    "django": ("django.core.management",),
    "dramatiq": ("dramatiq.cli",),
    "flask": ("flask.cli",),
    "flower": ("flower.command",),
    "gunicorn": ("gunicorn.app.wsgiapp",),
    "huey": ("huey.consumer",),
    "hypercorn": ("hypercorn.run",),
    "locust": ("locust.main",),
    "rq": ("rq.cli",),
    "uvicorn": ("uvicorn.main",),
    "waitress": ("waitress.runner",),
}
"""Project to the modules that its program runs first."""
_OWNERS = {module: project for project, modules in PROGRAMS.items() for module in modules}


def started_modules(project: str, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Those of ``project`` that are installed; versions differ in what they have."""
    wanted = PROGRAMS.get(project, ())
    folders = [entry.folder / "lib" for entry in entries if entry.name == project] if wanted else []
    return tuple(
        module
        for module in wanted
        for path in (module.replace(".", "/"),)
        if any((folder / f"{path}.py").is_file() or (folder / path / "__init__.py").is_file() for folder in folders)
    )


def owner_of(module: str) -> str | None:
    """The project whose program starts with ``module``."""
    return _OWNERS.get(module)
