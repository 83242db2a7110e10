"""What programs import when they are started: those that the service's start commands name, and well-known ones.

A service that requires a server or a worker starts it, and imports nothing of that: ``import celery`` works on 3.12
where ``celery worker`` dies at once. Nothing is started: a console script begins with the import of its module.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from configparser import ConfigParser, Error
from pathlib import Path

from pytest_py312.core.model.fleet import Program
from pytest_py312.dependencies.installation.distribution_store import Entry

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
    own = [entry for entry in entries if entry.name == project] if wanted else []
    return tuple(module for module in wanted if any(_file_of(module, entry) for entry in own))


def modules_of(programs: Iterable[Program], entries: Sequence[Entry]) -> tuple[str, ...]:
    """What those of ``programs`` import first that belong to something installed.

    Of a console script it is the module of its entry point. A module that is run is not imported as what it is, since
    most start something then: it is its package, and what the package's ``__main__`` imports of it.
    """
    return tuple(dict.fromkeys(module for program in programs for module in _modules_of(program, entries)))


def owner_of(module: str, entries: Iterable[Entry] = ()) -> str | None:
    """The project whose program starts with ``module``, or that has it among its files."""
    return _OWNERS.get(module) or next((entry.name for entry in entries if _file_of(module, entry)), None)


def _modules_of(program: Program, entries: Sequence[Entry]) -> Iterator[str]:
    if not program.is_module:
        owners = [entry for entry in entries if (entry.folder / "data" / "bin" / program.name).is_file()]
        for entry in owners:
            module = _entry_point(entry, program.name)
            if module and _file_of(module, entry):
                yield module
        return
    for entry in entries:
        file = _file_of(program.name, entry)
        if file is not None and file.name == "__init__.py":
            yield program.name
            yield from (one for one in _imported(file.with_name("__main__.py"), program.name) if _file_of(one, entry))


def _file_of(module: str, entry: Entry) -> Path | None:
    path = entry.folder / "lib" / module.replace(".", "/")
    return next((file for file in (path / "__init__.py", path.with_name(f"{path.name}.py")) if file.is_file()), None)


def _entry_point(entry: Entry, script: str) -> str:
    """The module that a console script of ``entry`` imports, as its metadata say; empty where they do not."""
    for file in (entry.folder / "lib").glob("*.dist-info/entry_points.txt"):
        parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case, as the library says
        try:
            parser.read(file, encoding="utf-8")
        except (Error, UnicodeDecodeError):
            continue
        return parser.get("console_scripts", script, fallback="").partition(":")[0].strip()
    return ""


def _imported(file: Path, package: str) -> Iterator[str]:
    """The modules of ``package`` that its ``file`` imports outside of functions and conditions."""
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith(f"{package}."))
        elif isinstance(node, ast.ImportFrom) and node.level <= 1:
            module = ".".join(filter(None, (package if node.level else "", node.module or "")))
            if module == package or module.startswith(f"{package}."):
                yield module
                yield from (f"{module}.{alias.name}" for alias in node.names)
